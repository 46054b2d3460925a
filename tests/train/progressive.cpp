#include <onestep/train/progressive.hpp>

#include <onestep/backend/cpu.hpp>
#include <onestep/network/mlp.hpp>
#include <onestep/objective/flow_matching.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/sampler/sample.hpp>
#include <onestep/target/edm_preconditioned.hpp>
#include <onestep/time/power_grid.hpp>
#include <onestep/train/linear_rate.hpp>

#include "../exact_models.hpp"
#include "../io/scratch.hpp"

namespace progressive_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

struct small_flow {
    mlp<float, cpu> net;
    explicit small_flow(cpu& device) : net(device, {.data = {2}, .width = 16, .blocks = 1, .seed = 2}) {
        fill_normal(net.parameters().reshaped({1, net.parameters().size()}), random_key{3}.at(draw::user), 0.2);
    }
    auto model() { return onestep::model<mlp<float, cpu>&, rectified_flow, velocity>(net, {}, {}); }
};

}  // namespace

TEST_CASE("progressive: each stage halves the steps, starts from its teacher and is the next one") {
    cpu device(1);
    small_flow start(device);
    auto flow = start.model();
    auto const given = to_host(start.net.parameters());
    auto const x0 = normal<float>(device, {100, 2}, 4);
    trainer_options const training{.batch = 32, .ema = 0.9, .clip = 1, .seed = 8};
    progressive_options const options{.from = 8, .to = 2, .steps_per_stage = 5, .last_factor = 2};
    progressive halving{flow, adam{.rate = 1e-2}, options, training, linear_rate{.steps = 99}};
    CHECK(halving.steps() == 8);
    int expected_steps = 8;
    while (!halving.done()) {
        expected_steps /= 2;
        index_t const length = expected_steps == 2 ? 10 : 5;
        // the same by hand
        auto& now = halving.model();
        mlp<float, cpu> copy(std::as_const(now.network()));
        model student{copy, rectified_flow{}, velocity{}};
        trainer run{student, progressive_distillation{now, {.steps = expected_steps}}, adam{.rate = 1e-2}, training,
                    linear_rate{.steps = length}};
        run.run(x0, length);
        index_t steps = 0;
        halving.stage(x0, [&](auto& trainer) {
            CHECK(to_string(trainer.objective()) == to_string(run.objective()));
            CHECK(to_string(trainer.rate()) == to_string(run.rate()));
            trainer.on_step([&](training_report const& report) { steps = report.step; });
        });
        CHECK(steps == length);
        CHECK(halving.steps() == expected_steps);
        CHECK(to_host(halving.model().network().parameters()) == to_host(copy.parameters()));
    }
    CHECK(expected_steps == 2);
    auto const last = to_host(halving.model().network().parameters());
    halving.run(x0);  // nothing is left
    CHECK(to_host(halving.model().network().parameters()) == last);
    CHECK(to_host(start.net.parameters()) == given);

    progressive whole{flow, adam{.rate = 1e-2}, options, training, linear_rate{}};
    whole.run(x0);
    CHECK(to_host(whole.model().network().parameters()) == last);
}

TEST_CASE("progressive: goes on where it was stopped, and hands on averages if told to") {
    cpu device(1);
    small_flow start(device);
    auto flow = start.model();
    auto const x0 = normal<float>(device, {100, 2}, 4);
    trainer_options const training{.batch = 32, .ema = 0.9};
    progressive_options const options{.from = 4, .to = 1, .steps_per_stage = 5};
    progressive whole{flow, adam{.rate = 1e-2}, options, training};
    whole.stage(x0);
    progressive resumed{whole.model(), adam{.rate = 1e-2}, options, training};
    resumed.restore(2);
    whole.stage(x0);
    resumed.stage(x0);
    CHECK(resumed.done());
    CHECK(to_host(resumed.model().network().parameters()) == to_host(whole.model().network().parameters()));

    std::vector<float> average;
    progressive averaged{flow, adam{.rate = 1e-2}, {.from = 2, .to = 1, .steps_per_stage = 5, .averaged = true}, training};
    averaged.stage(
        x0, [&](auto& run) { run.on_step([&](training_report const&) { average = to_host(run.averaged().network().parameters()); }); });
    CHECK(to_host(averaged.model().network().parameters()) == average);
}

TEST_CASE("progressive: other choices reach the objective, guidance the first teacher alone") {
    cpu device(1);
    mlp<float, cpu> net(device, {.data = {2}, .width = 8, .blocks = 1, .classes = 2});
    model flow{net, edm{}, edm_preconditioned{}};
    auto const x0 = normal<float>(device, {20, 2}, 4);
    auto const labels = class_labels(device, std::vector<std::int32_t>(20, 1), 2);
    progressive halving{flow,           adam{},          {.from = 4, .steps_per_stage = 1, .guidance = 2},
                        {.batch = 5},   constant_rate{}, pseudo_huber{},
                        snr_plus_one{}, power_grid{7}};
    std::string texts;
    halving.run(batch<float, cpu>{x0.view(), {}, labels.view()}, [&](auto& run) { texts += to_string(run.objective()); });
    for (char const* part : {"steps = 2, guidance = 2", "steps = 1, guidance = 1", "weight = snr_plus_one{}",
                             "distance = pseudo_huber{c = 0.03}", "grid = power_grid{exponent = 7}"})
        CHECK_MESSAGE(texts.find(part) != std::string::npos, part, " is not in ", texts);
}

TEST_CASE("progressive: refuses options outside their range") {
    cpu device(1);
    small_flow start(device);
    auto flow = start.model();
    auto const refuses = [&](progressive_options const& options) {
        return message<domain_error>([&] { progressive{flow, adam{}, options}; });
    };
    CHECK(refuses({.from = 12, .to = 2}) == "domain_error: progressive: from is 12 and to is 2, halving must lead from one to the other");
    CHECK(refuses({.from = 4, .to = 4}) == "domain_error: progressive: from is 4 and to is 4, halving must lead from one to the other");
    CHECK(refuses({.from = 4, .to = 0}) == "domain_error: progressive: to is 0, it must be at least 1");
    CHECK(refuses({.steps_per_stage = 0}) ==
          "domain_error: progressive: steps_per_stage is 0 and last_factor is 1, both must be at least 1");
    progressive halving{flow, adam{}, {.from = 16, .to = 2}};
    halving.restore(4);
    CHECK(halving.steps() == 4);
    CHECK(message<domain_error>([&] { halving.restore(3); }) ==
          "domain_error: progressive: steps is 3, it must be one of 16, half of it and so on to 2");
    CHECK(message<domain_error>([&] { halving.restore(1); }) ==
          "domain_error: progressive: steps is 1, it must be one of 16, half of it and so on to 2");
}

TEST_CASE("progressive: one step of the last student comes near to sixteen of the first teacher") {
    cpu device(1);
    mlp<float, cpu> net(device, {.data = {2}, .width = 32, .blocks = 1, .time = {.size = 16, .scale = 10}, .seed = 1});
    model flow{net, rectified_flow{}, velocity{}};
    auto const x0 = three_clusters().samples<float>(device, 4000, 5);
    trainer first{flow, flow_matching{}, adam{.rate = 3e-3}, {.batch = 64, .ema = 0.99}};
    first.run(x0, 1000);
    auto const z = normal<float>(device, {200, 2}, 12);
    auto const wanted = sample(first.averaged(), ddim{.steps = 16}, z).to_host();
    auto const distance = [&](auto const& model) {
        auto const found = sample(model, ddim{.steps = 1}, z).to_host();
        double sum = 0;
        for (std::size_t i = 0; i < found.size(); ++i) sum += std::pow(static_cast<double>(found[i] - wanted[i]), 2);
        return std::sqrt(sum / static_cast<double>(found.size()));
    };
    progressive halving{
        first.averaged(), adam{.rate = 2e-3}, {.from = 16, .steps_per_stage = 400}, {.batch = 64, .clip = 1}, linear_rate{}};
    halving.run(x0);
    double const before = distance(first.averaged()), after = distance(halving.model());
    CAPTURE(before);
    CAPTURE(after);
    CHECK(after < before / 10);
}

}  // namespace progressive_tests
