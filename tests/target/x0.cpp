#include <onestep/target/x0.hpp>

#include <doctest/doctest.h>

#include <string>

namespace x0_tests {

TEST_CASE("x0: the output is the clean sample at every time") {
    for (double t : {0.0, 0.3, 1.0}) {
        auto const w = onestep::x0{}.weights({t, 1 - t, t, -1, 1});
        CHECK(w.x0 == 1);
        CHECK(w.epsilon == 0);
    }
    CHECK(onestep::target<onestep::x0>);
    CHECK(to_string(onestep::x0{}) == "x0{}");
    CHECK(onestep::x0{} == onestep::x0{});
}

}  // namespace x0_tests
