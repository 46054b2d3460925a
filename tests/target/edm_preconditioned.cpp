#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/target/convert.hpp>
#include <onestep/target/edm_preconditioned.hpp>
#include <onestep/target/epsilon.hpp>
#include <onestep/target/v_prediction.hpp>
#include <onestep/target/velocity.hpp>
#include <onestep/target/x0.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <string>

namespace edm_preconditioned_tests {

using namespace onestep;

TEST_CASE("edm_preconditioned: D = c_skip x + c_out F as the paper writes it") {
    for (double sd : {0.25, 0.5, 1.0})
        for (double se : {0.002, 0.1, 0.5, 3.0, 80.0}) {
            edm_preconditioned const target{sd};
            auto const m = marginal_at(edm{}, se);
            double const square = se * se + sd * sd;
            auto const d = convert(target, x0{}, m);
            CHECK(d.x == doctest::Approx(sd * sd / square).epsilon(1e-13));
            CHECK(d.output == doctest::Approx(se * sd / std::sqrt(square)).epsilon(1e-13));
            CHECK(input_scale_of(target, m) == doctest::Approx(1 / std::sqrt(square)).epsilon(1e-15));
            CHECK(network_time_of(target, edm{}, se) == doctest::Approx(std::log(se) / 4).epsilon(1e-14));
        }
}

TEST_CASE("edm_preconditioned: F and the network's input have unit variance for data of variance sd^2") {
    edm_preconditioned const target{0.3};
    for (double t : {0.0, 1e-6, 0.2, 0.7, 1.0}) {
        auto const m = marginal_at(rectified_flow{}, t);
        auto const w = target.weights(m);
        double const scale = target.input_scale(m);
        CHECK(w.x0 * w.x0 * 0.09 + w.epsilon * w.epsilon == doctest::Approx(1).epsilon(1e-14));
        CHECK(scale * scale * (m.alpha * m.alpha * 0.09 + m.sigma * m.sigma) == doctest::Approx(1).epsilon(1e-14));
    }
}

TEST_CASE("edm_preconditioned: depends on the noise-to-signal level alone, on any process") {
    edm_preconditioned const target;
    for (double t : {0.001, 0.3, 0.9}) {
        auto const p = marginal_at(variance_preserving{}, t);
        double const se = p.sigma / p.alpha;
        auto const a = target.weights(p), b = target.weights(marginal_at(edm{}, se));
        CHECK(a.x0 == doctest::Approx(b.x0).epsilon(1e-13));
        CHECK(a.epsilon == doctest::Approx(b.epsilon).epsilon(1e-13));
        CHECK(p.alpha * target.input_scale(p) == doctest::Approx(target.input_scale(marginal_at(edm{}, se))).epsilon(1e-13));
        CHECK(target.network_time(p) == doctest::Approx(std::log(se) / 4).epsilon(1e-12));
    }
}

TEST_CASE("edm_preconditioned: exact at no noise, at no signal, and near both") {
    edm_preconditioned const target{0.5};
    auto const clean = target.weights({0, 1, 0, 0, 1}), noise = target.weights({1, 0, 1, -1, 1});
    CHECK(clean.x0 == 0);
    CHECK(clean.epsilon == -1);
    CHECK(noise.x0 == 2);
    CHECK(noise.epsilon == 0);
    auto const small = target.weights({0, 1, 1e-200, 0, 1}), large = target.weights({0, 1, 1e200, 0, 1});
    CHECK(small.x0 == doctest::Approx(4e-200).epsilon(1e-14));  // se / sd^2, where 1 - c_skip is 0
    CHECK(small.epsilon == -1);
    CHECK(large.x0 == 2);
    CHECK(large.epsilon == doctest::Approx(-0.5e-200).epsilon(1e-14));
    CHECK(convert(target, epsilon{}, {0, 1, 0, 0, 1}).output == -1);
    CHECK(convert(target, x0{}, {1, 0, 1, -1, 1}).output == 0.5);
    CHECK(target.input_scale({1, 0, 1, -1, 1}) == 1);
}

TEST_CASE("edm_preconditioned: with sd = 1 it is minus v where variance is preserved") {
    for (double t : {0.001, 0.2, 0.5, 0.99}) {
        auto const m = marginal_at(variance_preserving{}, t);
        auto const f = edm_preconditioned{1}.weights(m), v = v_prediction{}.weights(m);
        CHECK(f.x0 == doctest::Approx(-v.x0).epsilon(1e-14));
        CHECK(f.epsilon == doctest::Approx(-v.epsilon).epsilon(1e-14));
        auto const c = convert(edm_preconditioned{1}, v_prediction{}, m);
        CHECK(std::fabs(c.x) < 1e-14);
        CHECK(c.output == doctest::Approx(-1).epsilon(1e-14));
    }
}

TEST_CASE("edm_preconditioned: errors never grow by more than sd in x0") {
    for (double t = 0; t <= 1; t += 1.0 / 64) CHECK(amplification(edm_preconditioned{0.5}, x0{}, marginal_at(rectified_flow{}, t)) <= 0.5);
}

TEST_CASE("edm_preconditioned: refuses a sigma_data that is not positive") {
    marginal const m{0, 1, 1, 0, 1};
    CHECK_THROWS_WITH_AS(edm_preconditioned{0}.weights(m), "domain_error: edm_preconditioned: sigma_data is 0, it must be > 0",
                         domain_error);
    CHECK_THROWS_AS(edm_preconditioned{-1}.input_scale(m), domain_error);
    CHECK_THROWS_AS(edm_preconditioned{std::nan("")}.weights(m), domain_error);
}

TEST_CASE("edm_preconditioned: is a target and a spec") {
    CHECK(target<edm_preconditioned>);
    CHECK(to_string(edm_preconditioned{}) == "edm_preconditioned{sigma_data = 0.5}");
    CHECK(edm_preconditioned{} == edm_preconditioned{.sigma_data = 0.5});
    CHECK_FALSE(edm_preconditioned{} == edm_preconditioned{1});
}

}  // namespace edm_preconditioned_tests
