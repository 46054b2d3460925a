#include <onestep/train/reflow.hpp>

#include <onestep/backend/cpu.hpp>
#include <onestep/evaluation/straightness.hpp>
#include <onestep/network/mlp.hpp>
#include <onestep/objective/flow_matching.hpp>
#include <onestep/objective/one_step_distillation.hpp>
#include <onestep/sampler/euler.hpp>
#include <onestep/sampler/heun.hpp>
#include <onestep/sampler/rk4.hpp>

#include "../exact_models.hpp"
#include "../io/scratch.hpp"

namespace reflow_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

/// The flow of straight lines from z to mean + deviation z: u = ((1 - s) x - m) / ((1 - t) s + t).
struct straight_gaussian {
    double mean, deviation;
    void operator()(view<double const, cpu> x, view<double const, cpu> t, view<double, cpu> y) const {
        for (index_t i = 0; i < x.size(); ++i) {
            double const at = t.data()[i / x.cols()];
            y.data()[i] = ((1 - deviation) * x.data()[i] - mean) / ((1 - at) * deviation + at);
        }
    }
};
/// The mean squared residual of flow matching on given pairs.
template <class Model> double residual(Model const& flow, dataset<double, cpu> const& pairs) {
    cpu& device = pairs.device();
    auto const memory = device.scratch();
    auto const p = flow_matching{}.build(flow, pairs.all(), {1, 2}, *memory);
    tensor<double, cpu> f(device, p.call.x.shape());
    flow.network()(p.call.x, p.call.t, f.view());
    double sum = 0;
    for (index_t i = 0; i < f.size(); ++i) sum += std::pow(f.data()[i] - p.target[i], 2) / static_cast<double>(f.size());
    return sum;
}

struct small_flow {
    mlp<float, cpu> net;
    explicit small_flow(cpu& device, int classes = 0)
        : net(device, {.data = {2}, .width = 16, .blocks = 1, .classes = classes, .seed = 2}) {
        fill_normal(net.parameters().reshaped({1, net.parameters().size()}), random_key{3}.at(draw::user), 0.2);
    }
    auto model() { return onestep::model<mlp<float, cpu>&, rectified_flow, velocity>(net, {}, {}); }
};

}  // namespace

TEST_CASE("reflow: on Gaussian data one exact round makes every path a straight line") {
    cpu device(1);
    auto const z = normal<double>(device, {400, 3}, 7);
    model const first{gaussian_data<velocity>{0.5, 0.3}, rectified_flow{}, velocity{}};
    model const second{straight_gaussian{0.5, 0.3}, rectified_flow{}, velocity{}};
    double const before = straightness(first, z, {.steps = 200}), after = straightness(second, z, {.steps = 200});
    CHECK(before > 0.1);
    CHECK(after < 1e-25);
    auto const pairs = reflow_pairs(first, rk4{.steps = 100}, z);
    CHECK(residual(second, pairs) < 1e-14);  // what flow matching learns on the pairs
    CHECK(residual(first, pairs) > 1e-2);
    CHECK(relative_to(sample(second, euler{.steps = 1}, z).to_host(), pairs.x0().to_host()) < 1e-7);
}

TEST_CASE("reflow: a round is pairs, a student that starts from the flow, and its average") {
    cpu device(1);
    small_flow start(device);
    auto flow = start.model();
    auto const given = to_host(start.net.parameters());
    reflow_options const options{.data = {2}, .pairs = 100, .steps = 6, .seed = 5};
    trainer_options const training{.batch = 32, .ema = 0.9, .seed = 8};
    reflow line{flow, heun{.steps = 4}, adam{.rate = 1e-2}, options, training};
    CHECK(line.rounds() == 0);
    CHECK(to_host(line.model().network().parameters()) == given);
    for (int round = 0; round < 2; ++round) {
        // the same by hand
        auto& now = line.model();
        auto const z = normal<float>(device, {100, 2}, random_key{5, static_cast<std::uint64_t>(round)}.at(draw::noise).key);
        auto const pairs =
            reflow_pairs(now, heun{.steps = 4}, z, {.seed = random_key{5, static_cast<std::uint64_t>(round)}.at(draw::noise).key});
        mlp<float, cpu> copy(std::as_const(now.network()));
        model student{copy, rectified_flow{}, velocity{}};
        trainer run{student, flow_matching{}, adam{.rate = 1e-2}, training};
        run.run(pairs, 6);
        int prepared = 0;
        line.round(flow_matching{}, [&](auto& trainer) {
            ++prepared;
            CHECK(trainer.step() == 0);
        });
        CHECK(prepared == 1);
        CHECK(line.rounds() == round + 1);
        CHECK(to_host(line.model().network().parameters()) == to_host(run.averaged().network().parameters()));
    }
    CHECK(to_host(start.net.parameters()) == given);
    auto const flowing = to_host(line.model().network().parameters());
    line.round(one_step_distillation{});
    CHECK(to_host(line.model().network().parameters()) != flowing);
}

TEST_CASE("reflow: pairs on the disk make the same flow, and a line goes on where it was stopped") {
    scratch_folder const folder;
    cpu device(1);
    small_flow start(device, 3);
    auto flow = start.model();
    reflow_options options{.data = {2}, .pairs = 100, .steps = 4, .classes = 3, .pairs_batch = 30, .seed = 5};
    trainer_options const training{.batch = 32, .ema = 0.9};
    reflow in_memory{flow, euler{.steps = 4}, adam{.rate = 1e-2}, options, training};
    options.pair_files = folder / "pairs";
    reflow on_disk{flow, euler{.steps = 4}, adam{.rate = 1e-2}, options, training};
    in_memory.round(flow_matching{});
    on_disk.round(flow_matching{});
    CHECK(to_host(in_memory.model().network().parameters()) == to_host(on_disk.model().network().parameters()));
    pair_file<float> const pairs(folder / "pairs-1.npy");
    CHECK(pairs.rows() == 100);
    std::vector<int> count(3);
    for (std::int32_t label : pairs.labels()) ++count[static_cast<std::size_t>(label)];
    for (int k : count) CHECK(k > 15);

    reflow resumed{on_disk.model(), euler{.steps = 4}, adam{.rate = 1e-2}, options, training};
    resumed.restore(1);
    in_memory.round(flow_matching{});
    resumed.round(flow_matching{});
    CHECK(resumed.rounds() == 2);
    CHECK(to_host(in_memory.model().network().parameters()) == to_host(resumed.model().network().parameters()));
    CHECK(text_of(folder / "pairs-2.npy") != text_of(folder / "pairs-1.npy"));
}

TEST_CASE("reflow: refuses options outside their range, and leaves the flow as it was if a round fails") {
    cpu device(1);
    small_flow start(device);
    auto flow = start.model();
    auto const refuses = [&](reflow_options const& options) {
        return message<domain_error>([&] { reflow{flow, euler{}, adam{}, options}; });
    };
    CHECK(refuses({.pairs = 0}) == "domain_error: reflow: pairs is 0, it must be at least 1");
    CHECK(refuses({.steps = 0}) == "domain_error: reflow: steps is 0, it must be at least 1");
    CHECK(refuses({.pairs_batch = 0}) == "domain_error: reflow: pairs_batch is 0, it must be at least 1");
    CHECK(refuses({.classes = -1}) == "domain_error: reflow: classes is -1, it must not be negative");
    start.net.parameters().data()[0] = HUGE_VALF;
    reflow line{flow, euler{.steps = 2}, adam{}, {.data = {2}, .pairs = 10, .steps = 2}, {.batch = 5}};
    auto const given = to_host(line.model().network().parameters());
    CHECK_THROWS_AS(line.round(flow_matching{}), not_finite_error);
    CHECK(line.rounds() == 0);
    CHECK(to_host(line.model().network().parameters()) == given);
}

TEST_CASE("reflow: a trained flow of Gaussian data is five times as straight after a round") {
    cpu device(1);
    mlp<float, cpu> net(device, {.data = {2}, .width = 32, .blocks = 1, .time = {.size = 16, .scale = 10}, .seed = 1});
    model flow{net, rectified_flow{}, velocity{}};
    auto x0 = normal<float>(device, {4000, 2}, 11);
    for (index_t i = 0; i < x0.size(); ++i) x0.data()[i] = 0.5f + 0.3f * x0.data()[i];
    trainer first{flow, flow_matching{}, adam{.rate = 3e-3}, {.batch = 64, .ema = 0.99}};
    first.run(x0, 1000);
    auto const z = normal<float>(device, {200, 2}, 12);
    double const before = straightness(first.averaged(), z);
    reflow line{
        first.averaged(), heun{.steps = 10}, adam{.rate = 1e-3}, {.data = {2}, .pairs = 4000, .steps = 1000}, {.batch = 64, .ema = 0.99}};
    line.round(flow_matching{});
    double const after = straightness(line.model(), z);
    CAPTURE(before);
    CAPTURE(after);
    CHECK(after < before / 5);
}

}  // namespace reflow_tests
