#pragma once
/// Elementary functions with the same bits everywhere.
///
/// The float versions consist of integer operations, +, *, fma and conversions alone, all fixed by IEEE 754, and no
/// product ever feeds an addition outside fma, so that neither -ffp-contract nor the compiler, the instruction set or
/// a GPU changes a result. They inline and vectorise, which libm's do not. Under -ffast-math the promise is off.
/// The double versions are libm's: accurate, for reference runs and gradient checks.
#include <cmath>
#include <cstdint>

#include "host_device.hpp"

namespace onestep::math {

/// The value of another type with the same bits.
template <class To, class From> ONESTEP_HD constexpr To bits(From from) { return __builtin_bit_cast(To, from); }

/// a b + c, rounded once.
ONESTEP_HD_INLINE float fma(float a, float b, float c) {
#if defined(__CUDA_ARCH__)
    return __fmaf_rn(a, b, c);
#else
    return __builtin_fmaf(a, b, c);
#endif
}
ONESTEP_HD_INLINE double fma(double a, double b, double c) { return ::fma(a, b, c); }

/// a / b, correctly rounded.
ONESTEP_HD_INLINE float divide(float a, float b) {
#if defined(__CUDA_ARCH__)
    return __fdiv_rn(a, b);
#else
    return a / b;
#endif
}
ONESTEP_HD_INLINE double divide(double a, double b) { return a / b; }

/// Square root, correctly rounded in [2^-34, 64] (every float there was compared); 0 for 0. For zero or 2^-100 <= x <= 2^100.
/// A bit-level guess and Newton steps: libm's sets errno and so keeps compilers from vectorising.
ONESTEP_HD_INLINE float sqrt(float x) {
    float y = bits<float>(0x5f375a86 - (bits<std::int32_t>(x) >> 1));  // about 1 / sqrt(x)
    float const h = -0.5f * x;
    y = y * fma(h * y, y, 1.5f);
    y = y * fma(h * y, y, 1.5f);
    y = y * fma(h * y, y, 1.5f);
    float const s = x * y;
    return fma(fma(-s, s, x), 0.5f * y, s);
}
ONESTEP_HD_INLINE double sqrt(double x) { return ::sqrt(x); }

/// Natural logarithm of a positive normal float, within 1.1 ulp.
ONESTEP_HD_INLINE float log(float u) {
    auto const i = bits<std::int32_t>(u);
    std::int32_t const e = (i - 0x3f3504f3) >> 23;  // the mantissa goes to [sqrt(1/2), sqrt(2))
    float const f = bits<float>(i - e * (1 << 23)) - 1.0f;
    float q = -7.637512492e-02f;
    q = fma(q, f, 1.291354441e-01f);
    q = fma(q, f, -1.324101729e-01f);
    q = fma(q, f, 1.418020923e-01f);
    q = fma(q, f, -1.660911835e-01f);
    q = fma(q, f, 2.000206242e-01f);
    q = fma(q, f, -2.500158521e-01f);
    q = fma(q, f, 3.333332427e-01f);
    q = fma(q, f, -4.999998829e-01f);
    return fma(static_cast<float>(e), 6.931471806e-01f, fma(f * f, q, f));
}
ONESTEP_HD_INLINE double log(double u) { return ::log(u); }

/// 2^k for -126 <= k <= 127; other k give some float.
ONESTEP_HD_INLINE float power_of_two(std::int32_t k) { return bits<float>(static_cast<std::uint32_t>(k + 127) << 23); }

/// e^x within 1.1 ulp; x is clamped to [-87.3, 88.7], where the result stays normal. NaN stays NaN.
ONESTEP_HD_INLINE float exp(float x) {
    x = x < -87.3f ? -87.3f : (x > 88.7f ? 88.7f : x);
    float const shifted = fma(x, 1.442695041f, 12582912.0f);  // 1.5 * 2^23 rounds to the nearest integer
    float const k = shifted - 12582912.0f;
    float const r = fma(k, -1.428606820e-06f, fma(k, -6.931457520e-01f, x));
    float q = 1.394644656e-03f;
    q = fma(q, r, 8.369151694e-03f);
    q = fma(q, r, 4.166626314e-02f);
    q = fma(q, r, 1.666651599e-01f);
    q = fma(q, r, 5.000000081e-01f);
    float const p = fma(r * r, q, r) + 1.0f;
    std::int32_t const n = bits<std::int32_t>(shifted) - 0x4b400000;
    std::int32_t const half = n >> 1;  // two factors, so that 2^128 is never formed
    return p * power_of_two(half) * power_of_two(n - half);
}
ONESTEP_HD_INLINE double exp(double x) { return ::exp(x); }

/// A sine and cosine.
template <class T> struct sin_cos { T sin, cos; };

/// sin and cos of 2 pi phase / 2^32, within 1.1e-7. The reduction is exact because it is done on integers.
ONESTEP_HD_INLINE sin_cos<float> sincos_phase(std::uint32_t phase) {
    std::uint32_t const quadrant = (phase + 0x20000000u) >> 30;
    auto const rest = static_cast<std::int32_t>(phase - (quadrant << 30));  // [-2^29, 2^29)
    float const t = static_cast<float>(rest) * 0x1p-31f;                    // half turns, |t| <= 1/4
    float const s = t * t;
    float a = -5.890768774e-01f;
    a = fma(a, s, 2.549767131e+00f);
    a = fma(a, s, -5.167707825e+00f);
    a = fma(a, s, 3.141592644e+00f);
    float const sine = a * t;
    float b = 2.314177131e-01f;
    b = fma(b, s, -1.335056946e+00f);
    b = fma(b, s, 4.058707844e+00f);
    b = fma(b, s, -4.934802173e+00f);
    float const cosine = fma(b, s, 1.0f);
    bool const swap = (quadrant & 1u) != 0;
    float const first = swap ? cosine : sine, second = swap ? sine : cosine;
    return {bits<float>(bits<std::uint32_t>(first) ^ ((quadrant & 2u) << 30)),
            bits<float>(bits<std::uint32_t>(second) ^ (((quadrant + 1u) & 2u) << 30))};
}

/// sin and cos of 2 pi turns, |turns| < 2^22.
ONESTEP_HD_INLINE sin_cos<float> sincos_turns(float turns) {
    turns = fma(turns, 1.0f, 0.0f);  // so that a caller's product is not joined with the additions that follow
    float const whole = (turns + 12582912.0f) - 12582912.0f;
    return sincos_phase(static_cast<std::uint32_t>(static_cast<std::int32_t>((turns - whole) * 0x1p30f)) << 2);
}
ONESTEP_HD_INLINE sin_cos<double> sincos_turns(double turns) {
    double const angle = 6.283185307179586 * turns;
    return {::sin(angle), ::cos(angle)};
}

/// sin and cos of x radians, |x| < 2^24. The error is that of x itself plus 3e-7: the turn is formed in two parts.
ONESTEP_HD_INLINE sin_cos<float> sincos(float x) {
    constexpr float per_turn = 1.591549367e-01f, rest = 6.420638243e-09f;  // 1 / (2 pi) in two parts
    float const turns = fma(x, per_turn, 0.0f);  // an fma, so that no compiler joins it with the additions that follow
    float const whole = (turns + 12582912.0f) - 12582912.0f;
    float const fraction = (turns - whole) + fma(x, rest, fma(x, per_turn, -turns));
    return sincos_phase(static_cast<std::uint32_t>(static_cast<std::int32_t>(fraction * 0x1p30f)) << 2);
}
ONESTEP_HD_INLINE sin_cos<double> sincos(double x) { return {::sin(x), ::cos(x)}; }

/// 1 / (1 + e^-x).
template <class T> ONESTEP_HD_INLINE T sigmoid(T x) { return divide(T(1), T(1) + exp(-x)); }

}  // namespace onestep::math
