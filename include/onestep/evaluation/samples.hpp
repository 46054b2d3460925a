#pragma once
/// What every metric does first: brings its two sample sets to the host and refuses what it cannot compare.
#include <cmath>
#include <concepts>
#include <cstddef>
#include <string>
#include <vector>

#include "../core/spec.hpp"
#include "../core/tensor.hpp"

namespace onestep {

/// A tensor or a view [n, ...] of any backend: n samples.
template <class X>
concept sample_set = requires(X const& x) {
    { x.shape() } -> std::convertible_to<shape>;
    { x.size() } -> std::same_as<index_t>;
    to_host(x);
    x.backend();
};

namespace evaluation {

/// n samples of d elements in host memory, row after row.
template <class T> struct host_samples {
    std::vector<T> values;
    index_t n = 0, d = 0;

    T const* row(index_t i) const { return values.data() + i * d; }
};

/// The threads a metric may use: those of a backend that says so, OpenMP's default (0) otherwise.
template <class Backend> int threads_of(Backend const& backend) {
    if constexpr (requires {
                      { backend.threads() } -> std::convertible_to<int>;
                  })
        return backend.threads();
    else return 0;
}

/// Throws shape_error unless x and y hold samples of one shape, at least `least` in each.
template <sample_set X, sample_set Y> void require_comparable(char const* metric, X const& x, Y const& y, index_t least) {
    auto const enough = [&](char const* name, shape const& s, index_t size) {
        if (size == 0 || s.rows() < least)
            raise<shape_error>(metric, std::string(name) + " is " + (size == 0 && s.rank() == 0 ? "empty" : to_string(s)),
                               "at least " + std::to_string(least) + (least == 1 ? " sample is needed" : " samples are needed"));
    };
    enough("x", x.shape(), x.size());
    enough("y", y.shape(), y.size());
    if (!(x.shape().with_rows(1) == y.shape().with_rows(1)))
        raise<shape_error>(metric, "y is " + to_string(y.shape()),
                           "its samples are compared with x, which is " + to_string(x.shape(), "n"));
}

/// Downloads a set. Throws not_finite_error at the first NaN or infinity, or value so large that its square overflows.
template <sample_set X> auto download(char const* metric, char const* name, X const& x) {
    using value_type = typename X::value_type;
    host_samples<value_type> s{to_host(x), x.shape().rows(), x.shape().cols()};
    for (std::size_t i = 0; i < s.values.size(); ++i) {
        auto const value = static_cast<double>(s.values[i]);
        if (!(std::fabs(value) <= 1e150))
            raise<not_finite_error>(metric,
                                    "element " + std::to_string(static_cast<index_t>(i) % s.d) + " of sample " +
                                        std::to_string(static_cast<index_t>(i) / s.d) + " of " + name + " is " + to_string(value),
                                    "samples must be finite, at most 1e150 in size");
    }
    return s;
}

/// f(0), .., f(count - 1), shared out among threads; 0 takes OpenMP's default. Which thread runs which call is left
/// open, so f keeps its result to itself: sums over calls are formed afterwards, in order.
template <class F> void for_each_block(int threads, index_t count, F const& f) {
    if (threads > 0) {
#pragma omp parallel for schedule(dynamic) num_threads(threads)
        for (index_t i = 0; i < count; ++i) f(i);
    } else {
#pragma omp parallel for schedule(dynamic)
        for (index_t i = 0; i < count; ++i) f(i);
    }
}

}  // namespace evaluation
}  // namespace onestep
