#pragma once
/// Dual numbers: arithmetic that carries a derivative along.
#include <cmath>
#include <compare>

namespace onestep {

/// value + derivative e with e^2 = 0. A function written for any scalar, called with {t, 1}, returns its value and its
/// derivative at t, both to rounding:
///
///     auto const f = [](auto t) { return exp(-t * t); };
///     f(dual{0.5, 1}).derivative;                          // -2 t exp(-t^2) at t = 0.5
///
/// Call the functions below without `std::`, so that double and dual each find their own. Comparisons look at the value
/// alone. A constant (derivative 0) stays one, even where a function's slope is infinite.
struct dual {
    double value = 0, derivative = 0;

    constexpr dual() = default;
    constexpr dual(double constant) : value(constant) {}
    constexpr dual(double at, double slope) : value(at), derivative(slope) {}

    friend constexpr dual operator+(dual a) { return a; }
    friend constexpr dual operator-(dual a) { return {-a.value, -a.derivative}; }
    friend constexpr dual operator+(dual a, dual b) { return {a.value + b.value, a.derivative + b.derivative}; }
    friend constexpr dual operator-(dual a, dual b) { return {a.value - b.value, a.derivative - b.derivative}; }
    friend constexpr dual operator*(dual a, dual b) {
        return {a.value * b.value, through(b.value, a.derivative) + through(a.value, b.derivative)};
    }
    friend constexpr dual operator/(dual a, dual b) {
        double const ratio = a.value / b.value;
        return {ratio, through(1 / b.value, a.derivative) - through(ratio / b.value, b.derivative)};
    }
    constexpr dual& operator+=(dual b) { return *this = *this + b; }
    constexpr dual& operator-=(dual b) { return *this = *this - b; }
    constexpr dual& operator*=(dual b) { return *this = *this * b; }
    constexpr dual& operator/=(dual b) { return *this = *this / b; }

    friend constexpr bool operator==(dual a, dual b) { return a.value == b.value; }
    friend constexpr std::partial_ordering operator<=>(dual a, dual b) { return a.value <=> b.value; }

    friend dual sqrt(dual a) {
        double const root = std::sqrt(a.value);
        return {root, through(0.5 / root, a.derivative)};
    }
    friend dual exp(dual a) {
        double const e = std::exp(a.value);
        return {e, through(e, a.derivative)};
    }
    friend dual expm1(dual a) { return {std::expm1(a.value), through(std::exp(a.value), a.derivative)}; }
    friend dual log(dual a) { return {std::log(a.value), through(1 / a.value, a.derivative)}; }
    friend dual log1p(dual a) { return {std::log1p(a.value), through(1 / (1 + a.value), a.derivative)}; }
    friend dual sin(dual a) { return {std::sin(a.value), through(std::cos(a.value), a.derivative)}; }
    friend dual cos(dual a) { return {std::cos(a.value), through(-std::sin(a.value), a.derivative)}; }
    friend dual tan(dual a) {
        double const tangent = std::tan(a.value);
        return {tangent, through(1 + tangent * tangent, a.derivative)};
    }
    friend dual tanh(dual a) {
        double const c = std::cosh(a.value);
        return {std::tanh(a.value), through(1 / (c * c), a.derivative)};
    }
    /// The slope at 0 is taken as 1.
    friend dual abs(dual a) { return a.value < 0 ? -a : a; }
    friend dual fabs(dual a) { return abs(a); }
    /// a^b. With a constant b any a is allowed that std::pow allows; else a > 0 is needed.
    friend dual pow(dual a, dual b) {
        double const power = std::pow(a.value, b.value);
        double const slope = b.value == 0 ? 0 : b.value * std::pow(a.value, b.value - 1);
        return {power, through(slope, a.derivative) + through(power * std::log(a.value), b.derivative)};
    }

private:
    // The chain rule, in which a derivative of 0 wins over an infinite slope.
    static constexpr double through(double slope, double derivative) { return derivative == 0 ? 0 : slope * derivative; }
};

}  // namespace onestep
