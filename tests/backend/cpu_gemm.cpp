#include <onestep/backend/cpu_gemm.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>

#include <doctest/doctest.h>

#include "../counting_allocator.hpp"
#include "gemm_check.hpp"

namespace cpu_gemm_tests {

using namespace onestep;
using test::operations;
using test::product;

namespace {

/// Runs the items of a plan made for so many threads, the last first.
struct plan_for {
    int threads;
    template <class T, class... Rest>
    void operator()(op opa, op opb, index_t m, index_t n, index_t k, T alpha, T const* a, Rest... rest) const {
        host::gemm_plan<T> const plan(threads, opa, opb, m, n, k, alpha, a, rest...);
        for (index_t i = plan.count(); i-- > 0;) plan(i);
    }
};

template <class T> bool same_bits(std::vector<T> const& x, std::vector<T> const& y) {
    return x.size() == y.size() && (x.empty() || std::memcmp(x.data(), y.data(), x.size() * sizeof(T)) == 0);
}

/// The product is right, and the same bits however many threads it is cut for.
template <class T> void check(product<T> const& p) {
    CAPTURE(p.m);
    CAPTURE(p.n);
    CAPTURE(p.k);
    CAPTURE(static_cast<int>(p.opa));
    CAPTURE(static_cast<int>(p.opb));
    std::vector<T> const one = p.run(plan_for{1});
    CHECK(p.error(one) < 4);
    for (int threads : {2, 3, 5, 64}) CHECK(same_bits(p.run(plan_for{threads}), one));
}

}  // namespace

TEST_CASE_TEMPLATE("a planned product agrees with a triple loop for random extents", T, float, double) {
    test::uniform_numbers numbers{11};
    T const factors[] = {T(1), T(0), T(-0.5), T(2)};
    for (int round = 0; round < 150; ++round)
        for (op opa : operations)
            for (op opb : operations) {
                index_t const m = numbers.below(71), n = numbers.below(71), k = numbers.below(71), padding = numbers.below(4) * 3;
                check(product<T>(opa, opb, m, n, k, factors[numbers.below(4)], factors[numbers.below(4)], padding, numbers.bits()));
            }
}

TEST_CASE_TEMPLATE("a planned product is right on both sides of every edge of its tiles", T, float, double) {
    std::uint64_t seed = 5;
    for (op opa : operations)
        for (op opb : operations) {
            for (index_t m : {1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 25})
                for (index_t n : {1, 3, 4, 5, 8, 9, 15, 16, 17, 31, 32, 33, 64, 65, 128, 129})
                    for (index_t k : {1, 7, 16, 17}) check(product<T>(opa, opb, m, n, k, T(1), T((m + n) % 2), 1, seed++));
            for (index_t m : {3, 255, 257, 300})
                for (index_t n : {2, 130})
                    for (index_t k : {255, 257, 513}) check(product<T>(opa, opb, m, n, k, T(1), T(k % 4 == 1), 0, seed++));
        }
}

TEST_CASE("with alpha 0 the factors are not read") {
    for (op opa : operations)
        for (op opb : operations) {
            product<float> p(opa, opb, 20, 30, 40, 0.0f, 0.5f, 2, 3);
            std::fill(p.a.begin(), p.a.end(), std::numeric_limits<float>::quiet_NaN());
            std::fill(p.b.begin(), p.b.end(), std::numeric_limits<float>::infinity());
            std::vector<float> const out = p.run(plan_for{2});
            for (std::size_t i = 0; i < out.size(); ++i)
                if (static_cast<index_t>(i) % p.ldc < p.n) CHECK(out[i] == 0.5f * p.c[i]);
        }
}

TEST_CASE("an infinite factor and a NaN reach their row and column of the product and no other") {
    product<float> p(op::plain, op::transposed, 33, 35, 37, 1.0f, 0.0f, 0, 9);
    p.a[5 * 37 + 36] = std::numeric_limits<float>::infinity();
    p.b[7 * 37 + 0] = std::numeric_limits<float>::quiet_NaN();
    std::vector<float> const out = p.run(plan_for{3});
    for (index_t i = 0; i < 33; ++i)
        for (index_t j = 0; j < 35; ++j) CHECK(std::isfinite(out[static_cast<std::size_t>(i * 35 + j)]) == (i != 5 && j != 7));
}

TEST_CASE("a planned product has no items when C is empty and takes several threads when it is small") {
    float const* in = nullptr;
    float* out = nullptr;
    CHECK(host::gemm_plan<float>(4, op::plain, op::plain, 0, 5, 6, 1.0f, in, 6, in, 5, 0.0f, out, 5).count() == 0);
    CHECK(host::gemm_plan<float>(4, op::plain, op::plain, 5, 0, 6, 1.0f, in, 6, in, 1, 0.0f, out, 1).count() == 0);
#if defined(ONESTEP_VECTOR_GEMM)
    struct extents {
        index_t m, n, k;
    };
    for (extents e : {extents{128, 128, 256}, {256, 64, 64}, {64, 1024, 1024}, {1024, 2, 256}, {1024, 16, 64}, {64, 64, 1024}})
        for (op opa : operations) {
            CAPTURE(e.m);
            CAPTURE(e.n);
            CHECK(host::gemm_plan<float>(2, opa, op::plain, e.m, e.n, e.k, 1.0f, in, opa == op::plain ? e.k : e.m, in, e.n, 0.0f, out, e.n)
                          .count() %
                      2 ==
                  0);
        }
#endif
}

TEST_CASE("products of a batch are cut where that shares them out evenly") {
    for (int threads : {1, 2, 3, 4, 16})
        for (index_t batch : {1, 2, 3, 5, 6, 16, 60}) {
            int const parts = host::parts_of_each(batch, threads);
            CAPTURE(threads);
            CAPTURE(batch);
            CHECK((batch > 4 * threads || parts * batch % threads == 0));
            CHECK(parts <= threads);
            if (batch % threads == 0 || batch > 4 * threads) CHECK(parts == 1);
        }
    CHECK(host::parts_of_each(0, 4) == 1);
}

#if defined(ONESTEP_VECTOR_GEMM)
TEST_CASE("a row of a product has the same bits however many rows there are") {
    for (op opb : operations)
        for (index_t n : {1, 2, 3, 4, 5, 8, 17, 96})
            for (index_t k : {1, 7, 64, 300}) {
                index_t const rows = 70, ldb = opb == op::plain ? n : k;
                std::vector<float> a, b, whole(static_cast<std::size_t>(rows * n)), part(whole.size());
                for (index_t i = 0; i < rows * k; ++i) a.push_back(std::sin(static_cast<float>(i)));
                for (index_t i = 0; i < n * k; ++i) b.push_back(std::cos(static_cast<float>(3 * i)));
                plan_for{2}(op::plain, opb, rows, n, k, 1.0f, a.data(), k, b.data(), ldb, 0.0f, whole.data(), n);
                for (index_t m : {1, 2, 3, 4, 5, 12, 33}) {
                    plan_for{2}(op::plain, opb, m, n, k, 1.0f, a.data() + k, k, b.data(), ldb, 0.0f, part.data(), n);
                    CHECK(std::equal(part.begin(), part.begin() + m * n, whole.begin() + n));
                }
            }
}

TEST_CASE("a warm planned product allocates nothing") {
    product<float> const p(op::transposed, op::transposed, 300, 200, 700, 1.0f, 1.0f, 0, 1);
    std::vector<float> out = p.run(plan_for{1});
    std::size_t const before = test::allocations();
    plan_for{2}(p.opa, p.opb, p.m, p.n, p.k, p.alpha, p.a.data(), p.lda, p.b.data(), p.ldb, p.beta, out.data(), p.ldc);
    CHECK(test::allocations() == before);
}
#endif

}  // namespace cpu_gemm_tests
