#pragma once
/// Sums in a fixed order for backends that run on the host: the same bits for any number of threads.
#include "../core/sums.hpp"
#include "concept.hpp"

namespace onestep::host {

/// Additions run in this many independent chains, which a compiler may keep in vector registers.
inline constexpr index_t lanes = 16;
/// Columns that one work item of a column reduction takes.
inline constexpr index_t column_block = 64;

/// sink(r, sum of term(r, 0 .. cols - 1)): lane l adds columns l, l + 16, ...; then the lanes are folded pairwise.
template <class Sum, class Term, class Sink> struct row_sum {
    static constexpr index_t elements = 256;
    index_t cols;
    Term term;
    Sink sink;
    void operator()(index_t r) const {
        Term const value = term;  // a copy of its own: stores through its pointers cannot change it
        Sum lane[lanes] = {};
        index_t c = 0;
        for (; c + lanes <= cols; c += lanes)
            for (index_t l = 0; l < lanes; ++l) lane[l] += value(r, c + l);
        for (index_t l = 0; l < lanes && c < cols; ++c, ++l) lane[l] += value(r, c);
        for (index_t half = lanes / 2; half > 0; half /= 2)
            for (index_t l = 0; l < half; ++l) lane[l] += lane[l + half];
        sink(r, lane[0]);
    }
};

/// The totals of a block of neighbouring columns. Terms are evaluated inside of `add`: one that were a variable of a simd loop would keep a
/// compiler from taking it apart.
template <class Sum> struct column_totals {
    Sum total[column_block] = {};
    template <class Term> ONESTEP_HD_INLINE void add(Term const& term, index_t r, index_t c, index_t at) { total[at] += term(r, c); }
    Sum sum(index_t at) const { return total[at]; }
};
/// Each of the N in an array of its own, so that neighbours add in vector registers.
template <class T, int N> struct column_totals<sums<T, N>> {
    T total[N][column_block] = {};
    template <class Term> ONESTEP_HD_INLINE void add(Term const& term, index_t r, index_t c, index_t at) {
        sums<T, N> const terms = term(r, c);
        ONESTEP_UNROLL
        for (int i = 0; i < N; ++i) total[i][at] += terms.v[i];
    }
    sums<T, N> sum(index_t at) const {
        sums<T, N> all;
        for (int i = 0; i < N; ++i) all.v[i] = total[i][at];
        return all;
    }
};

/// sink(s cols + c, sum of term(s rows .. s rows + rows - 1, c)) for a block of neighbouring columns of a segment; rows are added in order.
template <class Sum, class Term, class Sink> struct column_sum {
    index_t rows, cols;
    Term term;
    Sink sink;
    /// Items that cover a segment; those of segment s are s blocks() .. s blocks() + blocks() - 1.
    index_t blocks() const { return (cols + column_block - 1) / column_block; }
    void operator()(index_t item) const {
        index_t const segment = item / blocks(), begin = segment * rows, first = item % blocks() * column_block;
        index_t const count = cols - first < column_block ? cols - first : column_block;
        Term const value = term;
        column_totals<Sum> total;
        if (count == column_block)
            // Two loops a row: one would tempt GCC to take two rows at once and then not to vectorise.
            for (index_t r = begin; r < begin + rows; ++r) {
#pragma omp simd
                for (index_t c = 0; c < column_block / 2; ++c) total.add(value, r, first + c, c);
#pragma omp simd
                for (index_t c = column_block / 2; c < column_block; ++c) total.add(value, r, first + c, c);
            }
        else
            for (index_t r = begin; r < begin + rows; ++r) {
#pragma omp simd
                for (index_t c = 0; c < count; ++c) total.add(value, r, first + c, c);
            }
        for (index_t c = 0; c < count; ++c) sink(segment * cols + first + c, total.sum(c));
    }
};

}  // namespace onestep::host
