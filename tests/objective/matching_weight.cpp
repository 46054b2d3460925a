#include <onestep/objective/matching_weight.hpp>

#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/process/sde.hpp>
#include <onestep/process/variance_preserving.hpp>

#include <doctest/doctest.h>

namespace matching_weight_tests {

using namespace onestep;

TEST_CASE("matching_weight: is the printed product on every process") {
    auto const check = [](auto const& p) {
        for (double share : {0.05, 0.3, 0.6, 0.95})
            for (double a : {1.0, 2.0, 1.5})
                for (double b : {-1.0, 4.0, 5.0}) {
                    double const t = p.t_min() + share * (p.t_max() - p.t_min());
                    marginal const m = marginal_at(p, t);
                    double const lambda = p.log_snr(t), sigmoid = 1 / (1 + std::exp(lambda - b));
                    double const expected =
                        0.5 * sigmoid * -log_snr_derivative(p, t) * std::pow(m.alpha, a) / (m.alpha * m.alpha + m.sigma * m.sigma);
                    CHECK(matching_weight{a, b}(m) == doctest::Approx(expected).epsilon(1e-10));
                }
    };
    check(rectified_flow{});
    check(edm{});
    check(variance_preserving<>{});
}

TEST_CASE("matching_weight: is finite at both ends, where its factors are not") {
    CHECK(matching_weight{}(marginal_at(rectified_flow{}, 0)) == 0);
    CHECK(matching_weight{1, 4}(marginal_at(rectified_flow{}, 1)) == doctest::Approx(1).epsilon(1e-14));
    CHECK(matching_weight{2, 4}(marginal_at(rectified_flow{}, 1)) == 0);
}

TEST_CASE("matching_weight: refuses an exponent below 1, and is a spec") {
    CHECK_THROWS_WITH((matching_weight{0.5, 4}(marginal_at(edm{}, 1))),
                      "domain_error: matching_weight: exponent is 0.5, it must be at least 1");
    CHECK(to_string(matching_weight{}) == "matching_weight{exponent = 1, bias = 4}");
}

}  // namespace matching_weight_tests
