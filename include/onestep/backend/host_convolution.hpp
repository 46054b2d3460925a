#pragma once
/// Convolutions of every backend that runs on the host: which way is taken, and the sums as they stand.
#include <cstring>

#include "host_winograd.hpp"

namespace onestep::host {

/// A 3x3 convolution of stride 1 as products, without patches: a copy of an image with one column of zeros between its rows has the
/// neighbours of a pixel beside each other, so that rows of three pixels overlap in memory and a product reads them where they lie.
///
///     y = sum over ky of P_ky w_ky      P_ky(pixel) = pixels (y + ky - 1, x - 1 .. x + 1) of the copy, [pixels, 3 in]
///
/// Any extents and channel counts. An image at a time stays in the second-level cache; the bits of an image do not depend on the others,
/// those of dw on their number alone.
template <class T, class Host> class direct_convolution {
public:
    direct_convolution() = default;
    explicit direct_convolution(convolution_shape const& at) : at_(at) {}

    index_t prepared_size() const { return 0; }
    void prepare(Host&, T const*, T*) const {}

    void forward(Host& device, index_t n, T const* x, T const* w, T const*, added<T> const& more, T* y) const {
        multiply(device, n, {at_.in, at_.out, at_.doubled}, x, w, more, y);
    }
    void input_gradient(Host& device, index_t n, T const* dy, T const* w, T const* residual, T* dx) const {
        auto const memory = device.scratch();
        T* const reversed = memory->template take<T>(at_.weights());
        device.for_each_task(9, [&](index_t t) {
            for (index_t k = 0; k < at_.out; ++k)
                for (index_t c = 0; c < at_.in; ++c) reversed[(t * at_.out + k) * at_.in + c] = w[((8 - t) * at_.in + c) * at_.out + k];
        });
        multiply(device, n, {at_.out, at_.in, false}, dy, reversed, {nullptr, nullptr, 0, residual}, dx);
    }
    void weight_gradient(Host& device, index_t n, T const* x, T const* dy, T* dw) const {
        if (n == 0) return;
        index_t const groups = std::clamp<index_t>(n / images_per_group, 1, most_groups), third = 3 * at_.in * at_.out, size = 3 * third;
        auto const memory = device.scratch();
        T* const sums = memory->template take<T>(groups * size);
        index_t const x_room = copied() * at_.in, y_room = rows() * at_.out;
        T* const rooms = memory->template take<T>(3 * groups * (x_room + y_room));
        device.for_each_task(3 * groups, [&](index_t task) {
            index_t const g = task / 3, ky = task % 3, first = n * g / groups, last = n * (g + 1) / groups;
            T* const images = rooms + task * (x_room + y_room);
            T* const gradients = images + x_room;
            for (index_t i = first; i < last; ++i) {
                copy_image(x + i * at_.x_size(), at_.in, at_.doubled, images);
                copy_rows(dy + i * at_.out_pixels() * at_.out, gradients);
                product(op::transposed, 3 * at_.in, at_.out, rows(), images + ky * across() * at_.in, at_.in, gradients, i > first,
                        sums + g * size + ky * third);
            }
        });
        index_t const shares = std::min<index_t>(size, 4 * device.threads());
        device.for_each_task(shares, [&](index_t task) {
            for (index_t i = size * task / shares; i < size * (task + 1) / shares; ++i) {
                T sum = sums[i];
                for (index_t g = 1; g < groups; ++g) sum += sums[g * size + i];
                dw[i] += sum;
            }
        });
    }

private:
    static constexpr index_t images_per_group = 4, most_groups = 8;
    struct channels {
        index_t in, out;
        bool doubled;
    };

    index_t across() const { return at_.width + 1; }
    /// Pixels of the copy: a row of zeros above and below, one zero in front.
    index_t copied() const { return (at_.height + 2) * across() + 1; }
    /// Pixels from the first to the last of an image, the zeros between rows among them.
    index_t rows() const { return at_.height * across() - 1; }

    void copy_image(T const* image, index_t count, bool doubled, T* to) const {
        auto const bytes = [&](index_t elements) { return sizeof(T) * static_cast<std::size_t>(elements); };
        std::memset(to, 0, bytes((across() + 1) * count));
        for (index_t y = 0; y < at_.height; ++y) {
            T* const row = to + ((y + 1) * across() + 1) * count;
            if (doubled)
                for (index_t x = 0; x < at_.width; ++x)
                    std::memcpy(row + x * count, image + (y / 2 * (at_.width / 2) + x / 2) * count, bytes(count));
            else std::memcpy(row, image + y * at_.width * count, bytes(at_.width * count));
            std::memset(row + at_.width * count, 0, bytes(count));
        }
        std::memset(to + (at_.height + 1) * across() * count + count, 0, bytes(across() * count));
    }
    void copy_rows(T const* dy, T* to) const {
        for (index_t y = 0; y < at_.height; ++y) {
            T* const row = to + y * across() * at_.out;
            std::memcpy(row, dy + y * at_.width * at_.out, sizeof(T) * static_cast<std::size_t>(at_.width * at_.out));
            if (y + 1 < at_.height) std::memset(row + at_.width * at_.out, 0, sizeof(T) * static_cast<std::size_t>(at_.out));
        }
    }
    static void product(op opa, index_t m, index_t n, index_t k, T const* a, index_t a_row, T const* b, bool add, T* c) {
        gemm_plan<T> const plan(1, opa, op::plain, m, n, k, T(1), a, a_row, b, n, add ? T(1) : T(0), c, n);
        for (index_t i = 0; i < plan.count(); ++i) plan(i);
    }
    void multiply(Host& device, index_t n, channels const& of, T const* x, T const* w, added<T> const& more, T* y) const {
        index_t const shares = std::min<index_t>(n, device.threads()), copy = copied() * of.in, sums = rows() * of.out;
        index_t const x_size = (of.doubled ? at_.pixels() / 4 : at_.pixels()) * of.in;
        auto const memory = device.scratch();
        T* const rooms = memory->template take<T>(shares * (copy + sums));
        device.for_each_task(shares, [&](index_t share) {
            T* const image = rooms + share * (copy + sums);
            T* const sum = image + copy;
            for (index_t i = n * share / shares; i < n * (share + 1) / shares; ++i) {
                copy_image(x + i * x_size, of.in, of.doubled, image);
                for (index_t ky = 0; ky < 3; ++ky)
                    product(op::plain, rows(), of.out, 3 * of.in, image + ky * across() * of.in, of.in, w + ky * 3 * of.in * of.out, ky > 0,
                            sum);
                store(i, of.out, sum, more, y);
            }
        });
    }
    void store(index_t image, index_t count, T const* sum, added<T> const& more, T* y) const {
        T const* const shift = more.shift ? more.shift + image * more.shift_stride : nullptr;
        for (index_t row = 0; row < at_.height; ++row)
            for (index_t x = 0; x < at_.width; ++x) {
                T const* const from = sum + (row * across() + x) * count;
                index_t const pixel = ((image * at_.height + row) * at_.width + x) * count;
#pragma omp simd
                for (index_t k = 0; k < count; ++k) {
                    T value = from[k];
                    if (more.bias) value += more.bias[k];
                    if (shift) value += shift[k];
                    if (more.residual) value += more.residual[pixel + k];
                    y[pixel + k] = value;
                }
            }
    }

    convolution_shape at_{};
};

/// Takes the way that suits a shape: Winograd's where an image and its channels are large enough, direct products if they are to be exact,
/// patches for strides, 1x1 kernels and few channels. The choice does not look at the number of images, so an image has the same bits in
/// every batch.
template <class T, class Host> class convolution {
public:
    convolution() = default;
    convolution(convolution_shape const& at, accuracy how) : way_(choose(at, how)), patches_(at, how), direct_(at) {
#if defined(ONESTEP_VECTOR_GEMM)
        small_tiles_ = winograd_convolution<T, Host, 2>(at);
        large_tiles_ = winograd_convolution<T, Host, 4>(at);
#endif
    }

    index_t prepared_size() const {
        return with([](auto const& chosen) { return chosen.prepared_size(); });
    }
    void prepare(Host& device, T const* w, T* prepared) const {
        with([&](auto const& chosen) { chosen.prepare(device, w, prepared); });
    }
    void forward(Host& device, index_t n, T const* x, T const* w, T const* prepared, added<T> const& more, T* y) const {
        with([&](auto const& chosen) { chosen.forward(device, n, x, w, prepared, more, y); });
    }
    void input_gradient(Host& device, index_t n, T const* dy, T const* w, T const* residual, T* dx) const {
        with([&](auto const& chosen) { chosen.input_gradient(device, n, dy, w, residual, dx); });
    }
    void weight_gradient(Host& device, index_t n, T const* x, T const* dy, T* dw) const {
        with([&](auto const& chosen) { chosen.weight_gradient(device, n, x, dy, dw); });
    }

private:
    enum class way { patches, direct, small_tiles, large_tiles };
    /// With fewer channels on one side, patches are small or products of transformed images thin.
    static constexpr index_t few_channels = 16;

    static way choose(convolution_shape const& at, accuracy how) {
        if (at.kernel != 3 || at.stride != 1 || std::min(at.in, at.out) < few_channels) return way::patches;
#if defined(ONESTEP_VECTOR_GEMM)
        auto const products = [&](index_t m) { return (at.height + m - 1) / m * ((at.width + m - 1) / m) * (m + 2) * (m + 2); };
        if (how != accuracy::exact && std::min(products(2), products(4)) < 9 * at.pixels())
            return how == accuracy::fast && products(4) < products(2) ? way::large_tiles : way::small_tiles;
#endif
        return way::direct;
    }
    template <class F> auto with(F const& f) const {
        switch (way_) {
#if defined(ONESTEP_VECTOR_GEMM)
            case way::large_tiles:
                return f(large_tiles_);
            case way::small_tiles:
                return f(small_tiles_);
#endif
            case way::direct:
                return f(direct_);
            default:
                return f(patches_);
        }
    }

    way way_ = way::patches;
    patch_convolution<T, Host> patches_;
    direct_convolution<T, Host> direct_;
#if defined(ONESTEP_VECTOR_GEMM)
    winograd_convolution<T, Host, 2> small_tiles_;
    winograd_convolution<T, Host, 4> large_tiles_;
#endif
};

}  // namespace onestep::host
