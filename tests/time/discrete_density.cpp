#include <onestep/process/discrete.hpp>
#include <onestep/time/discrete_density.hpp>

#include <string>

#include "densities.hpp"

namespace discrete_density_tests {

using namespace onestep;
using namespace onestep::test;

TEST_CASE("discrete_density: every level equally often, and nothing else") {
    constexpr int levels = 40;
    constexpr index_t n = 40'000;
    discrete const p{linear_schedule{.steps = levels}};
    auto const stream = random_key{31}.at(draw::time);
    std::vector<double> count(levels + 1);
    for (index_t r = 0; r < n; ++r) {
        double const t = discrete_density{}.sample(p, stream, r);
        REQUIRE(t >= 1);
        REQUIRE(t <= levels);
        REQUIRE(t == std::floor(t));
        ++count[static_cast<std::size_t>(t)];
    }
    double chi_squared = 0;
    for (std::size_t level = 1; level <= levels; ++level) chi_squared += (count[level] - 1000) * (count[level] - 1000) / 1000;
    CHECK(chi_squared < 95);  // 39 degrees of freedom: three seeds in two million lie above
    CHECK(chi_squared > 10);  // and one in a million below 10
    check_rows(discrete_density{}, p);
}

TEST_CASE("discrete_density: one level, and is a spec") {
    CHECK(discrete_density{}.sample(discrete{linear_schedule{.steps = 1}}, random_key{1}.at(draw::time), 7) == 1);
    CHECK(time_density<discrete_density, discrete<>>);
    CHECK(to_string(discrete_density{}) == "discrete_density{}");
    CHECK(discrete_density{} == discrete_density{});
}

}  // namespace discrete_density_tests
