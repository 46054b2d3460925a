#include <doctest/doctest.h>

#include <onestep/io/host_array.hpp>

#include "scratch.hpp"

namespace host_array_tests {

using namespace onestep;
using onestep::test::message;

TEST_CASE("host_array: products stop at 64 bits") {
    std::uint64_t product = std::uint64_t(1) << 62;
    CHECK(multiply_within_range(product, 3));
    CHECK(product == (std::uint64_t(3) << 62));
    CHECK_FALSE(multiply_within_range(product, 2));
    CHECK(product == (std::uint64_t(3) << 62));
    CHECK(multiply_within_range(product, 0));
    CHECK(product == 0);
    CHECK(multiply_within_range(product, ~std::uint64_t(0)));
}

TEST_CASE("host_array: extents from files become shapes or typed errors") {
    using extents = std::vector<std::uint64_t>;
    CHECK(to_shape("f", "x", extents{}) == shape{});
    CHECK(to_shape("f", "x", extents{2, 0, 3}) == shape{2, 0, 3});
    CHECK(message<format_error>([] {
              to_shape("f.bin", "x", extents{1, 1, 1, 1, 1, 1, 1});
          }) == "format_error: f.bin: x has 7 dimensions, at most 6 are supported");
    std::uint64_t const large = std::uint64_t(1) << 40;
    CHECK(message<format_error>([=] {
              to_shape("f.bin", "x", extents{0, large, large});
          }) == "format_error: f.bin: x is [0, 1099511627776, 1099511627776], the number of elements must fit a signed 64-bit index");
    CHECK_THROWS_AS(to_shape("f", "x", extents{std::uint64_t(1) << 63}), format_error);
    CHECK(to_shape("f", "x", extents{(std::uint64_t(1) << 63) - 1}).size() == std::numeric_limits<index_t>::max());
}

}  // namespace host_array_tests
