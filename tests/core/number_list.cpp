#include <onestep/core/number_list.hpp>

#include <doctest/doctest.h>

namespace number_list_tests {

TEST_CASE("number_list: every number with all its digits") {
    CHECK(onestep::number_list({}) == "[]");
    CHECK(onestep::number_list({1}) == "[1]");
    CHECK(onestep::number_list({1, 0.1, -2.5e-9}) == "[1, 0.1, -2.5e-09]");
    CHECK(onestep::number_list({1.0 / 3}) == "[0.3333333333333333]");
}

}  // namespace number_list_tests
