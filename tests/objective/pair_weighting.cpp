#include <onestep/objective/pair_weighting.hpp>

#include <onestep/objective/snr_weighting.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/process/sde.hpp>
#include <onestep/process/trigonometric_flow.hpp>
#include <onestep/process/variance_preserving.hpp>

#include <doctest/doctest.h>

#include <string>

namespace pair_weighting_tests {

using namespace onestep;

namespace {

struct of_both {
    static constexpr char const* name = "of_both";
    double operator()(marginal const& t, marginal const& s) const { return 10 * t.t + s.t; }
    void fields(auto&&) const {}
};

}  // namespace

TEST_CASE("inverse_gap: one over the difference of noise levels, on any process") {
    auto const check = [](auto const& p) {
        for (double t : {0.2, 0.5, 0.9})
            for (double s : {0.0, 0.1, 0.19}) {
                double const low = std::fmax(s, p.t_min()), gap = noise_to_signal(p, t) - noise_to_signal(p, low);
                CHECK(pair_weight(inverse_gap{}, marginal_at(p, t), marginal_at(p, low)) == doctest::Approx(1 / gap).epsilon(1e-11));
            }
    };
    check(edm{});
    check(rectified_flow{});
    check(trigonometric_flow{});
    check(variance_preserving{});
    CHECK(inverse_gap{}(marginal_at(rectified_flow{}, 1), marginal_at(rectified_flow{}, 0.5)) == 0);
}

TEST_CASE("pair_weight: weights of one time are those of the later, as multipliers of squared residuals of x0") {
    edm const p;
    marginal const t = marginal_at(p, 3), s = marginal_at(p, 2);
    CHECK(pair_weight(unit_weight{}, t, s) == 1);
    CHECK(pair_weight(edm_weight{.sigma_data = 0.5}, t, s) == doctest::Approx((9 + 0.25) / (1.5 * 1.5)).epsilon(1e-14));
    CHECK(pair_weight(time_weight([](double time) { return 7 * time; }), t, s) == 21);
    CHECK(pair_weight(of_both{}, t, s) == 32);
    CHECK(pair_weighting<edm_weight>);
    CHECK(pair_weighting<of_both>);
    CHECK_FALSE(pair_weighting<edm>);
}

TEST_CASE("inverse_gap: refuses a pair without a gap, and is a spec") {
    edm const p;
    CHECK_THROWS_WITH_AS(inverse_gap{}(marginal_at(p, 2), marginal_at(p, 2)),
                         "domain_error: inverse_gap: the pair runs from t = 2 to s = 2, the noise level must be lower at s", domain_error);
    CHECK_THROWS_AS(inverse_gap{}(marginal_at(p, 1), marginal_at(p, 2)), domain_error);
    CHECK(to_string(inverse_gap{}) == "inverse_gap{}");
}

}  // namespace pair_weighting_tests
