#include <onestep/time/constant_levels.hpp>

#include <doctest/doctest.h>

namespace constant_levels_tests {

using namespace onestep;

TEST_CASE("constant_levels: the same at every step") {
    CHECK(constant_levels{}.levels(0) == 18);
    CHECK(constant_levels{.count = 40}.levels(123'456) == 40);
    CHECK(to_string(constant_levels{}) == "constant_levels{count = 18}");
    CHECK_THROWS_WITH_AS(constant_levels{.count = 1}.levels(0), "domain_error: constant_levels: count is 1, it must be at least 2",
                         domain_error);
}

}  // namespace constant_levels_tests
