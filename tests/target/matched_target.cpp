#include <onestep/process/cosine_flow.hpp>
#include <onestep/process/discrete.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/process/trigonometric_flow.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/target/convert.hpp>
#include <onestep/target/edm_preconditioned.hpp>
#include <onestep/target/epsilon.hpp>
#include <onestep/target/matched_target.hpp>
#include <onestep/target/trig_velocity.hpp>
#include <onestep/target/velocity.hpp>
#include <onestep/target/x0.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <string>

namespace matched_target_tests {

using namespace onestep;

namespace {

/// Data N(0, 0.6^2): E[x0 | x] and E[epsilon | x] are multiples of x, so a network's answer is known on every process.
double answer(target auto const& t, marginal const& m, double x) {
    double const variance = m.alpha * m.alpha * 0.36 + m.sigma * m.sigma;
    auto const w = t.weights(m);
    return (w.x0 * m.alpha * 0.36 + w.epsilon * m.sigma) * x / variance;
}

/// A network trained on A, asked on B as the library asks it, gives B's own posterior mean.
template <class Target, class A, class B> void check_posterior(Target const& trained, A const& a, B const& b, double t) {
    matched_target const matched{trained, a};
    marginal const m = marginal_at(b, t);
    double const x = 0.83;
    // The network sees scaled x and works out what its own input scale stood for.
    marginal const there = matched.trained_at(m);
    double const seen = input_scale_of(matched, m) * x, x_a = seen / input_scale_of(trained, there);
    double const f = answer(trained, there, x_a);
    auto const c = convert(matched, x0{}, m);
    CAPTURE(t);
    CHECK(c.x * x + c.output * f == doctest::Approx(m.alpha * 0.36 * x / (m.alpha * m.alpha * 0.36 + m.sigma * m.sigma)).epsilon(1e-9));
    CHECK(x_a * m.alpha == doctest::Approx(there.alpha * x).epsilon(1e-9));
    CHECK(there.alpha * m.sigma == doctest::Approx(there.sigma * m.alpha).epsilon(1e-9));
    CHECK(network_time_of(matched, b, t) == doctest::Approx(network_time_of(trained, a, there.t)).epsilon(1e-12));
}

/// Tells the network the time of whatever process it is asked about.
struct thousandfold {
    static constexpr char const* name = "thousandfold";
    target_weights weights(marginal const&) const { return {0, 1}; }
    double network_time(marginal const& m) const { return 1000 * m.t; }
    void fields(auto&&) const {}
};

}  // namespace

TEST_CASE("matched_target: a network keeps its posterior mean on another process") {
    for (double t : {0.01, 0.3, 0.5, 0.97}) {
        check_posterior(epsilon{}, variance_preserving{}, rectified_flow{}, t);
        check_posterior(velocity{}, rectified_flow{}, variance_preserving{}, t);
        check_posterior(velocity{}, rectified_flow{}, edm{}, 10 * t);
        check_posterior(x0{}, edm{}, cosine_flow{}, t);
        check_posterior(edm_preconditioned{}, edm{}, rectified_flow{}, t);
        check_posterior(edm_preconditioned{}, edm{}, trigonometric_flow{}, t);
        check_posterior(trig_velocity{}, trigonometric_flow{}, edm{}, t);
        check_posterior(epsilon{}, discrete{}, rectified_flow{}, t);
    }
}

TEST_CASE("matched_target: on its own process nothing changes") {
    matched_target const same{velocity{}, rectified_flow{}};
    for (double t : {0.0, 0.25, 0.5, 1.0}) {
        auto const m = marginal_at(rectified_flow{}, t);
        CHECK(same.weights(m).x0 == -1);
        CHECK(same.weights(m).epsilon == 1);
        CHECK(same.input_scale(m) == doctest::Approx(1).epsilon(1e-14));
        CHECK(same.network_time(m) == doctest::Approx(t).epsilon(1e-14));
    }
}

TEST_CASE("matched_target: the network is told its own time") {
    matched_target const ddpm{epsilon{}, discrete{}};
    auto const level = marginal_at(discrete{}, 300);
    double const t = level.sigma / (level.alpha + level.sigma);  // of rectified flow at equal SNR
    CHECK(network_time_of(ddpm, rectified_flow{}, t) == doctest::Approx(299).epsilon(1e-10));
    CHECK(input_scale_of(ddpm, marginal_at(rectified_flow{}, t)) == doctest::Approx(level.alpha / (1 - t)).epsilon(1e-10));
    matched_target const own{thousandfold{}, rectified_flow{}};  // EDM's level 3 is rectified flow's t = 0.75
    CHECK(network_time_of(own, edm{}, 3) == doctest::Approx(750).epsilon(1e-14));
}

TEST_CASE("matched_target: EDM's target needs no matching, it is the same on both") {
    matched_target const matched{edm_preconditioned{}, edm{}};
    for (double t : {0.01, 0.5, 0.95}) {
        auto const m = marginal_at(rectified_flow{}, t);
        CHECK(matched.weights(m).x0 == doctest::Approx(edm_preconditioned{}.weights(m).x0).epsilon(1e-12));
        CHECK(matched.input_scale(m) == doctest::Approx(edm_preconditioned{}.input_scale(m)).epsilon(1e-12));
        CHECK(matched.network_time(m) == doctest::Approx(edm_preconditioned{}.network_time(m)).epsilon(1e-12));
    }
}

TEST_CASE("matched_target: no noise and no signal are met where the trained process has them") {
    matched_target const matched{velocity{}, rectified_flow{}};
    auto const clean = matched.trained_at(marginal_at(edm{}, 0));
    CHECK(clean.t == 0);
    CHECK(matched.input_scale(marginal_at(edm{}, 0)) == 1);
    CHECK(convert(matched, x0{}, marginal_at(edm{}, 0)).x == 1);
    marginal const noise{1, 0, 2, -1, 1};
    CHECK(matched.trained_at(noise).t == 1);
    CHECK(matched.input_scale(noise) == 0.5);
    auto const c = convert(matched, x0{}, noise);  // x0 = epsilon - u = x / 2 - F
    CHECK(c.x == 0.5);
    CHECK(c.output == -1);
    CHECK(matched_target{trig_velocity{}, trigonometric_flow{}}.trained_at(noise).t == doctest::Approx(std::acos(0.0)).epsilon(1e-15));
    CHECK(matched_target{epsilon{}, variance_preserving{}}.trained_at(marginal_at(rectified_flow{}, 0)).sigma == 0);
}

TEST_CASE("matched_target: refuses a signal-to-noise ratio that the trained process never has") {
    auto const pure_noise = marginal_at(rectified_flow{}, 1);
    CHECK_THROWS_WITH_AS((matched_target{epsilon{}, edm{}}.weights(pure_noise)),
                         doctest::Contains("domain_error: matched_target: log-SNR is -inf at t = 1, "), domain_error);
    CHECK_THROWS_AS((matched_target{epsilon{}, edm{}}.input_scale(pure_noise)), domain_error);
    CHECK_THROWS_AS((matched_target{epsilon{}, edm{}}.network_time(pure_noise)), domain_error);
    CHECK_THROWS_AS((matched_target{epsilon{}, edm{}}.weights({0.5, std::nan(""), 1, 0, 0})), domain_error);
}

TEST_CASE("matched_target: is a target and prints both parts") {
    CHECK(target<matched_target<epsilon, rectified_flow>>);
    CHECK(scales_input<matched_target<epsilon, rectified_flow>>);
    CHECK(to_string(matched_target{epsilon{}, rectified_flow{}}) == "matched_target{target = epsilon{}, process = rectified_flow{}}");
    CHECK(matched_target{epsilon{}, rectified_flow{}} == matched_target{epsilon{}, rectified_flow{}});
}

}  // namespace matched_target_tests
