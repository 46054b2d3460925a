#include <onestep/core/random.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/target/convert.hpp>
#include <onestep/target/epsilon.hpp>
#include <onestep/target/velocity.hpp>
#include <onestep/target/x0.hpp>

#include <doctest/doctest.h>

#include <cmath>

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
