#include <onestep/core/math.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <limits>

namespace math_tests {

namespace math = onestep::math;

namespace {

constexpr double pi = 3.14159265358979323846;

/// |value - exact| in units of the last place of a float near `exact`.
double ulps(float value, double exact) {
    int exponent = 0;
    std::frexp(exact, &exponent);
    return std::fabs(static_cast<double>(value) - exact) / std::ldexp(1.0, exponent - 24);
}

/// Calls f with floats `stride` bit patterns apart in [low, high], both positive.
template <class F> void sweep(float low, float high, std::uint32_t stride, F f) {
    auto const first = math::bits<std::uint32_t>(low), last = math::bits<std::uint32_t>(high);
    for (std::uint64_t i = first; i <= last; i += stride) f(math::bits<float>(static_cast<std::uint32_t>(i)));
}

double worst_log(std::uint32_t stride) {
    double worst = 0;
    sweep(0x1p-126f, std::numeric_limits<float>::max(), stride, [&](float x) {
        double const exact = std::log(static_cast<double>(x));
        worst = std::fmax(worst, exact == 0 ? std::fabs(math::log(x)) * HUGE_VAL : ulps(math::log(x), exact));
    });
    return worst;
}

double worst_exp(std::uint32_t stride) {
    double worst = 0;
    sweep(0x1p-40f, 88.7f, stride, [&](float x) { worst = std::fmax(worst, ulps(math::exp(x), std::exp(static_cast<double>(x)))); });
    sweep(0x1p-40f, 87.3f, stride, [&](float x) { worst = std::fmax(worst, ulps(math::exp(-x), std::exp(-static_cast<double>(x)))); });
    return worst;
}

std::uint64_t wrong_square_roots(std::uint32_t stride) {
    std::uint64_t wrong = 0;
    sweep(0x1p-34f, 64.0f, stride, [&](float x) { wrong += math::sqrt(x) != std::sqrt(x); });
    return wrong;
}

double worst_phase(std::uint64_t stride) {
    double worst = 0;
    for (std::uint64_t phase = 0; phase < 0x100000000u; phase += stride) {
        auto const a = math::sincos_phase(static_cast<std::uint32_t>(phase));
        double const angle = 2 * pi * static_cast<double>(phase) * 0x1p-32;
        worst = std::fmax(worst, std::fmax(std::fabs(a.sin - std::sin(angle)), std::fabs(a.cos - std::cos(angle))));
    }
    return worst;
}

}  // namespace

TEST_CASE("math: log is within 1.1 ulp of every normal float tried") {
    CHECK(worst_log(997) < 1.1);
    CHECK(math::log(1.0f) == 0.0f);
    CHECK(math::log(2.0f) == doctest::Approx(std::log(2.0)).epsilon(1e-7));
    CHECK(math::log(0x1p-33f) == doctest::Approx(-33 * std::log(2.0)).epsilon(1e-7));
}

TEST_CASE("math: exp is within 1.1 ulp and clamps where it would leave the normal floats") {
    CHECK(worst_exp(499) < 1.1);
    CHECK(math::exp(0.0f) == 1.0f);
    CHECK(math::exp(-0.0f) == 1.0f);
    CHECK(math::exp(1000.0f) == math::exp(88.7f));
    CHECK(math::exp(-1000.0f) == math::exp(-87.3f));
    CHECK(math::exp(std::numeric_limits<float>::infinity()) == math::exp(88.7f));
    CHECK(math::exp(-std::numeric_limits<float>::infinity()) == math::exp(-87.3f));
    CHECK(std::isnormal(math::exp(-87.3f)));
    CHECK(std::isnormal(math::exp(88.7f)));
    CHECK(std::isnan(math::exp(std::numeric_limits<float>::quiet_NaN())));
}

TEST_CASE("math: sqrt is rounded correctly where it promises to be") {
    CHECK(wrong_square_roots(997) == 0);
    CHECK(math::sqrt(0.0f) == 0.0f);
    for (int k = -16; k <= 3; ++k) CHECK(math::sqrt(std::ldexp(1.0f, 2 * k)) == std::ldexp(1.0f, k));
    double worst = 0;  // the wider range: last place at most
    sweep(0x1p-100f, 0x1p100f, 997, [&](float x) { worst = std::fmax(worst, ulps(math::sqrt(x), std::sqrt(static_cast<double>(x)))); });
    CHECK(worst < 1);
}

TEST_CASE("math: sincos_phase is within 1.1e-7 and exact at quarter turns") {
    CHECK(worst_phase(4099) < 1.1e-7);
    float const sines[] = {0, 1, 0, -1}, cosines[] = {1, 0, -1, 0};
    for (std::uint32_t quarter = 0; quarter < 4; ++quarter) {
        auto const a = math::sincos_phase(quarter << 30);
        CHECK(a.sin == sines[quarter]);
        CHECK(a.cos == cosines[quarter]);
    }
}

TEST_CASE("math: sincos_turns is within 2e-7 and sincos within 3e-7 over their ranges") {
    double worst_turns = 0, worst_radians = 0;
    for (float sign : {-1.0f, 1.0f}) {
        sweep(0x1p-30f, 0x1.fffffep21f, 1999, [&](float x) {
            auto const a = math::sincos_turns(sign * x);
            double const turns = std::remainder(static_cast<double>(sign * x), 1.0);
            worst_turns =
                std::fmax(worst_turns, std::fmax(std::fabs(a.sin - std::sin(2 * pi * turns)), std::fabs(a.cos - std::cos(2 * pi * turns))));
        });
        sweep(0x1p-30f, 0x1.fffffep23f, 1999, [&](float x) {
            auto const a = math::sincos(sign * x);
            auto const exact = static_cast<double>(sign * x);
            worst_radians = std::fmax(worst_radians, std::fmax(std::fabs(a.sin - std::sin(exact)), std::fabs(a.cos - std::cos(exact))));
        });
    }
    CHECK(worst_turns < 2e-7);
    CHECK(worst_radians < 3e-7);
    CHECK(math::sincos(0.0f).sin == 0);
    CHECK(math::sincos(0.0f).cos == 1);
}

TEST_CASE("math: sigmoid") {
    CHECK(math::sigmoid(0.0f) == 0.5f);
    CHECK(math::sigmoid(0.0) == 0.5);
    double worst = 0;
    for (float x = -80; x <= 80; x += 0.0625f)
        worst = std::fmax(worst, std::fabs(math::sigmoid(x) * (1 + std::exp(-static_cast<double>(x))) - 1));
    CHECK(worst < 3e-7);  // exp, an addition and a division, relative
    CHECK(math::sigmoid(-1000.0f) >= 0);
    CHECK(math::sigmoid(1000.0f) == 1);
}

TEST_CASE("math: the double versions are libm's") {
    for (double x : {0.1, 1.0, 2.5, 30.0}) {
        CHECK(math::log(x) == std::log(x));
        CHECK(math::exp(-x) == std::exp(-x));
        CHECK(math::sqrt(x) == std::sqrt(x));
        CHECK(math::sincos(x).sin == std::sin(x));
        CHECK(math::sincos(x).cos == std::cos(x));
        CHECK(math::sincos_turns(x).sin == doctest::Approx(std::sin(2 * pi * x)).epsilon(1e-12));
        CHECK(math::fma(x, x, -x) == std::fma(x, x, -x));
        CHECK(math::divide(x, 3.0) == x / 3.0);
    }
}

TEST_CASE("math: bits and fma") {
    CHECK(math::bits<std::uint32_t>(1.0f) == 0x3f800000u);
    CHECK(math::bits<float>(0x40490fdbu) == 3.14159274f);
    float const a = 1 + 0x1p-12f;
    CHECK(math::fma(a, a, -1.0f) == 0x1p-11f + 0x1p-24f);  // rounded once: the product's last bit survives
    CHECK(math::divide(1.0f, 3.0f) == 1.0f / 3.0f);
}

TEST_CASE("math: every square root in the promised range and dense sweeps of the rest, slow") {
    CHECK(wrong_square_roots(1) == 0);
    CHECK(worst_log(11) < 1.1);
    CHECK(worst_exp(7) < 1.1);
    CHECK(worst_phase(61) < 1.1e-7);
}

}  // namespace math_tests
