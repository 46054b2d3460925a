#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

#include "test_backend.hpp"

namespace tensor_tests {

using onestep::shape;
using onestep::shape_error;
using onestep::test::backend_type;
using onestep::test::device;
using tensor = onestep::tensor<float, backend_type>;

namespace {

std::vector<float> const six{1, 2, 3, 4, 5, 6};

}  // namespace

TEST_CASE("tensor: values go to the backend's memory and come back") {
    tensor const x(device(), {2, 3}, six);
    CHECK(x.shape() == shape{2, 3});
    CHECK(x.size() == 6);
    CHECK(x.rows() == 2);
    CHECK(x.cols() == 3);
    CHECK(&x.backend() == &device());
    CHECK(x.to_host() == six);
    CHECK(to_host(x) == six);
    CHECK(to_host(x.view()) == six);
}

TEST_CASE("tensor: memory is aligned for vector loads") {
    for (onestep::index_t n : {1, 3, 1000}) {
        tensor const x(device(), {n});
        CHECK(reinterpret_cast<std::uintptr_t>(x.data()) % 64 == 0);
    }
}

TEST_CASE("tensor: another number of values than elements throws") {
    CHECK_THROWS_WITH_AS(tensor(device(), {2, 2}, six), "shape_error: tensor: 6 values were given, [2, 2] holds 4", shape_error);
}

TEST_CASE("tensor: a copy has its own elements") {
    tensor x(device(), {2, 3}, six);
    tensor const y = x;
    CHECK(y.data() != x.data());
    CHECK(y.shape() == x.shape());
    device().upload(std::vector<float>{9, 9, 9, 9, 9, 9}.data(), 6, x.data());
    CHECK(x.to_host() == std::vector<float>(6, 9.0f));
    CHECK(y.to_host() == six);
}

TEST_CASE("tensor: copy assignment takes shape and elements, also of itself") {
    tensor const x(device(), {2, 3}, six);
    tensor y(device(), {1});
    y = x;
    CHECK(y.shape() == shape{2, 3});
    CHECK(y.to_host() == six);
    auto const& same = y;
    y = same;
    CHECK(y.to_host() == six);
}

TEST_CASE("tensor: moving moves the memory and leaves nothing behind") {
    tensor x(device(), {2, 3}, six);
    float const* const address = x.data();
    tensor y = std::move(x);
    CHECK(y.data() == address);
    CHECK(x.size() == 0);
    CHECK(x.data() == nullptr);
    tensor z(device(), {4});
    z = std::move(y);
    CHECK(z.data() == address);
    CHECK(z.to_host() == six);
    CHECK(y.size() == 0);
}

TEST_CASE("tensor: one without elements behaves") {
    tensor const nothing;
    CHECK(nothing.size() == 0);
    CHECK(nothing.rows() == 0);
    CHECK(nothing.to_host().empty());
    tensor const copy = nothing;
    CHECK(copy.size() == 0);
    tensor const empty_batch(device(), {0, 3}, {});
    CHECK(empty_batch.rows() == 0);
    CHECK(empty_batch.cols() == 3);
    CHECK(empty_batch.to_host().empty());
}

TEST_CASE("tensor: views see its elements and rows") {
    tensor x(device(), {3, 2}, six);
    onestep::view<float, backend_type> const writable = x;
    CHECK(writable.data() == x.data());
    CHECK(to_host(writable.rows(1, 2)) == std::vector<float>{3, 4, 5, 6});
    tensor const& constant = x;
    onestep::view<float const, backend_type> const readable = constant;
    CHECK(readable.shape() == shape{3, 2});
    static_assert(!std::is_convertible_v<tensor const&, onestep::view<float, backend_type>>);
}

TEST_CASE_TEMPLATE("tensor: element types", T, float, double, std::int32_t, std::uint8_t) {
    std::vector<T> const values{T(0), T(1), T(127)};
    onestep::tensor<T, backend_type> const x(device(), {3}, values);
    CHECK(x.to_host() == values);
}

}  // namespace tensor_tests
