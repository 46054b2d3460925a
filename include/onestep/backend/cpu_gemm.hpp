#pragma once
/// The matrix product of every backend that runs on the host: row-major C = alpha op(A) op(B) + beta C.
///
/// A product is cut into independent work items, the blocks of C. A backend runs them in any order on any threads:
///
///     host::gemm_plan<T> const plan(threads, opa, opb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
///     for (index_t i = 0; i < plan.count(); ++i) plan(i);
///
/// With a compiler that has GCC's vector extensions an item runs the kernels of this file, whose vectors are as long as the
/// target's: a tile of C stays in registers (12 x 32 floats with AVX-512, 6 x 16 with AVX2, 6 x 8 elsewhere) while one panel of
/// B, packed by the item itself on its stack, is read from the first-level cache (the scheme of Goto and van de Geijn, "Anatomy
/// of high-performance matrix multiplication", 2008, with B packed one panel at a time). Every element of C is one chain of
/// multiply-adds over k (fused where the target can), restarted every `gemm_depth` steps (one chain a lane where C has at most
/// four rows or columns and both factors are contiguous over k), wherever its block begins: the bits of a product depend on
/// extents, strides and target, never on the number of threads. A thread allocates its room for a block of A once (256 KiB for
/// float), and threads never wait for each other.
///
/// With other compilers, or if ONESTEP_EIGEN_GEMM is defined, the items are the Eigen tiles of host_gemm.hpp; those may allocate.
///
/// With ONESTEP_EXTERN_GEMM defined everywhere and ONESTEP_INSTANTIATE_GEMM in one file, only that file compiles kernels.
#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <numeric>
#include <type_traits>
#include <utility>

#include "concept.hpp"

#if defined(__GNUC__) && !defined(ONESTEP_EIGEN_GEMM) && defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define ONESTEP_VECTOR_GEMM 1
#endif
#endif

#if !defined(ONESTEP_VECTOR_GEMM)
#include "host_gemm.hpp"
#endif

namespace onestep::host {

#if defined(ONESTEP_VECTOR_GEMM)

/// Rows of a product may be computed in parts that begin at multiples of this, and keep their bits.
inline constexpr index_t row_unit = 1;

#if defined(__AVX512F__)
inline constexpr int gemm_vector_bytes = 64, gemm_tile_height = 12;
#elif defined(__AVX__)
inline constexpr int gemm_vector_bytes = 32, gemm_tile_height = 6;
#else
inline constexpr int gemm_vector_bytes = 16, gemm_tile_height = 6;
#endif
/// Steps over k between two visits of C: a panel of B and the rows of A that meet it fill the first-level cache.
inline constexpr index_t gemm_depth = 256;
/// Most rows of one item: their share of A stays in the second-level cache.
inline constexpr index_t gemm_block_rows = 256;
/// Rows of A this short (in bytes) are read where they lie: the rows of a tile do not drive each other out of the first-level
/// cache then, and packing them would only cost. Across k they may be at most so far apart for the same reason.
inline constexpr index_t gemm_short_row = 1536, gemm_short_step = 1024;
/// Products of so few rows read B once, as it lies.
inline constexpr int gemm_few_rows = 3, gemm_dot_rows = 4;

template <class T> struct gemm_register {
    typedef T type __attribute__((vector_size(gemm_vector_bytes)));
    static constexpr int size = gemm_vector_bytes / static_cast<int>(sizeof(T));
};

/// Operands as addresses and distances, so that a transposed factor is only another pair of distances.
template <class T> struct gemm_operands {
    index_t m, n, k;
    T alpha;
    T const* a;
    index_t a_row, a_k;
    T const* b;
    index_t b_k, b_col;
    T beta;
    T* c;
    index_t c_row, c_col;

    bool dots = false;  ///< few rows, and both factors contiguous over k: dot products, with nothing to pack

    /// Whether A is read where it lies.
    bool short_rows() const { return a_k == 1 && a_row * static_cast<index_t>(sizeof(T)) <= gemm_short_row; }
    bool short_steps() const { return a_row == 1 && a_k * static_cast<index_t>(sizeof(T)) < gemm_short_step; }
};

/// One block of C: rows [row, row_end) and columns [col, col_end).
template <class T> void gemm_block(gemm_operands<T> const& x, index_t row, index_t row_end, index_t col, index_t col_end);

template <class T> class gemm_plan {
public:
    static constexpr index_t elements = 1 << 14;

    /// `threads` shapes the blocks and nothing else.
    gemm_plan(int threads, op opa, op opb, index_t m, index_t n, index_t k, T alpha, T const* a, index_t lda, T const* b, index_t ldb,
              T beta, T* c, index_t ldc)
        : x_{m, n, alpha == T(0) ? 0 : k, alpha, a, lda, 1, b, ldb, 1, beta, c, ldc, 1} {
        if (opa == op::transposed) std::swap(x_.a_row, x_.a_k);
        if (opb == op::transposed) std::swap(x_.b_k, x_.b_col);
        // Few columns leave vectors empty; the transposed product has few rows instead. Dot products are chosen by the number
        // of columns alone, so that a row of C has the same bits however many rows there are.
        bool const dots = n <= gemm_dot_rows && x_.a_k == 1 && x_.b_k == 1;
        if (dots || (n < m && n <= lanes && x_.a_row == 1)) exchange();
        x_.dots = dots;
        cut(threads);
    }

    index_t count() const { return x_.m > 0 && x_.n > 0 ? row_blocks_ * col_blocks_ : 0; }
    void operator()(index_t item) const { run(x_, item); }
    /// The item of another product, whose operands lie so many elements behind these.
    void behind(index_t a, index_t b, index_t c, index_t item) const {
        gemm_operands<T> x = x_;
        x.a += exchanged_ ? b : a;
        x.b += exchanged_ ? a : b;
        x.c += c;
        run(x, item);
    }

private:
    void run(gemm_operands<T> const& x, index_t item) const {
        index_t const i = item / col_blocks_, j = item % col_blocks_, panels = panel_count();
        gemm_block(x, x_.m * i / row_blocks_, x_.m * (i + 1) / row_blocks_, panels * j / col_blocks_ * panel,
                   std::min(x_.n, panels * (j + 1) / col_blocks_ * panel));
    }

    static constexpr index_t lanes = gemm_register<T>::size, panel = 2 * lanes;

    index_t panel_count() const { return (x_.n + panel - 1) / panel; }
    /// C' = op(B)' op(A)'.
    void exchange() {
        std::swap(x_.m, x_.n);
        std::swap(x_.a, x_.b);
        std::swap(x_.a_row, x_.b_col);
        std::swap(x_.a_k, x_.b_k);
        std::swap(x_.c_row, x_.c_col);
        exchanged_ = true;
    }
    /// Takes the grid of blocks whose busiest thread has least to do. Packing a panel of B costs as much
    /// as a few rows of work, packing A as much as half a panel of it.
    void cut(int threads) {
        if (x_.m == 0 || x_.n == 0) return;
        index_t const panels = panel_count(), packing = x_.b_col == 1 ? 5 : 10;
        index_t const most = x_.short_rows() ? 2 * gemm_block_rows : gemm_block_rows, fewest = (x_.m + most - 1) / most;
        index_t least = 0;
        for (index_t cols = 1; cols <= std::min<index_t>(threads, panels); ++cols) {
            index_t const rows =
                std::max(fewest, std::min<index_t>((threads + cols - 1) / cols, (x_.m + gemm_tile_height - 1) / gemm_tile_height));
            index_t const turns = (rows * cols + threads - 1) / threads;
            index_t const height = (x_.m + rows - 1) / rows, across = (panels + cols - 1) / cols;
            index_t const work = turns * (across * (height + packing) + height / 2);
            if (cols > 1 && work >= least) continue;
            least = work;
            row_blocks_ = rows;
            col_blocks_ = cols;
        }
    }

    gemm_operands<T> x_;
    index_t row_blocks_ = 1, col_blocks_ = 1;
    bool exchanged_ = false;
};

#if !defined(ONESTEP_EXTERN_GEMM) || defined(ONESTEP_INSTANTIATE_GEMM)

namespace gemm_kernel {

template <class T> using vec = typename gemm_register<T>::type;

template <class T> inline vec<T> load(T const* p) {
    vec<T> v;
    std::memcpy(&v, p, sizeof v);
    return v;
}
template <class T> inline void store(T* p, vec<T> v) { std::memcpy(p, &v, sizeof v); }

/// Rows x (Vectors * lanes) elements of C over k steps. `Along`: A's neighbours over k lie side by side and `a_step`
/// leads to the next row; otherwise its rows do and `a_step` leads to the next k. `c` is overwritten, or added to.
template <class T, int Rows, int Vectors, bool Along>
__attribute__((noinline)) void tile(index_t k, T const* a, index_t a_step, T const* b, index_t b_step, T alpha, bool add, T* c,
                                    index_t c_row, index_t c_col, index_t width) {
    constexpr index_t lanes = gemm_register<T>::size;
    vec<T> sum[Rows][Vectors];
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 8
        for (int v = 0; v < Vectors; ++v) sum[r][v] = vec<T>{};
    if (c_col == 1)
        for (int r = 0; r < Rows; ++r) __builtin_prefetch(c + r * c_row, 1);
    for (index_t step = 0; step < k; ++step) {
        vec<T> right[Vectors];
#pragma GCC unroll 8
        for (int v = 0; v < Vectors; ++v) right[v] = load(b + step * b_step + v * lanes);
#pragma GCC unroll 16
        for (int r = 0; r < Rows; ++r) {
            vec<T> const left = (Along ? a[r * a_step + step] : a[step * a_step + r]) - vec<T>{};  // a broadcast: x - 0 is x, even for -0
#pragma GCC unroll 8
            for (int v = 0; v < Vectors; ++v) sum[r][v] += left * right[v];
        }
    }
    if (c_col == 1 && width == Vectors * lanes) {
#pragma GCC unroll 16
        for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 8
            for (int v = 0; v < Vectors; ++v) {
                T* const to = c + r * c_row + v * lanes;
                store(to, add ? alpha * sum[r][v] + load(to) : alpha * sum[r][v]);
            }
        return;
    }
    alignas(64) T block[Rows * Vectors * lanes] = {};
    if (add)
        for (int r = 0; r < Rows; ++r)
            for (index_t j = 0; j < width; ++j) block[r * Vectors * lanes + j] = c[r * c_row + j * c_col];
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 8
        for (int v = 0; v < Vectors; ++v) {
            T* const to = block + (r * Vectors + v) * lanes;
            store(to, add ? alpha * sum[r][v] + load(to) : alpha * sum[r][v]);
        }
    for (int r = 0; r < Rows; ++r)
        for (index_t j = 0; j < width; ++j) c[r * c_row + j * c_col] = block[r * Vectors * lanes + j];
}

template <class T> using tile_function = void (*)(index_t, T const*, index_t, T const*, index_t, T, bool, T*, index_t, index_t, index_t);
/// Entry r - 1 computes r rows.
template <class T, int Vectors, bool Along, int... R> tile_function<T> select(index_t rows, std::integer_sequence<int, R...>) {
    static constexpr tile_function<T> table[] = {tile<T, R + 1, Vectors, Along>...};
    return table[rows - 1];
}
template <class T, int Vectors, int Heights> tile_function<T> select(index_t rows, bool along) {
    constexpr auto heights = std::make_integer_sequence<int, Heights>{};
    return along ? select<T, Vectors, true>(rows, heights) : select<T, Vectors, false>(rows, heights);
}
template <class T> tile_function<T> select(index_t rows, index_t vectors, bool along) {
    if (vectors == 4) return select<T, 4, gemm_few_rows>(rows, along);
    return vectors == 2 ? select<T, 2, gemm_tile_height>(rows, along) : select<T, 1, gemm_tile_height>(rows, along);
}

/// Rows x Cols elements of C where the neighbours over k of both factors lie side by side: every lane is a chain of its own
/// over k, and the lanes are folded pairwise.
template <class T, int Rows, int Cols>
void dots(index_t k, T const* a, index_t a_row, T const* b, index_t b_col, T alpha, bool add, T* c, index_t c_row, index_t c_col) {
    constexpr index_t lanes = gemm_register<T>::size;
    vec<T> sum[Rows][Cols];
    auto const multiply = [&](vec<T> const(&left)[Rows], vec<T> const(&right)[Cols]) {
#pragma GCC unroll 4
        for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 8
            for (int j = 0; j < Cols; ++j) sum[r][j] += left[r] * right[j];
    };
#pragma GCC unroll 4
    for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 8
        for (int j = 0; j < Cols; ++j) sum[r][j] = vec<T>{};
    vec<T> left[Rows], right[Cols];
    index_t step = 0;
    for (; step + lanes <= k; step += lanes) {
#pragma GCC unroll 4
        for (int r = 0; r < Rows; ++r) left[r] = load(a + r * a_row + step);
#pragma GCC unroll 8
        for (int j = 0; j < Cols; ++j) right[j] = load(b + j * b_col + step);
        multiply(left, right);
    }
    if (step < k) {
        auto const load_rest = [&](T const* from) {
            T rest[lanes] = {};
            for (index_t i = 0; i < k - step; ++i) rest[i] = from[i];
            return load(rest);
        };
#pragma GCC unroll 4
        for (int r = 0; r < Rows; ++r) left[r] = load_rest(a + r * a_row + step);
#pragma GCC unroll 8
        for (int j = 0; j < Cols; ++j) right[j] = load_rest(b + j * b_col + step);
        multiply(left, right);
    }
    T lane[Rows * Cols][lanes];
#pragma GCC unroll 4
    for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 8
        for (int j = 0; j < Cols; ++j) store(lane[r * Cols + j], sum[r][j]);
    for (index_t half = lanes / 2; half > 0; half /= 2)
        for (int i = 0; i < Rows * Cols; ++i)
            for (index_t l = 0; l < half; ++l) lane[i][l] += lane[i][l + half];
    for (int r = 0; r < Rows; ++r)
        for (int j = 0; j < Cols; ++j) {
            T& to = c[r * c_row + j * c_col];
            to = add ? alpha * lane[r * Cols + j][0] + to : alpha * lane[r * Cols + j][0];
        }
}
template <class T, int Rows> void dot_rows(gemm_operands<T> const& x, index_t col, index_t col_end) {
    constexpr int cols = Rows == 1 ? 8 : Rows == 4 ? 3 : 4;  // as many sums as registers hold beside their operands
    auto const run = [&](auto kernel, index_t j) {
        kernel(x.k, x.a, x.a_row, x.b + j * x.b_col, x.b_col, x.alpha, x.beta != T(0), x.c + j * x.c_col, x.c_row, x.c_col);
    };
    for (; col + cols <= col_end; col += cols) run(dots<T, Rows, cols>, col);
    for (; col < col_end; ++col) run(dots<T, Rows, 1>, col);
}

/// Two rows of a square, `Distance` apart, exchange the blocks that a transposition exchanges.
template <int Distance, class V, int... L> inline void exchange(V& upper, V& lower, std::integer_sequence<int, L...>) {
    constexpr int n = sizeof...(L);
    V const u = __builtin_shufflevector(upper, lower, ((L & Distance) ? n + L - Distance : L)...);
    V const l = __builtin_shufflevector(upper, lower, ((L & Distance) ? n + L : L + Distance)...);
    upper = u;
    lower = l;
}
template <int Distance, int N, class V> inline void transpose(V (&square)[N]) {
    if constexpr (Distance > 0) {
#pragma GCC unroll 16
        for (int r = 0; r < N; ++r)
            if (!(r & Distance)) exchange<Distance>(square[r], square[r + Distance], std::make_integer_sequence<int, N>{});
        transpose<Distance / 2>(square);
    }
}

/// to[step * stride + j] = b[step * b_k + j * b_col] for j < width, 0 for width <= j < stride.
template <class T> void pack(index_t k, index_t width, T const* b, index_t b_k, index_t b_col, T* to, index_t stride) {
    constexpr index_t lanes = gemm_register<T>::size;
    if (b_col == 1 && width % lanes == 0) {
        for (index_t step = 0; step < k; ++step)
            for (index_t j = 0; j < width; j += lanes) store(to + step * stride + j, load(b + step * b_k + j));
        return;
    }
    index_t j = 0;
    if (b_k == 1)
        for (; j + lanes <= width; j += lanes) {
            index_t step = 0;
            for (; step + lanes <= k; step += lanes) {
                vec<T> square[lanes];
#pragma GCC unroll 16
                for (int r = 0; r < lanes; ++r) square[r] = load(b + (j + r) * b_col + step);
                transpose<lanes / 2>(square);
#pragma GCC unroll 16
                for (int r = 0; r < lanes; ++r) store(to + (step + r) * stride + j, square[r]);
            }
            for (; step < k; ++step)
                for (index_t r = j; r < j + lanes; ++r) to[step * stride + r] = b[step + r * b_col];
        }
    for (index_t step = 0; step < k; ++step) {
        for (index_t r = j; r < width; ++r) to[step * stride + r] = b[step * b_k + r * b_col];
        for (index_t r = width; r < stride; ++r) to[step * stride + r] = T(0);
    }
}

/// Asks for cache lines `line` .. `end` - 1 of a panel, one a step over k: it will be read in short pieces far apart, which no
/// processor foresees.
template <class T> void prefetch_panel(index_t line, index_t end, T const* b, index_t b_k, index_t b_col) {
    constexpr index_t in_a_line = 64 / static_cast<index_t>(sizeof(T)), columns = 2 * gemm_register<T>::size;
    for (; line < end; ++line) __builtin_prefetch(b_col == 1 ? b + line * b_k : b + line / columns * in_a_line + line % columns * b_col);
}

/// Tiles of nearly equal height, the taller ones first: one short tile at the end would starve the multipliers.
struct heights {
    index_t tall, taller_tiles, tiles;
    explicit heights(index_t rows) : tall(0), taller_tiles(0), tiles((rows + gemm_tile_height - 1) / gemm_tile_height) {
        tall = (rows + tiles - 1) / tiles;
        taller_tiles = rows - (tall - 1) * tiles;
    }
    index_t operator[](index_t tile) const { return tile < taller_tiles ? tall : tall - 1; }
};

/// to[step * Height + r] = a[r + step * a_k] for `count` steps and r < Height.
template <class T, int... H>
void copy_steps(index_t count, index_t height, T const* a, index_t a_k, T* to, std::integer_sequence<int, H...>) {
    auto const copy = [&]<int Height>(std::integral_constant<int, Height>) {
        if (height == Height)
            for (index_t step = 0; step < count; ++step) std::memcpy(to + step * Height, a + step * a_k, sizeof(T) * Height);
    };
    (copy(std::integral_constant<int, H + 1>{}), ...);
}
/// to[step * height + r] = a[r * a_row + step] for step < k and r < height.
template <class T> void transpose_rows(index_t k, index_t height, T const* a, index_t a_row, T* to) {
    constexpr index_t lanes = gemm_register<T>::size, squares = (gemm_tile_height + lanes - 1) / lanes;
    index_t step = 0;
    if (squares * lanes <= 2 * height)
        // Stores are whole vectors and reach into the steps that follow, which are written later.
        for (; step + lanes < k; step += lanes) {
            vec<T> square[squares][lanes];
#pragma GCC unroll 4
            for (int s = 0; s < squares; ++s) {
#pragma GCC unroll 16
                for (int r = 0; r < lanes; ++r) square[s][r] = load(a + std::min(s * lanes + r, height - 1) * a_row + step);
                transpose<lanes / 2>(square[s]);
            }
#pragma GCC unroll 16
            for (int r = 0; r < lanes; ++r)
#pragma GCC unroll 4
                for (int s = 0; s < squares; ++s) store(to + (step + r) * height + s * lanes, square[s][r]);
        }
    for (; step < k; ++step)
        for (index_t r = 0; r < height; ++r) to[step * height + r] = a[r * a_row + step];
}
/// Each tile's rows of A, [step][row], one tile after the other.
template <class T> void pack_rows(index_t k, heights const& height, T const* a, index_t a_row, index_t a_k, T* to) {
    // Rows that lie side by side are read a few steps at a time, so that a cache line is fetched once for all its tiles.
    index_t const most = a_k == 1 ? k : 16;
    for (index_t step = 0; step < k; step += most) {
        index_t const count = std::min(most, k - step);
        for (index_t tile = 0, row = 0; tile < height.tiles; row += height[tile], ++tile) {
            T const* const from = a + row * a_row + step * a_k;
            T* const into = to + row * k + step * height[tile];
            if (a_k == 1) transpose_rows(count, height[tile], from, a_row, into);
            else copy_steps(count, height[tile], from, a_k, into, std::make_integer_sequence<int, gemm_tile_height>{});
        }
    }
}

/// Memory for so many elements that a thread keeps until it ends, one for each purpose. It grows, and what was in it is lost then.
template <class T, class Purpose> T* kept_by_thread(index_t elements) {
    struct release {
        void operator()(T* p) const noexcept { ::operator delete (p, std::align_val_t{64}); }
    };
    static thread_local std::unique_ptr<T, release> room;
    static thread_local index_t size = 0;
    if (elements > size) {
        room.reset();
        room.reset(static_cast<T*>(::operator new (sizeof(T) * static_cast<std::size_t>(elements), std::align_val_t{64})));
        size = elements;
    }
    return room.get();
}
/// One item's share of A.
struct block_of_a;

}  // namespace gemm_kernel

template <class T> void gemm_block(gemm_operands<T> const& x, index_t row, index_t row_end, index_t col, index_t col_end) {
    constexpr index_t lanes = gemm_register<T>::size;
    if (x.beta != T(1) && (x.k == 0 || x.beta != T(0)))
        for (index_t r = row; r < row_end; ++r)
            for (index_t j = col; j < col_end; ++j) {
                T& c = x.c[r * x.c_row + j * x.c_col];
                c = x.beta == T(0) ? T(0) : x.beta * c;
            }
    if (x.k == 0) return;
    index_t const rows = row_end - row;
    if (x.dots) {
        if (x.m == 1) gemm_kernel::dot_rows<T, 1>(x, col, col_end);
        else if (x.m == 2) gemm_kernel::dot_rows<T, 2>(x, col, col_end);
        else if (x.m == 3) gemm_kernel::dot_rows<T, 3>(x, col, col_end);
        else gemm_kernel::dot_rows<T, 4>(x, col, col_end);
        return;
    }
    gemm_kernel::heights const height(rows);
    // A panel that few rows meet is not worth packing.
    bool const in_place = x.b_col == 1 && rows <= 2 * gemm_tile_height, wide = in_place && rows <= gemm_few_rows;
    // Neither are rows that few panels meet; those that lie side by side are dearer to read as they are.
    index_t const panels = (col_end - col + 2 * lanes - 1) / (2 * lanes);
    bool const packed = rows > gemm_few_rows && x.k >= 16 && panels >= (x.a_k == 1 ? 6 : 3) && !x.short_rows() && !x.short_steps();
    bool const along = !packed && x.a_k == 1;
    T* const block = packed ? gemm_kernel::kept_by_thread<T, gemm_kernel::block_of_a>(gemm_block_rows * gemm_depth) : nullptr;
    alignas(64) T panel[gemm_depth * 2 * lanes];
    for (index_t first = 0; first < x.k; first += gemm_depth) {
        index_t const depth = std::min(gemm_depth, x.k - first);
        bool const add = first > 0 || x.beta != T(0);
        T const* const a = x.a + row * x.a_row + first * x.a_k;
        if (packed) gemm_kernel::pack_rows(depth, height, a, x.a_row, x.a_k, block);
        for (index_t j = col, width = 0; j < col_end; j += width) {
            index_t const vectors = wide && col_end - j >= 4 * lanes ? 4 : col_end - j > lanes ? 2 : 1, stride = vectors * lanes;
            width = std::min(stride, col_end - j);
            T const* b = x.b + first * x.b_k + j * x.b_col;
            index_t b_step = x.b_k;
            if (!in_place || width < stride) {
                gemm_kernel::pack(depth, width, b, x.b_k, x.b_col, panel, stride);
                b = panel;
                b_step = stride;
            }
            auto const tall = gemm_kernel::select<T>(height.tall, vectors, along);
            auto const low = height.taller_tiles < height.tiles ? gemm_kernel::select<T>(height.tall - 1, vectors, along) : tall;
            // The panel after this one is fetched while this one is multiplied.
            bool const ahead = !in_place && j + width + 2 * lanes <= col_end;
            T const* const following = x.b + first * x.b_k + (j + width) * x.b_col;
            for (index_t t = 0, r = 0; t < height.tiles; r += height[t], ++t) {
                if (ahead) gemm_kernel::prefetch_panel(depth * t / height.tiles, depth * (t + 1) / height.tiles, following, x.b_k, x.b_col);
                T const* const left = packed ? block + r * depth : a + r * x.a_row;
                index_t const step = packed ? height[t] : along ? x.a_row : x.a_k;
                (t < height.taller_tiles ? tall : low)(depth, left, step, b, b_step, x.alpha, add, x.c + (row + r) * x.c_row + j * x.c_col,
                                                       x.c_row, x.c_col, width);
            }
        }
    }
}
#endif
#if defined(ONESTEP_INSTANTIATE_GEMM)
template void gemm_block<float>(gemm_operands<float> const&, index_t, index_t, index_t, index_t);
template void gemm_block<double>(gemm_operands<double> const&, index_t, index_t, index_t, index_t);
#endif

#else

inline constexpr index_t row_unit = gemm_tile_rows;

template <class T> class gemm_plan {
public:
    static constexpr index_t elements = 1 << 14;
    gemm_plan(int, op opa, op opb, index_t m, index_t n, index_t k, T alpha, T const* a, index_t lda, T const* b, index_t ldb, T beta, T* c,
              index_t ldc)
        : tiles_{opa, opb, m, n, alpha == T(0) ? 0 : k, alpha, a, lda, b, ldb, beta, c, ldc} {}
    index_t count() const { return tiles_.count(); }
    void operator()(index_t item) const { tiles_(item); }
    void behind(index_t a, index_t b, index_t c, index_t item) const {
        gemm_tiles<T> tiles = tiles_;
        tiles.a += a;
        tiles.b += b;
        tiles.c += c;
        tiles(item);
    }

private:
    gemm_tiles<T> tiles_;
};

#endif

/// Into how many parts each of `batch` products is cut so that all threads have the same to do. Many products are left whole:
/// a thread with one more than the others is waited for only shortly then, and every cut costs some packing.
inline int parts_of_each(index_t batch, int threads) {
    if (batch <= 0 || batch > 4 * index_t{threads}) return 1;
    return static_cast<int>(threads / std::gcd(batch, index_t{threads}));
}

/// The work items of `batch` products of the same extents; `first` plans the first of them.
template <class T> struct gemm_batch {
    static constexpr index_t elements = 1 << 14;
    gemm_plan<T> const& first;
    index_t batch, a_batch, b_batch, c_batch;

    index_t count() const { return std::max<index_t>(batch, 0) * first.count(); }
    void operator()(index_t item) const {
        index_t const product = item / first.count();
        first.behind(product * a_batch, product * b_batch, product * c_batch, item % first.count());
    }
};

}  // namespace onestep::host
