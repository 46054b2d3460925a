#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include <onestep/core/sums.hpp>

#include "test_backend.hpp"

namespace backend_concept_tests {

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

/// A sum, a count and a sum that is another type's in `summary`.
struct whole_sums_term {
    ONESTEP_HD onestep::sums<float, 3> operator()(index_t r, index_t c) const {
        return {{static_cast<float>(whole(r, c)), 1, static_cast<float>(whole(c, r))}};
    }
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

struct segment_extents {
    index_t segments, rows, cols;
};
/// Empty each way, single, around every block size, more segments than a grid is long, many rows of few segments.
std::vector<segment_extents> const segment_shapes{{0, 3, 2},     {3, 0, 2},      {3, 2, 0},      {1, 1, 1},     {2, 1, 1},
                                                  {4, 7, 1},     {3, 49, 5},     {5, 9, 32},     {2, 9, 33},    {7, 16, 63},
                                                  {3, 3, 64},    {3, 5, 65},     {2, 50, 129},   {9, 1, 300},   {70000, 1, 1},
                                                  {66000, 2, 3}, {2, 100001, 3}, {3, 20000, 40}, {64, 784, 64}, {300, 10, 100}};

template <class Sum, class Term> std::vector<Sum> segment_sums(segment_extents const& e, Term term) {
    tensor<Sum> totals = filled(e.segments * e.cols, Sum{});
    device().template reduce_segments<Sum>(e.segments, e.rows, e.cols, term, add_total<Sum>{totals.data()});
    return totals.to_host();
}
template <class Sum, class Term> void check_segments(Term term) {
    for (segment_extents const& e : segment_shapes) {
        CAPTURE(e.segments);
        CAPTURE(e.rows);
        CAPTURE(e.cols);
        std::vector<Sum> totals(static_cast<std::size_t>(e.segments * e.cols), Sum{});
        for (index_t s = 0; s < e.segments; ++s)
            for (index_t r = 0; r < e.rows; ++r)
                for (index_t c = 0; c < e.cols; ++c) totals[static_cast<std::size_t>(s * e.cols + c)] += term(s * e.rows + r, c);
        CHECK(segment_sums<Sum>(e, term) == totals);
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

/// Compares gemm_batched with as many calls of gemm, bit for bit on a host, and checks that nothing between the products or their rows
/// is written. `shared`: all products have one and the same B.
template <class T>
void check_batch(op opa, op opb, index_t batch, index_t m, index_t n, index_t k, double alpha, double beta, index_t gap, bool shared) {
    CAPTURE(int(opa));
    CAPTURE(int(opb));
    CAPTURE(batch);
    CAPTURE(m);
    CAPTURE(n);
    CAPTURE(k);
    CAPTURE(alpha);
    CAPTURE(beta);
    CAPTURE(shared);
    bool const ta = opa == op::transposed, tb = opb == op::transposed;
    index_t const lda = (ta ? m : k) + gap, ldb = (tb ? k : n) + gap, ldc = n + gap;
    index_t const a_batch = (ta ? k : m) * lda + gap, b_batch = shared ? 0 : (tb ? n : k) * ldb + 2 * gap, c_batch = m * ldc + 3 * gap;
    std::vector<T> const a = ramp<T>(batch * a_batch, 1), b = ramp<T>(batch * ((tb ? n : k) * ldb + 2 * gap), 100),
                         before = ramp<T>(batch * c_batch, 1000);
    tensor<T> const da(device(), {index_t(a.size())}, a), db(device(), {index_t(b.size())}, b);
    tensor<T> together(device(), {index_t(before.size())}, before), apart(device(), {index_t(before.size())}, before);
    T const factor = static_cast<T>(alpha), kept = static_cast<T>(beta);
    device().gemm_batched(opa, opb, batch, m, n, k, factor, da.data(), lda, a_batch, db.data(), ldb, b_batch, kept, together.data(), ldc,
                          c_batch);
    for (index_t i = 0; i < batch; ++i)
        device().gemm(opa, opb, m, n, k, factor, da.data() + i * a_batch, lda, db.data() + i * b_batch, ldb, kept,
                      apart.data() + i * c_batch, ldc);
    std::vector<T> const one = together.to_host(), other = apart.to_host();
#if defined(__CUDACC__)
    index_t wrong = 0, touched = 0;  // cuBLAS may add in another order
    double const bound = double(2 * k + 3) * double(std::numeric_limits<T>::epsilon()) *
                         (std::fabs(alpha) * double(k) + std::fabs(beta));  // factors are at most 1
    for (index_t i = 0; i < index_t(one.size()); ++i) {
        index_t const within = i % c_batch, column = within % ldc;
        double const difference = std::fabs(double(one[std::size_t(i)]) - double(other[std::size_t(i)]));
        if (!(difference <= bound)) ++wrong;
        if ((within >= m * ldc || column >= n) && one[std::size_t(i)] != before[std::size_t(i)]) ++touched;
    }
    CHECK(wrong == 0);
    CHECK(touched == 0);
#else
    CHECK(one == other);
#endif
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

TEST_CASE("backend: sums over segments of whole numbers are exact") {
    check_segments<float>(whole_term<float>{});
    check_segments<double>(whole_term<float>{});
    check_segments<summary>(summary_term{});
    check_segments<onestep::sums<float, 3>>(whole_sums_term{});
}
TEST_CASE("backend: several sums of rows and columns at once are exact") { check_sums<onestep::sums<float, 3>>(whole_sums_term{}); }

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

TEST_CASE("backend: a term is evaluated once for each row and column of a segment") {
    for (segment_extents const& e : segment_shapes) {
        CAPTURE(e.segments);
        CAPTURE(e.rows);
        CAPTURE(e.cols);
        index_t const size = e.segments * e.rows * e.cols;
        tensor<float> const x = filled(size, 1.0f);
        tensor<std::int32_t> visits = filled(size, std::int32_t{0});
        CHECK(segment_sums<float>(e, visiting_term<float>{x.data(), visits.data(), e.cols}) ==
              std::vector<float>(static_cast<std::size_t>(e.segments * e.cols), static_cast<float>(e.rows)));
        CHECK(visits.to_host() == std::vector<std::int32_t>(static_cast<std::size_t>(size), 1));
    }
}

TEST_CASE("backend: one segment has the bits of a sum over columns, and several do every time") {
    for (auto [rows, cols] : {extents{1, 300}, extents{100001, 3}, extents{2000, 300}}) {
        std::vector<float> const values = ramp<float>(rows * cols, 3);
        tensor<float> const x(device(), {rows, cols}, values);
        tensor<std::int32_t> visits = filled(rows * cols, std::int32_t{0});
        visiting_term<float> const term{x.data(), visits.data(), cols};
        CHECK(segment_sums<float>({1, rows, cols}, term) == column_sums<float>(rows, cols, term));
        index_t const segments = rows % 8 == 0 ? 8 : 1;
        CHECK(segment_sums<float>({segments, rows / segments, cols}, term) == segment_sums<float>({segments, rows / segments, cols}, term));
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

TEST_CASE_TEMPLATE("backend: a batch of products is each of them by itself", T, float, double) {
    for (op opa : {op::plain, op::transposed})
        for (op opb : {op::plain, op::transposed})
            for (bool shared : {false, true})
                for (auto [m, n, k] :
                     {std::array<index_t, 3>{1, 1, 1}, {49, 49, 32}, {49, 32, 49}, {7, 3, 5}, {3, 7, 40}, {130, 70, 300}, {200, 4, 64}})
                    for (index_t batch : {1, 2, 3, 9}) check_batch<T>(opa, opb, batch, m, n, k, 0.75, -0.5, batch % 2 * 3, shared);
}

TEST_CASE_TEMPLATE("backend: batches take any alpha and beta, and may be empty", T, float, double) {
    for (op opa : {op::plain, op::transposed})
        for (op opb : {op::plain, op::transposed}) {
            for (double alpha : {1.0, 0.0, -2.0})
                for (double beta : {0.0, 1.0, 3.0}) check_batch<T>(opa, opb, 5, 19, 21, 23, alpha, beta, 1, false);
            for (double beta : {0.0, 1.0, 2.0}) check_batch<T>(opa, opb, 3, 5, 3, 0, 1, beta, 1, false);
            check_batch<T>(opa, opb, 0, 5, 3, 4, 1, 0, 1, false);
            check_batch<T>(opa, opb, 3, 0, 3, 4, 1, 0, 1, false);
            check_batch<T>(opa, opb, 3, 5, 0, 4, 1, 0, 1, false);
        }
}

TEST_CASE("backend: products of a batch lie side by side in wider matrices, as heads do") {
    // Rows of 12 elements hold four matrices of 3 columns each; c[i] = a[i] b[i] with b[i] = (i + 1) times the identity.
    std::vector<double> const a = ramp<double>(5 * 12, 3);
    std::vector<double> b(3 * 12), expected;
    for (std::size_t i = 0; i < 4; ++i)
        for (std::size_t j = 0; j < 3; ++j) b[j * 12 + i * 3 + j] = double(i + 1);
    for (std::size_t i = 0; i < a.size(); ++i) expected.push_back(a[i] * double(i % 12 / 3 + 1));
    tensor<double> const da(device(), {60}, a), db(device(), {36}, b);
    tensor<double> dc = filled(60, std::numeric_limits<double>::quiet_NaN());
    device().gemm_batched(op::plain, op::plain, 4, 5, 3, 3, 1.0, da.data(), 12, 3, db.data(), 12, 3, 0.0, dc.data(), 12, 3);
    CHECK(dc.to_host() == expected);
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

}  // namespace backend_concept_tests
