#pragma once
#include <cmath>
#include <concepts>
#include <utility>

#include "../core/dual.hpp"
#include "../core/error.hpp"
#include "../core/spec.hpp"
#include "concept.hpp"

namespace onestep {

/// Where a process is defined: from the data end to the noise end.
struct time_range {
    double from = 0, to = 1;
    friend bool operator==(time_range const&, time_range const&) = default;
};

/// A callable that takes a time and gives a number.
template <class F>
concept real_function = requires(F const& f, double t) {
    { f(t) } -> std::convertible_to<double>;
};
/// The same for any scalar: double and dual are the two that the library asks for.
template <class F>
concept scalar_function = requires(F const& f, double t, dual d) {
    { f(t) } -> std::convertible_to<double>;
    { f(d) } -> std::convertible_to<dual>;
};

/// Stands for the derivative of a `scalar_function`, taken by dual numbers.
template <class F> struct derivative_of {
    F function;
    double operator()(double t) const { return dual(function(dual{t, 1})).derivative; }
};

/// A process from alpha and sigma alone, written once for any scalar:
///
///     custom_process quadratic{[](auto t) { return 1 - t * t; }, [](auto t) { return t; }};
///     custom_process half_turn{[](auto t) { return cos(t); }, [](auto t) { return sin(t); }, {.from = 0, .to = 1.5}, "half turn"};
///
/// Call sin, sqrt, exp, ... without `std::` (core/dual.hpp has the list); a number may be returned as it is. Derivatives
/// come from dual numbers, to rounding; give them as third and fourth callable to have them your own way, and
/// alpha and sigma need then only take double. alpha must be >= 0 and sigma >= 0, and sigma/alpha must grow over the range.
///
/// `time_of_log_snr` is Newton's iteration inside a shrinking bracket, to the last bits of t: about 10 steps, each
/// of one log-SNR and its slope; more where t is many powers of two below the range. The constructor throws domain_error
/// for a range that is empty or infinite; `time_of_log_snr` throws it for a log-SNR that the range does not reach. The label
/// appears in texts and checkpoints and must outlive the process.
template <class Alpha, class Sigma, real_function AlphaDerivative = derivative_of<Alpha>,
          real_function SigmaDerivative = derivative_of<Sigma>>
class custom_process {
public:
    static constexpr char const* name = "custom_process";

    custom_process(Alpha alpha, Sigma sigma, time_range range = {},
                   char const* label = "unnamed") requires scalar_function<Alpha> && scalar_function<Sigma>
        : custom_process(alpha, sigma, derivative_of<Alpha>{alpha}, derivative_of<Sigma>{sigma}, range, label) {}

    custom_process(Alpha alpha, Sigma sigma, AlphaDerivative alpha_derivative, SigmaDerivative sigma_derivative, time_range range = {},
                   char const* label = "unnamed")
        : alpha_(std::move(alpha)), sigma_(std::move(sigma)), alpha_derivative_(std::move(alpha_derivative)),
          sigma_derivative_(std::move(sigma_derivative)), range_(range), label_(label) {
        if (!(range.from < range.to && range.from > -HUGE_VAL && range.to < HUGE_VAL))
            raise<domain_error>(called(), "the range goes from " + to_string(range.from) + " to " + to_string(range.to),
                                "it must be finite and not empty");
    }

    double alpha(double t) const { return alpha_(t); }
    double sigma(double t) const { return sigma_(t); }
    double alpha_derivative(double t) const { return alpha_derivative_(t); }
    double sigma_derivative(double t) const { return sigma_derivative_(t); }
    /// 2 log(alpha / sigma): +infinity where sigma <= 0 (rounding may go below), -infinity where alpha <= 0.
    double log_snr(double t) const {
        double const a = alpha(t), s = sigma(t);
        if (a != a || s != s) return a + s;
        return s <= 0 ? HUGE_VAL : a <= 0 ? -HUGE_VAL : 2 * (std::log(a) - std::log(s));
    }
    double time_of_log_snr(double value) const;
    double t_min() const { return range_.from; }
    double t_max() const { return range_.to; }

    /// Two processes of lambdas that differ in what they compute are told apart by their labels alone.
    void fields(auto&& visit) const {
        visit("label", label_);
        visit("from", range_.from);
        visit("to", range_.to);
    }

private:
    std::string called() const { return std::string(name) + " (" + label_ + ")"; }

    Alpha alpha_;
    Sigma sigma_;
    AlphaDerivative alpha_derivative_;
    SigmaDerivative sigma_derivative_;
    time_range range_;
    char const* label_;
};

template <class Alpha, class Sigma> custom_process(Alpha, Sigma) -> custom_process<Alpha, Sigma>;
template <class Alpha, class Sigma> custom_process(Alpha, Sigma, time_range) -> custom_process<Alpha, Sigma>;
template <class Alpha, class Sigma> custom_process(Alpha, Sigma, time_range, char const*) -> custom_process<Alpha, Sigma>;

template <class Alpha, class Sigma, real_function AlphaDerivative, real_function SigmaDerivative>
double custom_process<Alpha, Sigma, AlphaDerivative, SigmaDerivative>::time_of_log_snr(double value) const {
    double low = range_.from, high = range_.to;  // log_snr(low) >= value >= log_snr(high)
    double const most = log_snr(low), least = log_snr(high);
    double const rounding = 1e-12 * (1 + std::fabs(value));
    if (value == most || (value > most && value <= most + rounding && value < HUGE_VAL)) return low;
    if (value == least || (value < least && value >= least - rounding && value > -HUGE_VAL)) return high;
    if (!(value < most && value > least))
        raise<domain_error>(called(), "log_snr is " + to_string(value),
                            "between t = " + to_string(low) + " and t = " + to_string(high) + " it goes from " + to_string(most) + " to " +
                                to_string(least));
    double t = low + (high - low) / 2, step = high - low;
    while (low < t && t < high) {
        double const error = log_snr(t) - value;
        if (std::fabs(error) <= 0x1p-52 * (1 + std::fabs(value))) return t;  // the rounding of log_snr itself
        (error > 0 ? low : high) = t;
        double const slope = 2 * (alpha_derivative(t) / alpha(t) - sigma_derivative(t) / sigma(t)), move = -error / slope;
        if (std::fabs(move) <= 0x1p-53 * std::fabs(t)) return t;
        double next = t + move;
        // Newton's step must stay inside and be at most half the step before; else the bracket is halved.
        if (!(low < next && next < high && std::fabs(move) <= 0.5 * std::fabs(step))) next = low + (high - low) / 2;
        step = next - t;
        t = next;
    }
    return t;
}

}  // namespace onestep
