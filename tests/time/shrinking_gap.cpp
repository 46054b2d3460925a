#include <onestep/time/shrinking_gap.hpp>

#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/process/trigonometric_flow.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/time/uniform_density.hpp>

#include <doctest/doctest.h>

#include <string>

namespace shrinking_gap_tests {

using namespace onestep;

namespace {

/// A density of one noise level.
struct at_level {
    static constexpr char const* name = "at_level";
    double level = 1;
    double sample(process auto const& p, random_stream, index_t) const {
        return std::isinf(level) ? p.t_max() : time_of_noise_to_signal(p, level);
    }
    void fields(auto&&) const {}
};

}  // namespace

TEST_CASE("gap_schedule: the published values, stages 0, 2 and 7") {
    struct golden {
        double level, r[3];
    };
    golden const all[] = {{0.1, {0, 0.0400, 0.0981}}, {1, {0, 0.6061, 0.9877}}, {10, {4.9982, 8.7495, 9.9609}}, {80, {40, 70, 79.6875}}};
    index_t const step[] = {0, 2 * 25'000, 7 * 25'000};
    for (golden const& of : all)
        for (int k = 0; k < 3; ++k) CHECK(gap_schedule{}.level_before(of.level, step[k]) == doctest::Approx(of.r[k]).epsilon(2e-3));
    CHECK(gap_schedule{}.level_before(80, 24'999) == gap_schedule{}.level_before(80, 0));
    CHECK(gap_schedule{}.level_before(80, 25'000) == doctest::Approx(60).epsilon(1e-12));
}

TEST_CASE("gap_schedule: r = se (1 - n / base^(a + 1)) cut at 0") {
    gap_schedule const some{.base = 3, .stage = 10, .k = 5, .b = 0.7};
    for (double level : {0.0, 0.01, 0.4, 2.0, 30.0, 1e300})
        for (index_t step : {0, 9, 10, 25, 99}) {
            double const n = 1 + 5 / (1 + std::exp(0.7 * level)), share = 1 - n / std::pow(3, step / 10 + 1);
            CHECK(some.level_before(level, step) == doctest::Approx(share > 0 ? level * share : 0).epsilon(1e-12));
        }
    gap_schedule const tuning{.base = 256, .stage = 0};
    CHECK(tuning.level_before(80, 1'000'000) == tuning.level_before(80, 0));
    CHECK(tuning.level_before(80, 0) == doctest::Approx(80 * 255.0 / 256).epsilon(1e-12));
    CHECK(gap_schedule{.closest = 0.999}.level_before(5, 100 * 25'000) == 5 * 0.999);
    CHECK(gap_schedule{}.level_before(5, 4000 * index_t{25'000}) == 5);  // base^4001 overflows
}

TEST_CASE("shrinking_gap: s lies at that level on any process, at t_min where it is 0") {
    auto const check = [](auto const& p) {
        for (double level : {0.05, 0.3, 2.0, 9.0})
            for (index_t step : {0, 10, 35}) {
                gap_schedule const gap{.stage = 10};
                shrinking_gap const pairs{at_level{level}, gap};
                time_pair const at = pairs.sample(p, random_key{1}.at(draw::time), 0, step);
                double const r = gap.level_before(level, step);
                CHECK(at.t == time_of_noise_to_signal(p, level));
                CHECK(at.s <= at.t);
                if (r <= noise_to_signal(p, p.t_min())) CHECK(at.s == p.t_min());
                else CHECK(noise_to_signal(p, at.s) == doctest::Approx(r).epsilon(1e-9));
            }
    };
    check(edm{});
    check(rectified_flow{});
    check(trigonometric_flow{});
    check(variance_preserving{});
}

TEST_CASE("shrinking_gap: t is what its density draws, by default the log-normal one of consistency training") {
    random_stream const stream = random_key{4, 2}.at(draw::time);
    for (index_t row = 0; row < 50; ++row) {
        CHECK(shrinking_gap{}.sample(edm{}, stream, row, 0).t == log_normal{.mean = -1.1, .deviation = 2}.sample(edm{}, stream, row));
        CHECK(shrinking_gap{uniform_density{}}.sample(rectified_flow{}, stream, row, 0).t ==
              uniform_density{}.sample(rectified_flow{}, stream, row));
    }
}

TEST_CASE("shrinking_gap: refuses numbers outside their range and times without signal, and is a spec") {
    CHECK_THROWS_WITH_AS((gap_schedule{.base = 1}.level_before(1, 0)), "domain_error: gap_schedule: base is 1, it must be > 1",
                         domain_error);
    CHECK_THROWS_WITH_AS((gap_schedule{.stage = -1}.level_before(1, 0)), "domain_error: gap_schedule: stage is -1, it must not be negative",
                         domain_error);
    CHECK_THROWS_AS((gap_schedule{.k = -1}.level_before(1, 0)), domain_error);
    CHECK_THROWS_AS((gap_schedule{.closest = 0}.level_before(1, 0)), domain_error);
    random_stream const stream = random_key{1}.at(draw::time);
    CHECK_THROWS_WITH_AS(shrinking_gap{at_level{HUGE_VAL}}.sample(rectified_flow{}, stream, 0, 0),
                         "domain_error: shrinking_gap: t is 1 with alpha = 0, a share of an infinite noise level is no level",
                         domain_error);
    CHECK(time_pair_density<shrinking_gap<>, edm>);
    CHECK(to_string(shrinking_gap{}) ==
          "shrinking_gap{density = log_normal{mean = -1.1, deviation = 2}, gap = gap_schedule{base = 2, stage = 25000, k = 8, b = 1, "
          "closest = 1}}");
}

}  // namespace shrinking_gap_tests
