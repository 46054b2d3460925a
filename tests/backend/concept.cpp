#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "test_backend.hpp"

using onestep::index_t;
using onestep::op;
using onestep::test::backend_type;
using onestep::test::device;

namespace {

template <class T> using tensor = onestep::tensor<T, backend_type>;

template <class T> tensor<T> filled(index_t n, T value) {
    return tensor<T>(device(), {n}, std::vector<T>(static_cast<std::size_t>(n), value));
}

struct visit_index {
    std::int32_t* visits;
    ONESTEP_HD void operator()(index_t i) const { visits[i] += 1; }
};
struct visit_pair {
    std::int32_t* visits;
    index_t cols;
    ONESTEP_HD void operator()(index_t r, index_t c) const { visits[r * cols + c] += 1; }
};

/// A whole number from -5 to 5: sums of them are exact in any order.
ONESTEP_HD inline index_t whole(index_t r, index_t c) { return (7 * r + 3 * c) % 11 - 5; }

template <class T> struct whole_term {
    ONESTEP_HD T operator()(index_t r, index_t c) const { return static_cast<T>(whole(r, c)); }
};
/// Adds, so that a second call with the same position shows.
template <class Sum> struct add_total {
    Sum* totals;
    ONESTEP_HD void operator()(index_t i, Sum const& sum) const { totals[i] += sum; }
};

/// Twelve bytes; `+=` does more than add.
struct summary {
    float sum;
    std::int32_t count, bits;
    ONESTEP_HD summary& operator+=(summary const& other) {
        sum += other.sum;
        count += other.count;
        bits |= other.bits;
        return *this;
    }
    friend bool operator==(summary const&, summary const&) = default;
};
struct summary_term {
    ONESTEP_HD summary operator()(index_t r, index_t c) const { return {static_cast<float>(whole(r, c)), 1, 1 << (whole(r, c) + 5)}; }
};

template <class T> struct visiting_term {
    T const* x;
    std::int32_t* visits;
    index_t cols;
    ONESTEP_HD T operator()(index_t r, index_t c) const {
        visits[r * cols + c] += 1;
        return x[r * cols + c];
    }
};

struct extents {
    index_t rows, cols;
};
/// Empty, single, around every block size, long and narrow both ways.
std::vector<extents> const shapes{{0, 0},     {0, 3},     {3, 0},      {1, 1},     {1, 2},    {2, 1},     {5, 3},
                                  {7, 31},    {33, 32},   {8, 33},     {63, 64},   {65, 65},  {17, 257},  {300, 512},
                                  {3, 513},   {1, 5000},  {1, 100001}, {5, 20000}, {5000, 1}, {70001, 1}, {100001, 2},
                                  {20000, 5}, {3000, 40}, {9000, 100}, {4, 70000}, {66000, 7}};

template <class Sum, class Term> std::vector<Sum> row_sums(index_t rows, index_t cols, Term term) {
    tensor<Sum> totals = filled(rows, Sum{});
    device().template reduce_rows<Sum>(rows, cols, term, add_total<Sum>{totals.data()});
    return totals.to_host();
}
template <class Sum, class Term> std::vector<Sum> column_sums(index_t rows, index_t cols, Term term) {
    tensor<Sum> totals = filled(cols, Sum{});
    device().template reduce_columns<Sum>(rows, cols, term, add_total<Sum>{totals.data()});
    return totals.to_host();
}
template <class Sum, class Term> std::vector<Sum> host_row_sums(index_t rows, index_t cols, Term term) {
    std::vector<Sum> totals(static_cast<std::size_t>(rows), Sum{});
    for (index_t r = 0; r < rows; ++r)
        for (index_t c = 0; c < cols; ++c) totals[static_cast<std::size_t>(r)] += term(r, c);
    return totals;
}
template <class Sum, class Term> std::vector<Sum> host_column_sums(index_t rows, index_t cols, Term term) {
    std::vector<Sum> totals(static_cast<std::size_t>(cols), Sum{});
    for (index_t r = 0; r < rows; ++r)
        for (index_t c = 0; c < cols; ++c) totals[static_cast<std::size_t>(c)] += term(r, c);
    return totals;
}
template <class Sum, class Term> void check_sums(Term term) {
    for (auto [rows, cols] : shapes) {
        CAPTURE(rows);
        CAPTURE(cols);
        CHECK(row_sums<Sum>(rows, cols, term) == host_row_sums<Sum>(rows, cols, term));
        CHECK(column_sums<Sum>(rows, cols, term) == host_column_sums<Sum>(rows, cols, term));
    }
}

template <class T> std::vector<T> ramp(index_t n, index_t start) {
    std::vector<T> values(static_cast<std::size_t>(n));
    for (index_t i = 0; i < n; ++i) values[static_cast<std::size_t>(i)] = static_cast<T>(std::sin(1.7 * static_cast<double>(i + start)));
    return values;
}

/// Compares C = alpha op(A) op(B) + beta C with loops in double, each element within its own rounding bound, and checks that
/// nothing between the rows of C is written. Each matrix has `gap` unused elements behind every row.
template <class T> void check_product(op opa, op opb, index_t m, index_t n, index_t k, double alpha, double beta, index_t gap) {
    CAPTURE(int(opa));
    CAPTURE(int(opb));
    CAPTURE(m);
    CAPTURE(n);
    CAPTURE(k);
    CAPTURE(alpha);
    CAPTURE(beta);
    bool const ta = opa == op::transposed, tb = opb == op::transposed;
    index_t const lda = (ta ? m : k) + gap, ldb = (tb ? k : n) + gap, ldc = n + gap;
    std::vector<T> const a = ramp<T>((ta ? k : m) * lda, 1), b = ramp<T>((tb ? n : k) * ldb, 100), before = ramp<T>(m * ldc, 1000);
    tensor<T> const da(device(), {index_t(a.size())}, a), db(device(), {index_t(b.size())}, b);
    tensor<T> dc(device(), {index_t(before.size())}, before);
    device().gemm(opa, opb, m, n, k, static_cast<T>(alpha), da.data(), lda, db.data(), ldb, static_cast<T>(beta), dc.data(), ldc);
    std::vector<T> const after = dc.to_host();
    index_t wrong = 0, touched = 0;
    for (index_t i = 0; i < m; ++i) {
        for (index_t j = 0; j < n; ++j) {
            double const old = before[std::size_t(i * ldc + j)];
            double sum = 0, size = 0;
            for (index_t l = 0; l < k; ++l) {
                double const term =
                    double(a[std::size_t(ta ? l * lda + i : i * lda + l)]) * double(b[std::size_t(tb ? j * ldb + l : l * ldb + j)]);
                sum += term;
                size += std::fabs(term);
            }
            double const expected = alpha * sum + beta * old, bound = std::fabs(alpha) * size + std::fabs(beta * old);
            double const error = std::fabs(double(after[std::size_t(i * ldc + j)]) - expected);
            if (!(error <= double(k + 3) * double(std::numeric_limits<T>::epsilon()) * bound)) ++wrong;
        }
        for (index_t j = n; j < ldc; ++j)
            if (after[std::size_t(i * ldc + j)] != before[std::size_t(i * ldc + j)]) ++touched;
    }
    CHECK(wrong == 0);
    CHECK(touched == 0);
}

}  // namespace

static_assert(onestep::backend<backend_type>);
static_assert(!onestep::backend<int>);

TEST_CASE("backend: values go up, across and down") {
    for (index_t n : {0, 1, 3, 1000, 300001}) {
        CAPTURE(n);
        std::vector<double> const values = ramp<double>(n, 0);
        tensor<double> from(device(), {n + 1}), to = filled(n + 1, 9.0);
        device().upload(values.data(), n, from.data());
        device().copy(from.data(), n, to.data());
        std::vector<double> back(static_cast<std::size_t>(n + 1), 7.0);
        device().download(to.data(), n, back.data());
        CHECK(std::vector<double>(back.begin(), back.end() - 1) == values);
        CHECK(back.back() == 7.0);
        CHECK(to.to_host().back() == 9.0);
    }
}

TEST_CASE("backend: a storage is empty when default-constructed, and moves") {
    typename backend_type::template storage<float> storage{};
    CHECK(backend_type::data(storage) == nullptr);
    storage = device().template allocate<float>(5);
    float* const at = backend_type::data(storage);
    CHECK(at != nullptr);
    auto const moved = std::move(storage);
    CHECK(backend_type::data(moved) == at);
}

TEST_CASE("backend: for_each_index visits every index once") {
    for (index_t n : {0, 1, 2, 255, 257, 8193, 70001, 3000001}) {
        CAPTURE(n);
        tensor<std::int32_t> visits = filled(n + 1, std::int32_t{0});
        device().for_each_index(n, visit_index{visits.data()});
        std::vector<std::int32_t> expected(static_cast<std::size_t>(n + 1), 1);
        expected.back() = 0;
        CHECK(visits.to_host() == expected);
    }
}

TEST_CASE("backend: for_each_pair visits every pair once") {
    for (auto [rows, cols] : shapes) {
        CAPTURE(rows);
        CAPTURE(cols);
        tensor<std::int32_t> visits = filled(rows * cols + 1, std::int32_t{0});
        device().for_each_pair(rows, cols, visit_pair{visits.data(), cols});
        std::vector<std::int32_t> expected(static_cast<std::size_t>(rows * cols + 1), 1);
        expected.back() = 0;
        CHECK(visits.to_host() == expected);
    }
}

TEST_CASE("backend: reductions of whole numbers in float are exact") { check_sums<float>(whole_term<float>{}); }
TEST_CASE("backend: reductions of float terms in double are exact") { check_sums<double>(whole_term<float>{}); }
TEST_CASE("backend: reductions of a struct with an addition of its own") { check_sums<summary>(summary_term{}); }

TEST_CASE("backend: reductions in double round in double") {
    index_t const rows = 700, cols = 1100;
    std::vector<double> const x = ramp<double>(rows * cols, 5);
    tensor<double> const on_device(device(), {rows, cols}, x);
    tensor<std::int32_t> visits = filled(rows * cols, std::int32_t{0});
    visiting_term<double> const term{on_device.data(), visits.data(), cols};
    std::vector<double> const by_row = row_sums<double>(rows, cols, term), by_column = column_sums<double>(rows, cols, term);
    for (index_t r = 0; r < rows; ++r) {
        double sum = 0;
        for (index_t c = 0; c < cols; ++c) sum += x[std::size_t(r * cols + c)];
        REQUIRE(std::fabs(by_row[std::size_t(r)] - sum) <= 1e-12 * double(cols));
    }
    for (index_t c = 0; c < cols; ++c) {
        double sum = 0;
        for (index_t r = 0; r < rows; ++r) sum += x[std::size_t(r * cols + c)];
        REQUIRE(std::fabs(by_column[std::size_t(c)] - sum) <= 1e-12 * double(rows));
    }
}

TEST_CASE("backend: a term is evaluated once for each row and column, because it may write") {
    for (auto [rows, cols] : shapes) {
        CAPTURE(rows);
        CAPTURE(cols);
        tensor<float> const x = filled(rows * cols, 1.0f);
        tensor<std::int32_t> visits = filled(rows * cols, std::int32_t{0});
        visiting_term<float> const term{x.data(), visits.data(), cols};
        CHECK(row_sums<float>(rows, cols, term) == std::vector<float>(static_cast<std::size_t>(rows), static_cast<float>(cols)));
        CHECK(visits.to_host() == std::vector<std::int32_t>(static_cast<std::size_t>(rows * cols), 1));
        CHECK(column_sums<float>(rows, cols, term) == std::vector<float>(static_cast<std::size_t>(cols), static_cast<float>(rows)));
        CHECK(visits.to_host() == std::vector<std::int32_t>(static_cast<std::size_t>(rows * cols), 2));
    }
}

TEST_CASE("backend: reductions add in the same order every time") {
    for (auto [rows, cols] : {extents{1, 100001}, extents{100001, 3}, extents{300, 2000}}) {
        std::vector<float> const values = ramp<float>(rows * cols, 3);
        tensor<float> const x(device(), {rows, cols}, values);
        tensor<std::int32_t> visits = filled(rows * cols, std::int32_t{0});
        visiting_term<float> const term{x.data(), visits.data(), cols};
        CHECK(row_sums<float>(rows, cols, term) == row_sums<float>(rows, cols, term));
        CHECK(column_sums<float>(rows, cols, term) == column_sums<float>(rows, cols, term));
    }
}

TEST_CASE_TEMPLATE("backend: products agree with loops in double", T, float, double) {
    for (op opa : {op::plain, op::transposed})
        for (op opb : {op::plain, op::transposed})
            for (index_t gap : {0, 3})
                for (auto [m, n, k] : {std::array<index_t, 3>{1, 1, 1},
                                       {1, 7, 5},
                                       {7, 1, 5},
                                       {5, 7, 1},
                                       {17, 33, 29},
                                       {64, 64, 64},
                                       {130, 70, 300},
                                       {3, 515, 2}})
                    check_product<T>(opa, opb, m, n, k, 0.75, -0.5, gap);
}

TEST_CASE_TEMPLATE("backend: products take any alpha and beta", T, float, double) {
    for (op opa : {op::plain, op::transposed})
        for (double alpha : {1.0, 0.0, -2.0})
            for (double beta : {0.0, 1.0, 3.0}) check_product<T>(opa, op::transposed, 19, 21, 23, alpha, beta, 1);
}

TEST_CASE_TEMPLATE("backend: products of empty matrices", T, float, double) {
    for (op opa : {op::plain, op::transposed})
        for (op opb : {op::plain, op::transposed}) {
            check_product<T>(opa, opb, 0, 5, 3, 1, 0, 0);
            check_product<T>(opa, opb, 5, 0, 3, 1, 0, 0);
            check_product<T>(opa, opb, 0, 0, 0, 1, 0, 0);
            for (double beta : {0.0, 1.0, 2.0}) check_product<T>(opa, opb, 5, 3, 0, 1, beta, 0);
        }
}

TEST_CASE_TEMPLATE("backend: a product with beta 0 overwrites NaN, and one with alpha 0 reads no factor", T, float, double) {
    T const nan = std::numeric_limits<T>::quiet_NaN();
    tensor<T> const one = filled(12, T(1)), bad = filled(12, nan);
    tensor<T> c = filled(9, nan);
    device().gemm(op::plain, op::plain, 3, 3, 4, T(1), one.data(), 4, one.data(), 3, T(0), c.data(), 3);
    CHECK(c.to_host() == std::vector<T>(9, T(4)));
    device().gemm(op::plain, op::plain, 3, 3, 4, T(0), bad.data(), 4, bad.data(), 3, T(0.5), c.data(), 3);
    CHECK(c.to_host() == std::vector<T>(9, T(2)));
    device().gemm(op::plain, op::plain, 3, 3, 4, T(0), bad.data(), 4, bad.data(), 3, T(0), c.data(), 3);
    CHECK(c.to_host() == std::vector<T>(9, T(0)));
}
