#pragma once
/// The CPU backend: OpenMP threads where the compiler has them.
#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#if defined(_OPENMP)
#include <omp.h>
#endif

#include "host_convolution.hpp"
#include "host_reduction.hpp"
#include "scratch.hpp"

namespace onestep {

/// Host memory and host threads. Results do not depend on the number of threads; warm calls allocate nothing.
/// Without -fopenmp everything runs on the calling thread. May be used from several threads at once.
class cpu : public scratch_owner<cpu> {
public:
    static constexpr int quads_per_item = 16;

    /// `threads` <= 0 takes OpenMP's default (OMP_NUM_THREADS, or one a core).
    explicit cpu(int threads = 0) : threads_(threads > 0 ? threads : default_threads()) {}

    int threads() const { return threads_; }

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

    template <index_functor F> void for_each_index(index_t n, F f) const {
        if (!shared(n * elements_per_call<F>())) return run_indices(n, f);
#pragma omp parallel for simd schedule(static) num_threads(threads_) firstprivate(f)
        for (index_t i = 0; i < n; ++i) f(i);
    }

    template <pair_functor F> void for_each_pair(index_t rows, index_t cols, F f) const {
        if (!shared(rows * cols * elements_per_call<F>())) return run_pairs(rows, cols, f);
#pragma omp parallel for schedule(static) num_threads(threads_) firstprivate(f)
        for (index_t r = 0; r < rows; ++r) {
#pragma omp simd
            for (index_t c = 0; c < cols; ++c) f(r, c);
        }
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
        host::gemm_plan<T> const plan(shared(work) ? threads_ : 1, opa, opb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
        items(plan.count(), work, plan);
    }
    template <class T>
    void gemm_batched(op opa, op opb, index_t batch, index_t m, index_t n, index_t k, T alpha, T const* a, index_t lda, index_t a_batch,
                      T const* b, index_t ldb, index_t b_batch, T beta, T* c, index_t ldc, index_t c_batch) const {
        index_t const work = batch * m * n * k / 16;
        int const parts = host::parts_of_each(batch, shared(work) ? threads_ : 1);
        host::gemm_plan<T> const first(parts, opa, opb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
        host::gemm_batch<T> const plan{first, batch, a_batch, b_batch, c_batch};
        items(plan.count(), work, plan);
    }

    // A thread takes its rows through many operations without waiting for the others, and finds them in its own cache.
    template <class Body> void for_row_blocks(index_t n, Body const& body) const {
        index_t const blocks = row_blocks(n);
        if (blocks <= 1) return body(index_t(0), n);
        index_t const units = (n + host::row_unit - 1) / host::row_unit;
#pragma omp parallel for schedule(static) num_threads(threads_) if (threads_ > 1)
        for (index_t i = 0; i < blocks; ++i) {
            index_t const first = units * i / blocks * host::row_unit, end = std::min(n, units * (i + 1) / blocks * host::row_unit);
            body(first, end - first);
        }
    }

    /// Convolutions by kernels of their own (host_convolution.hpp).
    template <class T> using convolution = host::convolution<T, cpu>;
    /// Runs f(0) .. f(count - 1), each large enough for a thread, which takes the next one when it is done.
    template <class F> void for_each_task(index_t count, F const& f) const {
        if (count <= 1 || threads_ == 1 || inside_parallel()) {
            for (index_t i = 0; i < count; ++i) f(i);
            return;
        }
#pragma omp parallel for schedule(dynamic) num_threads(threads_)
        for (index_t i = 0; i < count; ++i) f(i);
    }

    void synchronize() const {}

private:
    /// A block shorter than this spends more on packing weights than it saves, one longer than that leaves the cache.
    static constexpr index_t least_rows = 32, most_rows = 256;

    /// Blocks for n rows: equally many for each thread.
    index_t row_blocks(index_t n) const {
        if (inside_parallel() || n < threads_ * std::max(least_rows, host::row_unit)) return 1;
        return threads_ * ((n + threads_ * most_rows - 1) / (threads_ * most_rows));
    }
    static bool inside_parallel() {
#if defined(_OPENMP)
        return omp_in_parallel() != 0;
#else
        return false;
#endif
    }
    /// A fork and join costs about as much as this many elements of a light pass.
    static constexpr index_t worth_sharing = 8192;

    static int default_threads() {
#if defined(_OPENMP)
        return omp_get_max_threads();
#else
        return 1;
#endif
    }
    bool shared(index_t elements) const { return threads_ > 1 && elements > worth_sharing && !inside_parallel(); }

    template <class T> static void move(T const* from, index_t n, T* to) {
        if (n > 0) std::memcpy(to, from, static_cast<std::size_t>(n) * sizeof(T));
    }
    template <class F> void items(index_t n, index_t elements, F const& f) const {
        if (n == 1 || !shared(elements)) {
            for (index_t i = 0; i < n; ++i) f(i);
            return;
        }
#pragma omp parallel for schedule(static) num_threads(threads_)
        for (index_t i = 0; i < n; ++i) f(i);
    }

    // Loops that are not shared out run outside of OpenMP's parallel construct, which costs more than a short one even without threads.
    // Each works on its own copy of the functor, like the threads above (firstprivate): otherwise a store through one of its pointers might
    // change the functor itself, for all the compiler knows, and nothing would vectorise. They are not inlined, since a loop inside
    // a large caller is one that the compiler gives up on.
    template <class F> [[gnu::noinline]] static void run_indices(index_t n, F f) {
#pragma omp simd
        for (index_t i = 0; i < n; ++i) f(i);
    }
    template <class F> [[gnu::noinline]] static void run_pairs(index_t rows, index_t cols, F f) {
        for (index_t r = 0; r < rows; ++r) {
#pragma omp simd
            for (index_t c = 0; c < cols; ++c) f(r, c);
        }
    }

    int threads_;
};

static_assert(backend<cpu>);

}  // namespace onestep
