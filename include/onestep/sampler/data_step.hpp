#pragma once
/// The one pass behind every solver that works on predicted clean samples:
///
///     D  = bound(a x + b F)                            the predicted clean sample
///     k  = keep.x x + keep.data D                      stored for later steps, if asked for
///     x' = c.x x + c.data D + sum of c_j e_j (+ d z)   the next state; a second output is made alike
///
/// Every tensor is read once and written once; z ~ N(0, 1) is made in registers.
#include <array>

#include "../target/convert.hpp"
#include "affine_step.hpp"

namespace onestep {

namespace functor {
/// D as it is.
struct unbounded {
    template <class T> ONESTEP_HD T operator()(index_t, T data) const { return data; }
};
/// D within [low, high]; NaN stays NaN.
template <class T> struct bounded {
    T low, high;
    ONESTEP_HD T operator()(index_t, T data) const { return data < low ? low : (data > high ? high : data); }
};
/// D within [-s, s], divided by s, with an s for each row.
template <class T> struct bounded_rows {
    T const* s;
    ONESTEP_HD T operator()(index_t row, T data) const {
        T const bound = s[row];
        return (data < -bound ? -bound : (data > bound ? bound : data)) / bound;
    }
};

/// One output: x x + data D + sum of extra e.
template <class T, int Extras> struct mixture {
    T x, data, extra[Extras > 0 ? Extras : 1];
    T* out;
};

template <class T, class Bound, int Extras, int Outputs, bool Keep> struct data_pass {
    T a, b;
    T const *x, *f;
    T const* extra[Extras > 0 ? Extras : 1];
    Bound bound;
    T keep_x, keep_data;
    T* keep;
    mixture<T, Extras> outputs[Outputs];
    index_t cols;
    T d;

    /// `noise` goes into the last output.
    ONESTEP_HD void at(index_t row, index_t i, T noise) const {
        T const here = x[i], data = bound(row, math::fma(b, f[i], a * here));
        T others[Extras > 0 ? Extras : 1];
        ONESTEP_UNROLL
        for (int j = 0; j < Extras; ++j) others[j] = extra[j][i];
        if constexpr (Keep) keep[i] = math::fma(keep_data, data, keep_x * here);
        ONESTEP_UNROLL
        for (int k = 0; k < Outputs; ++k) {
            mixture<T, Extras> const& c = outputs[k];
            T total = math::fma(c.data, data, c.x * here);
            ONESTEP_UNROLL
            for (int j = 0; j < Extras; ++j) total = math::fma(c.extra[j], others[j], total);
            c.out[i] = k + 1 == Outputs ? total + noise : total;
        }
    }
    ONESTEP_HD void operator()(index_t i) const { at(0, i, T(0)); }
    ONESTEP_HD void operator()(index_t row, index_t col) const { at(row, row * cols + col, T(0)); }
    ONESTEP_HD void operator()(index_t row, index_t i, float z) const { at(row, i, d * static_cast<T>(z)); }
};
}  // namespace functor

/// Coefficients of one output of a data step.
template <class T, class Backend, int Extras> struct data_output {
    view<T, Backend> out;
    double x = 0, data = 0;
    std::array<double, static_cast<std::size_t>(Extras)> extra{};
};

/// A pass as described above, in double on the host. `out` and `keep` may be one of the inputs.
template <class T, class Backend, int Extras = 0, int Outputs = 1> struct data_step {
    std::array<data_output<T, Backend, Extras>, static_cast<std::size_t>(Outputs)> outputs;
    std::array<view<T const, Backend>, static_cast<std::size_t>(Extras)> extra{};
    double noise = 0;            ///< d; the last output takes it
    random_stream stream = {};   ///< of z
    view<T, Backend> keep = {};  ///< where k goes; empty: nowhere
    double keep_x = 0, keep_data = 1;

    /// Runs it on a state x and an output F of which D = to_data.x x + to_data.output F.
    template <class Bound> void run(view<T const, Backend> x, view<T const, Backend> f, conversion to_data, Bound const& bound) const {
        if (keep.data() != nullptr) pass<true>(x, f, to_data, bound);
        else pass<false>(x, f, to_data, bound);
    }

private:
    template <bool Keep, class Bound>
    void pass(view<T const, Backend> x, view<T const, Backend> f, conversion to_data, Bound const& bound) const {
        functor::data_pass<T, Bound, Extras, Outputs, Keep> pass{};
        pass.a = static_cast<T>(to_data.x);
        pass.b = static_cast<T>(to_data.output);
        pass.x = x.data();
        pass.f = f.data();
        pass.bound = bound;
        pass.keep_x = static_cast<T>(keep_x);
        pass.keep_data = static_cast<T>(keep_data);
        pass.keep = keep.data();
        pass.cols = x.cols();
        pass.d = static_cast<T>(noise);
        for (int j = 0; j < Extras; ++j) pass.extra[j] = extra[static_cast<std::size_t>(j)].data();
        for (int k = 0; k < Outputs; ++k) {
            data_output<T, Backend, Extras> const& from = outputs[static_cast<std::size_t>(k)];
            functor::mixture<T, Extras>& to = pass.outputs[k];
            to.x = static_cast<T>(from.x);
            to.data = static_cast<T>(from.data);
            for (int j = 0; j < Extras; ++j) to.extra[j] = static_cast<T>(from.extra[static_cast<std::size_t>(j)]);
            to.out = from.out.data();
        }
        Backend& device = x.backend();
        if (noise != 0) for_each_normal(device, stream, x.rows(), x.cols(), pass);
        else if constexpr (std::is_same_v<Bound, functor::bounded_rows<T>>) device.for_each_pair(x.rows(), x.cols(), pass);
        else device.for_each_index(x.size(), pass);
    }
};

}  // namespace onestep
