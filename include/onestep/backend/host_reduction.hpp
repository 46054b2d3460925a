#pragma once
/// Sums in a fixed order for backends that run on the host: the same bits for any number of threads.
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

/// sink(c, sum of term(0 .. rows - 1, c)) for a block of neighbouring columns; rows are added in order.
template <class Sum, class Term, class Sink> struct column_sum {
    static constexpr index_t elements = 4096;
    index_t rows, cols;
    Term term;
    Sink sink;
    void operator()(index_t block) const {
        index_t const first = block * column_block, count = cols - first < column_block ? cols - first : column_block;
        Term const value = term;
        Sum total[column_block] = {};
        if (count == column_block)
            for (index_t r = 0; r < rows; ++r)
                for (index_t c = 0; c < column_block; ++c) total[c] += value(r, first + c);
        else
            for (index_t r = 0; r < rows; ++r)
                for (index_t c = 0; c < count; ++c) total[c] += value(r, first + c);
        for (index_t c = 0; c < count; ++c) sink(first + c, total[c]);
    }
};

}  // namespace onestep::host
