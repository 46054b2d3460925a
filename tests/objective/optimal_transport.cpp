#include <onestep/objective/optimal_transport.hpp>

#include <onestep/objective/flow_matching.hpp>
#include <onestep/objective/live_pairs.hpp>
#include <onestep/objective/one_step_distillation.hpp>
#include <onestep/sampler/euler.hpp>

#include <algorithm>
#include <limits>
#include <numeric>

#include "../counting_allocator.hpp"
#include "built.hpp"

namespace optimal_transport_tests {

using namespace onestep;
using namespace onestep::test;
using namespace onestep::test::built;

namespace {

mlp_options const small{.data = {2}, .width = 5, .blocks = 1, .time = {.size = 4, .scale = 3}, .classes = 3};

/// The noise that the objective inside is given: one_step_distillation asks on rectified flow for nothing else.
template <class Model> std::vector<double> paired_noise(Model& flow, batch<double, backend_type> const& data, random_key key) {
    return build(optimal_transport{one_step_distillation{}}, flow, data, key).x;
}
double cost(std::vector<double> const& x, std::vector<double> const& z) {
    double sum = 0;
    for (std::size_t i = 0; i < x.size(); ++i) sum += (x[i] - z[i]) * (x[i] - z[i]);
    return sum;
}

}  // namespace

TEST_CASE("optimal_transport: no permutation of the noise lies nearer to the samples") {
    auto net = lively_mlp<double>(small);
    model flow{net, rectified_flow{}, velocity{}};
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        index_t const n = 2 + static_cast<index_t>(seed % 5);
        tensor<double, backend_type> const x0 = normal<double>(device(), {n, 2}, 40 + seed), noise = normal<double>(device(), {n, 2}, seed);
        auto const clean = x0.to_host(), unit = noise.to_host();
        double const found = cost(clean, paired_noise(flow, {x0.view(), noise.view()}, {}));
        std::vector<std::size_t> order(static_cast<std::size_t>(n));
        std::iota(order.begin(), order.end(), std::size_t{0});
        double least = HUGE_VAL;
        do {
            std::vector<double> permuted;
            for (std::size_t r : order) permuted.insert(permuted.end(), {unit[2 * r], unit[2 * r + 1]});
            least = std::min(least, cost(clean, permuted));
        } while (std::next_permutation(order.begin(), order.end()));
        CHECK(found == doctest::Approx(least).epsilon(1e-12));
    }
}

TEST_CASE("optimal_transport: with labels, rows of equal labels are paired, and no better way of that kind exists") {
    auto net = lively_mlp<double>(small);
    model flow{net, rectified_flow{}, velocity{}};
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        std::vector<std::int32_t> names;
        for (std::uint64_t r = 0; r < 6; ++r)
            names.push_back(static_cast<std::int32_t>(seed == 0 ? r % 3 : (seed * 7 + r * r + r / 2) % 3));
        tensor<double, backend_type> const x0 = normal<double>(device(), {6, 2}, 40 + seed), noise = normal<double>(device(), {6, 2}, seed);
        tensor<std::int32_t, backend_type> const labels(device(), {6}, names);
        auto const clean = x0.to_host(), unit = noise.to_host(), found = paired_noise(flow, {x0.view(), noise.view(), labels.view()}, {});
        std::vector<std::size_t> order(6);
        std::iota(order.begin(), order.end(), std::size_t{0});
        double least = HUGE_VAL;
        bool among = false;  // what was found is one of the ways allowed
        do {
            std::vector<double> permuted;
            bool allowed = true;
            for (std::size_t r = 0; r < 6; ++r) {
                allowed = allowed && names[order[r]] == names[r];
                permuted.insert(permuted.end(), {unit[2 * order[r]], unit[2 * order[r] + 1]});
            }
            if (!allowed) continue;
            least = std::min(least, cost(clean, permuted));
            among = among || permuted == found;
        } while (std::next_permutation(order.begin(), order.end()));
        CHECK(among);
        CHECK(cost(clean, found) == doctest::Approx(least).epsilon(1e-12));
    }
}

TEST_CASE("optimal_transport: noise and label stay independent") {
    // Two labels at -3 and 3: over the whole batch label 1 would get the right half of the noise, of mean 0.8.
    index_t const n = 200;
    std::vector<std::int32_t> names;
    std::vector<double> points;
    for (index_t r = 0; r < n; ++r) names.push_back(static_cast<std::int32_t>(r % 2)), points.push_back(r % 2 == 1 ? 3 : -3);
    tensor<double, backend_type> const x0(device(), {n, 1}, points);
    tensor<std::int32_t, backend_type> const labels(device(), {n}, names);
    mlp<double, backend_type> net(device(), {.data = {1}, .width = 4, .blocks = 1, .classes = 2});
    model flow{net, rectified_flow{}, velocity{}};
    double sum = 0;
    for (std::uint64_t k = 0; k < 20; ++k) {
        auto const z = paired_noise(flow, {x0.view(), {}, labels.view()}, {3, k});
        for (std::size_t r = 1; r < z.size(); r += 2) sum += z[r];
    }
    CHECK(std::fabs(sum / 2000) < 4 / std::sqrt(2000.0));
}

TEST_CASE("optimal_transport: in one dimension samples and noise are paired in order") {
    index_t const n = 100;
    tensor<double, backend_type> const x0 = normal<double>(device(), {n, 1}, 4), noise = normal<double>(device(), {n, 1}, 5);
    mlp<double, backend_type> net(device(), {.data = {1}, .width = 4, .blocks = 1});
    model flow{net, rectified_flow{}, velocity{}};
    auto const clean = x0.to_host(), paired = paired_noise(flow, {x0.view(), noise.view()}, {});
    auto unit = noise.to_host(), again = paired;
    std::sort(unit.begin(), unit.end());
    std::sort(again.begin(), again.end());
    CHECK(again == unit);
    for (std::size_t r = 0; r < clean.size(); ++r)
        for (std::size_t q = 0; q < r; ++q) CHECK((clean[r] < clean[q]) == (paired[r] < paired[q]));
}

TEST_CASE("optimal_transport: samples and labels stay in place, and inside is what would be without it but for the noise") {
    index_t const n = 60;
    random_key const key{5, 77, 3};
    tensor<double, backend_type> const x0 = normal<double>(device(), {n, 2}, 4);
    std::vector<std::int32_t> names;
    for (index_t r = 0; r < n; ++r) names.push_back(static_cast<std::int32_t>(r % 3));
    tensor<std::int32_t, backend_type> const labels(device(), {n}, names);
    auto net = lively_mlp<double>(small);
    model flow{net, rectified_flow{}, velocity{}};
    batch<double, backend_type> const data{x0.view(), {}, labels.view()};
    tensor<double, backend_type> const paired(device(), {n, 2}, paired_noise(flow, data, key));
    CHECK(cost(x0.to_host(), paired.to_host()) < 0.8 * cost(x0.to_host(), drawn_noise({n, 2}, key)));
    auto const sorted = [](std::vector<double> values) {
        std::sort(values.begin(), values.end());
        return values;
    };
    CHECK(sorted(paired.to_host()) == sorted(drawn_noise({n, 2}, key)));
    built_problem const wrapped = build(optimal_transport{flow_matching{}}, flow, data, key),
                        plain = build(flow_matching{}, flow, {x0.view(), paired.view(), labels.view()}, key);
    CHECK(wrapped.x == plain.x);
    CHECK(wrapped.t == plain.t);
    CHECK(wrapped.target == plain.target);
    CHECK(wrapped.labels == names);
}

TEST_CASE("optimal_transport: the gradient is that of difference quotients, and targets of older models are passed on") {
    tensor<double, backend_type> const x0 = normal<double>(device(), {6, 2}, 4);
    auto net = lively_mlp<double>(small), old = net;
    fill_normal(old.parameters().reshaped({1, old.parameters().size()}), random_key{9}.at(draw::user), 0.3);
    model flow{net, rectified_flow{}, velocity{}}, older{old, rectified_flow{}, velocity{}};
    check_loss_gradient(optimal_transport{flow_matching{}}, flow, {x0.view()}, {1, 2});
    optimal_transport const wrapped{live_pairs{euler{.steps = 2}, one_step_distillation{}, {.decay = 0.5}}};
    static_assert(has_target_decay<decltype(wrapped)> && !has_target_decay<decltype(optimal_transport{flow_matching{}})>);
    CHECK(wrapped.target_decay(3) == 0.5);
    tensor<double, backend_type> const paired(device(), {6, 2}, paired_noise(flow, {x0.view()}, {1, 2}));
    CHECK(build_with(wrapped, flow, older, {x0.view()}, {1, 2}).target == sample(older, euler{.steps = 2}, paired).to_host());
}

TEST_CASE("optimal_transport: a warm call allocates nothing, whatever other batches came between") {
    if (!counts_allocations) return;
    tensor<double, backend_type> const x0 = normal<double>(device(), {100, 2}, 4);
    auto net = lively_mlp<double>(small);
    model flow{net, rectified_flow{}, velocity{}};
    optimal_transport const objective{flow_matching{}};
    std::vector<std::int32_t> names;
    for (index_t r = 0; r < 100; ++r) names.push_back(static_cast<std::int32_t>(r % 3));
    tensor<std::int32_t, backend_type> const labels(device(), {100}, names);
    batch<double, backend_type> const labelled{x0.view(), {}, labels.view()};
    for (std::uint64_t k = 0; k < 3; ++k) accumulate(objective, flow, x0.view(), {1, k}), accumulate(objective, flow, labelled, {1, k});
    accumulate(objective, flow, x0.view().rows(0, 30), {1, 3});
    std::size_t const before = allocations();
    accumulate(objective, flow, x0.view(), {1, 9});
    accumulate(objective, flow, labelled, {1, 9});
    CHECK(allocations() == before);
    tensor<std::int32_t, backend_type> const uneven(device(), {100}, std::vector<std::int32_t>(100, 1));
    std::size_t const then = allocations();
    accumulate(objective, flow, batch<double, backend_type>{x0.view(), {}, uneven.view()}, {1, 10});
    CHECK(allocations() == then);
}

TEST_CASE("optimal_transport: refuses what does not fit") {
    tensor<double, backend_type> const x0 = normal<double>(device(), {4, 2}, 4), few = normal<double>(device(), {3, 2}, 5);
    tensor<double, backend_type> const holes(device(), {2, 2}, {1, 2, std::numeric_limits<double>::quiet_NaN(), 1});
    auto net = lively_mlp<double>(small);
    model flow{net, rectified_flow{}, velocity{}};
    CHECK_THROWS_WITH_AS(build(optimal_transport{flow_matching{}}, flow, {x0.view(), few.view()}, {}),
                         "shape_error: optimal_transport: noise is [3, 2], it must be [4, 2]", shape_error);
    CHECK_THROWS_WITH_AS(build(optimal_transport{flow_matching{}}, flow, {holes.view()}, {}),
                         "not_finite_error: linear_assignment: the cost of row 1 and column 0 is nan, all must be finite",
                         not_finite_error);
    CHECK(to_string(optimal_transport{one_step_distillation{}}) ==
          "optimal_transport{objective = one_step_distillation{distance = squared{}}}");
}

}  // namespace optimal_transport_tests
