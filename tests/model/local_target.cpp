#include <onestep/model/ddim_rule.hpp>
#include <onestep/model/local_target.hpp>
#include <onestep/target/trig_velocity.hpp>

#include <doctest/doctest.h>

namespace local_target_tests {

using namespace onestep;

namespace {

/// A rule that says nothing about s = t.
struct silent_rule {
    static constexpr char const* name = "silent_rule";
    conversion at(marginal const& t, marginal const& s) const { return {1, s.t - t.t}; }
    void fields(auto&&) const {}
};

}  // namespace

TEST_CASE("local_target: of an average velocity the velocity, of other rules what they say") {
    CHECK(std::same_as<decltype(local_target_of(average_velocity{})), velocity>);
    CHECK(local_target_of(ddim_rule{trig_velocity{0.3}}) == trig_velocity{0.3});
    CHECK(has_local_target<average_velocity>);
    CHECK(has_local_target<ddim_rule<>>);
    CHECK(map_rule<silent_rule>);
    CHECK_FALSE(has_local_target<silent_rule>);
}

}  // namespace local_target_tests
