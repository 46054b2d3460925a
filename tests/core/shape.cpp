#include <onestep/core/shape.hpp>

#include <doctest/doctest.h>

#include <vector>

namespace shape_tests {

using onestep::shape;
using onestep::shape_error;

TEST_CASE("shape: rank, extents, size, rows and cols") {
    shape const images{16, 28, 27, 3};
    CHECK(images.rank() == 4);
    CHECK(images[0] == 16);
    CHECK(images[3] == 3);
    CHECK(images.size() == 16 * 28 * 27 * 3);
    CHECK(images.rows() == 16);
    CHECK(images.cols() == 28 * 27 * 3);
    CHECK(std::vector<onestep::index_t>(images.begin(), images.end()) == std::vector<onestep::index_t>{16, 28, 27, 3});
}

TEST_CASE("shape: rank 0 is one number") {
    shape const scalar;
    CHECK(scalar.rank() == 0);
    CHECK(scalar.size() == 1);
    CHECK(scalar.rows() == 1);
    CHECK(scalar.cols() == 1);
}

TEST_CASE("shape: a vector has one element a row, and an empty batch is a shape") {
    CHECK(shape{5}.rows() == 5);
    CHECK(shape{5}.cols() == 1);
    CHECK(shape{0, 7}.size() == 0);
    CHECK(shape{0, 7}.cols() == 7);
}

TEST_CASE("shape: sizes above 32 bits are right") { CHECK(shape{1 << 20, 1 << 20}.size() == onestep::index_t(1) << 40); }

TEST_CASE("shape: with_rows changes the first extent alone, and gives rank 0 one") {
    CHECK(shape{16, 28, 28, 1}.with_rows(3) == shape{3, 28, 28, 1});
    CHECK(shape{}.with_rows(4) == shape{4});
    shape const original{2, 3};
    (void)original.with_rows(9);
    CHECK(original == shape{2, 3});
}

TEST_CASE("shape: equality compares rank and extents") {
    CHECK(shape{2, 3} == shape{2, 3});
    CHECK_FALSE(shape{2, 3} == shape{3, 2});
    CHECK_FALSE(shape{2, 3} == shape{2, 3, 1});
    CHECK_FALSE(shape{} == shape{1});
}

TEST_CASE("shape: six extents fit, seven throw") {
    CHECK(shape{1, 2, 3, 4, 5, 6}.size() == 720);
    CHECK_THROWS_WITH_AS((shape{1, 2, 3, 4, 5, 6, 7}), "shape_error: shape: rank is 7, at most 6 is supported", shape_error);
}

TEST_CASE("shape: a negative extent throws and is named") {
    CHECK_THROWS_WITH_AS((shape{4, -2}), "shape_error: shape: extent 1 is -2, extents are >= 0", shape_error);
}

TEST_CASE("shape: text, with and without a name for the rows") {
    CHECK(to_string(shape{16, 28, 28, 1}) == "[16, 28, 28, 1]");
    CHECK(to_string(shape{16, 28, 28, 1}, "n") == "[n, 28, 28, 1]");
    CHECK(to_string(shape{}) == "[]");
}

TEST_CASE("shape: usable in constant expressions") {
    static_assert(shape{2, 3, 4}.size() == 24);
    static_assert(shape{2, 3, 4}.with_rows(5).cols() == 12);
    CHECK(sizeof(shape) <= 64);
}

}  // namespace shape_tests
