#include <onestep/backend/host_gemm.hpp>

#include <doctest/doctest.h>

#include "gemm_check.hpp"

namespace host_gemm_tests {

using namespace onestep;
using test::operations;
using test::product;

namespace {

struct by_tiles {
    template <class T>
    void operator()(op opa, op opb, index_t m, index_t n, index_t k, T alpha, T const* a, index_t lda, T const* b, index_t ldb, T beta,
                    T* c, index_t ldc) const {
        host::gemm_tiles<T> const tiles{opa, opb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc};
        for (index_t i = tiles.count(); i-- > 0;) tiles(i);
    }
};

}  // namespace

TEST_CASE_TEMPLATE("Eigen tiles agree with a triple loop for random extents", T, float, double) {
    test::uniform_numbers numbers{12};
    T const factors[] = {T(1), T(0), T(-0.5), T(2)};
    for (int round = 0; round < 60; ++round)
        for (op opa : operations)
            for (op opb : operations) {
                index_t const m = numbers.below(71), n = numbers.below(71), k = numbers.below(71), padding = numbers.below(4) * 3;
                product<T> const p(opa, opb, m, n, k, factors[numbers.below(4)], factors[numbers.below(4)], padding, numbers.bits());
                CAPTURE(m);
                CAPTURE(n);
                CAPTURE(k);
                CHECK(p.error(p.run(by_tiles{})) < 4);
            }
}

TEST_CASE_TEMPLATE("Eigen tiles are right on both sides of their edges", T, float, double) {
    for (op opa : operations)
        for (op opb : operations)
            for (index_t m : {127, 128, 129})
                for (index_t n : {511, 513}) {
                    product<T> const p(opa, opb, m, n, 9, T(1), T(1), 2, static_cast<std::uint64_t>(m * n));
                    CHECK(p.error(p.run(by_tiles{})) < 4);
                }
}

}  // namespace host_gemm_tests
