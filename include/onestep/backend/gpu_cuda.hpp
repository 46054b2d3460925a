#pragma once
/// The gpu backend on an NVIDIA device. Include gpu.hpp instead.
#if defined(__CUDACC__)
#include <algorithm>
#include <memory>
#include <mutex>

#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>
#include <thrust/system/cuda/execution_policy.h>
#include <thrust/system_error.h>

#include "gpu_check.hpp"
#include "gpu_kernels.hpp"
#include "scratch.hpp"

namespace onestep {

/// The device that is current when it is made, and one stream of its own on it: calls return at once and run in order.
/// Every failure is a device_error. Reductions and products are reproducible for a card and a version of cuBLAS, but differ
/// from the host's in the last bits; everything else is equal to `cpu` bit for bit, as far as functors compute with
/// onestep::math. May be used from several threads at once, each with that device current.
class gpu : public scratch_owner<gpu> {
public:
    static constexpr int quads_per_item = 1;

    /// Throws device_error where no device is usable; device_count() tells beforehand.
    gpu() {
        if (device_count() == 0)
            raise<device_error>("gpu", "no usable CUDA device was found", "a driver and a device are needed; cpu runs without");
        cudaStream_t stream = nullptr;
        check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
        stream_.reset(stream);
        cublasHandle_t handle = nullptr;
        check(cublasCreate(&handle), "cublasCreate");
        cublas_.reset(handle);
        check(cublasSetStream(handle, stream), "cublasSetStream");
        workspace_ = allocate<unsigned char>(workspace_bytes);
        check(cublasSetWorkspace(handle, workspace_.get(), workspace_bytes), "cublasSetWorkspace");
        partials_ = allocate<unsigned char>(partial_bytes);
    }
    gpu(gpu const&) = delete;
    gpu& operator=(gpu const&) = delete;

    struct release {
        void operator()(void* p) const noexcept { cudaFree(p); }
    };
    template <class T> using storage = std::unique_ptr<T[], release>;

    /// Device memory. Waits for the device, so that warm code keeps what it has.
    template <class T> storage<T> allocate(index_t n) const {
        void* p = nullptr;
        check(cudaMalloc(&p, static_cast<std::size_t>(std::max<index_t>(n, 1)) * sizeof(T)), "cudaMalloc");
        return storage<T>(static_cast<T*>(p));
    }
    template <class T> static T* data(storage<T> const& s) { return s.get(); }

    /// Pinned host memory must stay as it is until `synchronize`; other memory may change at once.
    template <class T> void upload(T const* host, index_t n, T* to) const { move(host, n, to, cudaMemcpyHostToDevice); }
    /// Waits.
    template <class T> void download(T const* from, index_t n, T* host) const {
        move(from, n, host, cudaMemcpyDeviceToHost);
        synchronize();
    }
    template <class T> void copy(T const* from, index_t n, T* to) const { move(from, n, to, cudaMemcpyDeviceToDevice); }

    template <index_functor F> void for_each_index(index_t n, F f) const {
        if (n <= 0) return;
#if defined(__cpp_exceptions)
        try {
            thrust::for_each_n(thrust::cuda::par_nosync.on(stream_.get()), thrust::counting_iterator<index_t>(0), n, f);
        } catch (thrust::system_error const& failure) {
            raise<device_error>("gpu", "for_each_index of " + std::to_string(n), failure.what());
        }
#else
        thrust::for_each_n(thrust::cuda::par_nosync.on(stream_.get()), thrust::counting_iterator<index_t>(0), n, f);
#endif
    }
    template <pair_functor F> void for_each_pair(index_t rows, index_t cols, F f) const {
        if (rows <= 0 || cols <= 0) return;
        int const across = kernel::width_for(cols, kernel::threads), down = kernel::threads / across;
        dim3 const blocks(kernel::grid(kernel::parts(rows, down)), kernel::grid(kernel::parts(cols, across)));
        kernel::pairs<<<blocks, dim3(static_cast<unsigned>(across), static_cast<unsigned>(down)), 0, stream_.get()>>>(rows, cols, f);
        check(cudaGetLastError(), "for_each_pair");
    }

    template <class Sum, reduction_term<Sum> Term, reduction_sink<Sum> Sink>
    void reduce_rows(index_t rows, index_t cols, Term term, Sink sink) const {
        if (rows <= 0) return;
        if (cols <= warp_takes) {
            short_rows<Sum>(rows, cols, term, sink);
            return;
        }
        // Few rows leave most of the device idle, unless several blocks share one.
        index_t const chunks = std::max<index_t>(std::min(kernel::parts(cols, 4096), blocks_wanted / rows), 1);
        index_t const per_chunk = kernel::parts(cols, chunks);
        if (chunks == 1) {
            launch_long_rows<Sum>(rows, cols, 1, per_chunk, term, sink);
            return;
        }
        std::lock_guard const lock(busy_);
        Sum* const partial = partials<Sum>();
        launch_long_rows<Sum>(rows, cols, chunks, per_chunk, term, kernel::store_partial<Sum>{partial});
        short_rows<Sum>(rows, chunks, kernel::load_partial<Sum>{partial, chunks}, sink);
    }

    template <class Sum, reduction_term<Sum> Term, reduction_sink<Sum> Sink>
    void reduce_columns(index_t rows, index_t cols, Term term, Sink sink) const {
        reduce_segments<Sum>(1, rows, cols, term, sink);
    }
    template <class Sum, reduction_term<Sum> Term, reduction_sink<Sum> Sink>
    void reduce_segments(index_t segments, index_t rows, index_t cols, Term term, Sink sink) const {
        if (segments <= 0 || cols <= 0) return;
        int const across = kernel::width_for(cols, kernel::warp), down = kernel::threads / across;
        index_t const groups = segments * kernel::parts(cols, across);
        index_t const chunks = std::clamp<index_t>(
            std::min({kernel::parts(rows, 16 * down), blocks_wanted / groups, capacity<Sum>() / (segments * cols)}), 1, 65535);
        if (chunks == 1) {
            launch_columns<Sum>(segments, rows, cols, 1, term, sink);
            return;
        }
        std::lock_guard const lock(busy_);
        Sum* const partial = partials<Sum>();
        launch_columns<Sum>(segments, rows, cols, chunks, term, kernel::store_partial<Sum>{partial});
        launch_columns<Sum>(segments, chunks, cols, 1, kernel::load_partial<Sum>{partial, cols}, sink);
    }

    /// T is float or double. Float products are computed in float unless `allow_tf32`.
    template <class T>
    void gemm(op opa, op opb, index_t m, index_t n, index_t k, T alpha, T const* a, index_t lda, T const* b, index_t ldb, T beta, T* c,
              index_t ldc) const {
        if (m <= 0 || n <= 0) return;
        // cuBLAS stores columns: a row-major C = A B is its C' = B' A', and a row-major matrix is its own transpose there.
        // It refuses a distance of 0, even for a factor without elements.
        std::lock_guard const lock(busy_);
        check(cublasGemmEx_64(cublas_.get(), operation(opb), operation(opa), n, m, std::max<index_t>(k, 0), &alpha, b, product_type<T>(),
                              std::max<index_t>(ldb, 1), a, product_type<T>(), std::max<index_t>(lda, 1), &beta, c, product_type<T>(), ldc,
                              precision<T>(), CUBLAS_GEMM_DEFAULT),
              "cublasGemmEx");
    }
    template <class T>
    void gemm_batched(op opa, op opb, index_t batch, index_t m, index_t n, index_t k, T alpha, T const* a, index_t lda, index_t a_batch,
                      T const* b, index_t ldb, index_t b_batch, T beta, T* c, index_t ldc, index_t c_batch) const {
        if (batch <= 0 || m <= 0 || n <= 0) return;
        std::lock_guard const lock(busy_);
        check(cublasGemmStridedBatchedEx_64(cublas_.get(), operation(opb), operation(opa), n, m, std::max<index_t>(k, 0), &alpha, b,
                                            product_type<T>(), std::max<index_t>(ldb, 1), b_batch, a, product_type<T>(),
                                            std::max<index_t>(lda, 1), a_batch, &beta, c, product_type<T>(), ldc, c_batch, batch,
                                            precision<T>(), CUBLAS_GEMM_DEFAULT),
              "cublasGemmStridedBatchedEx");
    }

    /// Whether float products may round their factors to TF32 (10 bits of mantissa), which is several times faster. Off at first.
    void allow_tf32(bool yes) { tf32_ = yes; }

    template <class Body> void for_row_blocks(index_t n, Body const& body) const { body(index_t(0), n); }

    void synchronize() const { check(cudaStreamSynchronize(stream_.get()), "cudaStreamSynchronize"); }

    /// The stream that all calls run in, for work of one's own.
    cudaStream_t stream() const { return stream_.get(); }

private:
    /// What NVIDIA recommends for Hopper. Ours, so that cuBLAS allocates nothing later.
    static constexpr std::size_t workspace_bytes = std::size_t{32} << 20;
    static constexpr index_t partial_bytes = index_t{1} << 20;
    /// Rows up to this length are summed by a warp or part of one, longer ones by blocks.
    static constexpr index_t warp_takes = 512;
    /// Blocks that keep any current device busy. A constant, so that sums do not depend on the card.
    static constexpr index_t blocks_wanted = 1024;

    struct end_stream {
        void operator()(cudaStream_t s) const noexcept { cudaStreamDestroy(s); }
    };
    struct end_cublas {
        void operator()(cublasHandle_t h) const noexcept { cublasDestroy(h); }
    };

    /// How many partial sums there is room for: at least 8192.
    template <class Sum> static constexpr index_t capacity() {
        static_assert(std::is_trivially_copyable_v<Sum> && sizeof(Sum) <= 128,
                      "onestep: sums are trivially copyable and have at most 128 bytes");
        return partial_bytes / static_cast<index_t>(sizeof(Sum));
    }
    template <class Sum> Sum* partials() const { return reinterpret_cast<Sum*>(partials_.get()); }

    template <class T> static constexpr cudaDataType_t product_type() {
        static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>, "onestep: products on the gpu are of float or double");
        return std::is_same_v<T, float> ? CUDA_R_32F : CUDA_R_64F;
    }
    template <class T> cublasComputeType_t precision() const {
        if (std::is_same_v<T, double>) return CUBLAS_COMPUTE_64F;
        return tf32_ ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    }
    static cublasOperation_t operation(op o) { return o == op::transposed ? CUBLAS_OP_T : CUBLAS_OP_N; }

    template <class T> void move(T const* from, index_t n, T* to, cudaMemcpyKind kind) const {
        if (n > 0) check(cudaMemcpyAsync(to, from, static_cast<std::size_t>(n) * sizeof(T), kind, stream_.get()), "cudaMemcpyAsync");
    }
    template <class Sum, class Term, class Sink> void short_rows(index_t rows, index_t cols, Term const& term, Sink const& sink) const {
        int const width = kernel::width_for(cols, kernel::warp);
        unsigned const blocks = kernel::grid(kernel::parts(rows, kernel::threads / width));
        kernel::short_rows<Sum><<<blocks, kernel::threads, 0, stream_.get()>>>(rows, cols, width, term, sink);
        check(cudaGetLastError(), "reduce_rows");
    }
    template <class Sum, class Term, class Sink>
    void launch_long_rows(index_t rows, index_t cols, index_t chunks, index_t per_chunk, Term const& term, Sink const& sink) const {
        dim3 const blocks(kernel::grid(rows), static_cast<unsigned>(chunks));
        kernel::long_rows<Sum><<<blocks, kernel::threads, 0, stream_.get()>>>(rows, cols, per_chunk, term, sink);
        check(cudaGetLastError(), "reduce_rows");
    }
    template <class Sum, class Term, class Sink>
    void launch_columns(index_t segments, index_t rows, index_t cols, index_t chunks, Term const& term, Sink const& sink) const {
        int const across = kernel::width_for(cols, kernel::warp), down = kernel::threads / across;
        dim3 const blocks(kernel::grid(kernel::parts(cols, across)), static_cast<unsigned>(chunks), kernel::grid(segments));
        kernel::columns<Sum><<<blocks, dim3(static_cast<unsigned>(across), static_cast<unsigned>(down)), 0, stream_.get()>>>(
            segments, rows, cols, kernel::parts(rows, chunks), term, sink);
        check(cudaGetLastError(), "reduce_segments");
    }

    std::unique_ptr<std::remove_pointer_t<cudaStream_t>, end_stream> stream_;
    storage<unsigned char> workspace_, partials_;
    std::unique_ptr<std::remove_pointer_t<cublasHandle_t>, end_cublas> cublas_;  // after its workspace, so that it goes first
    bool tf32_ = false;
    mutable std::mutex busy_;  // the partial sums and cuBLAS's workspace serve one call at a time
};

}  // namespace onestep
#endif
