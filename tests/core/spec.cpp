#include <onestep/core/spec.hpp>

#include <doctest/doctest.h>

#include <cstdlib>
#include <limits>
#include <string>

namespace spec_tests {

namespace {

struct inner {
    static constexpr char const* name = "inner";
    double rate = 2e-4;
    void fields(auto&& visit) const { visit("rate", rate); }
};
struct outer {
    static constexpr char const* name = "outer";
    int steps = 8;
    bool last = true;
    unsigned long long seed = 18446744073709551615u;
    std::string file = "a.png";
    inner part;
    void fields(auto&& visit) const {
        visit("steps", steps);
        visit("last", last);
        visit("seed", seed);
        visit("kind", "plain");
        visit("file", file);
        visit("part", part);
    }
};
struct bare {
    static constexpr char const* name = "bare";
    void fields(auto&&) const {}
};
struct nameless {
    void fields(auto&&) const {}
};
struct fieldless {
    static constexpr char const* name = "fieldless";
};

}  // namespace

TEST_CASE("spec: a name and fields make a spec") {
    CHECK(onestep::spec<inner>);
    CHECK(onestep::spec<bare>);
    CHECK_FALSE(onestep::spec<nameless>);
    CHECK_FALSE(onestep::spec<fieldless>);
    CHECK_FALSE(onestep::spec<double>);
}

TEST_CASE("spec: prints its name and its fields") {
    CHECK(onestep::to_string(bare{}) == "bare{}");
    CHECK(onestep::to_string(inner{}) == "inner{rate = 0.0002}");
    CHECK(onestep::to_string(outer{}) ==
          "outer{steps = 8, last = true, seed = 18446744073709551615, kind = plain, file = a.png, part = inner{rate = 0.0002}}");
}

TEST_CASE("spec: a number is the shortest text that reads back as itself") {
    CHECK(onestep::to_string(0.1) == "0.1");
    CHECK(onestep::to_string(1.0) == "1");
    CHECK(onestep::to_string(-0.5) == "-0.5");
    CHECK(onestep::to_string(0.0) == "0");
    CHECK(onestep::to_string(1e300) == "1e+300");
    CHECK(onestep::to_string(0.1 + 0.2) == "0.30000000000000004");
    for (double value : {1.0 / 3, 2.0 / 3 * 1e-200, 6.02214076e23, 5e-324, std::numeric_limits<double>::max()})
        CHECK(std::strtod(onestep::to_string(value).c_str(), nullptr) == value);
    CHECK(onestep::to_string(std::numeric_limits<double>::infinity()) == "inf");
    CHECK(onestep::to_string(std::numeric_limits<double>::quiet_NaN()).find("nan") != std::string::npos);
}

}  // namespace spec_tests
