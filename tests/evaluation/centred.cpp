#include <onestep/evaluation/centred.hpp>

#include <doctest/doctest.h>

#include <vector>

#include "test_backend.hpp"

namespace centred_tests {

using onestep::index_t;
using onestep::tensor;
using onestep::test::backend_type;
using onestep::test::device;
namespace evaluation = onestep::evaluation;

TEST_CASE("centred: means of columns, and rows without them") {
    tensor<float, backend_type> const x(device(), {3, 2, 1}, {1, 10, 2, 20, 6, 60});
    auto const mean = evaluation::mean_of(evaluation::view_of(x));
    CHECK(mean.to_host() == std::vector<double>{3, 30});
    tensor<double, backend_type> out(device(), {2, 2});
    evaluation::centre(evaluation::view_of(x).rows(1, 2), mean, out.data());
    CHECK(out.to_host() == std::vector<double>{-1, -10, 3, 30});
}

TEST_CASE("centred: sums of floats are formed in double") {
    // 2^24 + 1 is no float: a sum of floats would stay at 2^24.
    tensor<float, backend_type> const x(device(), {4, 1}, {16777216, 1, 1, 2});
    CHECK(evaluation::mean_of(evaluation::view_of(x)).to_host()[0] == 16777220 / 4.0);
    // A float next to a mean that is no float.
    tensor<float, backend_type> const y(device(), {2, 1}, {16777216, 16777218});
    auto const mean = evaluation::mean_of(evaluation::view_of(y));
    tensor<double, backend_type> out(device(), {2, 1});
    evaluation::centre(evaluation::view_of(y), mean, out.data());
    CHECK(out.to_host() == std::vector<double>{-1, 1});
}

TEST_CASE("centred: blocks fill their room and are never empty") {
    CHECK(evaluation::centred_rows(50, 64, 1024) == 50);
    CHECK(evaluation::centred_rows(50000, 64, 1024) == 1024);
    CHECK(evaluation::centred_rows(50000, 16384, 1024) == 128);
    CHECK(evaluation::centred_rows(50000, 4096, 1024) == 512);
    CHECK(evaluation::centred_rows(50000, 200000, 1024) == 128);
    CHECK(evaluation::centred_rows(7, 200000, 1024) == 7);
}

}  // namespace centred_tests
