#pragma once
/// 3x3 convolutions of stride 1 by Winograd's short products, for every backend that runs on the host.
///
/// An image is cut into tiles of m x m output pixels, m = 4 or 2. With P = m + 2, B', G and A' the transforms of F(m, 3):
///
///     Y = A' [ sum over c of (G w G') . (B' X B) ] A              P^2 products of [tiles, in] x [in, out]
///     dw = G' [ sum over tiles of (B' X B) . (A dY A') ] G        the exact transpose of that
///
/// and the gradient of x is a convolution of dy with the taps reversed. F(4) needs 36 multiplications where the sum as it stands needs 144,
/// F(2) 16 instead of 36. Channels lie beside each other, so the transforms work on vectors of channels and need no shuffles; the
/// products are the register tiles of cpu_gemm.hpp, and a few dozen tiles at a time go through all three steps, so that what is
/// between them stays in the second-level cache. Source: Lavin, Gray 2016 (arXiv:1509.09308), F(4x4, 3x3) with the points 0, +-1, +-2.
///
/// Work is cut into tasks that may run in any order on any threads. An element of y is one chain of additions over channels wherever its
/// tile lies; an element of dw is a sum over groups of tiles that the shape and the number of images decide: no bit depends on the number
/// of threads.
#include "convolution.hpp"
#include "cpu_gemm.hpp"
#include "winograd_transform.hpp"

#if defined(ONESTEP_VECTOR_GEMM)

namespace onestep::host {

/// Sizes of a Winograd convolution: `in` channels come in, `out` go out; for a gradient of x they change places.
struct winograd_extents {
    index_t height, width, in, out;
    bool doubled;  ///< x has half the height and width

    template <int M> index_t across() const { return (width + M - 1) / M; }
    template <int M> index_t tiles() const { return (height + M - 1) / M * across<M>(); }
    index_t x_size() const { return (doubled ? height * width / 4 : height * width) * in; }
    index_t y_size() const { return height * width * out; }
};

/// Work on one task's share of tiles [tile, tile_end) and output channels, or weights.
template <class T> struct winograd_product {
    winograd_extents at;
    T const *x, *transformed;  // weights by winograd_weights
    added<T> more;
    T* y;
    index_t tile, tile_end, panel, panel_end;
};
template <class T> struct winograd_weights {
    index_t in, out;  // of the product that the weights are for
    bool reversed;    // w is [9][out][in], and taps are taken from the last to the first: the gradient of x
    T const* w;
    T* to;
    index_t block, block_end;  // of `lanes` input channels
};
template <class T> struct winograd_outer_product {
    winograd_extents at;
    T const *x, *dy;
    T* sum;  // [P * P][in][out rounded up to panels]
    index_t tile, tile_end, channel, channel_end;
};
template <class T> struct winograd_gradient {
    index_t in, out, groups;
    T const* sums;  // of all groups
    T* dw;
    index_t channel, channel_end;
};

template <class T, int M> void run(winograd_product<T> const&);
template <class T, int M> void run(winograd_weights<T> const&);
template <class T, int M> void run(winograd_outer_product<T> const&);
template <class T, int M> void run(winograd_gradient<T> const&);

/// Width of a panel of transformed weights.
template <class T> inline constexpr index_t winograd_panel = 2 * gemm_register<T>::size;
template <class T> constexpr index_t in_panels(index_t channels) {
    return (channels + winograd_panel<T> - 1) / winograd_panel<T> * winograd_panel<T>;
}

#if !defined(ONESTEP_EXTERN_GEMM) || defined(ONESTEP_INSTANTIATE_GEMM)

namespace winograd {

using gemm_kernel::load;
using gemm_kernel::store;
using gemm_kernel::vec;

/// What one task has between its steps.
struct between;
/// Distance between the P * P matrices of one task: a cache line more than they need, lest they all fall into the same few sets of a cache.
template <class T> index_t spaced(index_t elements) { return elements + 64 / static_cast<index_t>(sizeof(T)); }

/// Distance between the rows of a matrix with so many columns: whole vectors, and not a multiple of 1 KiB, so that the rows of a tile do
/// not drive each other out of the first-level cache.
template <class T> index_t row_length(index_t columns) {
    constexpr index_t lanes = gemm_register<T>::size;
    index_t const length = (columns + lanes - 1) / lanes * lanes;
    return length * static_cast<index_t>(sizeof(T)) % 1024 == 0 ? length + lanes : length;
}

/// The first `count` lanes, the others 0.
template <class T> vec<T> load_part(T const* p, index_t count) {
    T part[gemm_register<T>::size] = {};
    std::memcpy(part, p, sizeof(T) * static_cast<std::size_t>(count));
    return load(part);
}
template <class T> void store_part(T* p, vec<T> v, index_t count) { std::memcpy(p, &v, sizeof(T) * static_cast<std::size_t>(count)); }

/// Whole vectors of channels, then the rest: f(channel, load, store) with loads and stores that keep to [0, channels).
template <class T, class F> void for_channels(index_t from, index_t to, F const& f) {
    constexpr index_t lanes = gemm_register<T>::size;
    index_t c = from;
    for (; c + lanes <= to; c += lanes)
        f(
            c, [](T const* p) { return load(p); }, [](T* p, vec<T> v) { store(p, v); });
    if (c < to) {
        index_t const count = to - c;
        f(
            c, [count](T const* p) { return load_part(p, count); }, [count](T* p, vec<T> v) { store_part(p, v, count); });
    }
}

/// Zeros in place of the channels of a pixel outside of the image.
template <class T> T const* zeros(index_t channels) {
    static thread_local std::unique_ptr<T[]> memory;
    static thread_local index_t size = 0;
    if (channels > size) {
        memory.reset(new T[static_cast<std::size_t>(channels)]());
        size = channels;
    }
    return memory.get();
}

/// Where the pixels of a square with `Side` pixels a side lie, from (y, x) on.
template <class T, int Side> struct square {
    T const* pixel[Side * Side];
    square(winograd_extents const& at, T const* image, index_t channels, bool doubled, index_t y, index_t x, T const* outside) {
        index_t const shift = doubled ? 1 : 0, width = at.width >> shift;
        for (int i = 0; i < Side; ++i)
            for (int j = 0; j < Side; ++j) {
                index_t const yy = y + i, xx = x + j;
                bool const inside = yy >= 0 && yy < at.height && xx >= 0 && xx < at.width;
                pixel[i * Side + j] = inside ? image + ((yy >> shift) * width + (xx >> shift)) * channels : outside;
            }
    }
};
template <int M> struct place {
    index_t image, y, x;
    place(winograd_extents const& at, index_t tile) {
        index_t const each = at.tiles<M>(), across = at.across<M>();
        image = tile / each;
        y = tile % each / across * M;
        x = tile % each % across * M;
    }
};

/// to[p * spacing] = B' X B of the channels from `channel` on.
template <class T, int M, class Load>
inline void transform_input(square<T, M + 2> const& from, index_t channel, Load const& get, T* to, index_t spacing) {
    constexpr int P = M + 2;
    both_ways<P, P, vec<T>>([&](int i, int j) { return get(from.pixel[i * P + j] + channel); },
                            [](auto const& d, auto& o) { transform<M>::input(d, o); },
                            [&](int i, int j, vec<T> v) { store(to + (i * P + j) * spacing, v); });
}
/// to[p * spacing] = A dY A'.
template <class T, int M, class Load>
inline void transform_gradient(square<T, M> const& from, index_t channel, Load const& get, T* to, index_t spacing) {
    constexpr int P = M + 2;
    both_ways<M, P, vec<T>>([&](int i, int j) { return get(from.pixel[i * M + j] + channel); },
                            [](auto const& d, auto& o) { transform<M>::output_transposed(d, o); },
                            [&](int i, int j, vec<T> v) { store(to + (i * P + j) * spacing, v); });
}
/// square[i][j] = A' M A of what lies at from[p * spacing].
template <class T, int M> inline void transform_output(T const* from, index_t spacing, vec<T> (&square)[M][M]) {
    constexpr int P = M + 2;
    both_ways<P, M, vec<T>>([&](int i, int j) { return load(from + (i * P + j) * spacing); },
                            [](auto const& d, auto& o) { transform<M>::output(d, o); }, [&](int i, int j, vec<T> v) { square[i][j] = v; });
}

/// Rows of transformed images times a panel of transformed weights, in steps of gemm_depth channels.
template <class T>
void multiply(gemm_kernel::heights const& height, index_t depth, T const* a, index_t a_row, T const* panel, T* c, index_t c_row) {
    constexpr index_t width = winograd_panel<T>;
    for (index_t first = 0; first < depth; first += gemm_depth) {
        index_t const k = std::min(gemm_depth, depth - first);
        auto const tall = gemm_kernel::select<T>(height.tall, 2, true);
        auto const low = height.taller_tiles < height.tiles ? gemm_kernel::select<T>(height.tall - 1, 2, true) : tall;
        for (index_t t = 0, r = 0; t < height.tiles; r += height[t], ++t)
            (t < height.taller_tiles ? tall : low)(k, a + r * a_row + first, a_row, panel + first * width, width, T(1), first > 0,
                                                   c + r * c_row, c_row, 1, width);
    }
}

template <class T, int M> void input_tiles(winograd_product<T> const& task, T* v, index_t row, index_t spacing) {
    constexpr int P = M + 2;
    winograd_extents const& at = task.at;
    T const* const outside = zeros<T>(at.in);
    for (index_t tile = task.tile; tile < task.tile_end; ++tile) {
        place<M> const p(at, tile);
        square<T, P> const from(at, task.x + p.image * at.x_size(), at.in, at.doubled, p.y - 1, p.x - 1, outside);
        T* const to = v + (tile - task.tile) * row;
        for_channels<T>(0, at.in, [&](index_t c, auto const& get, auto const&) { transform_input<T, M>(from, c, get, to + c, spacing); });
    }
}
template <class T, int M> void output_tiles(winograd_product<T> const& task, T const* m, index_t row, index_t spacing) {
    winograd_extents const& at = task.at;
    index_t const first = task.panel * winograd_panel<T>, last = std::min(at.out, task.panel_end * winograd_panel<T>);
    for (index_t tile = task.tile; tile < task.tile_end; ++tile) {
        place<M> const p(at, tile);
        index_t const rows = std::min<index_t>(M, at.height - p.y), columns = std::min<index_t>(M, at.width - p.x);
        index_t const corner = p.image * at.y_size() + (p.y * at.width + p.x) * at.out;
        T const* const from = m + (tile - task.tile) * row - first;
        T const* const shift = task.more.shift ? task.more.shift + p.image * task.more.shift_stride : nullptr;
        for_channels<T>(first, last, [&](index_t k, auto const& get, auto const& put) {
            vec<T> y[M][M], base{};
            transform_output<T, M>(from + k, spacing, y);
            if (task.more.bias) base += get(task.more.bias + k);
            if (shift) base += get(shift + k);
            for (index_t i = 0; i < rows; ++i)
                for (index_t j = 0; j < columns; ++j) {
                    index_t const pixel = corner + (i * at.width + j) * at.out + k;
                    vec<T> value = y[i][j] + base;
                    if (task.more.residual) value += get(task.more.residual + pixel);
                    put(task.y + pixel, value);
                }
        });
    }
}

}  // namespace winograd

template <class T, int M> void run(winograd_product<T> const& task) {
    constexpr index_t panel = winograd_panel<T>, squared = (M + 2) * (M + 2);
    winograd_extents const& at = task.at;
    index_t const tiles = task.tile_end - task.tile, v_row = winograd::row_length<T>(at.in), m_row = (task.panel_end - task.panel) * panel,
                  v_spacing = winograd::spaced<T>(tiles * v_row), m_spacing = winograd::spaced<T>(tiles * m_row),
                  panels = in_panels<T>(at.out) / panel;
    T* const v = gemm_kernel::kept_by_thread<T, winograd::between>(squared * (v_spacing + m_spacing));
    T* const m = v + squared * v_spacing;
    winograd::input_tiles<T, M>(task, v, v_row, v_spacing);
    gemm_kernel::heights const height(tiles);
    for (index_t p = 0; p < squared; ++p)
        for (index_t j = task.panel; j < task.panel_end; ++j)
            winograd::multiply<T>(height, at.in, v + p * v_spacing, v_row, task.transformed + (p * panels + j) * at.in * panel,
                                  m + p * m_spacing + (j - task.panel) * panel, m_row);
    winograd::output_tiles<T, M>(task, m, m_row, m_spacing);
}

template <class T, int M> void run(winograd_weights<T> const& task) {
    using namespace winograd;
    constexpr int P = M + 2;
    constexpr index_t lanes = gemm_register<T>::size, panel = winograd_panel<T>;
    index_t const matrix = in_panels<T>(task.out) * task.in;
    auto const make = [&](vec<T> const(&w)[9], index_t c, index_t k) {
        T* const to = task.to + (k / panel * task.in + c) * panel + k % panel;
        both_ways<3, P, vec<T>>([&](int i, int j) { return w[3 * i + j]; },
                                [](auto const& d, auto& o) { transform<M>::template weights<T>(d, o); },
                                [&](int i, int j, vec<T> v) { store(to + (i * P + j) * matrix, v); });
    };
    index_t const first = task.block * lanes, last = std::min(task.in, task.block_end * lanes), covered = in_panels<T>(task.out);
    if (!task.reversed) {
        for (index_t c = first; c < last; ++c)
            for (index_t k = 0; k < covered; k += lanes) {
                vec<T> w[9] = {};
                index_t const count = std::min(lanes, task.out - k);
                for (int t = 0; t < 9 && count > 0; ++t) {
                    T const* const from = task.w + (t * task.in + c) * task.out + k;
                    w[t] = count == lanes ? load(from) : load_part(from, count);
                }
                make(w, c, k);
            }
        return;
    }
    for (index_t c = first; c < last; c += lanes)
        for (index_t k = 0; k < covered; k += lanes) {
            index_t const channels = std::min(lanes, last - c);
            vec<T> w[9][lanes] = {};
            for (int t = 0; t < 9; ++t) {
                for (index_t r = 0; r < lanes && k + r < task.out; ++r) {
                    T const* const from = task.w + ((8 - t) * task.out + k + r) * task.in + c;
                    w[t][r] = channels == lanes ? load(from) : load_part(from, channels);
                }
                gemm_kernel::transpose<lanes / 2>(w[t]);
            }
            for (index_t r = 0; r < channels; ++r) {
                vec<T> const taps[9] = {w[0][r], w[1][r], w[2][r], w[3][r], w[4][r], w[5][r], w[6][r], w[7][r], w[8][r]};
                make(taps, c + r, k);
            }
        }
}

template <class T, int M> void run(winograd_outer_product<T> const& task) {
    using namespace winograd;
    constexpr int P = M + 2;
    constexpr index_t lanes = gemm_register<T>::size, panel = winograd_panel<T>;
    winograd_extents const& at = task.at;
    index_t const channels = task.channel_end - task.channel, columns = in_panels<T>(at.out),
                  v_row = (channels + lanes - 1) / lanes * lanes;
    // As many tiles at once as make the sums' way to memory and back short beside the transformed images'.
    index_t const most = std::clamp<index_t>(at.in * columns / (at.in + columns) / 12 * 12, 24, 96);
    index_t const v_spacing = spaced<T>(most * v_row), d_spacing = spaced<T>(most * columns);
    T* const v = gemm_kernel::kept_by_thread<T, between>(P * P * (v_spacing + d_spacing));
    T* const d = v + P * P * v_spacing;
    T const* const outside = zeros<T>(std::max(at.in, at.out));
    gemm_kernel::heights const height(channels);
    auto const tall = gemm_kernel::select<T>(height.tall, 2, false);
    auto const low = height.taller_tiles < height.tiles ? gemm_kernel::select<T>(height.tall - 1, 2, false) : tall;
    for (index_t first = task.tile; first < task.tile_end; first += most) {
        index_t const tiles = std::min(most, task.tile_end - first);
        for (index_t i = 0; i < tiles; ++i) {
            place<M> const p(at, first + i);
            square<T, P> const x(at, task.x + p.image * at.x_size(), at.in, at.doubled, p.y - 1, p.x - 1, outside);
            square<T, M> const dy(at, task.dy + p.image * at.y_size(), at.out, false, p.y, p.x, outside);
            for_channels<T>(task.channel, task.channel_end, [&](index_t c, auto const& get, auto const&) {
                transform_input<T, M>(x, c, get, v + i * v_row + c - task.channel, v_spacing);
            });
            for_channels<T>(0, at.out, [&](index_t k, auto const& get, auto const&) {
                transform_gradient<T, M>(dy, k, get, d + (k / panel * most + i) * panel + k % panel, d_spacing);
            });
            // An odd vector at the end leaves half a panel empty.
            if (index_t const past = (at.out + lanes - 1) / lanes * lanes; past < columns)
                for (index_t p2 = 0; p2 < P * P; ++p2)
                    store(d + p2 * d_spacing + (past / panel * most + i) * panel + past % panel, vec<T>{});
        }
        for (index_t p = 0; p < P * P; ++p)
            for (index_t j = 0; j < columns / panel; ++j) {
                T* const to = task.sum + (p * at.in + task.channel) * columns + j * panel;
                for (index_t t = 0, r = 0; t < height.tiles; r += height[t], ++t)
                    (t < height.taller_tiles ? tall : low)(tiles, v + p * v_spacing + r, v_row, d + p * d_spacing + j * most * panel, panel,
                                                           T(1), first > task.tile, to + r * columns, columns, 1, panel);
            }
    }
}

template <class T, int M> void run(winograd_gradient<T> const& task) {
    using namespace winograd;
    constexpr int P = M + 2;
    index_t const columns = in_panels<T>(task.out), matrix = task.in * columns;
    for (index_t c = task.channel; c < task.channel_end; ++c)
        for_channels<T>(0, task.out, [&](index_t k, auto const& get, auto const& put) {
            both_ways<P, 3, vec<T>>(
                [&](int i, int j) {
                    T const* const from = task.sums + (i * P + j) * matrix + c * columns + k;
                    vec<T> sum = load(from);
                    for (index_t g = 1; g < task.groups; ++g) sum += load(from + g * P * P * matrix);
                    return sum;
                },
                [](auto const& d, auto& o) { transform<M>::template weights_transposed<T>(d, o); },
                [&](int i, int j, vec<T> v) {
                    T* const to = task.dw + ((i * 3 + j) * task.in + c) * task.out + k;
                    put(to, get(to) + v);
                });
        });
}
#endif
#if defined(ONESTEP_INSTANTIATE_GEMM)
#define ONESTEP_INSTANTIATE_WINOGRAD(T, M)                     \
    template void run<T, M>(winograd_product<T> const&);       \
    template void run<T, M>(winograd_weights<T> const&);       \
    template void run<T, M>(winograd_outer_product<T> const&); \
    template void run<T, M>(winograd_gradient<T> const&);
ONESTEP_INSTANTIATE_WINOGRAD(float, 2)
ONESTEP_INSTANTIATE_WINOGRAD(float, 4)
ONESTEP_INSTANTIATE_WINOGRAD(double, 2)
ONESTEP_INSTANTIATE_WINOGRAD(double, 4)
#undef ONESTEP_INSTANTIATE_WINOGRAD
#endif

/// A 3x3 convolution of stride 1 by F(M x M, 3 x 3). `Host` runs tasks: device.for_each_task(count, f) calls f(i) for 0 <= i < count.
template <class T, class Host, int M> class winograd_convolution {
    static constexpr index_t squared = (M + 2) * (M + 2), lanes = gemm_register<T>::size, panel = winograd_panel<T>;

public:
    winograd_convolution() = default;
    explicit winograd_convolution(convolution_shape const& at) : at_{at.height, at.width, at.in, at.out, at.doubled} {}

    index_t prepared_size() const { return squared * at_.in * in_panels<T>(at_.out); }
    void prepare(Host& device, T const* w, T* prepared) const { transform(device, {at_.in, at_.out, false, w, prepared, 0, 0}); }

    void forward(Host& device, index_t n, T const* x, T const*, T const* prepared, added<T> const& more, T* y) const {
        multiply(device, at_, n, x, prepared, more, y);
    }
    void input_gradient(Host& device, index_t n, T const* dy, T const* w, T const* residual, T* dx) const {
        auto const memory = device.scratch();
        T* const reversed = memory->template take<T>(squared * at_.out * in_panels<T>(at_.in));
        transform(device, {at_.out, at_.in, true, w, reversed, 0, 0});
        multiply(device, {at_.height, at_.width, at_.out, at_.in, false}, n, dy, reversed, {nullptr, nullptr, 0, residual}, dx);
    }
    void weight_gradient(Host& device, index_t n, T const* x, T const* dy, T* dw) const {
        index_t const tiles = n * at_.tiles<M>(), each = squared * at_.in * in_panels<T>(at_.out);
        if (tiles == 0) return;
        index_t const groups = std::clamp<index_t>(tiles / tiles_per_group, 1, most_groups);
        auto const memory = device.scratch();
        T* const sums = memory->template take<T>(groups * each);
        index_t const blocks = (at_.in + lanes - 1) / lanes;
        index_t const parts = std::min(blocks, (device.threads() + groups - 1) / groups);
        device.for_each_task(groups * parts, [&](index_t task) {
            index_t const g = task / parts, part = task % parts;
            run<T, M>(winograd_outer_product<T>{at_, x, dy, sums + g * each, tiles * g / groups, tiles * (g + 1) / groups,
                                                blocks * part / parts * lanes, std::min(at_.in, blocks * (part + 1) / parts * lanes)});
        });
        index_t const shares = std::min<index_t>(at_.in, 4 * device.threads());
        device.for_each_task(shares, [&](index_t i) {
            run<T, M>(winograd_gradient<T>{at_.in, at_.out, groups, sums, dw, at_.in * i / shares, at_.in * (i + 1) / shares});
        });
    }

private:
    /// Tiles whose products one sum takes: enough that adding the groups up costs little, few enough that several threads have one.
    static constexpr index_t tiles_per_group = 512, most_groups = 8;
    /// With fewer tiles a thread than this, threads divide the output channels.
    static constexpr index_t least_tiles = 24;

    void transform(Host& device, winograd_weights<T> const& all) const {
        index_t const blocks = (all.in + lanes - 1) / lanes, shares = std::min<index_t>(blocks, 4 * device.threads());
        device.for_each_task(shares, [&](index_t i) {
            winograd_weights<T> part = all;
            part.block = blocks * i / shares, part.block_end = blocks * (i + 1) / shares;
            run<T, M>(part);
        });
    }
    void multiply(Host& device, winograd_extents const& at, index_t n, T const* x, T const* transformed, added<T> const& more, T* y) const {
        index_t const tiles = n * at.tiles<M>(), panels = in_panels<T>(at.out) / panel, threads = device.threads();
        if (tiles == 0) return;
        index_t const most = at.in + at.out <= 160 ? 24 : 48;
        index_t rows = (tiles + most - 1) / most, columns = 1;
        if (tiles >= threads * least_tiles) {
            rows = std::min((rows + threads - 1) / threads * threads, tiles);
        } else {  // each thread reads its part of the weights only, and transforms all images; with many threads, a part of them
            columns = std::min(panels, threads);
            rows =
                std::max((tiles + 63) / 64, std::min((threads + columns - 1) / columns, (tiles + least_tiles / 2 - 1) / (least_tiles / 2)));
        }
        device.for_each_task(rows * columns, [&](index_t task) {
            index_t const i = task / columns, j = task % columns;
            run<T, M>(winograd_product<T>{at, x, transformed, more, y, tiles * i / rows, tiles * (i + 1) / rows, panels * j / columns,
                                          panels * (j + 1) / columns});
        });
    }

    winograd_extents at_{};
};

}  // namespace onestep::host
#endif
