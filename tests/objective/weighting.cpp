#include <onestep/objective/weighting.hpp>

#include <onestep/process/rectified_flow.hpp>
#include <onestep/process/variance_exploding.hpp>
#include <onestep/target/epsilon.hpp>
#include <onestep/target/score.hpp>
#include <onestep/target/v_prediction.hpp>
#include <onestep/target/velocity.hpp>

#include <doctest/doctest.h>

namespace weighting_tests {

using namespace onestep;

namespace {

struct by_snr {
    static constexpr char const* name = "by_snr";
    double operator()(marginal const& m) const { return m.alpha / m.sigma; }
    void fields(auto&&) const {}
};
/// One on x0.
struct clean {
    static constexpr char const* name = "clean";
    double on_x0(marginal const&) const { return 1; }
    void fields(auto&&) const {}
};
/// (alpha / sigma)^power on x0.
struct steep {
    static constexpr char const* name = "steep";
    double power = 4;
    double on_x0(marginal const& m) const { return std::pow(m.alpha / m.sigma, power); }
    void fields(auto&& visit) const { visit("power", power); }
};

}  // namespace

TEST_CASE("weighting: unit_weight is 1 everywhere") {
    for (double t : {0.0, 0.3, 1.0}) {
        CHECK(unit_weight{}(marginal_at(rectified_flow{}, t)) == 1);
        CHECK(weight_in(unit_weight{}, score{}, marginal_at(rectified_flow{}, t)) == 1);
    }
    CHECK(to_string(unit_weight{}) == "unit_weight{}");
    CHECK(unit_weight{} == unit_weight{});
}

TEST_CASE("weighting: time_weight is any function of t, in any space") {
    time_weight const w{[](double t) { return 1 / (0.5 + t); }};
    CHECK(w(marginal_at(rectified_flow{}, 0)) == 2);
    CHECK(w(marginal_at(rectified_flow{}, 0.5)) == 1);
    CHECK(w(marginal_at(rectified_flow{}, 1.5)) == 0.5);
    CHECK(weight_in(w, epsilon{}, marginal_at(rectified_flow{}, 1)) == 1 / 1.5);
    CHECK(weighting<decltype(w)>);
    CHECK(to_string(w) == "time_weight{}");
}

TEST_CASE("weighting: a user's own sees the process's numbers") {
    CHECK(weighting<by_snr>);
    CHECK(weighting<clean>);
    CHECK(by_snr{}(marginal_at(rectified_flow{}, 0.25)) == 3);
    CHECK(weight_in(by_snr{}, epsilon{}, marginal_at(rectified_flow{}, 0.25)) == 3);
    CHECK_FALSE(weighting<rectified_flow>);
}

TEST_CASE("weighting: what is said on x0 is divided by the growth of residuals") {
    for (double t : {0.1, 0.5, 0.9}) {
        marginal const m = marginal_at(rectified_flow{}, t);
        double const snr = (1 - t) * (1 - t) / (t * t), square = (1 - t) * (1 - t) + t * t;
        CHECK(weight_in(clean{}, x0{}, m) == 1);
        CHECK(weight_in(clean{}, epsilon{}, m) == doctest::Approx(1 / snr).epsilon(1e-13));
        CHECK(weight_in(clean{}, velocity{}, m) == doctest::Approx(t * t).epsilon(1e-13));
        CHECK(weight_in(clean{}, v_prediction{}, m) == doctest::Approx(t * t / (square * square)).epsilon(1e-13));
        CHECK(weight_in(clean{}, score{}, m) == doctest::Approx(t * t / snr).epsilon(1e-13));
    }
    marginal const m = marginal_at(variance_exploding{}, 0.5);  // alpha = 1
    CHECK(weight_in(clean{}, epsilon{}, m) == doctest::Approx(m.sigma * m.sigma).epsilon(1e-13));
    CHECK(weight_in(clean{}, score{}, m) == doctest::Approx(std::pow(m.sigma, 4)).epsilon(1e-13));
}

TEST_CASE("weighting: at the ends of a path it is the limit, or there is none") {
    marginal const data = marginal_at(rectified_flow{}, 0), noise = marginal_at(rectified_flow{}, 1);
    CHECK(weight_in(clean{}, x0{}, data) == 1);
    CHECK(weight_in(clean{}, x0{}, noise) == 1);
    CHECK(weight_in(clean{}, epsilon{}, data) < 1e-100);
    CHECK(weight_in(steep{2}, epsilon{}, data) == doctest::Approx(1).epsilon(1e-12));  // 0 / 0, an infinite one over another
    CHECK(weight_in(steep{2}, epsilon{}, noise) == doctest::Approx(1).epsilon(1e-12));
    CHECK(weight_in(steep{-2}, x0{}, data) < 1e-100);
    CHECK_THROWS_WITH_AS(
        weight_in(steep{}, epsilon{}, data),
        "domain_error: steep in the space epsilon: t is 0 with alpha = 1, sigma = 0, the weight is infinite there; regress "
        "in another space or keep the density away from this time",
        domain_error);
    CHECK_THROWS_AS(weight_in(clean{}, epsilon{}, noise), domain_error);
    CHECK_THROWS_AS(weight_in(steep{std::nan("")}, x0{}, marginal_at(rectified_flow{}, 0.4)), domain_error);
}

}  // namespace weighting_tests
