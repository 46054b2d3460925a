#pragma once
/// Features with a common point taken off, in double, on the backend where they lie.
#include "samples.hpp"

namespace onestep {

namespace functor {
template <class T> struct element_of {
    T const* x;
    index_t cols;
    ONESTEP_HD double operator()(index_t r, index_t c) const { return static_cast<double>(x[r * cols + c]); }
};
struct store_mean {
    double* mean;
    double count;
    ONESTEP_HD void operator()(index_t c, double sum) const { mean[c] = sum / count; }
};
template <class T> struct take_off {
    T const* x;
    double const* point;
    double* out;
    index_t cols;
    ONESTEP_HD void operator()(index_t r, index_t c) const { out[r * cols + c] = static_cast<double>(x[r * cols + c]) - point[c]; }
};
}  // namespace functor

namespace evaluation {

/// A sample set as a view of constant elements.
template <sample_set X> auto view_of(X const& x) { return view<typename X::value_type const, typename X::backend_type>(x); }

/// The mean of all samples, element by element, [d].
template <class T, class Backend> tensor<double, Backend> mean_of(view<T const, Backend> x) {
    tensor<double, Backend> mean(x.backend(), {x.cols()});
    x.backend().template reduce_columns<double>(x.rows(), x.cols(), functor::element_of<T>{x.data(), x.cols()},
                                                functor::store_mean{mean.data(), static_cast<double>(x.rows())});
    return mean;
}

/// out = x - point, in every row.
template <class T, class Backend> void centre(view<T const, Backend> x, tensor<double, Backend> const& point, double* out) {
    x.backend().for_each_pair(x.rows(), x.cols(), functor::take_off<T>{x.data(), point.data(), out, x.cols()});
}

/// How many of n rows of d elements are centred at once: the copies stay within 16 MiB, unless 128 rows take more.
inline index_t centred_rows(index_t n, index_t d, index_t most) {
    index_t const room = (index_t(1) << 21) / d, rows = room < 128 ? 128 : room < most ? room : most;
    return n < rows ? n : rows;
}

}  // namespace evaluation
}  // namespace onestep
