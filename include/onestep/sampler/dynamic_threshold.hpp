#pragma once
/// The thresholds of `dynamic_threshold`, one a sample, on every backend: order statistics by counting.
#include "../core/math.hpp"
#include "../core/view.hpp"
#include "limits.hpp"

namespace onestep {

/// A row's search for the k-th smallest |x|: the bits of non-negative floats sort like the floats.
template <class T> struct quantile_search {
    using bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
    bits low, high;  // the answer lies in [low, high]
};

namespace functor {
template <class T> struct begin_search {
    quantile_search<T>* search;
    ONESTEP_HD void operator()(index_t r) const {
        using bits = typename quantile_search<T>::bits;
        search[r] = {0, static_cast<bits>(~bits(0)) >> 1};
    }
};
/// How many |x| are at most the middle of the search.
template <class T> struct count_below {
    T const* x;
    quantile_search<T> const* search;
    index_t cols;
    ONESTEP_HD index_t operator()(index_t r, index_t c) const {
        using bits = typename quantile_search<T>::bits;
        bits const sign = static_cast<bits>(~bits(0)) >> 1;
        bits const middle = search[r].low + (search[r].high - search[r].low) / 2;
        return (math::bits<bits>(x[r * cols + c]) & sign) <= middle ? 1 : 0;
    }
};
template <class T> struct halve_search {
    quantile_search<T>* search;
    index_t rank;  // counted from 0
    ONESTEP_HD void operator()(index_t r, index_t count) const {
        auto& s = search[r];
        auto const middle = s.low + (s.high - s.low) / 2;
        if (count > rank) s.high = middle;
        else s.low = middle + 1;
    }
};
/// Of a row: how many |x| are at most the value found, and the smallest one above it.
template <class T> struct neighbour {
    index_t count = 0;
    typename quantile_search<T>::bits next = static_cast<typename quantile_search<T>::bits>(~typename quantile_search<T>::bits(0));
    ONESTEP_HD neighbour& operator+=(neighbour const& other) {
        count += other.count;
        if (other.next < next) next = other.next;
        return *this;
    }
};
template <class T> struct neighbour_term {
    T const* x;
    quantile_search<T> const* search;
    index_t cols;
    ONESTEP_HD neighbour<T> operator()(index_t r, index_t c) const {
        using bits = typename quantile_search<T>::bits;
        bits const value = math::bits<bits>(x[r * cols + c]) & (static_cast<bits>(~bits(0)) >> 1);
        neighbour<T> one;
        if (value <= search[r].low) one.count = 1;
        else one.next = value;
        return one;
    }
};
/// s = min(max(quantile, 1), ceiling), the quantile between its two neighbours.
template <class T> struct store_threshold {
    quantile_search<T> const* search;
    T* s;
    index_t rank;
    T fraction, ceiling;
    ONESTEP_HD void operator()(index_t r, neighbour<T> const& found) const {
        T const lower = math::bits<T>(search[r].low);
        T value = lower;
        if (fraction > T(0) && found.count <= rank + 1) value = math::fma(fraction, math::bits<T>(found.next) - lower, lower);
        value = value < T(1) ? T(1) : value;
        s[r] = value > ceiling ? ceiling : value;
    }
};
}  // namespace functor

/// Writes the threshold of each row of x [n, ...] to s [n]; `search` is room for n. About 33 passes over x for float, 65 for
/// double.
template <class T, class Backend>
void row_thresholds(dynamic_threshold const& limits, view<T const, Backend> x, quantile_search<T>* search, T* s) {
    Backend& device = x.backend();
    index_t const n = x.rows(), d = x.cols();
    double const position = limits.quantile * static_cast<double>(d - 1);
    auto const rank = static_cast<index_t>(position);
    device.for_each_index(n, functor::begin_search<T>{search});
    for (std::size_t round = 0; round < 8 * sizeof(T); ++round)
        device.template reduce_rows<index_t>(n, d, functor::count_below<T>{x.data(), search, d}, functor::halve_search<T>{search, rank});
    device.template reduce_rows<functor::neighbour<T>>(
        n, d, functor::neighbour_term<T>{x.data(), search, d},
        functor::store_threshold<T>{search, s, rank, static_cast<T>(position - static_cast<double>(rank)), static_cast<T>(limits.ceiling)});
}

}  // namespace onestep
