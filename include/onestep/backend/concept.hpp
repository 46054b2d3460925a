#pragma once
/// What a backend must provide: the fewest operations on which every layer, loss, sampler and optimizer is written once.
///
///     storage<T>                                   owns uninitialised memory; movable, default-constructible
///     allocate<T>(n)  data(storage)                64-byte aligned
///     upload(host, n, to)  download(from, n, host)  copy(from, n, to)
///     for_each_index(n, f)                         f(i) for 0 <= i < n, in any order
///     for_each_pair(rows, cols, f)                 f(r, c), in any order; neighbours in c lie beside each other in memory
///     reduce_rows<Sum>(rows, cols, term, sink)     sink(r, sum over c of term(r, c)), in a fixed order of additions
///     reduce_columns<Sum>(rows, cols, term, sink)  sink(c, sum over r of term(r, c)), in a fixed order of additions
///     reduce_segments<Sum>(segments, rows, cols, term, sink)            sink(s cols + c, sum over r of term(s rows + r, c)), in a fixed
///                                                  order of additions; one segment has the bits of reduce_columns
///     gemm(opa, opb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)      row-major C = alpha op(A) op(B) + beta C
///     gemm_batched(opa, opb, batch, m, n, k, alpha, a, lda, a_batch, b, ldb, b_batch, beta, c, ldc, c_batch)
///                                                  `batch` such products, operands a_batch, b_batch, c_batch elements apart (a factor
///                                                  may be the same for all: 0). On the host the bits are those of `batch` calls of gemm
///     for_row_blocks(n, body)                      body(first, count) on the host, for blocks that cover rows 0 .. n - 1. Bodies may
///                                                  run at once; each calls the operations above for its own rows, and must not throw
///     synchronize()                                waits until all of the above has happened
///     scratch()                                    an arena for one call (inherit it from scratch_owner, scratch.hpp)
///
/// Functors are named, trivially copyable aggregates of pointers and numbers with a const call operator marked
/// ONESTEP_HD (no lambdas: a CUDA compiler rejects them where they are needed most). They may write through their
/// pointers; so may the terms of reductions, which are called exactly once for each element. `Sum` is a number, `sums` (core/sums.hpp),
/// or any trivially copyable type with += whose value-initialised object is zero. Everything but download and synchronize may return
/// before the work is done.
#include <concepts>
#include <type_traits>

#include "../core/shape.hpp"

namespace onestep {

/// Whether a factor of a product is read as it lies or transposed.
enum class op { plain, transposed };

/// Called with one index on every work item.
template <class F>
concept index_functor = std::is_trivially_copyable_v<F> && std::invocable<F const&, index_t>;
/// Called with (row, column).
template <class F>
concept pair_functor = std::is_trivially_copyable_v<F> && std::invocable<F const&, index_t, index_t>;
/// Yields the term at (row, column) of a reduction.
template <class F, class Sum>
concept reduction_term = pair_functor<F> && requires(F const& f, index_t i) {
    { f(i, i) } -> std::convertible_to<Sum>;
};
/// Receives (row or column, total).
template <class F, class Sum>
concept reduction_sink = std::is_trivially_copyable_v<F> && std::invocable<F const&, index_t, Sum>;

namespace archetype {  // the smallest functors that satisfy the concepts above
struct index_functor {
    ONESTEP_HD void operator()(index_t) const {}
};
struct pair_functor {
    ONESTEP_HD void operator()(index_t, index_t) const {}
};
struct term {
    ONESTEP_HD float operator()(index_t, index_t) const { return 0; }
};
struct sink {
    ONESTEP_HD void operator()(index_t, float) const {}
};
struct row_body {
    void operator()(index_t, index_t) const {}
};
}  // namespace archetype

template <class B>
concept has_memory = requires(B& backend, index_t n, float* out, float const* in, typename B::template storage<float> const& storage) {
    { backend.template allocate<float>(n) } -> std::same_as<typename B::template storage<float>>;
    { B::data(storage) } -> std::same_as<float*>;
    backend.upload(in, n, out);
    backend.download(in, n, out);
    backend.copy(in, n, out);
};
template <class B>
concept has_loops = requires(B& backend, index_t n) {
    backend.for_each_index(n, archetype::index_functor{});
    backend.for_each_pair(n, n, archetype::pair_functor{});
};
template <class B>
concept has_row_blocks = requires(B& backend, index_t n) {
    backend.for_row_blocks(n, archetype::row_body{});
};
template <class B>
concept has_reductions = requires(B& backend, index_t n) {
    backend.template reduce_rows<float>(n, n, archetype::term{}, archetype::sink{});
    backend.template reduce_columns<float>(n, n, archetype::term{}, archetype::sink{});
    backend.template reduce_segments<float>(n, n, n, archetype::term{}, archetype::sink{});
};
template <class B>
concept has_products = requires(B& backend, index_t n, float const* in, float* out) {
    backend.gemm(op::plain, op::transposed, n, n, n, 1.0f, in, n, in, n, 0.0f, out, n);
    backend.gemm_batched(op::plain, op::transposed, n, n, n, n, 1.0f, in, n, n, in, n, n, 0.0f, out, n, n);
};

/// `quads_per_item`: how many quads of neighbours a work item of a fused pass takes; 1 suits a GPU thread, 16 lets a
/// host compiler vectorise.
template <class B>
concept backend = has_memory<B> && has_loops<B> && has_row_blocks<B> && has_reductions<B> && has_products<B> && requires(B& b) {
    { B::quads_per_item } -> std::convertible_to<int>;
    b.synchronize();
};

/// A functor may say how much one call does, in elements, so that short loops are not shared out among threads.
template <class F> constexpr index_t elements_per_call() {
    if constexpr (requires { F::elements; }) return F::elements;
    else return 1;
}

}  // namespace onestep
