#include <onestep/backend/finite.hpp>
#include <onestep/core/tensor.hpp>

#include <limits>

#include <doctest/doctest.h>

#include "../test_backend.hpp"

namespace finite_tests {

using namespace onestep;

TEST_CASE("finite: counts NaN and infinity wherever they stand") {
    double const infinity = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
    for (index_t n : {1, 4096, 4097, 30'000}) {
        std::vector<double> values(static_cast<std::size_t>(n), std::numeric_limits<double>::max());
        tensor<double, test::backend_type> const clean(test::device(), {n}, values);
        CHECK(count_not_finite(clean.view()) == 0);
        CHECK_NOTHROW(require_finite("test", clean.view()));
        values.front() = nan;
        values.back() = n > 1 ? -infinity : nan;
        tensor<double, test::backend_type> const spoilt(test::device(), {n}, values);
        CHECK(count_not_finite(spoilt.view()) == (n > 1 ? 2 : 1));
    }
    tensor<double, test::backend_type> const x(test::device(), {2, 2}, {1, nan, 0, infinity});
    CHECK_THROWS_WITH_AS(require_finite("samples", x.view()),
                         "not_finite_error: samples: 2 of 4 values are NaN or infinite, all must be finite", not_finite_error);
}

}  // namespace finite_tests
