#include <onestep/core/sums.hpp>

#include <type_traits>

#include <doctest/doctest.h>

namespace sums_tests {

using onestep::sums;

TEST_CASE("sums add element by element and start at zero") {
    sums<double, 3> total{};
    CHECK(total == sums<double, 3>{{0, 0, 0}});
    total += {{1, 2, 3}};
    (total += {{10, -2, 0.5}}) += {{0, 0, 1}};
    CHECK(total == sums<double, 3>{{11, 0, 4.5}});
    CHECK_FALSE(total == sums<double, 3>{{11, 0, 4}});
    static_assert(std::is_trivially_copyable_v<sums<float, 2>> && sizeof(sums<float, 2>) == 2 * sizeof(float));
}

}  // namespace sums_tests
