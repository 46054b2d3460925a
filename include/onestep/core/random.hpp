#pragma once
/// Random numbers addressed by coordinates. A number is a function of (seed, sample, step, draw, element) and of nothing
/// else: neither of the batch size, the thread count, the backend, nor of what was drawn before. Deviates are equal bit
/// for bit on every backend and compiler (core/math.hpp).
///
/// Philox4x32-10 turns a 128-bit counter and a 64-bit key into four words (Salmon et al. 2011, "Parallel random numbers:
/// as easy as 1, 2, 3"). (seed, step, draw) make the key of a stream; inside it the counter is (quad of elements, sample).
#include <cstdint>

#include "math.hpp"
#include "shape.hpp"

namespace onestep {

/// What a number is drawn for. Two purposes never share a stream.
enum class draw : std::uint64_t { noise, time, order, weights, direction, subset, probe, label, solver, dropout, user = 1u << 16 };

/// Four words.
struct quad {
    std::uint32_t x, y, z, w;
    friend constexpr bool operator==(quad const&, quad const&) = default;
};

namespace philox {

ONESTEP_HD inline std::uint32_t multiply_high(std::uint32_t a, std::uint32_t b) {
#if defined(__CUDA_ARCH__)
    return __umulhi(a, b);
#else
    return static_cast<std::uint32_t>((std::uint64_t{a} * b) >> 32);
#endif
}

/// Width counters at once, one array a word, so that host compilers vectorise; a GPU thread takes Width = 1.
template <int Width> struct block { std::uint32_t x[Width], y[Width], z[Width], w[Width]; };

inline constexpr std::uint32_t multiplier_x = 0xD2511F53u, multiplier_z = 0xCD9E8D57u;
inline constexpr std::uint32_t key_step_0 = 0x9E3779B9u, key_step_1 = 0xBB67AE85u;

#if defined(__SSE2__) && defined(__GNUC__) && !defined(__clang__) && !defined(__CUDACC__)
#define ONESTEP_PHILOX_WIDE 1
// x86 multiplies 32 x 32 -> 64 bits in 64-bit lanes only. So the ten rounds keep each word in the low half of such a lane
// and let anything stand in the high half: it reaches no low half. GCC left to itself shuffles between the two forms in
// every round, three times slower; Clang finds this form from the plain loop below.
#if defined(__AVX2__)
inline constexpr int wide_lanes = 4;
#else
inline constexpr int wide_lanes = 2;
#endif
typedef std::uint64_t wide __attribute__((vector_size(8 * wide_lanes)));

/// Products of the low halves with b, by the instruction's name: GCC does not find it from a * b.
inline wide multiply(wide a, std::uint32_t b) {
    typedef int words __attribute__((vector_size(8 * wide_lanes)));
    wide const factor = wide{} + b;
#if defined(__AVX2__)
    return reinterpret_cast<wide>(__builtin_ia32_pmuludq256(reinterpret_cast<words>(a), reinterpret_cast<words>(factor)));
#else
    return reinterpret_cast<wide>(__builtin_ia32_pmuludq128(reinterpret_cast<words>(a), reinterpret_cast<words>(factor)));
#endif
}
/// Words with even numbers go to one vector, those with odd numbers to the other.
inline void split(std::uint32_t const* from, wide& even, wide& odd) {
    __builtin_memcpy(&even, from, sizeof even);
    odd = even >> 32;
}
inline void join(wide even, wide odd, std::uint32_t* to) {
    wide const both = (even & std::uint64_t{0xffffffffu}) | odd << 32;
    __builtin_memcpy(to, &both, sizeof both);
}
/// Ten rounds of 2 wide_lanes counters, in place.
inline void wide_rounds(std::uint32_t* x, std::uint32_t* y, std::uint32_t* z, std::uint32_t* w, std::uint32_t k0, std::uint32_t k1) {
    wide a[2], b[2], c[2], d[2];
    split(x, a[0], a[1]);
    split(y, b[0], b[1]);
    split(z, c[0], c[1]);
    split(w, d[0], d[1]);
    wide key_0 = wide{} + std::uint64_t{k0}, key_1 = wide{} + std::uint64_t{k1};  // carries run into the high halves, where they do no harm
    for (int round = 0; round < 10; ++round, key_0 += std::uint64_t{key_step_0}, key_1 += std::uint64_t{key_step_1}) {
        for (int half = 0; half < 2; ++half) {
            wide const p = multiply(a[half], multiplier_x), q = multiply(c[half], multiplier_z);
            a[half] = q >> 32 ^ b[half] ^ key_0;
            b[half] = q;
            c[half] = p >> 32 ^ d[half] ^ key_1;
            d[half] = p;
        }
        // Hides from GCC that it could work out all twenty keys in scalar registers and move each to a vector.
        asm("" : "+x"(key_0), "+x"(key_1));
    }
    join(a[0], a[1], x);
    join(b[0], b[1], y);
    join(c[0], c[1], z);
    join(d[0], d[1], w);
}
#endif

/// Ten rounds, in place.
template <int Width> ONESTEP_HD inline void rounds(block<Width>& c, std::uint32_t k0, std::uint32_t k1) {
#if defined(ONESTEP_PHILOX_WIDE)
    if constexpr (Width % (2 * wide_lanes) == 0) {
        for (int i = 0; i < Width; i += 2 * wide_lanes) wide_rounds(c.x + i, c.y + i, c.z + i, c.w + i, k0, k1);
        return;
    }
#endif
    for (int round = 0; round < 10; ++round) {
        for (int i = 0; i < Width; ++i) {
            std::uint32_t const x = c.x[i], z = c.z[i];
            c.x[i] = multiply_high(multiplier_z, z) ^ c.y[i] ^ k0;
            c.y[i] = multiplier_z * z;
            c.z[i] = multiply_high(multiplier_x, x) ^ c.w[i] ^ k1;
            c.w[i] = multiplier_x * x;
        }
        k0 += key_step_0;
        k1 += key_step_1;
    }
}

/// One counter.
ONESTEP_HD inline quad words(quad counter, std::uint32_t k0, std::uint32_t k1) {
    block<1> b{{counter.x}, {counter.y}, {counter.z}, {counter.w}};
    rounds(b, k0, k1);
    return {b.x[0], b.y[0], b.z[0], b.w[0]};
}

}  // namespace philox

/// A stream of numbers for one purpose at one step: for each sample a sequence of elements.
/// Plain data; passes into kernels by value.
struct random_stream {
    std::uint64_t key = 0;
    std::uint64_t first_sample = 0;  ///< the global number of row 0

    /// Words 4 q .. 4 q + 3 of row r.
    ONESTEP_HD quad words(index_t r, std::uint64_t q) const {
        std::uint64_t const sample = first_sample + static_cast<std::uint64_t>(r);
        return philox::words({static_cast<std::uint32_t>(q), static_cast<std::uint32_t>(q >> 32), static_cast<std::uint32_t>(sample),
                              static_cast<std::uint32_t>(sample >> 32)},
                             static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32));
    }
};

/// The coordinates of random numbers. `at` names the stream; rows of a batch are samples first_sample, first_sample + 1, ...
struct random_key {
    std::uint64_t seed = 0;
    std::uint64_t step = 0;
    std::uint64_t first_sample = 0;

    /// The stream of a purpose; `index` tells several uses of one purpose apart (the stages of a solver, say).
    ONESTEP_HD random_stream at(draw purpose, std::uint64_t index = 0) const {
        std::uint64_t const use = static_cast<std::uint64_t>(purpose) | index << 32;
        quad const k = philox::words({static_cast<std::uint32_t>(step), static_cast<std::uint32_t>(step >> 32),
                                      static_cast<std::uint32_t>(use), static_cast<std::uint32_t>(use >> 32)},
                                     static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32));
        return {std::uint64_t{k.x} | std::uint64_t{k.y} << 32, first_sample};
    }
    /// The same seed and samples at another step.
    constexpr random_key at_step(std::uint64_t other) const { return {seed, other, first_sample}; }
    /// The same coordinates for the rows that start `rows` further on.
    constexpr random_key from_row(index_t rows) const { return {seed, step, first_sample + static_cast<std::uint64_t>(rows)}; }

    friend constexpr bool operator==(random_key const&, random_key const&) = default;
};

/// Uniform in (0, 1), 53 bits, from element q of row r.
ONESTEP_HD inline double uniform(random_stream s, index_t r, std::uint64_t q = 0) {
    quad const v = s.words(r, q);
    return (static_cast<double>((std::uint64_t{v.y} << 32 | v.x) >> 11) + 0.5) * 0x1p-53;
}

/// Uniform on {0, .., n - 1} from element q of row r; the bias is below n / 2^64. n >= 1.
ONESTEP_HD inline std::uint64_t below(random_stream s, std::uint64_t n, index_t r, std::uint64_t q = 0) {
    quad const v = s.words(r, q);
    std::uint64_t const high = n * v.y, low = n * static_cast<std::uint64_t>(v.x) >> 32;  // exact for n < 2^32
    return (high + low) >> 32;
}

/// x = sqrt(x) for each of Width numbers >= 0, correctly rounded.
template <int Width> ONESTEP_HD inline void square_roots(float (&x)[Width]) {
#if defined(__AVX__) && defined(__GNUC__) && !defined(__CUDACC__)
    // The instruction by its name: through libm's function, which sets errno, compilers do not vectorise.
    if constexpr (Width % 8 == 0) {
        typedef float lanes __attribute__((vector_size(32)));
        for (int i = 0; i < Width; i += 8) {
            lanes v;
            __builtin_memcpy(&v, x + i, sizeof v);
            v = __builtin_ia32_sqrtps256(v);
            __builtin_memcpy(x + i, &v, sizeof v);
        }
        return;
    }
#endif
    for (int i = 0; i < Width; ++i) x[i] = math::sqrt(x[i]);
}

/// Box-Muller on Width pairs of words; |z| <= 6.77.
template <int Width>
ONESTEP_HD inline void box_muller(std::uint32_t const (&radius)[Width], std::uint32_t const (&phase)[Width], float (&first)[Width],
                                  float (&second)[Width]) {
    float r[Width];
    for (int i = 0; i < Width; ++i) {
        float const u = math::fma(static_cast<float>(radius[i]), 0x1p-32f, 0x1p-33f);  // (0, 1]
        r[i] = math::fma(-2.0f, math::log(u), 0.0f);                                   // never -0
    }
    square_roots(r);
    for (int i = 0; i < Width; ++i) {
        math::sin_cos<float> const a = math::sincos_phase(phase[i]);
        first[i] = r[i] * a.cos;
        second[i] = r[i] * a.sin;
    }
}

/// N(0, 1) from quad q of row r.
ONESTEP_HD inline float normal_deviate(random_stream s, index_t r, std::uint64_t q = 0) {
    quad const v = s.words(r, q);
    std::uint32_t const radius[1] = {v.x}, phase[1] = {v.y};
    float first[1], second[1];
    box_muller(radius, phase, first, second);
    return first[0];
}

/// How the quads of a [rows, cols] tensor are shared out: each work item takes a block of Width of them, row after row. Every row starts
/// a quad of its own, so what a sample is given does not depend on the rows around it.
template <int Width> struct quad_blocks {
    random_stream stream;
    index_t rows, cols;

    ONESTEP_HD index_t quads_per_row() const { return (cols + 3) / 4; }
    /// Number of work items.
    ONESTEP_HD index_t items() const { return (rows * quads_per_row() + Width - 1) / Width; }

    /// The first quad of a block; those behind it may lie in following rows.
    struct place {
        index_t row, column, quads;
    };
    ONESTEP_HD place first_of(index_t item) const {
        index_t const quads = quads_per_row(), first = item * Width;
        index_t const row = quads == 1 ? first : first / quads;
        return {row, first - row * quads, quads};
    }
    /// The words of a block, four arrays of them.
    ONESTEP_HD void fill(place at, philox::block<Width>& c) const {
        count(c, at.row, at.column, at.quads);
        philox::rounds(c, static_cast<std::uint32_t>(stream.key), static_cast<std::uint32_t>(stream.key >> 32));
    }
    /// pass(row, position, value) for the elements of a block that the tensor has; `position` is row * cols + column. Quad i has the
    /// values x[i], y[i], z[i] and w[i].
    template <class Value, class Pass>
    ONESTEP_HD void hand_out(place at, Value const (&x)[Width], Value const (&y)[Width], Value const (&z)[Width], Value const (&w)[Width],
                             Pass const& pass) const {
        Value values[4 * Width];
        for (int i = 0; i < Width; ++i) {
            values[4 * i] = x[i];
            values[4 * i + 1] = y[i];
            values[4 * i + 2] = z[i];
            values[4 * i + 3] = w[i];
        }
        auto [row, column, quads] = at;
        if (column + Width <= quads && 4 * (column + Width) <= cols && row < rows) {  // the usual case: a whole block inside a row
            index_t const position = row * cols + 4 * column;
            Pass const own = pass;  // a store through one of its pointers cannot change this copy, so the loop vectorises
            for (int k = 0; k < 4 * Width; ++k) own(row, position + k, values[k]);
            return;
        }
        if (quads == 1) {
            index_t const present = rows - row < Width ? rows - row : Width;
            for (index_t k = 0; k < cols; ++k)
                for (index_t i = 0; i < present; ++i) pass(row + i, (row + i) * cols + k, values[4 * i + k]);
            return;
        }
        for (int i = 0; i < Width && row < rows; ++row, column = 0) {
            index_t const run = quads - column < Width - i ? quads - column : Width - i;
            index_t const left = cols - 4 * column, present = left < 4 * run ? left : 4 * run;
            for (index_t k = 0; k < present; ++k) pass(row, row * cols + 4 * column + k, values[4 * i + k]);
            i += static_cast<int>(run);
        }
    }

private:
    /// Counters of Width quads from (row, column) on.
    ONESTEP_HD void count(philox::block<Width>& c, index_t row, index_t column, index_t quads) const {
        if (column + Width <= quads) {  // a block inside one row: plain loops of fixed length, which vectorise
            std::uint64_t const sample = stream.first_sample + static_cast<std::uint64_t>(row);
            auto const q = static_cast<std::uint64_t>(column);
            for (int i = 0; i < Width; ++i) c.x[i] = static_cast<std::uint32_t>(q) + static_cast<std::uint32_t>(i);
            for (int i = 0; i < Width; ++i) c.y[i] = static_cast<std::uint32_t>((q + static_cast<std::uint64_t>(i)) >> 32);
            for (int i = 0; i < Width; ++i) c.z[i] = static_cast<std::uint32_t>(sample);
            for (int i = 0; i < Width; ++i) c.w[i] = static_cast<std::uint32_t>(sample >> 32);
            return;
        }
        if (quads == 1) {  // short rows, a quad each
            std::uint64_t const sample = stream.first_sample + static_cast<std::uint64_t>(row);
            for (int i = 0; i < Width; ++i) c.x[i] = c.y[i] = 0;
            for (int i = 0; i < Width; ++i) c.z[i] = static_cast<std::uint32_t>(sample) + static_cast<std::uint32_t>(i);
            for (int i = 0; i < Width; ++i) c.w[i] = static_cast<std::uint32_t>((sample + static_cast<std::uint64_t>(i)) >> 32);
            return;
        }
        for (int i = 0; i < Width;) {
            std::uint64_t const sample = stream.first_sample + static_cast<std::uint64_t>(row);
            index_t const run = quads - column < Width - i ? quads - column : Width - i;
            for (index_t k = 0; k < run; ++k) {
                auto const q = static_cast<std::uint64_t>(column + k);
                c.x[i + k] = static_cast<std::uint32_t>(q);
                c.y[i + k] = static_cast<std::uint32_t>(q >> 32);
                c.z[i + k] = static_cast<std::uint32_t>(sample);
                c.w[i + k] = static_cast<std::uint32_t>(sample >> 32);
            }
            i += static_cast<int>(run);
            ++row;
            column = 0;
        }
    }
};

/// Calls pass(row, position, z) once for every element of a [rows, cols] tensor with z ~ N(0, 1), in any order, each work
/// item a block of Width quads. `position` is row * cols + column. A sample's deviates do not depend on the rows around it. This is
/// how noise enters every fused pass: made in registers, never stored.
template <int Width, class Pass> struct with_normals {
    static constexpr index_t elements = 4 * Width;
    Pass pass;
    random_stream stream;
    index_t rows, cols;

    ONESTEP_HD quad_blocks<Width> blocks() const { return {stream, rows, cols}; }
    /// Number of work items.
    ONESTEP_HD index_t items() const { return blocks().items(); }

    ONESTEP_HD void operator()(index_t item) const {
        quad_blocks<Width> const quads = blocks();
        auto const at = quads.first_of(item);
        philox::block<Width> c;
        quads.fill(at, c);
        float x[Width], y[Width], z[Width] = {}, w[Width] = {};
        box_muller(c.x, c.y, x, y);
        if (cols > 2) box_muller(c.z, c.w, z, w);  // else nobody asks for them
        quads.hand_out(at, x, y, z, w, pass);
    }
};

/// The same with the random words themselves: pass(row, position, word), one of the 2^32 words for each element.
template <int Width, class Pass> struct with_words {
    static constexpr index_t elements = 4 * Width;
    Pass pass;
    random_stream stream;
    index_t rows, cols;

    ONESTEP_HD quad_blocks<Width> blocks() const { return {stream, rows, cols}; }
    /// Number of work items.
    ONESTEP_HD index_t items() const { return blocks().items(); }

    ONESTEP_HD void operator()(index_t item) const {
        quad_blocks<Width> const quads = blocks();
        auto const at = quads.first_of(item);
        philox::block<Width> c;
        quads.fill(at, c);
        quads.hand_out(at, c.x, c.y, c.z, c.w, pass);
    }
};

}  // namespace onestep
