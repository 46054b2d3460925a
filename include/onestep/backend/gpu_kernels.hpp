#pragma once
/// CUDA kernels of the gpu backend. Additions run in an order that depends on the extents alone; no atomics. Loops over
/// blocks have strides, so that extents beyond the largest grid are covered too.
#if defined(__CUDACC__)
#include "concept.hpp"

namespace onestep::kernel {

inline constexpr int threads = 256, warp = 32;

/// f(r, c). Neighbouring threads take neighbouring columns. Blocks are (columns, rows), grids (rows, columns).
template <class F> __global__ void pairs(index_t rows, index_t cols, F f) {
    for (index_t r = index_t{blockIdx.x} * blockDim.y + threadIdx.y; r < rows; r += index_t{gridDim.x} * blockDim.y)
        for (index_t c = index_t{blockIdx.y} * blockDim.x + threadIdx.x; c < cols; c += index_t{gridDim.y} * blockDim.x) f(r, c);
}

/// The value that the lane `distance` further on holds, word by word: Sum may be any trivially copyable type.
template <class Sum> __device__ Sum from_lane(Sum value, int distance) {
    unsigned words[(sizeof(Sum) + 3) / 4] = {};
    memcpy(words, &value, sizeof(Sum));
    for (unsigned& word : words) word = __shfl_down_sync(0xffffffffu, word, static_cast<unsigned>(distance));
    memcpy(&value, words, sizeof(Sum));
    return value;
}
/// Lane 0 of each group of `width` lanes (a power of two) returns the group's sum. All lanes of the warp call it.
template <class Sum> __device__ Sum sum_of_lanes(Sum total, int width) {
    for (int distance = width / 2; distance > 0; distance /= 2) total += from_lane(total, distance);
    return total;
}

/// sink(r, sum over c of term(r, c)): `width` neighbouring lanes a row.
template <class Sum, class Term, class Sink> __global__ void short_rows(index_t rows, index_t cols, int width, Term term, Sink sink) {
    int const lane = static_cast<int>(threadIdx.x) % warp, within = lane % width, per_warp = warp / width;
    index_t const warps = index_t{gridDim.x} * (threads / warp);
    for (index_t w = index_t{blockIdx.x} * (threads / warp) + threadIdx.x / warp; w * per_warp < rows; w += warps) {
        index_t const r = w * per_warp + lane / width;
        Sum total{};
        if (r < rows)
            for (index_t c = within; c < cols; c += width) total += term(r, c);
        total = sum_of_lanes(total, width);
        if (r < rows && within == 0) sink(r, total);
    }
}

/// sink(r chunks + k, sum of term(r, c) over chunk k of the columns): a block each. With one chunk that is sink(r, sum).
template <class Sum, class Term, class Sink>
__global__ void long_rows(index_t rows, index_t cols, index_t cols_per_chunk, Term term, Sink sink) {
    __shared__ alignas(Sum) unsigned char room[sizeof(Sum) * (threads / warp)];
    Sum* const partial = reinterpret_cast<Sum*>(room);
    int const lane = static_cast<int>(threadIdx.x) % warp, mine = static_cast<int>(threadIdx.x) / warp;
    index_t const first = index_t{blockIdx.y} * cols_per_chunk, end = first + cols_per_chunk < cols ? first + cols_per_chunk : cols;
    for (index_t r = blockIdx.x; r < rows; r += gridDim.x) {
        Sum total{};
        for (index_t c = first + threadIdx.x; c < end; c += threads) total += term(r, c);
        total = sum_of_lanes(total, warp);
        if (lane == 0) partial[mine] = total;
        __syncthreads();
        if (mine == 0) {
            total = lane < threads / warp ? partial[lane] : Sum{};
            total = sum_of_lanes(total, threads / warp);
            if (lane == 0) sink(r * gridDim.y + blockIdx.y, total);
        }
        __syncthreads();
    }
}

/// sink((s chunks + k) cols + c, sum of term(s rows + r, c) over chunk k of the rows of segment s). A block takes blockDim.x neighbouring
/// columns, so that terms which lie beside each other are read together. With one chunk that is sink(s cols + c, sum).
template <class Sum, class Term, class Sink>
__global__ void columns(index_t segments, index_t rows, index_t cols, index_t rows_per_chunk, Term term, Sink sink) {
    __shared__ alignas(Sum) unsigned char room[sizeof(Sum) * threads];
    Sum* const partial = reinterpret_cast<Sum*>(room) + threadIdx.x;
    index_t const first = index_t{blockIdx.y} * rows_per_chunk, end = first + rows_per_chunk < rows ? first + rows_per_chunk : rows;
    for (index_t s = blockIdx.z; s < segments; s += gridDim.z)
        for (index_t group = index_t{blockIdx.x} * blockDim.x; group < cols; group += index_t{gridDim.x} * blockDim.x) {
            index_t const c = group + threadIdx.x;
            Sum total{};
            if (c < cols)
                for (index_t r = first + threadIdx.y; r < end; r += blockDim.y) total += term(s * rows + r, c);
            partial[threadIdx.y * blockDim.x] = total;
            for (unsigned half = blockDim.y / 2; half > 0; half /= 2) {
                __syncthreads();
                if (threadIdx.y < half) partial[threadIdx.y * blockDim.x] += partial[(threadIdx.y + half) * blockDim.x];
            }
            if (threadIdx.y == 0 && c < cols) sink((s * gridDim.y + blockIdx.y) * cols + c, partial[0]);
            __syncthreads();
        }
}

/// Keeps the sums of chunks for a second pass, and yields them there.
template <class Sum> struct store_partial {
    Sum* partial;
    __device__ void operator()(index_t i, Sum sum) const { partial[i] = sum; }
};
template <class Sum> struct load_partial {
    Sum const* partial;
    index_t cols;
    __device__ Sum operator()(index_t r, index_t c) const { return partial[r * cols + c]; }
};

/// The smallest power of two that is at least n, or `most`.
inline int width_for(index_t n, int most) {
    int width = 1;
    while (width < n && width < most) width *= 2;
    return width;
}
inline index_t parts(index_t n, index_t size) { return (n + size - 1) / size; }
/// An extent of a grid, which may have at most 2^31 - 1 (x) or 65535 (y, z) blocks.
inline unsigned grid(index_t blocks) { return static_cast<unsigned>(blocks < 65535 ? blocks : 65535); }

}  // namespace onestep::kernel
#endif
