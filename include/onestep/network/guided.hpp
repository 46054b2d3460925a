#pragma once
/// Guidance is a view of two networks: samplers never see a label or a scale.
#include <cmath>

#include "../core/math.hpp"
#include "../core/spec.hpp"
#include "call.hpp"
#include "conditioned.hpp"

namespace onestep {

/// Numbers of guidance.
///
///     F = F_u + s (F_c - F_u)         s = 1: conditional, s = 0: unconditional, s > 1: away from the unconditional
///
/// The w of some papers, (1 + w) F_c - w F_u, is s - 1. Targets are affine in each other with the same coefficients for both networks,
/// so guiding epsilon, x0, v or the velocity is one and the same. It is applied to the bare output: limits on x0 come after it.
///
/// `from` and `to` bound the time in which it acts, both included; elsewhere s = 1.
///
/// With `rescale` = phi > 0 each sample's guided output comes back to the deviation of the conditional one, std being taken over all
/// elements of a sample:
///
///     F' = phi F std(F_c) / std(F) + (1 - phi) F
///
/// Unlike guidance itself that depends on the target. It is meant for v and x0, whose deviation follows the picture's contrast; noise
/// predictions have about unit deviation anyway. A sample that is constant stays as it is.
///
/// Source: Ho, Salimans 2022 (arXiv:2207.12598); interval: Kynkaanniemi et al. 2024 (arXiv:2404.07724); rescale: Lin et al. 2023
/// (arXiv:2305.08891), section 3.4, which takes phi = 0.7.
struct guidance {
    static constexpr char const* name = "guidance";
    double scale = 3;                        ///< s, finite
    double from = -HUGE_VAL, to = HUGE_VAL;  ///< from <= to
    double rescale = 0;                      ///< phi in [0, 1]

    /// Throws domain_error for numbers outside their range.
    void check() const {
        if (!std::isfinite(scale)) raise<domain_error>(name, "scale is " + to_string(scale), "it must be finite");
        if (!(from <= to)) raise<domain_error>(name, "from is " + to_string(from) + " and to is " + to_string(to), "from <= to is needed");
        if (!(rescale >= 0 && rescale <= 1)) raise<domain_error>(name, "rescale is " + to_string(rescale), "it must be in [0, 1]");
    }
    void fields(auto&& visit) const {
        visit("scale", scale);
        visit("from", from);
        visit("to", to);
        visit("rescale", rescale);
    }
    friend bool operator==(guidance const&, guidance const&) = default;
};

namespace functor {
/// u + s (c - u), in rows whose time lies in the interval; c elsewhere.
template <class T> struct guided_value {
    T const *conditional, *unconditional;
    T scale;
    T const* times;  // null: all rows are inside
    T from, to;

    ONESTEP_HD bool acts_on(index_t row) const { return times == nullptr || (times[row] >= from && times[row] <= to); }
    ONESTEP_HD T at(index_t i) const { return math::fma(scale, conditional[i] - unconditional[i], unconditional[i]); }
    ONESTEP_HD T at(index_t row, index_t i) const { return acts_on(row) ? at(i) : conditional[i]; }
};
template <class T> struct store_guided {
    guided_value<T> value;
    T* out;
    index_t cols;
    ONESTEP_HD void operator()(index_t i) const { out[i] = value.at(i); }
    ONESTEP_HD void operator()(index_t row, index_t col) const { out[row * cols + col] = value.at(row, row * cols + col); }
};

/// Sums of a row about its first elements, so that a large mean takes no digits from the deviation.
struct deviation_sums {
    double conditional = 0, conditional_square = 0, guided = 0, guided_square = 0;
    ONESTEP_HD deviation_sums& operator+=(deviation_sums const& other) {
        conditional += other.conditional;
        conditional_square += other.conditional_square;
        guided += other.guided;
        guided_square += other.guided_square;
        return *this;
    }
};
template <class T> struct deviation_term {
    guided_value<T> value;
    index_t cols;
    ONESTEP_HD deviation_sums operator()(index_t row, index_t col) const {
        index_t const first = row * cols;
        auto const c = static_cast<double>(value.conditional[first + col] - value.conditional[first]);
        auto const g = static_cast<double>(value.at(row, first + col) - value.at(row, first));
        return {c, c * c, g, g * g};
    }
};
/// phi std(c) / std(F) + 1 - phi of each row.
template <class T> struct store_rescale {
    T* factors;
    double count, phi;
    ONESTEP_HD void operator()(index_t row, deviation_sums const& sums) const {
        double const c = sums.conditional_square - sums.conditional * sums.conditional / count,
                     g = sums.guided_square - sums.guided * sums.guided / count;
        factors[row] = !(g > 0) || c == g ? T(1) : static_cast<T>(math::fma(phi, math::sqrt(c > 0 ? c / g : 0), 1 - phi));
    }
};
template <class T> struct store_rescaled {
    guided_value<T> value;
    T const* factors;
    T* out;
    index_t cols;
    ONESTEP_HD void operator()(index_t row, index_t col) const { out[row * cols + col] = factors[row] * value.at(row, row * cols + col); }
};
}  // namespace functor

/// A network that answers with guidance from two: classifier-free guidance if they are one network with and without its labels,
/// autoguidance (Karras et al. 2024, arXiv:2406.02507) if the second is a weaker one.
///
///     guided{conditioned{net, labels}, net, guidance{.scale = 3}}                         no label
///     guided{conditioned{net, labels}, conditioned{net, negative}, guidance{}}            negative labels
///     guided{net, weaker, guidance{.scale = 2}}                                           autoguidance
///
/// `model::guided` and `model::guided_by` make it. The interval here is one of the times that the networks are told, which those
/// members work out from the process's. Evaluation only: training mixes in "no label" instead.
///
/// Lvalue networks are kept by reference, rvalues are owned. Rows do not depend on each other. May be called from many threads at
/// once if the networks may; a warm call allocates nothing.
/// Cost: both networks on n rows one after the other, one tensor of y's shape, and one pass (two with rescale). One call of 2 n rows
/// would copy x and do the same work; it would pay only where n rows leave a device idle. Where all rows have one time and the host
/// knows it (solvers tell by `evaluate`), the second network is not asked outside the interval. It is never asked at s = 1.
template <class Conditional, class Unconditional> class guided {
    using first = std::remove_reference_t<Conditional>;
    using second = std::remove_reference_t<Unconditional>;
    template <class T, class Backend> using input = std::type_identity_t<view<T const, Backend>>;

public:
    /// Throws domain_error for numbers outside their range.
    guided(Conditional&& conditional, Unconditional&& unconditional, guidance const& options)
        : conditional_(std::forward<Conditional>(conditional)), unconditional_(std::forward<Unconditional>(unconditional)),
          options_(options) {
        options.check();
    }

    first& conditional() const { return const_cast<first&>(conditional_); }
    second& unconditional() const { return const_cast<second&>(unconditional_); }
    guidance const& options() const { return options_; }
    /// The same for rows begin .. begin + count - 1: labels go with their rows.
    auto rows(index_t begin, index_t count) const {
        using conditional_rows = decltype(rows_of(conditional(), begin, count));
        using unconditional_rows = decltype(rows_of(unconditional(), begin, count));
        return guided<conditional_rows, unconditional_rows>(rows_of(conditional(), begin, count), rows_of(unconditional(), begin, count),
                                                            options_);
    }

    /// y = F(x, t), each row by its own time.
    template <class T, class Backend>
    requires(network<first, T, Backend>&& network<second, T, Backend>) void operator()(input<T, Backend> x, input<T, Backend> t,
                                                                                       view<T, Backend> y) const {
        bool const always = options_.from == -HUGE_VAL && options_.to == HUGE_VAL;
        answer<T, Backend>(x, t, nullptr, y, options_.scale != 1, always ? nullptr : t.data());
    }
    /// The same where every t is `time`.
    template <class T, class Backend>
    requires(network<first, T, Backend>&& network<second, T, Backend>) void evaluate(input<T, Backend> x, input<T, Backend> t, double time,
                                                                                     view<T, Backend> y) const {
        auto const now = static_cast<T>(time);
        bool const acts = now >= static_cast<T>(options_.from) && now <= static_cast<T>(options_.to);
        answer<T, Backend>(x, t, &time, y, acts && options_.scale != 1, nullptr);
    }

private:
    template <class Network> static decltype(auto) rows_of(Network& net, index_t begin, index_t count) {
        if constexpr (requires { net.rows(begin, count); }) return net.rows(begin, count);
        else return (net);
    }
    template <class T, class Backend, class Network>
    static void ask(Network& net, view<T const, Backend> x, view<T const, Backend> t, double const* time, view<T, Backend> y) {
        if constexpr (requires { net.evaluate(x, t, *time, y); })
            if (time != nullptr) return net.evaluate(x, t, *time, y);
        net(x, t, y);
    }
    template <class T, class Backend>
    void answer(view<T const, Backend> x, view<T const, Backend> t, double const* time, view<T, Backend> y, bool acts,
                T const* times) const {
        ask(conditional(), x, t, time, y);
        if (!acts || y.size() == 0) return;
        Backend& device = y.backend();
        index_t const n = y.rows(), d = y.cols();
        auto const memory = device.scratch();
        view<T, Backend> const other(device, memory->template take<T>(y.size()), y.shape());
        ask(unconditional(), x, t, time, other);
        functor::guided_value<T> const value{
            y.data(), other.data(), static_cast<T>(options_.scale), times, static_cast<T>(options_.from), static_cast<T>(options_.to)};
        if (options_.rescale == 0) {
            functor::store_guided<T> const store{value, y.data(), d};
            if (times == nullptr) device.for_each_index(y.size(), store);
            else device.for_each_pair(n, d, store);
            return;
        }
        T* const factors = memory->template take<T>(n);
        device.template reduce_rows<functor::deviation_sums>(n, d, functor::deviation_term<T>{value, d},
                                                             functor::store_rescale<T>{factors, static_cast<double>(d), options_.rescale});
        device.for_each_pair(n, d, functor::store_rescaled<T>{value, factors, y.data(), d});
    }

    Conditional conditional_;
    Unconditional unconditional_;
    guidance options_;
};

template <class Conditional, class Unconditional> guided(Conditional&&, Unconditional&&, guidance) -> guided<Conditional, Unconditional>;

/// F_u + scale (F_c - F_u), the labels of `call` being those of F_c; F_c alone at scale = 1. `spare` is of y's size.
template <class Network, class T, class Backend>
void evaluate_guided(Network& net, network_call<T, Backend> const& call, double scale, view<T, Backend> y, T* spare) {
    evaluate<false>(net, call, y);
    if (scale == 1) return;
    view<T, Backend> const none(y.backend(), spare, y.shape());
    evaluate<false>(net, network_call<T, Backend>{call.x, call.t}, none);
    functor::guided_value<T> const value{y.data(), spare, static_cast<T>(scale), nullptr, T(0), T(0)};
    y.backend().for_each_index(y.size(), functor::store_guided<T>{value, y.data(), y.cols()});
}

}  // namespace onestep
