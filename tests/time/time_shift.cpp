#include <onestep/time/time_shift.hpp>

#include <doctest/doctest.h>

#include <cmath>

namespace time_shift_tests {

using onestep::domain_error;
using onestep::shifted_time;

TEST_CASE("time_shift: multiplies the noise-to-signal level of the straight path") {
    for (double shift : {0.5, 1.0, 3.0, 6.0})
        for (double t : {1e-9, 0.1, 0.5, 0.8, 0.999}) {
            double const s = shifted_time("test", shift, 0, 1, t);
            CHECK(s / (1 - s) == doctest::Approx(shift * t / (1 - t)).epsilon(1e-12));
        }
    CHECK(shifted_time("test", 3, 0, 1, 0.5) == 0.75);
}

TEST_CASE("time_shift: ends stay, 1 changes nothing, two shifts multiply") {
    CHECK(shifted_time("test", 3, 0, 1, 0) == 0);
    CHECK(shifted_time("test", 3, 0, 1, 1) == 1);
    CHECK(shifted_time("test", 3, 0.1, 0.7, 0.1) == 0.1);
    CHECK(shifted_time("test", 3, 0.1, 0.7, 0.7) == 0.7);
    CHECK(shifted_time("test", 3, 0.2, 0.6, 0.4) == doctest::Approx(0.5).epsilon(1e-15));  // halfway goes to three quarters of the range
    for (double t : {0.2, 0.9}) {
        CHECK(shifted_time("test", 1, 0, 1, t) == doctest::Approx(t).epsilon(1e-15));
        CHECK(shifted_time("test", 2, 0, 1, shifted_time("test", 3, 0, 1, t)) ==
              doctest::Approx(shifted_time("test", 6, 0, 1, t)).epsilon(1e-14));
    }
}

TEST_CASE("time_shift: refuses shifts that are not positive and times outside of the unit range") {
    CHECK_THROWS_WITH_AS(shifted_time("test", 0, 0, 1, 0.5), "domain_error: test: shift is 0, it must be > 0", domain_error);
    CHECK_THROWS_AS(shifted_time("test", std::nan(""), 0, 1, 0.5), domain_error);
    CHECK_THROWS_WITH_AS(shifted_time("test", 3, 0, 80, 0.5),
                         "domain_error: test: the process runs on [0, 80], a shift is defined on times in [0, 1]", domain_error);
    CHECK_THROWS_AS(shifted_time("test", 3, -0.1, 1, 0.5), domain_error);
    CHECK_THROWS_AS(shifted_time("test", 3, 0.5, 0.5, 0.5), domain_error);
}

}  // namespace time_shift_tests
