#include <onestep/backend/host_reduction.hpp>

#include <vector>

#include <doctest/doctest.h>

namespace host_reduction_tests {

using namespace onestep;

namespace {

struct element {
    double const* x;
    index_t cols;
    double operator()(index_t r, index_t c) const { return x[r * cols + c]; }
};
struct element_and_one {
    double const* x;
    index_t cols;
    sums<double, 2> operator()(index_t r, index_t c) const { return {{x[r * cols + c], 1}}; }
};
struct one {
    index_t operator()(index_t, index_t) const { return 1; }
};
template <class Sum> struct put {
    Sum* y;
    void operator()(index_t i, Sum total) const { y[i] = total; }
};

}  // namespace

TEST_CASE("row and column sums of small integers are exact for extents around every edge") {
    for (index_t rows : {1, 2, 5, 17})
        for (index_t cols : {1, 2, 15, 16, 17, 31, 33, 63, 64, 65, 128, 200}) {
            CAPTURE(rows);
            CAPTURE(cols);
            std::vector<double> x(static_cast<std::size_t>(rows * cols)), by_row(static_cast<std::size_t>(rows), -1),
                by_column(static_cast<std::size_t>(cols), -1);
            for (index_t i = 0; i < rows * cols; ++i) x[static_cast<std::size_t>(i)] = static_cast<double>((i * 7) % 23);
            host::row_sum<double, element, put<double>> const row{cols, {x.data(), cols}, {by_row.data()}};
            for (index_t r = 0; r < rows; ++r) row(r);
            host::column_sum<double, element, put<double>> const column{rows, cols, {x.data(), cols}, {by_column.data()}};
            CHECK(column.blocks() * host::column_block >= cols);
            CHECK((column.blocks() - 1) * host::column_block < cols);
            for (index_t block = 0; block < column.blocks(); ++block) column(block);
            for (index_t r = 0; r < rows; ++r) {
                double expected = 0;
                for (index_t c = 0; c < cols; ++c) expected += x[static_cast<std::size_t>(r * cols + c)];
                CHECK(by_row[static_cast<std::size_t>(r)] == expected);
            }
            for (index_t c = 0; c < cols; ++c) {
                double expected = 0;
                for (index_t r = 0; r < rows; ++r) expected += x[static_cast<std::size_t>(r * cols + c)];
                CHECK(by_column[static_cast<std::size_t>(c)] == expected);
            }
        }
}

TEST_CASE("a column sum adds its rows in order, alone and beside others") {
    // In this order 2^53 + 1 - 2^53 is 0 and 2^53 - 2^53 + 1 is 1.
    double const big = 9007199254740992.0;
    std::vector<double> const x{big, big, 1, 1, -big, -big, big, big, -big, -big, 1, 1};  // two segments of three rows, two columns
    std::vector<double> alone(4, -1);
    host::column_sum<double, element, put<double>> const column{3, 2, {x.data(), 2}, {alone.data()}};
    std::vector<sums<double, 2>> pairs(4, {{-1, -1}});
    host::column_sum<sums<double, 2>, element_and_one, put<sums<double, 2>>> const both{3, 2, {x.data(), 2}, {pairs.data()}};
    for (index_t segment : {1, 0}) {
        column(segment);
        both(segment);
    }
    CHECK(alone == std::vector<double>{0, 0, 1, 1});
    for (std::size_t i = 0; i < 4; ++i) CHECK(pairs[i] == sums<double, 2>{{alone[i], 3}});
}

TEST_CASE("a row sum adds in sixteen lanes and folds them in halves") {
    // 1 + 2^53 loses the 1: which neighbours meet first shows in the total.
    double const big = 9007199254740992.0;
    std::vector<double> x(32, 0.0);
    double total = -1;
    host::row_sum<double, element, put<double>> const row{32, {x.data(), 32}, {&total}};
    x[0] = big, x[16] = 1, x[8] = -big;  // lane 0: big + 1 = big; then lane 8 is added
    row(0);
    CHECK(total == 0);
    x[16] = 0, x[4] = 1;  // lanes 0 and 8 meet before lane 4 joins
    row(0);
    CHECK(total == 1);
}

TEST_CASE("sums of no terms are zero") {
    index_t total = -1;
    host::row_sum<index_t, one, put<index_t>>{0, {}, {&total}}(0);
    CHECK(total == 0);
    total = -1;
    host::column_sum<index_t, one, put<index_t>>{0, 1, {}, {&total}}(0);
    CHECK(total == 0);
}

}  // namespace host_reduction_tests
