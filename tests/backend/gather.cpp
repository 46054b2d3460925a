#include <onestep/backend/gather.hpp>

#include <doctest/doctest.h>

#include "../test_backend.hpp"

namespace gather_tests {

using namespace onestep;
using namespace onestep::test;

TEST_CASE("gather: writes the rows that an index names, repeated ones too") {
    tensor<float, backend_type> const in(device(), {3, 2}, {0, 1, 10, 11, 20, 21});
    tensor<std::int32_t, backend_type> const index(device(), {4}, {2, 0, 2, 1});
    tensor<float, backend_type> out(device(), {4, 2});
    device().for_each_pair(4, 2, functor::gather<float>{in.data(), index.data(), out.data(), 2});
    CHECK(out.to_host() == std::vector<float>{20, 21, 0, 1, 20, 21, 10, 11});
}

}  // namespace gather_tests
