#include <onestep/target/epsilon.hpp>

#include <doctest/doctest.h>

#include <string>

namespace epsilon_tests {

TEST_CASE("epsilon: the output is the noise at every time") {
    for (double t : {0.0, 0.3, 1.0}) {
        auto const w = onestep::epsilon{}.weights({t, 1 - t, t, -1, 1});
        CHECK(w.x0 == 0);
        CHECK(w.epsilon == 1);
    }
    CHECK(onestep::target<onestep::epsilon>);
    CHECK(to_string(onestep::epsilon{}) == "epsilon{}");
    CHECK(onestep::epsilon{} == onestep::epsilon{});
}

}  // namespace epsilon_tests
