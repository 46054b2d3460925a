#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/time/cosine_density.hpp>

#include <string>

#include "densities.hpp"

namespace cosine_density_tests {

using namespace onestep;
using namespace onestep::test;

TEST_CASE("cosine_density: has the distribution function 2 / pi atan(t / (1 - t))") {
    auto const angle = [](double u) { return std::atan2(u, 1 - u) / std::acos(0.0); };
    check_distribution(cosine_density{}, rectified_flow{}, angle);
    check_distribution(cosine_density{}, edm{}, [&](double t) { return angle(t / 80); });
    check_distribution(cosine_density{}, variance_preserving{}, [&](double t) { return angle((t - 1e-3) / (1 - 1e-3)); });
    check_rows(cosine_density{}, rectified_flow{});
}

TEST_CASE("cosine_density: is the published map of a uniform number") {
    auto const stream = random_key{9}.at(draw::time);
    for (index_t r = 0; r < 100; ++r) {
        double const u = uniform(stream, r);
        CHECK(cosine_density{}.sample(rectified_flow{}, stream, r) ==
              doctest::Approx(1 - 1 / (std::tan(std::acos(-1.0) / 2 * u) + 1)).epsilon(1e-12));
    }
    CHECK(to_string(cosine_density{}) == "cosine_density{}");
    CHECK(cosine_density{} == cosine_density{});
}

}  // namespace cosine_density_tests
