#pragma once
/// Networks of a test's own, written as a user would write them: y = a x + b sin(t) x, parameters a and b.
#include <cmath>
#include <vector>

#include <onestep/backend/cpu.hpp>
#include <onestep/core/tensor.hpp>
#include <onestep/network/concept.hpp>

namespace onestep::test {

/// What one of these networks does wrong.
enum class fault {
    none,
    wrong_sign,
    missing_parameter,
    overwrites,
    mixes_rows,
    inference_clobbers,
    forgets_time,
    jvp_of_other_y,
    not_linear,
    jvp_clobbers,
    forward_differs,
    not_repeatable,
    moves
};

template <class T> class small_network {
public:
    using input = view<T const, cpu>;
    using output = view<T, cpu>;

    explicit small_network(cpu& device, fault which = fault::none)
        : device_(&device), fault_(which), parameters_(device, {2}, {T(0.5), T(-2)}), gradients_(device, {2}, {T(0), T(0)}),
          others_(device, {2}, {T(0), T(0)}) {}

    output parameters() { return parameters_.view(); }
    output gradients() { return fault_ == fault::moves && calls_ > 5 ? others_.view() : gradients_.view(); }

    void operator()(input x, input t, output y) {
        ++calls_;
        value(x, t, y);
        if (fault_ == fault::not_repeatable) y.data()[0] += T(1e-3) * static_cast<T>(calls_ % 7);
        if (fault_ == fault::inference_clobbers) keep(x, t);
    }
    void forward(input x, input t, output y) {
        ++calls_;
        value(x, t, y);
        if (fault_ == fault::forward_differs) y.data()[0] += T(0.125);
        keep(x, t);
    }
    void backward(input dy) {
        T a = 0, b = 0;
        for (index_t r = 0; r < dy.rows(); ++r)
            for (index_t c = 0; c < dy.cols(); ++c) {
                T const term = dy.data()[r * dy.cols() + c] * kept_x_[static_cast<std::size_t>(r * dy.cols() + c)];
                a += term;
                b += term * std::sin(kept_t_[static_cast<std::size_t>(r)]);
            }
        if (fault_ == fault::wrong_sign) b = -b;
        if (fault_ == fault::missing_parameter) b = 0;
        T* const g = gradients().data();
        g[0] = (fault_ == fault::overwrites ? T(0) : g[0]) + a;
        g[1] = (fault_ == fault::overwrites ? T(0) : g[1]) + b;
    }
    void jvp(input x, input vx, input t, input vt, output y, output vy) {
        value(x, t, y);
        if (fault_ == fault::jvp_of_other_y) y.data()[0] += T(0.125);
        if (fault_ == fault::jvp_clobbers) keep(x, t);
        T const a = parameters_.data()[0], b = parameters_.data()[1];
        for (index_t r = 0; r < x.rows(); ++r)
            for (index_t c = 0; c < x.cols(); ++c) {
                index_t const i = r * x.cols() + c;
                T const time_part = fault_ == fault::forgets_time ? T(0) : b * std::cos(t.data()[r]) * x.data()[i] * vt.data()[r];
                vy.data()[i] = (a + b * std::sin(t.data()[r])) * vx.data()[i] + time_part;
                // invisible along x or t alone
                if (fault_ == fault::not_linear) vy.data()[i] += vx.data()[i] * vt.data()[r];
            }
    }

private:
    void value(input x, input t, output y) const {
        T const a = parameters_.data()[0], b = parameters_.data()[1];
        for (index_t r = 0; r < x.rows(); ++r)
            for (index_t c = 0; c < x.cols(); ++c) {
                index_t const i = r * x.cols() + c, from = fault_ == fault::mixes_rows && r == 1 ? c : i;
                y.data()[i] = (a + b * std::sin(t.data()[r])) * x.data()[i] + (from != i ? x.data()[from] : T(0));
            }
    }
    void keep(input x, input t) {
        kept_x_.assign(x.data(), x.data() + x.size());
        kept_t_.assign(t.data(), t.data() + t.size());
    }

    cpu* device_;
    fault fault_;
    tensor<T, cpu> parameters_, gradients_, others_;
    std::vector<T> kept_x_, kept_t_;
    int calls_ = 0;
};

/// A flow map with labels and nothing else: y = x + (s - t) label.
struct labelled_map {
    template <class T>
    void operator()(view<T const, cpu> x, view<T const, cpu> t, view<T const, cpu> s, view<std::int32_t const, cpu> l,
                    view<T, cpu> y) const {
        for (index_t i = 0; i < x.size(); ++i) {
            index_t const r = i / x.cols();
            y.data()[i] = x.data()[i] + (s.data()[r] - t.data()[r]) * static_cast<T>(l.data()[r]);
        }
    }
    template <class T>
    void jvp(view<T const, cpu> x, view<T const, cpu> vx, view<T const, cpu> t, view<T const, cpu> vt, view<T const, cpu> s,
             view<T const, cpu> vs, view<std::int32_t const, cpu> l, view<T, cpu> y, view<T, cpu> vy) const {
        (*this)(x, t, s, l, y);
        (*this)(vx, vt, vs, l, vy);
    }
};

}  // namespace onestep::test
