#include <onestep/train/trainer.hpp>

#include <onestep/backend/cpu.hpp>
#include <onestep/network/mlp.hpp>
#include <onestep/objective/flow_matching.hpp>
#include <onestep/objective/learned_weight.hpp>
#include <onestep/objective/one_step_distillation.hpp>
#include <onestep/process/rectified_flow.hpp>

#include <doctest/doctest.h>

#include <limits>

#include "../counting_allocator.hpp"
#include "older_self.hpp"

namespace trainer_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

mlp_options const small{.data = {2}, .width = 16, .blocks = 1, .time = {.size = 8}};

tensor<float, cpu> samples(cpu& device, index_t n) {
    auto x = normal<float>(device, {n, 2}, 4);
    for (index_t r = 0; r < n; ++r) x.data()[2 * r] += r % 2 ? 2.0f : -2.0f;
    return x;
}
/// Parameters, moments, average: all that a run has changed.
template <class Trainer> std::vector<float> state(Trainer& run) {
    auto all = to_host(run.model().network().parameters());
    for (auto const& part : {to_host(run.optimizer().first_moment()), to_host(run.optimizer().second_moment()),
                             to_host(run.averaged().network().parameters())})
        all.insert(all.end(), part.begin(), part.end());
    return all;
}

}  // namespace

TEST_CASE("trainer: a run is the loop that one would write by hand") {
    cpu device(1);
    auto const data = samples(device, 50);
    mlp<float, cpu> net(device, small), other(device, small);
    model flow{net, rectified_flow{}, velocity{}};
    model same{other, rectified_flow{}, velocity{}};
    trainer run{flow,
                flow_matching{},
                adamw{.rate = 1e-2},
                {.batch = 16, .ema = 0.9, .clip = 0.5, .seed = 7},
                cosine_rate{.steps = 30, .warmup = 5}};
    std::vector<double> losses, norms, factors;
    run.on_step([&](training_report const& r) {
        losses.push_back(r.loss.weighted);
        norms.push_back(r.gradient_norm);
        factors.push_back(r.rate_factor);
        CHECK(r.step == static_cast<index_t>(losses.size()));
        CHECK(r.steps == 25);
        CHECK(r.seconds >= 0);
    });
    CHECK(run.run(data, 25));
    CHECK(run.step() == 25);

    optimizer machine(adamw{.rate = 1e-2}, other);
    average ema{0.9, same};
    std::size_t k = 0;
    double smooth = 0;
    for (auto [x0, key] : batches(data, {.size = 16, .steps = 25, .seed = 7})) {
        double const loss = accumulate(flow_matching{}, same, x0, key);
        CHECK(loss == losses[k]);
        CHECK(machine.clip(0.5) == norms[k]);
        double const factor = cosine_rate{.steps = 30, .warmup = 5}.factor(static_cast<index_t>(k));
        CHECK(factor == factors[k]);
        machine.step(factor);
        ema.update();
        smooth = 0.98 * smooth + 0.02 * loss;
        ++k;
    }
    CHECK(k == 25);
    CHECK(to_host(net.parameters()) == to_host(other.parameters()));
    CHECK(to_host(run.averaged().network().parameters()) == to_host(ema.model().network().parameters()));
}

TEST_CASE("trainer: the smoothed loss is the corrected mean of the past") {
    cpu device(1);
    auto const data = samples(device, 50);
    mlp<float, cpu> net(device, small);
    model flow{net, rectified_flow{}, velocity{}};
    trainer run{flow, flow_matching{}, adam{}, {.batch = 8}};
    double sum = 0, weight = 0;
    run.on_step([&](training_report const& r) {
        sum = 0.98 * sum + r.loss.weighted;
        weight = 0.98 * weight + 1;
        CHECK(r.smoothed == doctest::Approx(sum / weight).epsilon(1e-10));
        CHECK(r.gradient_norm == 0);
    });
    run.run(data, 20);
}

TEST_CASE("trainer: the same bits for any number of threads") {
    std::vector<float> before;
    for (int threads : {1, 2, 3}) {
        cpu device(threads);
        mlp<float, cpu> net(device, {.data = {60}, .width = 96, .blocks = 2});
        model flow{net, rectified_flow{}, velocity{}};
        auto const data = normal<float>(device, {300, 60}, 4);
        trainer run{flow, flow_matching{pseudo_huber{}}, adam{}, {.batch = 200, .clip = 1}};
        run.run(data, 3);
        auto const now = state(run);
        if (threads > 1) CHECK(now == before);
        before = now;
    }
}

TEST_CASE("trainer: stopping between steps changes nothing") {
    cpu device(1);
    auto const data = samples(device, 50);
    mlp<float, cpu> one(device, small), two(device, small);
    model first{one, rectified_flow{}, velocity{}};
    model second{two, rectified_flow{}, velocity{}};
    trainer whole{first, flow_matching{}, adam{}, {.batch = 16}};
    trainer parts{second, flow_matching{}, adam{}, {.batch = 16}};
    CHECK(whole.run(data, 17));
    CHECK(parts.run(data, 5));
    CHECK(parts.step() == 5);
    CHECK(parts.run(data, 3));  // already done
    CHECK(parts.step() == 5);
    CHECK(parts.run(data, 17));
    CHECK(state(parts) == state(whole));
    CHECK(parts.step() == 17);
}

TEST_CASE("trainer: callbacks and stop") {
    cpu device(1);
    auto const data = samples(device, 50);
    mlp<float, cpu> net(device, small);
    model flow{net, rectified_flow{}, velocity{}};
    trainer run{flow, flow_matching{}, adam{}, {.batch = 16}};
    std::vector<index_t> all, third;
    run.on_step([&](training_report const& r) { all.push_back(r.step); });
    run.every(3, [&](training_report const& r) {
        third.push_back(r.step);
        if (r.step == 6) run.stop();
    });
    CHECK_FALSE(run.run(data, 20));
    CHECK(all == std::vector<index_t>{1, 2, 3, 4, 5, 6});
    CHECK(third == std::vector<index_t>{3, 6});
    CHECK(run.run(data, 8));  // stop was for that run
    CHECK(all.back() == 8);
    CHECK_THROWS_WITH_AS(run.every(0, [](training_report const&) {}), "domain_error: trainer: every is 0, it must be at least 1",
                         domain_error);
}

TEST_CASE("trainer: trains on pairs, and with labels") {
    cpu device(1);
    mlp<float, cpu> net(device, {.data = {2}, .width = 16, .blocks = 1, .time = {.size = 8}, .classes = 2});
    model flow{net, rectified_flow{}, velocity{}};
    // noise of label 0 belongs to one point, of label 1 to another: learnt by heart
    std::vector<float> points;
    std::vector<std::int32_t> numbers;
    for (int r = 0; r < 64; ++r) {
        numbers.push_back(r % 2);
        points.insert(points.end(), {r % 2 ? 1.0f : -1.0f, 0.5f});
    }
    auto const data = dataset<float, cpu>(tensor<float, cpu>(device, {64, 2}, points), normal<float>(device, {64, 2}, 9))
                          .labelled(tensor<std::int32_t, cpu>(device, {64}, numbers), 2);
    trainer run{flow, one_step_distillation{}, adam{.rate = 1e-2}, {.batch = 32}};
    std::vector<double> losses;
    run.on_step([&](training_report const& r) { losses.push_back(r.loss.plain); });
    run.run(data, 200);
    CHECK(losses.front() > 0.5);
    CHECK(losses.back() < 0.05);  // impossible without labels: half of the first element's variance, 0.5, would remain
}

TEST_CASE("trainer: a loss that is not finite ends the run before it harms the parameters") {
    cpu device(1);
    auto const good = samples(device, 50);
    auto bad = good;
    bad.data()[7] = std::numeric_limits<float>::quiet_NaN();
    mlp<float, cpu> net(device, small);
    model flow{net, rectified_flow{}, velocity{}};
    trainer run{flow, flow_matching{}, adam{}, {.batch = 50}};
    run.run(good, 3);
    auto const before = state(run);
    std::string text;
    try {
        run.run(bad, 10);
    } catch (not_finite_error const& e) {
        text = e.what();
    }
    CHECK(text.find("not_finite_error: trainer: the loss of step 3 is ") == 0);
    CHECK(text.find("nan, parameters were left as they are; a lower rate or clipping helps") != std::string::npos);
    CHECK(state(run) == before);
    CHECK(to_host(net.gradients()) == std::vector<float>(static_cast<std::size_t>(net.gradients().size())));
    CHECK(run.step() == 3);
    CHECK(run.run(good, 5));  // and goes on

    mlp<float, cpu> other(device, small);
    model same{other, rectified_flow{}, velocity{}};
    trainer never_stopped{same, flow_matching{}, adam{}, {.batch = 50}};
    never_stopped.run(good, 5);
    CHECK(state(run) == state(never_stopped));
}

TEST_CASE("trainer: refuses numbers outside their range") {
    cpu device(1);
    mlp<float, cpu> net(device, small);
    model flow{net, rectified_flow{}, velocity{}};
    double const nan = std::numeric_limits<double>::quiet_NaN();
    CHECK_THROWS_WITH_AS((trainer{flow, flow_matching{}, adam{}, {.batch = 0}}), "domain_error: trainer: batch is 0, it must be at least 1",
                         domain_error);
    CHECK_THROWS_WITH_AS((trainer{flow, flow_matching{}, adam{}, {.clip = -1}}),
                         "domain_error: trainer: clip is -1, it must not be negative", domain_error);
    CHECK_THROWS_AS((trainer{flow, flow_matching{}, adam{}, {.clip = nan}}), domain_error);
    CHECK_THROWS_AS((trainer{flow, flow_matching{}, adam{}, {.ema = 1}}), domain_error);
    CHECK_THROWS_AS((trainer{flow, flow_matching{}, adam{.rate = -1}}), domain_error);
    CHECK_THROWS_AS((trainer{flow, flow_matching{}, adam{}, {}, cosine_rate{.steps = 5, .warmup = 5}}), domain_error);
    trainer run{flow, flow_matching{}, adam{}};
    auto const wrong = normal<float>(device, {5, 3}, 1);
    auto const before = state(run);
    CHECK_THROWS_WITH_AS(run.run(wrong, 2), "shape_error: mlp: x is [128, 3], this network takes [n, 2]", shape_error);
    CHECK(state(run) == before);
    CHECK(run.step() == 0);
    CHECK(to_string(trainer_options{.batch = 7, .seed = 3, .progress = "label"}) ==
          "trainer_options{batch = 7, ema = 0.999, clip = 0, seed = 3}");
}

TEST_CASE("trainer: targets come from an average that moves as the objective says") {
    cpu device(1);
    auto const data = samples(device, 50);
    mlp<float, cpu> net(device, small), other(device, small);
    model flow{net, rectified_flow{}, velocity{}};
    model same{other, rectified_flow{}, velocity{}};
    trainer run{flow, older_self{}, adam{.rate = 1e-2}, {.batch = 16}};
    static_assert(decltype(run)::has_target && !decltype(run)::has_weight);
    auto const target = [&] { return to_host(run.target().model().network().parameters()); };
    auto expected = to_host(net.parameters());
    CHECK(target() == expected);
    std::vector<double> losses;
    run.on_step([&](training_report const& r) {
        losses.push_back(r.loss.weighted);
        auto const p = to_host(net.parameters());
        if (r.step % 4 == 0) expected = p;  // decay 0: a copy
        else
            for (std::size_t i = 0; i < p.size(); ++i) expected[i] = std::fma(0.25f, p[i] - expected[i], expected[i]);
        CHECK(target() == expected);
        CHECK(run.target().updates() == r.step);
    });
    run.run(data, 10);
    CHECK(target() != to_host(net.parameters()));
    CHECK(target() != to_host(run.averaged().network().parameters()));

    // the same by hand, with the average as the model that targets are asked of
    optimizer machine(adam{.rate = 1e-2}, other);
    average older{average_options{.decay = 0, .ramp = false}, same};
    std::size_t k = 0;
    for (auto [x0, key] : batches(data, {.size = 16, .steps = 10})) {
        CHECK(accumulate(older_self{}, same, older.model(), batch<float, cpu>{x0}, key).weighted == losses[k]);
        machine.step();
        older.update(older_self{}.target_decay(static_cast<index_t>(k++)));
    }
    CHECK(to_host(other.parameters()) == to_host(net.parameters()));
}

TEST_CASE("trainer: without an average of its own, an objective asks the model itself") {
    cpu device(1);
    auto const data = samples(device, 16);
    mlp<float, cpu> net(device, small);
    fill_normal(net.parameters().reshaped({1, net.parameters().size()}), random_key{3}.at(draw::user), 0.3);
    model flow{net, rectified_flow{}, velocity{}};
    // F - x0 - F: whatever the network says, the residual is -x0
    double square = 0;
    for (index_t i = 0; i < 32; ++i) square += static_cast<double>(data.data()[i]) * static_cast<double>(data.data()[i]) / 32;
    CHECK(accumulate(older_self{}, flow, batch<float, cpu>{data.view()}, {}).plain == doctest::Approx(square).epsilon(1e-5));
    average older{average_options{.decay = 0, .ramp = false}, flow};
    fill(older.model().network().parameters(), 0.0f);
    CHECK(accumulate(older_self{}, flow, older.model(), batch<float, cpu>{data.view()}, {}).plain != doctest::Approx(square).epsilon(1e-3));
}

TEST_CASE("trainer: a learned weight is trained beside the network") {
    cpu device(1);
    auto const data = samples(device, 50);
    mlp<float, cpu> net(device, small), other(device, small);
    model flow{net, rectified_flow{}, velocity{}};
    model same{other, rectified_flow{}, velocity{}};
    learned_weighting const objective{flow_matching{}};
    trainer run{flow, objective, adam{.rate = 1e-2}, {.batch = 16, .clip = 1}};
    static_assert(decltype(run)::has_weight && !decltype(run)::has_target);
    CHECK(to_host(run.weight().parameters()) == std::vector<float>(65));
    std::vector<loss_value> losses;
    run.on_step([&](training_report const& r) { losses.push_back(r.loss); });
    run.run(data, 10);
    CHECK(losses.front().weighted == losses.front().plain);  // as long as the weight is zero
    CHECK(losses.back().weighted != losses.back().plain);
    CHECK(to_host(run.weight().gradients()) == std::vector<float>(65));

    optimizer machine(adam{.rate = 1e-2}, other);
    learned_weight<float, cpu> head(device);
    optimizer machine_of_weight(adam{.rate = 1e-2}, head);
    std::size_t k = 0;
    for (auto [x0, key] : batches(data, {.size = 16, .steps = 10})) {
        loss_value const loss =
            accumulate(objective, same, batch<float, cpu>{x0}, key, accumulate_with<decltype(same), float, cpu>{same, &head});
        CHECK(loss.weighted == losses[k].weighted);
        CHECK(loss.plain == losses[k++].plain);
        machine.clip(1);
        machine.step();
        machine_of_weight.step();
    }
    CHECK(to_host(other.parameters()) == to_host(net.parameters()));
    CHECK(to_host(head.parameters()) == to_host(run.weight().parameters()));
    CHECK(to_host(head.parameters()) != std::vector<float>(65));
}

TEST_CASE("trainer: a loss that is not finite leaves target and learned weight as they were") {
    cpu device(1);
    auto const good = samples(device, 50);
    auto bad = good;
    bad.data()[7] = std::numeric_limits<float>::quiet_NaN();
    mlp<float, cpu> net(device, small), other(device, small);
    model flow{net, rectified_flow{}, velocity{}};
    model same{other, rectified_flow{}, velocity{}};
    learned_weighting const objective{older_self{}};
    trainer run{flow, objective, adam{}, {.batch = 50}}, never_stopped{same, objective, adam{}, {.batch = 50}};
    static_assert(decltype(run)::has_target && decltype(run)::has_weight);
    run.run(good, 3);
    auto const target = to_host(run.target().model().network().parameters()), weight = to_host(run.weight().parameters());
    CHECK_THROWS_AS(run.run(bad, 10), not_finite_error);
    CHECK(to_host(run.target().model().network().parameters()) == target);
    CHECK(to_host(run.weight().parameters()) == weight);
    CHECK(to_host(run.weight().gradients()) == std::vector<float>(65));
    run.run(good, 5);
    never_stopped.run(good, 5);
    CHECK(state(run) == state(never_stopped));
    CHECK(to_host(run.weight().parameters()) == to_host(never_stopped.weight().parameters()));
}

TEST_CASE("trainer: the averaged model can itself be trained") {
    cpu device(1);
    auto const data = samples(device, 50);
    mlp<float, cpu> net(device, small);
    model flow{net, rectified_flow{}, velocity{}};
    trainer first{flow, flow_matching{}, adam{}, {.batch = 16}};
    first.run(data, 3);
    auto const raw = to_host(net.parameters()), averaged = to_host(first.averaged().network().parameters());
    trainer second{first.averaged(), flow_matching{}, adam{}, {.batch = 16}};
    second.run(data, 2);
    CHECK(to_host(net.parameters()) == raw);
    CHECK(to_host(first.averaged().network().parameters()) != averaged);
}

TEST_CASE("trainer: a warm step allocates nothing") {
    if (!counts_allocations) return;
    for (int threads : {1, 2}) {
        cpu device(threads);
        mlp<float, cpu> net(device, {.data = {60}, .width = 96, .blocks = 2});
        model flow{net, rectified_flow{}, velocity{}};
        auto const data = normal<float>(device, {300, 60}, 4);
        trainer run{flow, flow_matching{pseudo_huber{}}, adam{}, {.batch = 128, .clip = 1}};
        std::size_t warm = 0, end = 0;
        run.on_step([&](training_report const& r) {
            if (r.step == 4) warm = allocations();
            end = allocations();
        });
        run.run(data, 12);
        CHECK(end == warm);
    }
}

}  // namespace trainer_tests
