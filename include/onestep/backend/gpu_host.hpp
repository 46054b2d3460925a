#pragma once
/// The gpu backend on a host system of Thrust. Include gpu.hpp instead.
#if defined(THRUST_DEVICE_SYSTEM) && !defined(__CUDACC__)
#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#if defined(_OPENMP)
#include <omp.h>
#endif

#include <thrust/execution_policy.h>
#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>

#include "host_convolution.hpp"
#include "host_reduction.hpp"
#include "scratch.hpp"

namespace onestep {

/// Devices that a `gpu` can be made on; a host system is one.
inline int device_count() { return 1; }

/// Host memory and the threads of Thrust's system. Equal to `cpu` bit for bit; warm calls allocate nothing. May be used
/// from several threads at once.
class gpu : public scratch_owner<gpu> {
public:
    static constexpr int quads_per_item = 16;

    gpu() = default;
    gpu(gpu const&) = delete;
    gpu& operator=(gpu const&) = delete;

    /// How many threads Thrust's system uses.
    static int threads() {
#if THRUST_DEVICE_SYSTEM == THRUST_DEVICE_SYSTEM_OMP && defined(_OPENMP)
        return omp_get_max_threads();
#else
        return 1;
#endif
    }

    struct release {
        void operator()(void* p) const noexcept { ::operator delete (p, std::align_val_t{64}); }
    };
    template <class T> using storage = std::unique_ptr<T[], release>;

    template <class T> storage<T> allocate(index_t n) const {
        return storage<T>(
            static_cast<T*>(::operator new (static_cast<std::size_t>(std::max<index_t>(n, 1)) * sizeof(T), std::align_val_t{64})));
    }
    template <class T> static T* data(storage<T> const& s) { return s.get(); }

    template <class T> void upload(T const* host, index_t n, T* to) const { move(host, n, to); }
    template <class T> void download(T const* from, index_t n, T* host) const { move(from, n, host); }
    template <class T> void copy(T const* from, index_t n, T* to) const { move(from, n, to); }

    template <index_functor F> void for_each_index(index_t n, F f) const { items(n, n * elements_per_call<F>(), f); }
    template <pair_functor F> void for_each_pair(index_t rows, index_t cols, F f) const {
        items(rows, rows * cols * elements_per_call<F>(), row_of_pairs<F>{cols, f});
    }

    template <class Sum, reduction_term<Sum> Term, reduction_sink<Sum> Sink>
    void reduce_rows(index_t rows, index_t cols, Term term, Sink sink) const {
        items(rows, rows * cols, host::row_sum<Sum, Term, Sink>{cols, term, sink});
    }
    template <class Sum, reduction_term<Sum> Term, reduction_sink<Sum> Sink>
    void reduce_columns(index_t rows, index_t cols, Term term, Sink sink) const {
        reduce_segments<Sum>(1, rows, cols, term, sink);
    }
    template <class Sum, reduction_term<Sum> Term, reduction_sink<Sum> Sink>
    void reduce_segments(index_t segments, index_t rows, index_t cols, Term term, Sink sink) const {
        host::column_sum<Sum, Term, Sink> const block{rows, cols, term, sink};
        items(segments * block.blocks(), segments * rows * cols, block);
    }

    template <class T>
    void gemm(op opa, op opb, index_t m, index_t n, index_t k, T alpha, T const* a, index_t lda, T const* b, index_t ldb, T beta, T* c,
              index_t ldc) const {
        index_t const work = m * n * k / 16;
        host::gemm_plan<T> const plan(work > worth_sharing ? threads() : 1, opa, opb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
        items(plan.count(), work, by_address<host::gemm_plan<T>>{&plan});
    }
    template <class T>
    void gemm_batched(op opa, op opb, index_t batch, index_t m, index_t n, index_t k, T alpha, T const* a, index_t lda, index_t a_batch,
                      T const* b, index_t ldb, index_t b_batch, T beta, T* c, index_t ldc, index_t c_batch) const {
        index_t const work = batch * m * n * k / 16;
        int const parts = host::parts_of_each(batch, work > worth_sharing ? threads() : 1);
        host::gemm_plan<T> const first(parts, opa, opb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
        host::gemm_batch<T> const plan{first, batch, a_batch, b_batch, c_batch};
        items(plan.count(), work, by_address<host::gemm_batch<T>>{&plan});
    }

    template <class Body> void for_row_blocks(index_t n, Body const& body) const { body(index_t(0), n); }

    /// Convolutions by the kernels that `cpu` has (host_convolution.hpp).
    template <class T> using convolution = host::convolution<T, gpu>;
    /// Runs f(0) .. f(count - 1), each large enough for a thread.
    template <class F> void for_each_task(index_t count, F const& f) const {
        if (count <= 1) {
            for (index_t i = 0; i < count; ++i) f(i);
            return;
        }
        thrust::for_each_n(thrust::device, thrust::counting_iterator<index_t>(0), count, by_address<F>{&f});
    }

    void synchronize() const {}

private:
    /// Handing a shorter loop to other threads costs more than running it.
    static constexpr index_t worth_sharing = 8192;

    template <class F> struct row_of_pairs {
        index_t cols;
        F f;
        void operator()(index_t r) const {
#pragma omp simd
            for (index_t c = 0; c < cols; ++c) f(r, c);
        }
    };
    /// Thrust copies functors freely; this spares it the large ones.
    template <class F> struct by_address {
        F const* f;
        void operator()(index_t i) const { (*f)(i); }
    };

    template <class T> static void move(T const* from, index_t n, T* to) {
        if (n > 0) std::memcpy(to, from, static_cast<std::size_t>(n) * sizeof(T));
    }
    template <class F> static void items(index_t n, index_t elements, F const& f) {
        thrust::counting_iterator<index_t> const first(0);
        if (n <= 0) return;
        if (n == 1 || elements <= worth_sharing) thrust::for_each_n(thrust::seq, first, n, f);
        else thrust::for_each_n(thrust::device, first, n, f);
    }
};

}  // namespace onestep
#endif
