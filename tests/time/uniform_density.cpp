#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/time/uniform_density.hpp>

#include "densities.hpp"

namespace uniform_density_tests {

using namespace onestep;
using namespace onestep::test;

TEST_CASE("uniform_density: is uniform on the process's range") {
    check_distribution(uniform_density{}, rectified_flow{}, [](double t) { return t; });
    check_distribution(uniform_density{}, edm{}, [](double t) { return t / 80; });
    check_distribution(uniform_density{}, variance_preserving{}, [](double t) { return (t - 1e-3) / (1 - 1e-3); });
    check_rows(uniform_density{}, rectified_flow{});
}

TEST_CASE("uniform_density: is a spec, and takes its number from the stream") {
    auto const stream = random_key{9}.at(draw::time);
    for (index_t r = 0; r < 20; ++r) CHECK(uniform_density{}.sample(rectified_flow{}, stream, r) == uniform(stream, r));
    CHECK(to_string(uniform_density{}) == "uniform_density{}");
    CHECK(uniform_density{} == uniform_density{});
}

}  // namespace uniform_density_tests
