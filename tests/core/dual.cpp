#include <onestep/core/dual.hpp>

#include <doctest/doctest.h>

#include <onestep/core/random.hpp>

#include <algorithm>

namespace dual_tests {

using onestep::dual;

namespace {

/// Sixth-order central difference in long double: independent of the rules, good to about 1e-13.
template <class F> double quotient(F const& f, double t) {
    long double const h = 1e-3L;
    auto const d = [&](int k) { return f(t + k * h) - f(t - k * h); };
    return static_cast<double>((45 * d(1) - 9 * d(2) + d(3)) / (60 * h));
}

template <class F> void check(char const* what, F const& f, double low, double high) {
    CAPTURE(what);
    for (int i = 0; i < 200; ++i) {
        double const t = low + (high - low) * onestep::uniform(onestep::random_key{3}.at(onestep::draw::user), i);
        CAPTURE(t);
        dual const y = f(dual{t, 1});
        double const expected = quotient(f, t);
        CHECK(y.value == doctest::Approx(static_cast<double>(f(static_cast<long double>(t)))).epsilon(1e-14));
        CHECK(std::fabs(y.derivative - expected) < 1e-11 * (1 + std::fabs(expected)));
        CHECK(f(dual{t, -2.5}).derivative == doctest::Approx(-2.5 * y.derivative).epsilon(1e-14));  // the chain rule's inner factor
    }
}

}  // namespace

TEST_CASE("dual: every function against difference quotients") {
    using std::abs, std::cos, std::exp, std::expm1, std::log, std::log1p, std::pow, std::sin, std::sqrt, std::tan, std::tanh;
    check(
        "+", [](auto t) { return t + t + 3.0 + (2.0 + t); }, -2, 2);
    check(
        "-", [](auto t) { return -t - 3.0 * t - (1.0 - t); }, -2, 2);
    check(
        "*", [](auto t) { return t * t * (t - 2.0) * 3.0; }, -2, 2);
    check(
        "/", [](auto t) { return (t - 1.0) / (t * t + 1.0) + 2.0 / (t + 4.0) + t / 3.0; }, -2, 2);
    check(
        "sqrt", [](auto t) { return sqrt(t); }, 0.2, 3);
    check(
        "exp", [](auto t) { return exp(-t * t); }, -2, 2);
    check(
        "expm1", [](auto t) { return expm1(2.0 * t); }, -2, 2);
    check(
        "log", [](auto t) { return log(t * t); }, 0.2, 3);
    check(
        "log1p", [](auto t) { return log1p(t); }, -0.7, 3);
    check(
        "sin", [](auto t) { return sin(3.0 * t); }, -2, 2);
    check(
        "cos", [](auto t) { return cos(3.0 * t); }, -2, 2);
    check(
        "tan", [](auto t) { return tan(t); }, -1.2, 1.2);
    check(
        "tanh", [](auto t) { return tanh(t); }, -3, 3);
    check(
        "abs", [](auto t) { return abs(t) + abs(-t * t); }, 0.1, 2);
    check(
        "abs, below 0", [](auto t) { return abs(t); }, -2, -0.1);
    check(
        "pow, constant exponent", [](auto t) { return pow(t, 2.5) + pow(t, -1.0); }, 0.2, 3);
    check(
        "pow, constant base", [](auto t) { return pow(decltype(t)(2), t); }, -2, 2);
    check(
        "pow, both", [](auto t) { return pow(t, t * t); }, 0.3, 2);
    check(
        "all together", [](auto t) { return sqrt(1.0 + sin(t) * tanh(t) / (2.0 + cos(log1p(t * t)))); }, -2, 2);
}

TEST_CASE("dual: assignments are the operators") {
    dual const a{1.5, 2}, b{-0.25, 3};
    auto const same = [](dual x, dual y) { return x.value == y.value && x.derivative == y.derivative; };
    dual c = a;
    CHECK(same(c += b, a + b));
    c = a;
    CHECK(same(c -= b, a - b));
    c = a;
    CHECK(same(c *= b, a * b));
    c = a;
    CHECK(same(c /= b, a / b));
    CHECK(same(+a, a));
}

TEST_CASE("dual: a constant stays one where the slope is infinite or undefined") {
    CHECK(sqrt(dual{0}).derivative == 0);
    CHECK(log(dual{0}).value == -HUGE_VAL);
    CHECK(log(dual{0}).derivative == 0);
    CHECK((dual{2} / dual{0}).derivative == 0);
    CHECK(pow(dual{0, 1}, 0.0).value == 1);
    CHECK(pow(dual{0, 1}, 0.0).derivative == 0);
    CHECK(pow(dual{0, 1}, 2.0).derivative == 0);
    CHECK(pow(dual{-2, 1}, 3.0).derivative == 12);
    CHECK(sqrt(dual{0, 1}).derivative == HUGE_VAL);
}

TEST_CASE("dual: comparisons and branches look at the value") {
    dual const a{1, 7}, b{2, -7};
    CHECK(a < b);
    CHECK(a == dual{1, 0});
    CHECK(a < 1.5);
    CHECK(2.0 >= b);
    CHECK(std::max(a, b).derivative == -7);
    CHECK_FALSE(dual{std::nan("")} < a);
    CHECK(abs(dual{-3, 2}).derivative == -2);
    CHECK(fabs(dual{-3, 2}).value == 3);
    CHECK(abs(dual{0, 2}).derivative == 2);
}

TEST_CASE("dual: works at compile time") {
    constexpr dual t{3, 1};
    static_assert((t * t - 2 / t).value == 9 - 2.0 / 3);
    static_assert((t * t).derivative == 6);
}

}  // namespace dual_tests
