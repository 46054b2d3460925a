#include <doctest/doctest.h>
#include <onestep/network/layer/pass.hpp>

#include "test_backend.hpp"

namespace onestep::pass_tests {
namespace {

using test::backend_type;
using test::device;

TEST_CASE("pass: what it takes lies in the network's pool and goes back there") {
    pool<backend_type> memory(device());
    layer::pass<float, backend_type> const run{device(), memory, nullptr, nullptr, 3};
    CHECK(run.tangents == 0);
    CHECK(run.dropped == nullptr);
    float* first = nullptr;
    {
        auto const piece = run.take(100);
        first = piece.data();
        CHECK(run.take(100).data() != first);
    }
    CHECK(run.take(100).data() == first);
}

}  // namespace
}  // namespace onestep::pass_tests
