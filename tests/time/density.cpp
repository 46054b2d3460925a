#include <onestep/process/discrete.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/time/density.hpp>
#include <onestep/time/discrete_density.hpp>
#include <onestep/time/uniform_density.hpp>

#include <doctest/doctest.h>

namespace density_tests {

using namespace onestep;

namespace {

/// Knows one process only.
struct of_edm {
    static constexpr char const* name = "of_edm";
    double sample(edm const& p, random_stream, index_t) const { return p.sigma_max; }
    void fields(auto&&) const {}
};
struct returns_float {
    static constexpr char const* name = "returns_float";
    float sample(auto const&, random_stream, index_t) const { return 0; }
    void fields(auto&&) const {}
};

}  // namespace

TEST_CASE("density: is one for the processes it can draw times of") {
    CHECK(time_density<uniform_density, rectified_flow>);
    CHECK(time_density<uniform_density, discrete<>>);
    CHECK(time_density<of_edm, edm>);
    CHECK_FALSE(time_density<of_edm, rectified_flow>);
    CHECK_FALSE(time_density<discrete_density, rectified_flow>);
    CHECK_FALSE(time_density<returns_float, rectified_flow>);
    CHECK_FALSE(time_density<uniform_density, uniform_density>);
}

}  // namespace density_tests
