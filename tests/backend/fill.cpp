#include <onestep/backend/fill.hpp>
#include <onestep/core/tensor.hpp>

#include <doctest/doctest.h>

#include "../test_backend.hpp"

namespace fill_tests {

using namespace onestep;

TEST_CASE("fill: overwrites every element of a view and none beside it") {
    for (index_t n : {1, 7, 1000, 20'001}) {
        tensor<float, test::backend_type> x(test::device(), {n + 2}, std::vector<float>(static_cast<std::size_t>(n + 2), 5.0f));
        fill(x.view().rows(1, n), -0.25f);
        auto const values = x.to_host();
        CHECK(values.front() == 5.0f);
        CHECK(values.back() == 5.0f);
        for (index_t i = 1; i <= n; ++i) REQUIRE(values[static_cast<std::size_t>(i)] == -0.25f);
    }
}

}  // namespace fill_tests
