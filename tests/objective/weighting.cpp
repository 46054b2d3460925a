#include <onestep/objective/weighting.hpp>

#include <onestep/process/rectified_flow.hpp>

#include <doctest/doctest.h>

using namespace onestep;

namespace {

struct by_snr {
    static constexpr char const* name = "by_snr";
    double operator()(marginal const& m) const { return m.alpha / m.sigma; }
    void fields(auto&&) const {}
};

}  // namespace

TEST_CASE("weighting: unit_weight is 1 everywhere") {
    for (double t : {0.0, 0.3, 1.0}) CHECK(unit_weight{}(marginal_at(rectified_flow{}, t)) == 1);
    CHECK(to_string(unit_weight{}) == "unit_weight{}");
    CHECK(unit_weight{} == unit_weight{});
}

TEST_CASE("weighting: time_weight is any function of t") {
    time_weight const w{[](double t) { return 1 / (0.5 + t); }};
    CHECK(w(marginal_at(rectified_flow{}, 0)) == 2);
    CHECK(w(marginal_at(rectified_flow{}, 0.5)) == 1);
    CHECK(w(marginal_at(rectified_flow{}, 1.5)) == 0.5);
    CHECK(weighting<decltype(w)>);
    CHECK(to_string(w) == "time_weight{}");
}

TEST_CASE("weighting: a user's own sees the process's numbers") {
    CHECK(weighting<by_snr>);
    CHECK(by_snr{}(marginal_at(rectified_flow{}, 0.25)) == 3);
    CHECK_FALSE(weighting<rectified_flow>);
}
