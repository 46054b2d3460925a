#include <onestep/model/flow_map_model.hpp>

#include <onestep/network/mlp.hpp>
#include <onestep/process/discrete.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/process/trigonometric_flow.hpp>

#include <doctest/doctest.h>

#include "../test_backend.hpp"

namespace flow_map_model_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

/// x_s in terms of the noise: F = epsilon, x scaled for the network.
struct noise_map {
    static constexpr char const* name = "noise_map";
    conversion at(marginal const& t, marginal const& s) const { return {s.alpha / t.alpha, s.sigma - s.alpha * t.sigma / t.alpha}; }
    double input_scale(marginal const& m) const { return 1 / std::hypot(m.alpha, m.sigma); }
    void fields(auto&&) const {}
};
struct two_times {
    void operator()(view<float const, backend_type>, view<float const, backend_type>, view<float const, backend_type>,
                    view<float, backend_type>) const {}
};

}  // namespace

TEST_CASE("flow_map_model: an average velocity carries x from t to s, and nowhere at s = t") {
    flow_map_model const straight{two_times{}};
    CHECK(straight.map_at(0.75, 0.25).x == 1);
    CHECK(straight.map_at(0.75, 0.25).output == -0.5);
    CHECK(straight.map_at(0.3, 0.3).output == 0);
    CHECK(straight.map_at(1, 0).output == -1);
    CHECK(straight.input_at(0.3).time == 0.3);
    CHECK(straight.input_at(0.3).scale == 1);
    flow_map_model const on_edm{two_times{}, edm{}};
    CHECK(on_edm.map_at(80, 0.5).output == -79.5);
    flow_map_model const levels{two_times{}, discrete{}};
    CHECK(levels.input_at(10).time == 9);  // the literature's index
}

TEST_CASE("flow_map_model: an exact average velocity of a pair's own path arrives on it") {
    trigonometric_flow const process{};
    flow_map_model const map{two_times{}, process};
    double const x0 = 0.7, noise = -1.2, t = 1.3, s = 0.4;
    auto const at = [&](double time) { return process.alpha(time) * x0 + process.sigma(time) * noise; };
    conversion const c = map.map_at(t, s);
    CHECK(c.x * at(t) + c.output * ((at(t) - at(s)) / (t - s)) == doctest::Approx(at(s)).epsilon(1e-14));
}

TEST_CASE("flow_map_model: takes a rule of one's own, which may scale what the network reads") {
    flow_map_model const map{two_times{}, rectified_flow{}, noise_map{}};
    double const x0 = 0.7, noise = -1.2, t = 0.8, s = 0.3;
    conversion const c = map.map_at(t, s);
    CHECK(c.x * ((1 - t) * x0 + t * noise) + c.output * noise == doctest::Approx((1 - s) * x0 + s * noise).epsilon(1e-14));
    CHECK(map.input_at(0.8).scale == doctest::Approx(1 / std::hypot(0.2, 0.8)).epsilon(1e-15));
}

TEST_CASE("flow_map_model: is a flow map and no denoiser, keeps an lvalue network and owns an rvalue") {
    using owned = flow_map_model<two_times, rectified_flow, average_velocity>;
    static_assert(flow_map<owned> && two_time_map<owned> && !consistency_map<owned> && !denoiser<owned>);
    static_assert(asks_two_times<owned>());
    mlp net(device(), {.data = {2}, .width = 4, .blocks = 1, .second_time = true});
    flow_map_model map{net};
    CHECK(&map.network() == &net);
    static_assert(trains<decltype(map)>() && !trains<owned>());
    flow_map_model copy{mlp(net)};
    CHECK(&copy.network() != &net);
    CHECK(copy.network().parameters().size() == net.parameters().size());
    mlp other(device(), {.data = {2}, .width = 4, .blocks = 1, .second_time = true});
    auto moved = map.with_network<mlp<float, backend_type>&>(other);
    CHECK(&moved.network() == &other);
    auto part = map.rows(1, 2);
    CHECK(&part.network() == &net);
}

TEST_CASE("flow_map_model: labels given to it reach the network, row by row") {
    mlp net(device(), {.data = {2}, .width = 4, .blocks = 1, .classes = 3, .second_time = true});
    fill_normal(net.parameters().reshaped({1, net.parameters().size()}), random_key{3}.at(draw::user), 0.5);
    flow_map_model map{net};
    tensor<float, backend_type> const x = normal<float>(device(), {3, 2}, 4);
    tensor<float, backend_type> const t(device(), {3}, std::vector<float>{0.9f, 0.5f, 0.2f}),
        s(device(), {3}, std::vector<float>{0.1f, 0.5f, 0});
    auto const labels = class_labels(device(), {2, 0, 1}, 3);
    tensor<float, backend_type> expected(device(), {3, 2}), given(device(), {3, 2}), part(device(), {2, 2});
    net(x.view(), t.view(), s.view(), labels.view(), expected.view());
    auto const labelled = map.given(labels);
    labelled.network()(x.view(), t.view(), s.view(), given.view());
    CHECK(given.to_host() == expected.to_host());
    labelled.rows(1, 2).network()(x.view().rows(1, 2), t.view().rows(1, 2), s.view().rows(1, 2), part.view());
    CHECK(relative_difference(part.to_host(), to_host(std::as_const(expected).view().rows(1, 2))) < 1e-6);
    tensor<std::int32_t, backend_type> const wrong(device(), {3}, std::vector<std::int32_t>{0, 3, 1});
    CHECK_THROWS_WITH_AS(map.given(wrong), "label_error: conditioned: label 1 is 3, labels are 0 to 2", label_error);
}

}  // namespace flow_map_model_tests
