#include <onestep/core/random.hpp>
#include <onestep/process/discrete.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/process/sub_variance_preserving.hpp>
#include <onestep/process/trigonometric_flow.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/target/convert.hpp>
#include <onestep/target/edm_preconditioned.hpp>
#include <onestep/target/epsilon.hpp>
#include <onestep/target/matched_target.hpp>
#include <onestep/target/posterior_mean.hpp>
#include <onestep/target/score.hpp>
#include <onestep/target/trig_velocity.hpp>
#include <onestep/target/v_prediction.hpp>
#include <onestep/target/velocity.hpp>
#include <onestep/target/x0.hpp>

#include <doctest/doctest.h>

#include <cmath>

namespace convert_tests {

using onestep::amplification;
using onestep::conversion;
using onestep::convert;
using onestep::epsilon;
using onestep::marginal;
using onestep::velocity;
using onestep::x0;

namespace {

/// A user's own target: Salimans and Ho's v = alpha epsilon - sigma x0.
struct angular {
    static constexpr char const* name = "angular";
    onestep::target_weights weights(marginal const& m) const { return {-m.sigma, m.alpha}; }
    void fields(auto&&) const {}
};

struct uniforms {
    onestep::random_stream stream = onestep::random_key{21}.at(onestep::draw::user);
    onestep::index_t row = 0;
    double operator()(double low, double high) { return low + (high - low) * onestep::uniform(stream, row++); }
};

marginal random_marginal(uniforms& u) { return {u(0, 1), u(0.1, 2), u(0.1, 2), u(-3, -0.1), u(0.1, 3)}; }

/// Elimination with row exchange on [alpha sigma; p q] (x0, epsilon) = (x, F): what the coefficients are checked against.
struct solution {
    double x0, epsilon;
};
solution solve(double alpha, double sigma, double p, double q, double x, double f) {
    if (std::fabs(p) > std::fabs(alpha)) {
        std::swap(alpha, p);
        std::swap(sigma, q);
        std::swap(x, f);
    }
    double const factor = p / alpha, noise = (f - factor * x) / (q - factor * sigma);
    return {(x - sigma * noise) / alpha, noise};
}

template <class From, class To> void check_pair(From from, To to) {
    uniforms u;
    for (int trial = 0; trial < 2000; ++trial) {
        marginal const m = random_marginal(u);
        double const clean = u(-3, 3), noise = u(-3, 3), x = m.alpha * clean + m.sigma * noise;
        auto const a = from.weights(m), b = to.weights(m);
        double const given = a.x0 * clean + a.epsilon * noise, wanted = b.x0 * clean + b.epsilon * noise;

        conversion const there = convert(from, to, m), back = convert(to, from, m);
        auto const s = solve(m.alpha, m.sigma, a.x0, a.epsilon, x, given);
        double const converted = there.x * x + there.output * given;
        // Errors grow by the condition number of the system; both terms bound it.
        double const size = 1 + std::fabs(there.x * x) + std::fabs(there.output * given);
        CHECK(std::fabs(converted - (b.x0 * s.x0 + b.epsilon * s.epsilon)) < 1e-12 * size * (1 + std::fabs(there.output)));
        CHECK(std::fabs(converted - wanted) < 1e-12 * size);
        CHECK(std::fabs(back.x * x + back.output * converted - given) <
              1e-12 * (1 + std::fabs(back.output)) * (size + std::fabs(back.x * x)));
        CHECK(back.output * there.output == doctest::Approx(1).epsilon(1e-12));
    }
}

/// Every pair of targets on a process at random times: x and F made from known x0 and epsilon, F converted, against the value
/// that x0 and epsilon give. What rounding of x and F may do is bounded by the coefficients.
template <class P> void check_process(P const& p, double low, double high) {
    CAPTURE(P::name);
    uniforms u;
    for (int trial = 0; trial < 100; ++trial) {
        marginal const m = marginal_at(p, u(low, high));
        CAPTURE(m.t);
        double const clean = u(-3, 3), noise = u(-3, 3), x = m.alpha * clean + m.sigma * noise;
        auto const each = [&](auto&& visit) {
            visit(x0{});
            visit(epsilon{});
            visit(velocity{});
            visit(onestep::v_prediction{});
            visit(onestep::score{});
            visit(onestep::edm_preconditioned{0.7});
            visit(onestep::trig_velocity{0.3});
            visit(onestep::posterior_mean{p, (high - low) / 50});
            visit(onestep::matched_target{velocity{}, onestep::rectified_flow{}});
        };
        each([&](auto const& from) {
            each([&](auto const& to) {
                auto const a = from.weights(m), b = to.weights(m);
                double const given = a.x0 * clean + a.epsilon * noise, wanted = b.x0 * clean + b.epsilon * noise;
                conversion const c = convert(from, to, m);
                double const size = std::fabs(wanted) + std::fabs(c.x) * (std::fabs(m.alpha * clean) + std::fabs(m.sigma * noise)) +
                                    std::fabs(c.output) * (std::fabs(a.x0 * clean) + std::fabs(a.epsilon * noise));
                CAPTURE(from.name);
                CAPTURE(to.name);
                // Weights and the determinant are good to some roundings; the latter cancels for the posterior mean's small steps alone.
                double const steep =
                    std::fmax(1, (std::fabs(m.alpha * a.epsilon) + std::fabs(m.sigma * a.x0)) / std::fabs(determinant(from, m)));
                CHECK(std::fabs(c.x * x + c.output * given - wanted) <= 1e-14 * size * steep);
                CHECK(is_convertible(from, to, m));
                CHECK(amplification(from, to, m) == std::fabs(c.output));
            });
        });
    }
}

void check(conversion const& c, double x, double output) {
    CHECK(c.x == doctest::Approx(x).epsilon(1e-13));
    CHECK(c.output == doctest::Approx(output).epsilon(1e-13));
}

}  // namespace

TEST_CASE("convert: every pair, there and back, against elimination") {
    check_pair(x0{}, epsilon{});
    check_pair(epsilon{}, x0{});
    check_pair(x0{}, velocity{});
    check_pair(velocity{}, x0{});
    check_pair(epsilon{}, velocity{});
    check_pair(velocity{}, epsilon{});
    check_pair(angular{}, x0{});
    check_pair(epsilon{}, angular{});
    check_pair(angular{}, velocity{});
}

TEST_CASE("convert: the table of formulas") {
    uniforms u;
    for (int trial = 0; trial < 1000; ++trial) {
        auto const m = random_marginal(u);
        double const a = m.alpha, s = m.sigma, da = m.alpha_derivative, ds = m.sigma_derivative;
        double const d = a * ds - s * da;
        check(convert(epsilon{}, x0{}, m), 1 / a, -s / a);         // (x - sigma epsilon) / alpha
        check(convert(x0{}, epsilon{}, m), 1 / s, -a / s);         // (x - alpha x0) / sigma
        check(convert(velocity{}, x0{}, m), ds / d, -s / d);       // (sigma' x - sigma u) / D
        check(convert(velocity{}, epsilon{}, m), -da / d, a / d);  // (alpha u - alpha' x) / D
        check(convert(x0{}, velocity{}, m), ds / s, -d / s);       // (sigma' / sigma) x + (alpha' - alpha sigma' / sigma) x0
        check(convert(epsilon{}, velocity{}, m), da / a, d / a);
    }
}

TEST_CASE("convert: rectified flow's u = epsilon - x0 by hand") {
    for (double t : {0.0, 0.25, 1.0}) {
        auto const m = marginal_at(onestep::rectified_flow{}, t);
        check(convert(velocity{}, x0{}, m), 1, -t);          // x0 = x - t u
        check(convert(velocity{}, epsilon{}, m), 1, 1 - t);  // epsilon = x + (1 - t) u
    }
    auto const m = marginal_at(onestep::rectified_flow{}, 0.25);
    check(convert(x0{}, velocity{}, m), 4, -4);                     // u = (x - x0) / t
    check(convert(epsilon{}, velocity{}, m), -1 / 0.75, 1 / 0.75);  // u = (epsilon - x) / (1 - t)
}

TEST_CASE("convert: equal targets give exactly the output") {
    uniforms u;
    for (int trial = 0; trial < 100; ++trial) {
        auto const m = random_marginal(u);
        for (conversion const& c : {convert(x0{}, x0{}, m), convert(epsilon{}, epsilon{}, m), convert(velocity{}, velocity{}, m)}) {
            CHECK(c.x == 0);
            CHECK(c.output == 1);
        }
    }
    // where the pair (x, F) cannot be told apart, too
    auto const end = marginal_at(onestep::rectified_flow{}, 1);
    CHECK(convert(epsilon{}, epsilon{}, end).output == 1);
}

TEST_CASE("convert: x0 at sigma = 0 is x itself, whatever the network says") {
    auto const start = marginal_at(onestep::rectified_flow{}, 0);
    CHECK(convert(epsilon{}, x0{}, start).x == 1);
    CHECK(convert(epsilon{}, x0{}, start).output == 0);
    CHECK(convert(velocity{}, x0{}, start).output == 0);
    marginal const scaled{0, 0.5, 0, -1, 1};
    CHECK(convert(epsilon{}, x0{}, scaled).x == 2);
}

TEST_CASE("convert: refuses where the prediction says no more than x does") {
    auto const start = marginal_at(onestep::rectified_flow{}, 0), end = marginal_at(onestep::rectified_flow{}, 1);
    CHECK_THROWS_WITH_AS(
        convert(epsilon{}, x0{}, end),
        "domain_error: epsilon -> x0: t is 1 with alpha = 0, sigma = 1, the two are independent of each other there; predict another "
        "target or keep the grid away from this time",
        onestep::domain_error);
    CHECK_THROWS_WITH_AS(convert(epsilon{}, velocity{}, end), doctest::Contains("domain_error: epsilon -> velocity: t is 1 with alpha = 0"),
                         onestep::domain_error);
    CHECK_THROWS_WITH_AS(convert(x0{}, epsilon{}, start),
                         doctest::Contains("domain_error: x0 -> epsilon: t is 0 with alpha = 1, sigma = 0"), onestep::domain_error);
    CHECK_THROWS_AS(convert(x0{}, velocity{}, start), onestep::domain_error);
    CHECK_THROWS_AS(convert(velocity{}, x0{}, marginal{0.5, 1, 1, 1, 1}), onestep::domain_error);  // dx/dt along x: D = 0
    CHECK_THROWS_AS(convert(velocity{}, x0{}, marginal{0.5, 1, 1, std::nan(""), 1}), onestep::domain_error);
}

TEST_CASE("convert: at alpha = 0 epsilon is x / sigma whatever the network says") {
    marginal const end{1, 0, 2, -1, 1};
    CHECK(convert(x0{}, epsilon{}, end).x == 0.5);
    CHECK(convert(x0{}, epsilon{}, end).output == 0);
    CHECK(convert(velocity{}, epsilon{}, marginal_at(onestep::rectified_flow{}, 1)).x == 1);
}

TEST_CASE("convert: every pair of targets on every kind of process") {
    check_process(onestep::rectified_flow{}, 0.02, 0.98);
    check_process(onestep::variance_preserving{}, 0.02, 0.98);
    check_process(onestep::sub_variance_preserving{}, 0.02, 0.98);
    check_process(onestep::edm{}, 0.1, 80);
    check_process(onestep::trigonometric_flow{}, 0.02, 1.55);
    check_process(onestep::discrete{}, 1, 1000);
}

TEST_CASE("convert: how errors grow, by the table") {
    uniforms u;
    for (int trial = 0; trial < 200; ++trial) {
        auto const m = random_marginal(u);
        double const a = m.alpha, s = m.sigma, w = a * m.sigma_derivative - s * m.alpha_derivative;
        CHECK(amplification(epsilon{}, x0{}, m) == doctest::Approx(s / a).epsilon(1e-13));
        CHECK(amplification(x0{}, epsilon{}, m) == doctest::Approx(a / s).epsilon(1e-13));
        CHECK(amplification(x0{}, velocity{}, m) == doctest::Approx(w / s).epsilon(1e-13));
        CHECK(amplification(epsilon{}, velocity{}, m) == doctest::Approx(w / a).epsilon(1e-13));
        CHECK(amplification(velocity{}, x0{}, m) == doctest::Approx(s / w).epsilon(1e-13));
        CHECK(amplification(velocity{}, epsilon{}, m) == doctest::Approx(a / w).epsilon(1e-13));
        CHECK(amplification(epsilon{}, onestep::score{}, m) == doctest::Approx(1 / s).epsilon(1e-13));
        CHECK(amplification(onestep::score{}, x0{}, m) == doctest::Approx(s * s / a).epsilon(1e-13));
        CHECK(amplification(epsilon{}, epsilon{}, m) == 1);
    }
    // DDPM's linear table: an error in epsilon grows by 157 in x0 at the noise end.
    CHECK(amplification(epsilon{}, x0{}, marginal_at(onestep::discrete{}, 1000)) == doctest::Approx(157.4073).epsilon(1e-6));
}

TEST_CASE("convert: where it refuses errors grow without bound, where x says it all not at all") {
    auto const start = marginal_at(onestep::rectified_flow{}, 0), end = marginal_at(onestep::rectified_flow{}, 1);
    CHECK(amplification(epsilon{}, x0{}, end) == HUGE_VAL);
    CHECK(amplification(x0{}, epsilon{}, start) == HUGE_VAL);
    CHECK(amplification(epsilon{}, onestep::score{}, start) == HUGE_VAL);
    CHECK(amplification(epsilon{}, x0{}, start) == 0);
    CHECK(amplification(x0{}, epsilon{}, end) == 0);
    CHECK(amplification(epsilon{}, epsilon{}, end) == 1);
}

}  // namespace convert_tests
