#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/process/variance_exploding.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/time/noise_ladder.hpp>

#include <doctest/doctest.h>

#include <cmath>

namespace noise_ladder_tests {

using namespace onestep;

TEST_CASE("noise_ladder: spans the process's levels, its last one apart where it ends without noise") {
    auto const whole = noise_ladder::of("test", edm{}, 80, 0, 10, 0, 0);
    CHECK(whole.first == 80);
    CHECK(whole.last == 0.002);
    CHECK(whole.intervals == 9);
    CHECK(whole.starts_with_process);
    auto const part = noise_ladder::of("test", edm{}, 80, 0, 10, 5, 0.1);
    CHECK(part.first == 5);
    CHECK(part.last == 0.1);
    CHECK_FALSE(part.starts_with_process);
    auto const noisy = noise_ladder::of("test", variance_exploding{}, 1, 0, 10, 0, 0);
    CHECK(noisy.last == doctest::Approx(0.01).epsilon(1e-15));
    CHECK(noisy.intervals == 10);
    CHECK(noise_ladder::of("test", rectified_flow{}, 1, 0, 3, 80, 0).last == 0.002);
}

TEST_CASE("noise_ladder: a given maximum that rounds to the process's is the process's") {
    double const level = noise_to_signal(variance_preserving{}, 1);
    CHECK(noise_ladder::of("test", variance_preserving{}, 1, 0, 3, level * (1 + 1e-15), 0.01).starts_with_process);
    CHECK(noise_ladder::of("test", variance_preserving{}, 1, 0, 3, level * (1 - 1e-15), 0.01).starts_with_process);
    CHECK_FALSE(noise_ladder::of("test", variance_preserving{}, 1, 0, 3, level * (1 - 1e-9), 0.01).starts_with_process);
    CHECK_THROWS_AS(noise_ladder::of("test", variance_preserving{}, 1, 0, 3, level * (1 + 1e-9), 0.01), domain_error);
}

TEST_CASE("noise_ladder: rungs are asked for by their fraction") {
    auto const ladder = noise_ladder::of("test", edm{}, 80, 0, 5, 10, 2);
    auto const level = [](double fraction) { return 10 - 8 * fraction; };
    CHECK(ladder.time(edm{}, 80, 0, 5, 0, level) == 10);
    CHECK(ladder.time(edm{}, 80, 0, 5, 1, level) == 8);
    CHECK(ladder.time(edm{}, 80, 0, 5, 4, level) == 2);
    CHECK(ladder.time(edm{}, 80, 0, 5, 5, level) == 0);
}

}  // namespace noise_ladder_tests
