#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/time/noise_decrement.hpp>

#include <doctest/doctest.h>

namespace noise_decrement_tests {

using namespace onestep;

TEST_CASE("noise_decrement: u lies a constant of noise level below t, but not before s") {
    // On rectified flow the level is t / (1 - t), its inverse e / (1 + e).
    noise_decrement const triples{uniform_below{}, 160.0, 8};
    random_stream const stream = random_key{3, 4}.at(draw::time);
    double const step = 160.0 / 256;
    int held = 0, free = 0;
    for (index_t r = 0; r < 2000; ++r) {
        time_triple const at = triples.sample(rectified_flow{}, stream, r, 0);
        time_pair const pair = uniform_below{}.sample(rectified_flow{}, stream, r, 0);
        CHECK(at.t == pair.t);
        CHECK(at.s == pair.s);
        double const level = at.t / (1 - at.t) - step, lower = level > 0 ? level / (1 + level) : 0;
        CHECK(at.u == doctest::Approx(std::fmax(at.s, lower)).epsilon(1e-12));
        ++(at.u == at.s ? held : free);
    }
    CHECK(held > 100);
    CHECK(free > 100);
}

TEST_CASE("noise_decrement: the same in noise levels on other processes, and a least gap in time") {
    auto const check = [](auto const& p) {
        for (index_t r = 0; r < 200; ++r) {
            time_triple const at = noise_decrement{uniform_below{0.01, 0.9}, 40.0, 6}.sample(p, random_key{3}.at(draw::time), r, 0);
            CHECK((p.t_min() <= at.s && at.s <= at.u && at.u <= at.t && at.t <= p.t_max()));
            double const from = noise_to_signal(p, at.t);
            if (at.u > at.s) CHECK(noise_to_signal(p, at.u) == doctest::Approx(from - 40.0 / 64).epsilon(1e-6));
            else CHECK(noise_to_signal(p, at.u) >= from - 40.0 / 64 - 1e-9);
        }
    };
    check(edm{});
    check(variance_preserving<>{});
    for (index_t r = 0; r < 200; ++r) {
        time_triple const at = noise_decrement{uniform_below{}, 1e-6, 0, 0.1}.sample(rectified_flow{}, random_key{3}.at(draw::time), r, 0);
        CHECK(at.u == std::fmax(at.s, at.t - 0.1));
    }
}

TEST_CASE("noise_decrement: refuses numbers outside their range, and is a triple density and a spec") {
    auto const draw_of = [](auto const& triples) { return triples.sample(rectified_flow{}, random_key{}.at(draw::time), 0, 0); };
    CHECK_THROWS_WITH(
        draw_of(noise_decrement{uniform_below{}, 0.0, -1}),
        "domain_error: noise_decrement: range is 0, halvings is -1 and gap is 0, range > 0, halvings >= 0 and gap >= 0 are needed");
    CHECK_THROWS_AS(draw_of(noise_decrement{uniform_below{}, 160.0, 12, -0.1}), domain_error);
    CHECK(time_triple_density<noise_decrement<>, rectified_flow>);
    CHECK(to_string(noise_decrement{}) ==
          "noise_decrement{pairs = uniform_below{begin = 0, end = 0.994}, range = 160, halvings = 12, gap = 0}");
}

}  // namespace noise_decrement_tests
