#include <onestep/time/curriculum.hpp>

#include <onestep/time/doubling.hpp>

#include <doctest/doctest.h>

namespace curriculum_tests {

namespace {

/// A user's own: one level more at every hundredth step.
struct slow {
    static constexpr char const* name = "slow";
    onestep::index_t levels(onestep::index_t step) const { return 2 + step / 100; }
    void fields(auto&&) const {}
};
struct real_levels {
    static constexpr char const* name = "real_levels";
    double levels(onestep::index_t) const { return 2; }
    void fields(auto&&) const {}
};

}  // namespace

TEST_CASE("curriculum: anything that tells a whole number of levels for a step") {
    CHECK(onestep::curriculum<slow>);
    CHECK(onestep::curriculum<onestep::doubling>);
    CHECK_FALSE(onestep::curriculum<real_levels>);
    CHECK_FALSE(onestep::curriculum<int>);
}

}  // namespace curriculum_tests
