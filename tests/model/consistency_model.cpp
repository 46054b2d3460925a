#include <onestep/model/consistency_model.hpp>

#include <onestep/backend/cpu.hpp>
#include <onestep/backend/random_fill.hpp>
#include <onestep/network/mlp.hpp>
#include <onestep/process/cosine_flow.hpp>
#include <onestep/process/discrete.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/process/sub_variance_preserving.hpp>
#include <onestep/process/variance_exploding.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/schedule/cosine_signal.hpp>
#include <onestep/target/edm_preconditioned.hpp>
#include <onestep/target/epsilon.hpp>
#include <onestep/target/v_prediction.hpp>

#include <doctest/doctest.h>

namespace consistency_model_tests {

using namespace onestep;

namespace {

cpu& device() {
    static cpu one(1);
    return one;
}

struct owner {  // labelled, and counts
    int calls = 0;
    void operator()(view<float const, cpu>, view<float const, cpu>, view<float, cpu>) { ++calls; }
    void operator()(view<float const, cpu>, view<float const, cpu>, view<std::int32_t const, cpu>, view<float, cpu>) { calls += 10; }
};

/// Times of equal noise levels, those that the process has.
template <class Process> std::vector<double> inner_times(Process const& p) {
    std::vector<double> times;
    for (double level : {0.003, 0.02, 0.1, 0.5, 1.0, 5.0, 60.0})
        if (level > noise_to_signal(p, p.t_min()) && level < noise_to_signal(p, p.t_max()))
            times.push_back(time_of_noise_to_signal(p, level));
    return times;
}

/// f of a point x_t = alpha x0 + sigma epsilon with F = p x0 + q epsilon is x0, whatever x0 and epsilon are.
template <class Model> void check_map(Model const& m) {
    std::string const process = Model::process_type::name, target = Model::target_type::name;
    CAPTURE(process);
    CAPTURE(target);
    auto const times = inner_times(m.process());
    CHECK(times.size() > 2);
    for (double t : times) {
        CAPTURE(t);
        if (t <= m.boundary()) continue;
        marginal const at = marginal_at(m.process(), t);
        target_weights const w = m.target().weights(at);
        conversion const map = m.map_at(t);
        for (auto [clean, noise] : {std::pair{0.7, -1.3}, {-2.0, 0.4}, {0.0, 1.0}}) {
            double const x = at.alpha * clean + at.sigma * noise, f = w.x0 * clean + w.epsilon * noise;
            double const size = std::fabs(map.x * x) + std::fabs(map.output * f);
            CHECK(std::fabs(map.x * x + map.output * f - clean) < 1e-12 * (1 + size));
        }
        network_input const ask = m.input_at(t);
        CHECK(ask.scale == input_scale_of(m.target(), at));
        CHECK(ask.time == network_time_of(m.target(), m.process(), t));
    }
}

/// Up to the boundary f is x / alpha to the bit, for a network with random weights.
template <class Model> void check_boundary(Model& m) {
    std::string const process = Model::process_type::name, target = Model::target_type::name;
    CAPTURE(process);
    CAPTURE(target);
    double const boundary = m.boundary();
    CHECK(boundary >= m.process().t_min());
    CHECK(noise_to_signal(m.process(), boundary) == doctest::Approx(m.boundary_level()).epsilon(1e-9));
    tensor<double, cpu> const x = normal<double>(device(), {6, 2}, 4);
    for (double t : {boundary, (boundary + m.process().t_min()) / 2, m.process().t_min()}) {
        CAPTURE(t);
        conversion const map = m.map_at(t);
        double const alpha = m.process().alpha(t);
        CHECK(map.x == 1 / alpha);
        CHECK(map.output == 0);
        if (!has_network_time(m.target(), m.process(), t)) continue;  // log 0: jump does not ask
        network_input const ask = m.input_at(t);
        std::vector<double> read = x.to_host();
        std::vector<double> const state = read, times(6, ask.time);
        for (double& value : read) value *= ask.scale;
        tensor<double, cpu> const in(device(), {6, 2}, read), told(device(), {6}, times);
        tensor<double, cpu> out(device(), {6, 2});
        m.network()(in.view(), told.view(), out.view());
        auto const f = out.to_host();
        for (std::size_t i = 0; i < f.size(); ++i) {
            CHECK(f[i] != 0);
            CHECK(map.x * state[i] + map.output * f[i] == (1 / alpha) * state[i]);  // x itself where alpha is 1
        }
    }
    // From there on the network's share grows from nothing.
    double const span = m.process().t_max() - boundary;
    double const near = std::fabs(m.map_at(boundary + 1e-7 * span).output), further = std::fabs(m.map_at(boundary + 1e-3 * span).output);
    CHECK(near < further);
    CHECK(further > 0);
}

}  // namespace

TEST_CASE("consistency_model: f is the clean sample that the target tells, on any process") {
    owner net;
    check_map(consistency_model{net, edm{}});
    check_map(consistency_model{net, edm{}, edm_preconditioned{.sigma_data = 0.7}});
    check_map(consistency_model{net, trigonometric_flow{.sigma_data = 0.7}});
    check_map(consistency_model{net, rectified_flow{}});
    check_map(consistency_model{net, rectified_flow{}, v_prediction{}});
    check_map(consistency_model{net, rectified_flow{}, consistency_preconditioned{.sigma_min = 0.01}});
    check_map(consistency_model{net, variance_preserving{}});
    check_map(consistency_model{net, variance_preserving{}, v_prediction{}});
    check_map(consistency_model{net, variance_preserving{cosine_signal{}}, trig_velocity{}});
    check_map(consistency_model{net, variance_exploding{}});
    check_map(consistency_model{net, sub_variance_preserving{}});
    check_map(consistency_model{net, cosine_flow{}});
    check_map(consistency_model{net, discrete{}});
}

TEST_CASE("consistency_model: the published forms") {
    owner net;
    consistency_model const straight{net, rectified_flow{}};
    consistency_model const circle{net, trigonometric_flow{.sigma_data = 0.7}};
    consistency_model const song{net, edm{}};
    for (double t : {0.01, 0.3, 0.99}) {  // x - t F
        CHECK(straight.map_at(t).x == doctest::Approx(1).epsilon(1e-14));
        CHECK(straight.map_at(t).output == doctest::Approx(-t).epsilon(1e-14));
        // cos(t) x - sd sin(t) F
        CHECK(circle.map_at(t).x == doctest::Approx(std::cos(t)).epsilon(1e-14));
        CHECK(circle.map_at(t).output == doctest::Approx(-0.7 * std::sin(t)).epsilon(1e-14));
        CHECK(circle.input_at(t).scale == doctest::Approx(1 / 0.7).epsilon(1e-14));
        CHECK(circle.input_at(t).time == doctest::Approx(t).epsilon(1e-14));
        double const above = t - 0.002, total = t * t + 0.25;
        CHECK(song.map_at(t).x == doctest::Approx(0.25 / (above * above + 0.25)).epsilon(1e-13));
        CHECK(song.map_at(t).output == doctest::Approx(0.5 * above / std::sqrt(total)).epsilon(1e-13));
        CHECK(song.input_at(t).scale == doctest::Approx(1 / std::sqrt(total)).epsilon(1e-13));
        CHECK(song.input_at(t).time == doctest::Approx(std::log(t) / 4).epsilon(1e-13));
    }
}

TEST_CASE("consistency_model: f is x itself at the boundary, bit for bit, whatever the network says") {
    mlp<double, cpu> net(device(), {.data = {2}, .width = 6, .blocks = 1});
    fill_normal(net.parameters().reshaped({1, net.parameters().size()}), random_key{3}.at(draw::user), 0.3);
    auto const check = [&](auto const& process, auto const&... target) {
        consistency_model m{net, process, target...};
        check_boundary(m);
    };
    check(edm{});
    check(edm{}, edm_preconditioned{});
    check(edm{}, consistency_preconditioned{.sigma_data = 1, .sigma_min = 0});
    check(trigonometric_flow{});
    check(trigonometric_flow{}, consistency_preconditioned{.sigma_min = 0.1});
    check(rectified_flow{});
    check(rectified_flow{}, consistency_preconditioned{.sigma_min = 0.1});
    check(variance_preserving{});
    check(variance_preserving{}, consistency_preconditioned{.sigma_min = 0.1});
    check(variance_exploding{});
    check(sub_variance_preserving{});
    check(cosine_flow{});
    check(discrete{});
}

TEST_CASE("consistency_model: the boundary is the target's level, or the process's first time where that comes later") {
    owner net;
    CHECK(consistency_model{net, edm{}}.boundary() == 0.002);
    CHECK(consistency_model{net, edm{.sigma_min = 0.01}}.boundary_level() == 0.01);
    CHECK(consistency_model{net, edm{}, edm_preconditioned{}}.boundary() == 0);
    CHECK(consistency_model{net, trigonometric_flow{}}.boundary() == 0);
    CHECK(consistency_model{net, rectified_flow{}, consistency_preconditioned{.sigma_min = 0.25}}.boundary() ==
          doctest::Approx(0.2).epsilon(1e-14));
    variance_preserving<> const vp;
    CHECK(consistency_model{net, vp}.boundary() == vp.t_min());
    CHECK(consistency_model{net, vp, consistency_preconditioned{.sigma_min = 1e-9}}.boundary() == vp.t_min());
    CHECK(consistency_model{net, vp, consistency_preconditioned{.sigma_min = 1e-9}}.boundary_level() == noise_to_signal(vp, vp.t_min()));
    CHECK_THROWS_AS(consistency_model(net, edm{}, edm_preconditioned{}).input_at(0), domain_error);  // told log 0
}

TEST_CASE("consistency_model: what its network means where nothing is said") {
    owner net;
    consistency_model const circle{net, trigonometric_flow{.sigma_data = 0.7}};
    consistency_model const straight{net, rectified_flow{}};
    consistency_model const song{net, edm{.sigma_min = 0.01}};
    consistency_model const other{net, variance_preserving{}};
    static_assert(std::same_as<decltype(circle), consistency_model<owner&, trigonometric_flow, trig_velocity> const>);
    static_assert(std::same_as<decltype(straight), consistency_model<owner&, rectified_flow, velocity> const>);
    static_assert(std::same_as<decltype(song), consistency_model<owner&, edm, consistency_preconditioned> const>);
    static_assert(std::same_as<decltype(other)::target_type, consistency_preconditioned>);
    CHECK(circle.target().sigma_data == 0.7);
    CHECK(song.target() == consistency_preconditioned{.sigma_data = 0.5, .sigma_min = 0.01});
    CHECK(other.target().sigma_min == noise_to_signal(other.process(), other.process().t_min()));
    static_assert(consistency_map<decltype(circle)> && flow_map<decltype(circle)> && !denoiser<decltype(circle)>);
    static_assert(!consistency_map<model<owner&, rectified_flow, velocity>>);

    consistency_model owned{owner{.calls = 5}, rectified_flow{}};
    static_assert(std::same_as<decltype(owned), consistency_model<owner, rectified_flow, velocity>>);
    static_assert(std::same_as<decltype(std::as_const(owned).network()), owner const&>);
    auto copy = owned;
    copy.network().calls = 6;
    CHECK(owned.network().calls == 5);
    CHECK(&circle.network() == &net);
}

TEST_CASE("consistency_model: given labels, the rows of a batch with theirs, and another network") {
    cpu host(1);
    owner net, other;
    consistency_model const m{net, edm{}};
    auto const labels = class_labels(host, {4, 5, 6}, 7);
    auto const labelled = m.given(labels);
    tensor<float, cpu> x(host, {3, 1}), t(host, {3}), y(host, {3, 1});
    labelled.network()(x, t, y.view());
    CHECK(net.calls == 10);
    CHECK(labelled.target() == m.target());
    CHECK(labelled.map_at(3).output == m.map_at(3).output);
    m.given(labels.view(), labels_are_checked{}).network()(x, t, y.view());
    CHECK(net.calls == 20);

    auto const part = labelled.rows(1, 2);
    CHECK(to_host(part.network().labels()) == std::vector<std::int32_t>{5, 6});
    part.network()(x, t, y.view());
    CHECK(net.calls == 30);
    m.rows(0, 2).network()(x, t, y);
    CHECK(net.calls == 31);

    auto replaced = m.with_network(other);
    replaced.network()(x, t, y);
    CHECK(other.calls == 1);
    CHECK(replaced.process() == m.process());
    static_assert(std::same_as<decltype(replaced), consistency_model<owner&, edm, consistency_preconditioned>>);
    static_assert(std::same_as<decltype(m.with_network(owner{})), consistency_model<owner, edm, consistency_preconditioned>>);

    mlp<float, cpu> real(host, {.data = {1}, .width = 4, .classes = 5});
    CHECK_THROWS_WITH_AS(consistency_model(real, edm{}).given(labels), "label_error: conditioned: label 1 is 5, labels are 0 to 4",
                         label_error);
}

}  // namespace consistency_model_tests
