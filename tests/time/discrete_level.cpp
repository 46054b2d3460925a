#include <onestep/time/discrete_level.hpp>

#include <doctest/doctest.h>

#include <cmath>

namespace discrete_level_tests {

using onestep::discrete_level;
using onestep::domain_error;

TEST_CASE("discrete_level: time is index + 1, and 0 or 1 in the end") {
    CHECK(discrete_level{"test", 10, 3, 0}.at(0) == 1);
    CHECK(discrete_level{"test", 10, 3, 0}.at(9) == 10);
    CHECK(discrete_level{"test", 10, 3, 0}.last() == 0);
    CHECK(discrete_level{"test", 10, 3, 1}.last() == 1);
}

TEST_CASE("discrete_level: refuses what the process does not have") {
    CHECK_THROWS_WITH_AS((discrete_level{"test", 10, 11, 0}.at(0)), "domain_error: test: steps is 11, the process has 10 levels",
                         domain_error);
    CHECK_THROWS_WITH_AS((discrete_level{"test", 10, 3, 0}.at(10)), "domain_error: test: index 10 would be visited, indices are 0 to 9",
                         domain_error);
    CHECK_THROWS_AS((discrete_level{"test", 10, 3, 0}.at(-1)), domain_error);
    CHECK_THROWS_AS((discrete_level{"test", 10, 3, 0}.at(std::nan(""))), domain_error);
    CHECK_THROWS_WITH_AS((discrete_level{"test", 10, 3, 2}.last()), "domain_error: test: last_level is 2, it must be 0 or 1", domain_error);
}

}  // namespace discrete_level_tests
