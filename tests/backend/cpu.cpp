#include <onestep/backend/cpu.hpp>

#include <cstring>
#include <vector>

#include <doctest/doctest.h>

#include "../counting_allocator.hpp"
#include "gemm_check.hpp"

namespace cpu_tests {

using namespace onestep;
using test::operations;
using test::product;

namespace {

constexpr int thread_counts[] = {1, 2, 3, 5};

struct gemm_on {
    cpu const& device;
    template <class... Operands> void operator()(Operands... operands) const { device.gemm(operands...); }
};

struct count_visit {
    int* visits;
    void operator()(index_t i) const { ++visits[i]; }
};
struct count_pair {
    int* visits;
    index_t cols;
    void operator()(index_t r, index_t c) const { visits[r * cols + c] += 1 + static_cast<int>(r * 1000 + c); }
};
struct element {
    float const* x;
    index_t cols;
    float operator()(index_t r, index_t c) const { return x[r * cols + c]; }
};
struct put {
    float* y;
    void operator()(index_t i, float total) const { y[i] = total; }
};

template <class T> bool same_bits(std::vector<T> const& x, std::vector<T> const& y) {
    return x.size() == y.size() && (x.empty() || std::memcmp(x.data(), y.data(), x.size() * sizeof(T)) == 0);
}

}  // namespace

TEST_CASE("cpu takes the number of threads it is told and at least one") {
    CHECK(cpu(3).threads() == 3);
    CHECK(cpu().threads() >= 1);
    CHECK(cpu(-1).threads() == cpu().threads());
}

TEST_CASE("cpu memory is aligned to 64 bytes and copies go there and back") {
    cpu device;
    for (index_t n : {0, 1, 1000}) {
        auto here = device.allocate<double>(n), there = device.allocate<double>(n);
        CHECK(reinterpret_cast<std::uintptr_t>(cpu::data(here)) % 64 == 0);
        std::vector<double> out(static_cast<std::size_t>(n)), values(static_cast<std::size_t>(n));
        for (index_t i = 0; i < n; ++i) values[static_cast<std::size_t>(i)] = static_cast<double>(i) / 3;
        device.upload(values.data(), n, cpu::data(here));
        device.copy(cpu::data(here), n, cpu::data(there));
        device.download(cpu::data(there), n, out.data());
        device.synchronize();
        CHECK(out == values);
    }
}

TEST_CASE("cpu loops visit every index and every pair once for any number of threads") {
    for (int threads : thread_counts) {
        cpu const device(threads);
        for (index_t n : {0, 1, 7, 8192, 8193, 20001}) {
            std::vector<int> visits(static_cast<std::size_t>(n + 1), 0);
            device.for_each_index(n, count_visit{visits.data()});
            CHECK(std::count(visits.begin(), visits.end() - 1, 1) == n);
            CHECK(visits.back() == 0);
        }
        for (index_t rows : {0, 1, 3, 200})
            for (index_t cols : {0, 1, 17, 100}) {
                std::vector<int> visits(static_cast<std::size_t>(rows * cols), 0);
                device.for_each_pair(rows, cols, count_pair{visits.data(), cols});
                for (index_t i = 0; i < rows * cols; ++i) CHECK(visits[static_cast<std::size_t>(i)] == 1 + i / cols * 1000 + i % cols);
            }
    }
}

TEST_CASE("cpu reductions give the same bits for any number of threads") {
    test::uniform_numbers numbers{3};
    for (index_t rows : {1, 77, 301})
        for (index_t cols : {1, 63, 130, 257}) {
            std::vector<float> x(static_cast<std::size_t>(rows * cols));
            for (float& v : x) v = static_cast<float>(numbers());
            std::vector<float> first_rows, first_cols;
            for (int threads : thread_counts) {
                cpu const device(threads);
                std::vector<float> by_row(static_cast<std::size_t>(rows), -1), by_column(static_cast<std::size_t>(cols), -1);
                device.reduce_rows<float>(rows, cols, element{x.data(), cols}, put{by_row.data()});
                device.reduce_columns<float>(rows, cols, element{x.data(), cols}, put{by_column.data()});
                if (threads == 1) {
                    first_rows = by_row;
                    first_cols = by_column;
                    double sum = 0;
                    for (index_t r = 0; r < rows; ++r) sum += static_cast<double>(x[static_cast<std::size_t>(r * cols)]);
                    CHECK(by_column[0] == doctest::Approx(sum).epsilon(1e-5));
                }
                CHECK(same_bits(by_row, first_rows));
                CHECK(same_bits(by_column, first_cols));
            }
        }
}

TEST_CASE("cpu sums over segments are those over each segment's columns for any number of threads") {
    test::uniform_numbers numbers{4};
    for (index_t cols : {1, 63, 64, 130}) {
        index_t const segments = 7, rows = 49;
        std::vector<float> x(static_cast<std::size_t>(segments * rows * cols));
        for (float& v : x) v = static_cast<float>(numbers());
        std::vector<float> one_by_one(static_cast<std::size_t>(segments * cols), -1);
        for (index_t s = 0; s < segments; ++s)
            cpu(1).reduce_columns<float>(rows, cols, element{x.data() + s * rows * cols, cols}, put{one_by_one.data() + s * cols});
        for (int threads : thread_counts) {
            std::vector<float> together(one_by_one.size(), -1);
            cpu(threads).reduce_segments<float>(segments, rows, cols, element{x.data(), cols}, put{together.data()});
            CHECK(same_bits(together, one_by_one));
        }
    }
}

TEST_CASE_TEMPLATE("cpu products agree with a triple loop and have the same bits for any number of threads", T, float, double) {
    test::uniform_numbers numbers{21};
    T const factors[] = {T(1), T(0), T(-0.5)};
    for (op opa : operations)
        for (op opb : operations)
            for (int round = 0; round < 12; ++round) {
                index_t const m = 1 + numbers.below(200), n = 1 + numbers.below(200), k = numbers.below(300);
                product<T> const p(opa, opb, m, n, k, factors[numbers.below(3)], factors[numbers.below(3)], numbers.below(3),
                                   numbers.bits());
                CAPTURE(m);
                CAPTURE(n);
                CAPTURE(k);
                std::vector<T> const one = p.run(gemm_on{cpu(1)});
                CHECK(p.error(one) < 4);
                for (int threads : thread_counts) CHECK(same_bits(p.run(gemm_on{cpu(threads)}), one));
            }
}

TEST_CASE_TEMPLATE("a batch of products on the cpu has the bits of single ones for any number of threads", T, float, double) {
    test::uniform_numbers numbers{22};
    for (op opa : operations)
        for (op opb : operations)
            for (int round = 0; round < 8; ++round) {
                index_t const batch = 1 + numbers.below(12), m = 1 + numbers.below(90), n = 1 + numbers.below(90), k = numbers.below(90);
                std::vector<product<T>> single;
                std::vector<T> a, b, c, expected;
                for (index_t i = 0; i < batch; ++i) {
                    product<T> const& p = single.emplace_back(opa, opb, m, n, k, T(0.5), T(2), 0, numbers.bits());
                    a.insert(a.end(), p.a.begin(), p.a.end());
                    b.insert(b.end(), p.b.begin(), p.b.end());
                    c.insert(c.end(), p.c.begin(), p.c.end());
                    std::vector<T> const out = p.run(gemm_on{cpu(1)});
                    CHECK(p.error(out) < 4);
                    expected.insert(expected.end(), out.begin(), out.end());
                }
                for (int threads : thread_counts) {
                    std::vector<T> out = c;
                    product<T> const& p = single.front();
                    cpu(threads).gemm_batched(opa, opb, batch, m, n, k, p.alpha, a.data(), p.lda, m * k, b.data(), p.ldb, k * n, p.beta,
                                              out.data(), p.ldc, m * n);
                    CHECK(same_bits(out, expected));
                }
            }
}

TEST_CASE("one cpu multiplies for several threads at once") {
    cpu const device(2);
    product<float> const p(op::transposed, op::transposed, 150, 90, 300, 1.0f, 0.0f, 0, 8);
    std::vector<float> const expected = p.run(gemm_on{device});
    std::vector<std::vector<float>> results(8);
#pragma omp parallel for num_threads(4)
    for (int i = 0; i < 8; ++i) results[static_cast<std::size_t>(i)] = p.run(gemm_on{device});
    for (auto const& result : results) CHECK(same_bits(result, expected));
}

TEST_CASE("warm loops and reductions on the cpu allocate nothing") {
    cpu const device(2);
    std::vector<float> x(40000, 0.5f), y(400);
    std::vector<int> visits(40000, 0);
    std::size_t before = 0;
    for (int pass = 0; pass < 2; ++pass) {
        before = test::allocations();
        device.for_each_index(40000, count_visit{visits.data()});
        device.for_each_pair(200, 200, count_pair{visits.data(), 200});
        device.reduce_rows<float>(400, 100, element{x.data(), 100}, put{y.data()});
        device.reduce_columns<float>(100, 400, element{x.data(), 400}, put{y.data()});
        device.reduce_segments<float>(4, 100, 100, element{x.data(), 100}, put{y.data()});
    }
    CHECK(test::allocations() == before);
}

#if defined(ONESTEP_VECTOR_GEMM)
TEST_CASE("warm products on the cpu allocate nothing") {
    cpu const device(2);
    product<float> const p(op::transposed, op::plain, 256, 256, 512, 1.0f, 1.0f, 0, 2);
    std::vector<float> out = p.c;
    std::size_t before = 0;
    for (int pass = 0; pass < 2; ++pass) {
        before = test::allocations();
        device.gemm(p.opa, p.opb, p.m, p.n, p.k, p.alpha, p.a.data(), p.lda, p.b.data(), p.ldb, p.beta, out.data(), p.ldc);
        device.gemm_batched(p.opa, p.opb, 3, 80, p.n, p.k, p.alpha, p.a.data(), p.lda, 88, p.b.data(), p.ldb, 0, p.beta, out.data(), p.ldc,
                            80 * p.ldc);
    }
    CHECK(test::allocations() == before);
    if (test::counts_allocations) {
        auto const room = device.allocate<float>(10);
        CHECK(test::allocations() > before);
    }
}
#endif

}  // namespace cpu_tests
