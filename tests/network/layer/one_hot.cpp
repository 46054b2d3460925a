#include <doctest/doctest.h>
#include <onestep/network/layer/one_hot.hpp>

#include "test_backend.hpp"

namespace onestep::one_hot_tests {
namespace {

using test::backend_type;
using test::device;

TEST_CASE("one_hot: a one at the label, or in the last column where there are no labels") {
    tensor<std::int32_t, backend_type> const labels(device(), {3}, {2, 0, 1});
    tensor<float, backend_type> out(device(), {3, 4}, std::vector<float>(12, 99.0f));
    device().for_each_pair(3, 4, layer::functor::one_hot<float>{labels.data(), out.data(), 4});
    CHECK(out.to_host() == std::vector<float>{0, 0, 1, 0, 1, 0, 0, 0, 0, 1, 0, 0});
    device().for_each_pair(3, 4, layer::functor::one_hot<float>{nullptr, out.data(), 4});
    CHECK(out.to_host() == std::vector<float>{0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1});
}

}  // namespace
}  // namespace onestep::one_hot_tests
