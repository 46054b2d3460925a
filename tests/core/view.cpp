#include <onestep/backend/cpu.hpp>
#include <onestep/core/view.hpp>

#include <doctest/doctest.h>

#include <numeric>
#include <vector>

namespace view_tests {

using onestep::cpu;
using onestep::shape;
using onestep::shape_error;
using onestep::view;

namespace {

struct other_backend {};

std::vector<float> counting(std::size_t n) {
    std::vector<float> values(n);
    std::iota(values.begin(), values.end(), 0.0f);
    return values;
}

}  // namespace

TEST_CASE("view: address, shape and backend are those given") {
    cpu device;
    auto values = counting(12);
    view<float, cpu> const v(device, values.data(), {4, 3});
    CHECK(v.data() == values.data());
    CHECK(v.shape() == shape{4, 3});
    CHECK(v.size() == 12);
    CHECK(v.rows() == 4);
    CHECK(v.cols() == 3);
    CHECK(&v.backend() == &device);
    CHECK_FALSE(v.empty());
}

TEST_CASE("view: rows are a part of the same memory") {
    cpu device;
    auto values = counting(24);
    view<float, cpu> const v(device, values.data(), {4, 3, 2});
    auto const middle = v.rows(1, 2);
    CHECK(middle.shape() == shape{2, 3, 2});
    CHECK(middle.data() == values.data() + 6);
    CHECK(v.rows(4, 0).size() == 0);
    CHECK(v.rows(4, 0).empty());
}

TEST_CASE("view: rows that are not there throw") {
    cpu device;
    auto values = counting(12);
    view<float, cpu> const v(device, values.data(), {4, 3});
    CHECK_THROWS_WITH_AS(v.rows(3, 2), "shape_error: view: rows 3 to 5 are asked for, there are 4", shape_error);
    CHECK_THROWS_AS(v.rows(-1, 2), shape_error);
    CHECK_THROWS_AS(v.rows(0, -1), shape_error);
}

TEST_CASE("view: reshaping keeps the elements and refuses another number of them") {
    cpu device;
    auto values = counting(12);
    view<float, cpu> const v(device, values.data(), {4, 3});
    CHECK(v.reshaped({2, 6}).shape() == shape{2, 6});
    CHECK(v.reshaped({2, 6}).data() == values.data());
    CHECK_THROWS_WITH_AS(v.reshaped({5, 3}), "shape_error: view: [4, 3] was asked to be [5, 3], sizes must agree", shape_error);
}

TEST_CASE("view: a writable view becomes a read-only one, and nothing else converts") {
    static_assert(std::is_convertible_v<view<float, cpu>, view<float const, cpu>>);
    static_assert(!std::is_convertible_v<view<float const, cpu>, view<float, cpu>>);
    static_assert(!std::is_convertible_v<view<float, cpu>, view<double const, cpu>>);
    static_assert(!std::is_convertible_v<view<float, cpu>, view<float, other_backend>>);
    static_assert(!std::is_convertible_v<view<float, cpu>, view<float const, other_backend>>);
    cpu device;
    auto values = counting(6);
    view<float, cpu> const v(device, values.data(), {2, 3});
    view<float const, cpu> const constant = v;
    CHECK(constant.data() == values.data());
    CHECK(constant.shape() == shape{2, 3});
}

TEST_CASE("view: one that views nothing is empty") { CHECK(view<float, cpu>().empty()); }

TEST_CASE("view: require_shape names who asks and what is wrong") {
    cpu device;
    auto values = counting(6);
    view<float, cpu> const v(device, values.data(), {2, 3});
    CHECK_NOTHROW(require_shape("mlp", "x", v, {2, 3}));
    CHECK_THROWS_WITH_AS(require_shape("mlp", "x", v, {3, 2}), "shape_error: mlp: x is [2, 3], it must be [3, 2]", shape_error);
}

}  // namespace view_tests
