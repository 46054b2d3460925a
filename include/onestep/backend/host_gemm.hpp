#pragma once
/// Matrix products by Eigen, for compilers with which cpu_gemm.hpp has no kernels of its own. The only header of
/// the library but evaluation/frechet.hpp that includes Eigen.
///
/// C is cut into tiles of fixed size and each tile is one single-threaded Eigen product, so a result depends on the
/// extents alone and never on the number of threads. Eigen allocates room for its packed factors when they are large.
///
/// Compiling Eigen's kernels takes seconds a file. A program of many files may define ONESTEP_EXTERN_GEMM for all of
/// them and put `#define ONESTEP_INSTANTIATE_GEMM` before the include in exactly one: only that one parses Eigen.
#include <algorithm>

#include "concept.hpp"

#if !defined(ONESTEP_EXTERN_GEMM) || defined(ONESTEP_INSTANTIATE_GEMM)
#define ONESTEP_GEMM_DEFINED 1
#ifndef EIGEN_DONT_PARALLELIZE
#define EIGEN_DONT_PARALLELIZE
#endif
#include <Eigen/Core>
#endif

namespace onestep::host {

/// One tile: c[m, n] (row stride ldc) = alpha op(a) op(b) + beta c.
template <class T>
void gemm_tile(op opa, op opb, index_t m, index_t n, index_t k, T alpha, T const* a, index_t lda, T const* b, index_t ldb, T beta, T* c,
               index_t ldc);

/// Tile extents: large enough that packing is cheap, small enough that two tiles exist at width 256.
inline constexpr index_t gemm_tile_rows = 128, gemm_tile_cols = 512;

/// Work items of a product: tile i of a fixed tiling.
template <class T> struct gemm_tiles {
    static constexpr index_t elements = 1 << 14;
    op opa, opb;
    index_t m, n, k;
    T alpha;
    T const* a;
    index_t lda;
    T const* b;
    index_t ldb;
    T beta;
    T* c;
    index_t ldc;

    index_t across() const { return (n + gemm_tile_cols - 1) / gemm_tile_cols; }
    index_t count() const { return across() * ((m + gemm_tile_rows - 1) / gemm_tile_rows); }
    void operator()(index_t tile) const {
        index_t const row = tile / across() * gemm_tile_rows, col = tile % across() * gemm_tile_cols;
        T const* left = opa == op::plain ? a + row * lda : a + row;
        T const* right = opb == op::plain ? b + col : b + col * ldb;
        gemm_tile(opa, opb, std::min(gemm_tile_rows, m - row), std::min(gemm_tile_cols, n - col), k, alpha, left, lda, right, ldb, beta,
                  c + row * ldc + col, ldc);
    }
};

#if defined(ONESTEP_GEMM_DEFINED)
template <class T>
void gemm_tile(op opa, op opb, index_t m, index_t n, index_t k, T alpha, T const* a, index_t lda, T const* b, index_t ldb, T beta, T* c,
               index_t ldc) {
    using row_major = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    using column_major = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::ColMajor>;
    using stride = Eigen::OuterStride<>;
    Eigen::Map<row_major, 0, stride> out(c, m, n, stride(ldc));
    if (beta == T(0)) out.setZero();
    else if (beta != T(1)) out *= beta;
    // A transposed row-major matrix is a column-major one.
    auto const multiply = [&](auto const& left) {
        if (opb == op::plain) out.noalias() += alpha * (left * Eigen::Map<row_major const, 0, stride>(b, k, n, stride(ldb)));
        else out.noalias() += alpha * (left * Eigen::Map<column_major const, 0, stride>(b, k, n, stride(ldb)));
    };
    if (opa == op::plain) multiply(Eigen::Map<row_major const, 0, stride>(a, m, k, stride(lda)));
    else multiply(Eigen::Map<column_major const, 0, stride>(a, m, k, stride(lda)));
}
#endif
#if defined(ONESTEP_INSTANTIATE_GEMM)
template void gemm_tile<float>(op, op, index_t, index_t, index_t, float, float const*, index_t, float const*, index_t, float, float*,
                               index_t);
template void gemm_tile<double>(op, op, index_t, index_t, index_t, double, double const*, index_t, double const*, index_t, double, double*,
                                index_t);
#endif

}  // namespace onestep::host
