#pragma once
/// The linear assignment problem.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "shape.hpp"

namespace onestep {

/// Pairs n rows with n columns so that the sum of their costs is least. Exact.
///
///     onestep::linear_assignment assignment;
///     std::vector<std::int32_t> const& column = assignment.solve(n, costs);     // row r goes with column[r]
///
/// Columns have prices. Each column's first price is its least cost; then rows bid for the column that is cheapest for them beyond its
/// price, and drive others out; each row that is left over in the end finds the cheapest chain of exchanges. Ties are broken by number:
/// equal costs give equal answers. Works in double; the sum is least up to rounding. O(n^3) at worst. Its buffers are kept: a warm call
/// allocates nothing. Not for use from several threads at once.
/// Source: Jonker, Volgenant 1987 (Computing 38, 325-340).
class linear_assignment {
public:
    /// costs [n, n], row after row. The result stays valid until the next call.
    /// Throws not_finite_error if a cost is NaN or infinite.
    template <class T> std::vector<std::int32_t> const& solve(index_t n, T const* costs) {
        for (index_t i = 0; i < n * n; ++i)
            if (!std::isfinite(costs[i]))
                raise<not_finite_error>(
                    "linear_assignment",
                    "the cost of row " + std::to_string(i / n) + " and column " + std::to_string(i % n) + " is " + std::to_string(costs[i]),
                    "all must be finite");
        auto const size = static_cast<std::size_t>(n);
        column_of_.assign(size, -1);
        row_of_.assign(size, -1);
        from_.resize(size);
        for (auto* list : {&waiting_, &reached_}) list->resize(size);
        for (auto* list : {&price_, &open_price_, &distance_}) list->resize(size);
        take_cheapest_columns(n, costs);
        if (n > 1) bid(n, costs);
        for (index_t row = 0; row < n; ++row)
            if (column_of_[at(row)] < 0) augment(n, costs, row);
        return column_of_;
    }

    /// Buffers for problems of up to n rows, so that no later call of that size allocates.
    void reserve(index_t n) {
        for (auto* list : {&column_of_, &row_of_, &waiting_, &reached_}) list->reserve(static_cast<std::size_t>(n));
        from_.reserve(static_cast<std::size_t>(n));
        for (auto* list : {&price_, &open_price_, &distance_}) list->reserve(static_cast<std::size_t>(n));
    }

private:
    static std::size_t at(index_t i) { return static_cast<std::size_t>(i); }

    void give(index_t column, index_t row) {
        column_of_[at(row)] = static_cast<std::int32_t>(column);
        row_of_[at(column)] = static_cast<std::int32_t>(row);
    }

    /// The price of a column is its least cost; the row that has it takes the column if it has none.
    template <class T> void take_cheapest_columns(index_t n, T const* costs) {
        for (index_t row = 0; row < n; ++row)
            for (index_t column = 0; column < n; ++column) {
                double const cost = static_cast<double>(costs[row * n + column]);
                if (row == 0 || cost < price_[at(column)]) {
                    price_[at(column)] = cost;
                    from_[at(column)] = row;
                }
            }
        for (index_t column = 0; column < n; ++column)
            if (column_of_[at(from_[at(column)])] < 0) give(column, from_[at(column)]);
    }

    /// Each free row takes the column that is cheapest for it and lowers its price until the second choice is as good. Who is driven out
    /// bids at once; where nothing is gained, in the next of two rounds.
    template <class T> void bid(index_t n, T const* costs) {
        index_t count = 0;
        for (index_t row = 0; row < n; ++row)
            if (column_of_[at(row)] < 0) waiting_[at(count++)] = static_cast<std::int32_t>(row);
        for (int round = 0; round < 2; ++round) {
            index_t const waiting = count;
            index_t patience = 8 * n;  // bids may rise in steps without end
            count = 0;
            for (index_t k = 0; k < waiting;) {
                std::int32_t const row = waiting_[at(k++)];
                T const* const cost = costs + row * n;
                index_t first = 0, second = 1;
                double least = static_cast<double>(cost[0]) - price_[0], next = static_cast<double>(cost[1]) - price_[1];
                if (next < least) std::swap(first, second), std::swap(least, next);
                for (index_t column = 2; column < n; ++column) {
                    double const reduced = static_cast<double>(cost[column]) - price_[at(column)];
                    if (reduced < next) {
                        next = reduced, second = column;
                        if (next < least) std::swap(first, second), std::swap(least, next);
                    }
                }
                double const lower = price_[at(first)] - (next - least);
                bool const gains = lower < price_[at(first)];
                if (!gains && row_of_[at(first)] >= 0) first = second;
                std::int32_t const driven_out = row_of_[at(first)];
                if (gains) price_[at(first)] = lower;
                give(first, row);
                if (driven_out < 0) continue;
                column_of_[at(driven_out)] = -1;
                if (gains && --patience > 0) waiting_[at(--k)] = driven_out;
                else waiting_[at(count++)] = driven_out;
            }
        }
    }

    /// Dijkstra's search over reduced costs, cost - price, from a free row to the nearest free column.
    template <class T> void augment(index_t n, T const* costs, index_t free_row) {
        // What is reached has a price of -infinity for the rest of the search: no way there is short any more.
        open_price_ = price_;
        std::fill(distance_.begin(), distance_.end(), HUGE_VAL);
        index_t row = free_row;
        std::int32_t end = -1;
        double offset = 0, length = 0;
        index_t reached = 0;
        for (;;) {
            std::int32_t const column = spread(n, costs + row * n, row, offset);
            length = distance_[at(column)];
            if (row_of_[at(column)] < 0) {
                end = column;
                break;
            }
            row = row_of_[at(column)];
            offset = static_cast<double>(costs[row * n + column]) - price_[at(column)] - length;
            reached_[at(reached++)] = column;
            price_[at(column)] += length;
            distance_[at(column)] = HUGE_VAL;
            open_price_[at(column)] = -HUGE_VAL;
        }
        for (index_t k = 0; k < reached; ++k) price_[at(reached_[at(k)])] -= length;
        for (std::int32_t column = end; column >= 0;) {
            index_t const owner = from_[at(column)];
            std::int32_t const next = column_of_[at(owner)];
            give(column, owner);
            column = owner == free_row ? -1 : next;
        }
    }
    /// Looks at the ways that lead on from a row and returns the nearest column that is not reached, of equal ones the first.
    template <class T> std::int32_t spread(index_t n, T const* cost, index_t row, double offset) {
        double const* const price = open_price_.data();
        double* const distance = distance_.data();
        index_t* const from = from_.data();
#if defined(_OPENMP)
#pragma omp simd
#endif
        for (index_t column = 0; column < n; ++column) {
            double const through = static_cast<double>(cost[column]) - price[column] - offset;
            bool const shorter = through < distance[column];
            distance[column] = shorter ? through : distance[column];
            from[column] = shorter ? row : from[column];
        }
        double least = HUGE_VAL;
#if defined(_OPENMP)
#pragma omp simd reduction(min : least)
#endif
        for (index_t column = 0; column < n; ++column) least = distance[column] < least ? distance[column] : least;
        return static_cast<std::int32_t>(std::find(distance, distance + n, least) - distance);
    }

    std::vector<std::int32_t> column_of_, row_of_, waiting_, reached_;
    std::vector<index_t> from_;  // as wide as a double, so that both are chosen by one mask
    std::vector<double> price_, open_price_, distance_;
};

}  // namespace onestep
