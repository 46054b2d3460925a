#include <onestep/objective/snr_weighting.hpp>

#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/process/sde.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/target/edm_preconditioned.hpp>
#include <onestep/target/epsilon.hpp>
#include <onestep/target/v_prediction.hpp>
#include <onestep/target/velocity.hpp>

#include <doctest/doctest.h>

namespace snr_weighting_tests {

using namespace onestep;

namespace {

/// Columns of the published table at a signal-to-noise ratio; v where variance is preserved, else on the unit circle.
struct columns {
    double on_epsilon, on_x0, on_v;
};

/// A weight in three spaces on three processes at many levels.
template <class Weight, class Table> void check_table(Weight const& weight, Table const& table) {
    CAPTURE(to_string(weight));
    CHECK(weighting<Weight>);
    auto const check = [&](auto const& process) {
        for (double level : {1e-3, 0.02, 0.3, 0.44, 0.45, 0.7, 0.999, 1.001, 3.0, 40.0, 79.0}) {
            CAPTURE(level);
            marginal const m = marginal_at(process, time_of_noise_to_signal(process, level));
            double const se = m.sigma / m.alpha, square = m.alpha * m.alpha + m.sigma * m.sigma;
            columns const wanted = table(1 / (se * se));
            CHECK(weight_in(weight, epsilon{}, m) == doctest::Approx(wanted.on_epsilon).epsilon(1e-11));
            CHECK(weight_in(weight, x0{}, m) == doctest::Approx(wanted.on_x0).epsilon(1e-11));
            CHECK(weight_in(weight, v_prediction{}, m) == doctest::Approx(wanted.on_v / square).epsilon(1e-11));
        }
    };
    check(variance_preserving{});
    check(edm{});
    check(rectified_flow{});
}
/// One that the table has in a single space: the others by the ratios of residuals.
template <class Weight, class OnX0> void check_on_x0(Weight const& weight, OnX0 const& on_x0) {
    check_table(weight, [&](double snr) { return columns{on_x0(snr) / snr, on_x0(snr), on_x0(snr) / (snr + 1)}; });
}

/// {epsilon, x0, v} at SNR = 0 and at infinite SNR; infinite where the weight is refused.
template <class Weight> void check_ends(Weight const& weight, columns const& noise, columns const& data) {
    CAPTURE(to_string(weight));
    auto const check = [&](auto const& space, double t, double wanted) {
        CAPTURE(t);
        marginal const m = marginal_at(rectified_flow{}, t);
        if (wanted == HUGE_VAL) CHECK_THROWS_AS(weight_in(weight, space, m), domain_error);
        else CHECK(weight_in(weight, space, m) == doctest::Approx(wanted).epsilon(1e-12));
    };
    check(epsilon{}, 1, noise.on_epsilon);
    check(x0{}, 1, noise.on_x0);
    check(v_prediction{}, 1, noise.on_v);
    check(epsilon{}, 0, data.on_epsilon);
    check(x0{}, 0, data.on_x0);
    check(v_prediction{}, 0, data.on_v);
}

}  // namespace

TEST_CASE("snr_weighting: every entry of the published table, in three spaces on three processes") {
    check_table(snr_weight{}, [](double snr) { return columns{1, snr, snr / (snr + 1)}; });
    check_table(truncated_snr{}, [](double snr) {
        return columns{std::max(1.0, 1 / snr), std::max(snr, 1.0), std::max(snr, 1.0) / (snr + 1)};
    });
    check_table(snr_plus_one{}, [](double snr) { return columns{(snr + 1) / snr, snr + 1, 1}; });
    for (double g : {5.0, 1.0, 0.2})
        check_table(min_snr{.gamma = g}, [g](double snr) {
            return columns{std::min(snr, g) / snr, std::min(snr, g), std::min(snr, g) / (snr + 1)};
        });
    for (double g : {0.0, 0.5, 1.0, 2.0})
        check_table(p2_weight{.k = 0.7, .gamma = g}, [g](double snr) {
            double const down = std::pow(0.7 + snr, g);
            return columns{1 / down, snr / down, snr / (snr + 1) / down};
        });
    for (double sd : {0.5, 1.3}) {
        check_on_x0(edm_weight{sd}, [sd](double snr) {
            double const se = 1 / std::sqrt(snr);
            return (se * se + sd * sd) / std::pow(se * sd, 2);
        });
        check_on_x0(soft_min_snr{sd}, [sd](double snr) { return 1 / (1 / snr + sd * sd); });
    }
    check_on_x0(sigma_sqrt_weight{}, [](double snr) { return std::pow(1 + std::sqrt(snr), 4); });
    check_on_x0(cosmap_weight{}, [](double snr) {
        double const t = 1 / (1 + std::sqrt(snr));
        return 2 / (std::acos(-1.0) * (t * t + (1 - t) * (1 - t)) * t * t);
    });
}

TEST_CASE("snr_weighting: the entries that are given on other spaces") {
    double const sd = 0.5;
    for (double level : {0.002, 0.3, 1.0, 80.0}) {
        double const total = level * level + sd * sd;
        for (auto const& m : {marginal_at(edm{}, level), marginal_at(rectified_flow{}, level / (1 + level))}) {
            CHECK(weight_in(edm_weight{sd}, edm_preconditioned{sd}, m) == doctest::Approx(1).epsilon(1e-12));
            CHECK(weight_in(soft_min_snr{sd}, edm_preconditioned{sd}, m) ==
                  doctest::Approx(level * level * sd * sd / (total * total)).epsilon(1e-12));
        }
        double const t = level / (1 + level);
        marginal const m = marginal_at(rectified_flow{}, t);
        CHECK(weight_in(sigma_sqrt_weight{}, velocity{}, m) == doctest::Approx(1 / (t * t)).epsilon(1e-11));
        CHECK(weight_in(cosmap_weight{}, velocity{}, m) == doctest::Approx(2 / std::acos(-1.0) / (1 - 2 * t + 2 * t * t)).epsilon(1e-11));
    }
}

TEST_CASE("snr_weighting: the ends of a path") {
    double const pi = std::acos(-1.0), infinite = HUGE_VAL;
    check_ends(snr_weight{}, {1, 0, 0}, {1, infinite, 1});
    check_ends(truncated_snr{}, {infinite, 1, 1}, {1, infinite, 1});
    check_ends(snr_plus_one{}, {infinite, 1, 1}, {1, infinite, 1});
    check_ends(min_snr{}, {1, 0, 0}, {0, 5, 0});
    check_ends(min_snr{.one_at_pure_noise = true}, {1, 1, 1}, {0, 5, 0});
    check_ends(p2_weight{.k = 2}, {0.5, 0, 0}, {0, 1, 0});
    check_ends(p2_weight{.gamma = 0.5}, {1, 0, 0}, {0, infinite, 0});
    check_ends(p2_weight{.gamma = 2}, {1, 0, 0}, {0, 0, 0});
    check_ends(edm_weight{}, {infinite, 4, 4}, {1, infinite, 1});
    check_ends(soft_min_snr{}, {1, 0, 0}, {0, 4, 0});
    check_ends(sigma_sqrt_weight{}, {infinite, 1, 1}, {infinite, infinite, infinite});
    check_ends(cosmap_weight{}, {infinite, 2 / pi, 2 / pi}, {2 / pi, infinite, 2 / pi});
    for (double t : {0.0, 1.0}) {
        marginal const m = marginal_at(rectified_flow{}, t);
        CHECK(weight_in(edm_weight{}, edm_preconditioned{}, m) == doctest::Approx(1).epsilon(1e-12));
        CHECK(weight_in(soft_min_snr{}, edm_preconditioned{}, m) < 1e-30);
        CHECK(weight_in(cosmap_weight{}, velocity{}, m) == doctest::Approx(2 / pi).epsilon(1e-12));
    }
}

TEST_CASE("snr_weighting: numbers outside their range are refused, and all are specs") {
    marginal const m = marginal_at(rectified_flow{}, 0.5);
    double const nan = std::nan("");
    CHECK_THROWS_WITH_AS(min_snr{.gamma = 0}.on_x0(m), "domain_error: min_snr: gamma is 0, it must be > 0", domain_error);
    CHECK_THROWS_AS(min_snr{.gamma = nan}.on_x0(m), domain_error);
    CHECK_THROWS_WITH_AS((p2_weight{.k = 0}.on_x0(m)),
                         "domain_error: p2_weight: k is 0 and gamma is 1, k > 0 and 0 <= gamma <= 2 are needed", domain_error);
    CHECK_THROWS_AS((p2_weight{.gamma = 2.5}.on_x0(m)), domain_error);
    CHECK_THROWS_AS((p2_weight{.gamma = -1}.on_x0(m)), domain_error);
    CHECK_THROWS_WITH_AS(edm_weight{0}.on_x0(m), "domain_error: edm_weight: sigma_data is 0, it must be > 0", domain_error);
    CHECK_THROWS_WITH_AS(soft_min_snr{-1}.on_x0(m), "domain_error: soft_min_snr: sigma_data is -1, it must be > 0", domain_error);
    CHECK(to_string(min_snr{}) == "min_snr{gamma = 5, one_at_pure_noise = false}");
    CHECK(to_string(p2_weight{}) == "p2_weight{k = 1, gamma = 1}");
    CHECK(to_string(edm_weight{}) == "edm_weight{sigma_data = 0.5}");
    CHECK(to_string(soft_min_snr{}) == "soft_min_snr{sigma_data = 0.5}");
    CHECK(min_snr{} == min_snr{});
    CHECK_FALSE(min_snr{} == min_snr{.gamma = 4});
    CHECK(truncated_snr{} == truncated_snr{});
}

}  // namespace snr_weighting_tests
