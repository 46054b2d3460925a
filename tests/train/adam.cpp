#include <onestep/train/adam.hpp>

#include <onestep/core/random.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/train/optimizer.hpp>

#include <doctest/doctest.h>

#include <limits>

#include "../test_backend.hpp"
#include "bare_network.hpp"

namespace adam_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

#include "../golden/train/adam.inc"

template <class T> std::vector<T> cast(std::vector<double> const& values) { return {values.begin(), values.end()}; }

/// Runs the golden gradients through a spec and compares parameters and moments with torch's.
template <class T, class Spec>
void check_golden(Spec const& spec, std::vector<std::vector<double>> const& expected, double tolerance,
                  std::vector<double> const& factors = {}) {
    bare_network<T, backend_type> net(device(), cast<T>(start[0]));
    optimizer machine(spec, net);
    for (std::size_t k = 0; k < gradients.size(); ++k) {
        net.set_gradients(cast<T>(gradients[k]));
        if (factors.empty()) machine.step();
        else machine.step(factors[k]);
        CHECK(to_host(net.gradients()) == std::vector<T>(6));
    }
    CHECK(machine.updates() == 6);
    auto const p = to_host(net.parameters()), m = to_host(machine.first_moment()), v = to_host(machine.second_moment());
    for (std::size_t i = 0; i < 6; ++i) {
        CAPTURE(i);
        // what a float cannot hold of p is lost at each of six updates
        CHECK(std::fabs(static_cast<double>(p[i]) - expected[0][i]) <=
              tolerance * (std::fabs(expected[0][i]) + std::fabs(expected[0][i] - start[0][i])));
        CHECK(std::fabs(static_cast<double>(m[i]) - expected[1][i]) <=
              tolerance * 20 * (std::fabs(gradients[5][i]) + std::fabs(gradients[0][i])));
        CHECK(std::fabs(static_cast<double>(v[i]) - expected[2][i]) <= tolerance * expected[2][i]);
    }
}

/// The textbook, in double: corrected moments first, then the step.
struct textbook {
    double rate, beta1, beta2, epsilon, decay;
    std::vector<double> p, m, v;
    int updates = 0;
    textbook(adamw const& spec, std::vector<double> const& parameters)
        : rate(spec.rate), beta1(spec.beta1), beta2(spec.beta2), epsilon(spec.epsilon), decay(spec.decay), p(parameters), m(p.size()),
          v(p.size()) {}
    void step(std::vector<double> const& g, double factor) {
        ++updates;
        for (std::size_t i = 0; i < p.size(); ++i) {
            m[i] = beta1 * m[i] + (1 - beta1) * g[i];
            v[i] = beta2 * v[i] + (1 - beta2) * g[i] * g[i];
            double const first = m[i] / (1 - std::pow(beta1, updates)), second = v[i] / (1 - std::pow(beta2, updates));
            p[i] -= factor * rate * decay * p[i];
            p[i] -= factor * rate * first / (std::sqrt(second) + epsilon);
        }
    }
};

/// Every update of a spec against the textbook.
template <class T, class Spec> void check_steps(Spec const& spec, adamw const& same, double tolerance) {
    std::vector<double> values;
    for (index_t i = 0; i < 50; ++i) values.push_back(normal_deviate(random_key{1}.at(draw::user), i));
    textbook expected(same, values);
    bare_network<T, backend_type> net(device(), cast<T>(values));
    optimizer machine(spec, net);
    for (int k = 0; k < 40; ++k) {
        CAPTURE(k);
        std::vector<double> g;
        for (index_t i = 0; i < 50; ++i)
            g.push_back(std::pow(10.0, i % 7 - 4) *
                        static_cast<double>(normal_deviate(random_key{2}.at(draw::user, static_cast<std::uint64_t>(k)), i)));
        double const factor = k % 3 == 0 ? 1 : 0.4;
        net.set_gradients(cast<T>(g));
        machine.step(factor);
        expected.step(g, factor);
        CHECK(relative_difference(to_host(net.parameters()), cast<T>(expected.p)) < tolerance);
        CHECK(relative_difference(to_host(machine.first_moment()), cast<T>(expected.m)) < tolerance);
        CHECK(relative_difference(to_host(machine.second_moment()), cast<T>(expected.v)) < tolerance);
    }
}

}  // namespace

TEST_CASE("adam: torch's parameters and moments after six updates") {
    check_golden<double>(adam{}, adam_default, 1e-14);
    check_golden<double>(adam{.rate = 0.02, .beta1 = 0.8, .beta2 = 0.95, .epsilon = 1e-3}, adam_other, 1e-14);
    check_golden<double>(adam{.rate = 0.02}, adam_factors, 1e-14, {0.25, 0.5, 0.75, 1, 0.5, 0});
    check_golden<float>(adam{}, adam_default, 1e-6);
    check_golden<float>(adam{.rate = 0.02, .beta1 = 0.8, .beta2 = 0.95, .epsilon = 1e-3}, adam_other, 1e-6);
}

TEST_CASE("adamw: torch's parameters and moments after six updates") {
    check_golden<double>(adamw{}, adamw_default, 1e-14);
    check_golden<double>(adamw{.rate = 0.02, .beta1 = 0.8, .beta2 = 0.95, .epsilon = 1e-3, .decay = 0.3}, adamw_other, 1e-14);
    check_golden<float>(adamw{}, adamw_default, 1e-6);
    check_golden<float>(adamw{.rate = 0.02, .beta1 = 0.8, .beta2 = 0.95, .epsilon = 1e-3, .decay = 0.3}, adamw_other, 1e-6);
}

TEST_CASE("adam: every update is the textbook's") {
    check_steps<double>(adam{.rate = 0.01}, adamw{.rate = 0.01, .decay = 0}, 1e-13);
    check_steps<double>(adam{.rate = 0.01, .beta1 = 0, .beta2 = 0, .epsilon = 0.1},
                        adamw{.rate = 0.01, .beta1 = 0, .beta2 = 0, .epsilon = 0.1, .decay = 0}, 1e-13);
    check_steps<float>(adam{.rate = 0.01}, adamw{.rate = 0.01, .decay = 0}, 1e-5);
}

TEST_CASE("adamw: every update is the textbook's") {
    check_steps<double>(adamw{.rate = 0.01, .decay = 0.2}, adamw{.rate = 0.01, .decay = 0.2}, 1e-13);
    check_steps<float>(adamw{.rate = 0.01, .decay = 0.2}, adamw{.rate = 0.01, .decay = 0.2}, 1e-5);
}

TEST_CASE("adam: the same bits on every backend") {
    std::vector<float> p, g;
    for (index_t i = 0; i < 10'000; ++i) {
        p.push_back(normal_deviate(random_key{1}.at(draw::user), i));
        g.push_back(normal_deviate(random_key{2}.at(draw::user), i));
    }
    bare_network<float, backend_type> net(device(), p);
    optimizer machine(adamw{.rate = 0.01}, net);
    model follower{net, rectified_flow{}, velocity{}};
    average ema{0.9, follower};
    for (int k = 0; k < 3; ++k) {
        for (float& value : g) value *= -0.75f;
        net.set_gradients(g);
        machine.step(0.5, ema);
    }
    CHECK(hash(to_host(net.parameters())) == 5408006148877734747u);
    CHECK(hash(to_host(machine.second_moment())) == 3278504934149717689u);
    CHECK(hash(to_host(ema.model().network().parameters())) == 14279749502106604951u);
}

TEST_CASE("adam: coefficients are the bias corrections") {
    adam_coefficients const first = adam{.rate = 0.5}.coefficients(1, 0.5);
    CHECK(first.step == doctest::Approx(2.5).epsilon(1e-14));  // 0.25 / (1 - 0.9)
    CHECK(first.root == doctest::Approx(1 / std::sqrt(0.001)).epsilon(1e-12));
    CHECK(first.shrink == 1);
    adam_coefficients const late = adam{.rate = 0.5}.coefficients(1'000'000, 1);
    CHECK(late.step == 0.5);
    CHECK(late.root == 1);
    CHECK(adamw{.rate = 0.5, .decay = 0.1}.coefficients(1, 0.5).shrink == doctest::Approx(0.975).epsilon(1e-15));
}

TEST_CASE("adam: refuses numbers outside their range") {
    double const nan = std::numeric_limits<double>::quiet_NaN();
    bare_network<float, backend_type> net(device(), {1, 2});
    CHECK_THROWS_WITH_AS((optimizer{adam{.rate = 0}, net}), "domain_error: adam: rate is 0, it must be > 0", domain_error);
    CHECK_THROWS_AS((optimizer{adam{.rate = -1}, net}), domain_error);
    CHECK_THROWS_AS((optimizer{adam{.rate = nan}, net}), domain_error);
    CHECK_THROWS_WITH_AS((optimizer{adam{.beta1 = 1}, net}), "domain_error: adam: beta1 is 1, it must be in [0, 1)", domain_error);
    CHECK_THROWS_AS((optimizer{adam{.beta1 = -0.1}, net}), domain_error);
    CHECK_THROWS_WITH_AS((optimizer{adam{.beta2 = 1.5}, net}), "domain_error: adam: beta2 is 1.5, it must be in [0, 1)", domain_error);
    CHECK_THROWS_WITH_AS((optimizer{adam{.epsilon = 0}, net}), "domain_error: adam: epsilon is 0, it must be > 0", domain_error);
    CHECK_THROWS_WITH_AS((optimizer{adamw{.decay = -0.5}, net}), "domain_error: adamw: decay is -0.5, it must not be negative",
                         domain_error);
    CHECK_THROWS_WITH_AS((optimizer{adamw{.rate = -2}, net}), "domain_error: adamw: rate is -2, it must be > 0", domain_error);
}

TEST_CASE("adam: specs print and compare") {
    CHECK(to_string(adam{.rate = 0.25}) == "adam{rate = 0.25, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-08}");
    CHECK(to_string(adamw{}) == "adamw{rate = 0.001, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-08, decay = 0.01}");
    CHECK(adam{} == adam{});
    CHECK_FALSE(adam{.beta1 = 0.5} == adam{});
    CHECK_FALSE(adamw{.decay = 0.5} == adamw{});
}

}  // namespace adam_tests
