#pragma once
/// Convolutions of images, channels last: what is asked for, and the way that every backend has.
///
///     x [n, height, width, in]      weights [kernel, kernel, in, out]      y [n, height / stride, width / stride, out], rounded up
///     y(o, k) = sum over taps t and channels c of x(stride o + t - kernel / 2, c) w(t, c, k),  pixels outside of the image being 0
///
/// A backend with a faster way of its own has a member template `convolution<T>` with the members of `patch_convolution`; layers take
/// `convolution_on<T, Backend>`, which is that one or this.
#include <algorithm>

#include "arena.hpp"

namespace onestep {

/// How exactly convolutions are computed. The rounding of y in float, normal inputs, as a share of y's root mean square; as measured over
/// the shapes of the reference networks (docs/unet.md). In double all three are good to 1e-12.
enum class accuracy {
    fast,      ///< Winograd F(4x4, 3x3) where it is faster: 2e-6 to 4e-6, the largest single error 5e-5
    balanced,  ///< Winograd F(2x2, 3x3): 3e-7 to 5e-7, the largest 3e-6
    exact,     ///< the sums as they are written: 3e-7, the largest 2e-6
};

/// A convolution of one image. 1x1 kernels and odd extents included.
struct convolution_shape {
    index_t height, width, in, out;
    int kernel = 3;        ///< 1 or 3
    int stride = 1;        ///< 1 or 2
    bool doubled = false;  ///< x has half the height and width and every pixel of it counts as 2 x 2 (height and width are even)

    ONESTEP_HD index_t out_height() const { return (height + stride - 1) / stride; }
    ONESTEP_HD index_t out_width() const { return (width + stride - 1) / stride; }
    ONESTEP_HD index_t pixels() const { return height * width; }
    ONESTEP_HD index_t out_pixels() const { return out_height() * out_width(); }
    ONESTEP_HD index_t taps() const { return index_t(kernel) * kernel; }
    ONESTEP_HD index_t weights() const { return taps() * in * out; }
    /// Elements of one image of x.
    ONESTEP_HD index_t x_size() const { return (doubled ? pixels() / 4 : pixels()) * in; }
};

/// What is added to a convolution in the pass that stores it. Null: nothing.
template <class T> struct added {
    T const* bias = nullptr;   ///< [channels]
    T const* shift = nullptr;  ///< [n, channels], rows `shift_stride` apart: one number for each image and channel
    index_t shift_stride = 0;
    T const* residual = nullptr;  ///< shaped as the result, which it may be

    bool empty() const { return !bias && !shift && !residual; }
};

namespace functor {
// In these passes a row's place is worked out once and its neighbours in memory take the same way: values outside of an image are read
// from elsewhere and not used, so that there is no branch inside a row.

/// The patch of x around every output pixel, a tap a row: to(pixel * taps + tap, c).
template <class T> struct gather_patches {
    convolution_shape at;
    T const* x;
    T* to;
    ONESTEP_HD void operator()(index_t row, index_t c) const {
        index_t const pixel = row / at.taps(), tap = row % at.taps(), across = at.out_width(), line = pixel / across, reach = at.kernel / 2;
        index_t const y = at.stride * (line % at.out_height()) + tap / at.kernel - reach,
                      xx = at.stride * (pixel % across) + tap % at.kernel - reach;
        bool const inside = y >= 0 && y < at.height && xx >= 0 && xx < at.width;
        index_t const down = at.doubled ? 2 : 1, image = line / at.out_height();
        T const value = x[(inside ? ((image * (at.height / down) + y / down) * (at.width / down) + xx / down) * at.in : 0) + c];
        to[row * at.in + c] = inside ? value : T(0);
    }
};
/// Its transpose, gathered by input pixels: dx(pixel, c) = sum of what was made of it.
template <class T, int Kernel> struct sum_patches {
    convolution_shape at;
    T const* from;
    T const* residual;
    T* dx;
    ONESTEP_HD void operator()(index_t row, index_t c) const {
        index_t const image = row / at.pixels(), y = row / at.width % at.height, x = row % at.width;
        T sum = residual ? residual[row * at.in + c] : T(0);
        for (int ky = 0; ky < Kernel; ++ky)
            for (int kx = 0; kx < Kernel; ++kx) {
                index_t const oy = y + Kernel / 2 - ky, ox = x + Kernel / 2 - kx;
                bool const part = oy >= 0 && ox >= 0 && oy % at.stride == 0 && ox % at.stride == 0 && oy / at.stride < at.out_height() &&
                                  ox / at.stride < at.out_width();
                index_t const pixel = (image * at.out_height() + oy / at.stride) * at.out_width() + ox / at.stride;
                T const value = from[(part ? (pixel * Kernel * Kernel + ky * Kernel + kx) * at.in : 0) + c];
                sum += part ? value : T(0);
            }
        dx[row * at.in + c] = sum;
    }
};
/// The patch of dy that an input pixel of a convolution of stride 1 has a part in: to(pixel * taps + tap, k) = dy(pixel - tap, k).
template <class T> struct gather_gradient_patches {
    convolution_shape at;
    T const* dy;
    T* to;
    ONESTEP_HD void operator()(index_t row, index_t k) const {
        index_t const pixel = row / at.taps(), tap = row % at.taps(), line = pixel / at.width, reach = at.kernel / 2;
        index_t const oy = line % at.height + reach - tap / at.kernel, ox = pixel % at.width + reach - tap % at.kernel;
        bool const inside = oy >= 0 && oy < at.height && ox >= 0 && ox < at.width;
        T const value = dy[(inside ? ((line / at.height * at.height + oy) * at.width + ox) * at.out : 0) + k];
        to[row * at.out + k] = inside ? value : T(0);
    }
};
/// y(pixel, k) = sum over taps of from(pixel + tap, tap * out + k) + what is added.
template <class T> struct sum_taps {
    convolution_shape at;
    T const* from;
    added<T> more;
    T* y;
    ONESTEP_HD void operator()(index_t row, index_t k) const {
        index_t const image = row / at.pixels(), oy = row / at.width % at.height, ox = row % at.width, reach = at.kernel / 2;
        T sum = more.bias ? more.bias[k] : T(0);
        if (more.shift) sum += more.shift[image * more.shift_stride + k];
        if (more.residual) sum += more.residual[row * at.out + k];
        for (index_t ky = 0; ky < at.kernel; ++ky)
            for (index_t kx = 0; kx < at.kernel; ++kx) {
                index_t const yy = oy + ky - reach, x = ox + kx - reach;
                if (yy < 0 || yy >= at.height || x < 0 || x >= at.width) continue;
                sum += from[(((image * at.height + yy) * at.width + x) * at.taps() + ky * at.kernel + kx) * at.out + k];
            }
        y[row * at.out + k] = sum;
    }
};
/// to(c, tap * out + k) = w(tap, c, k).
template <class T> struct taps_beside {
    T const* w;
    T* to;
    index_t in, out;
    ONESTEP_HD void operator()(index_t row, index_t k) const {
        index_t const tap = row / in, c = row % in;
        to[(c * 9 + tap) * out + k] = w[row * out + k];
    }
};
/// dw(tap, c, k) += from(c, tap * out + k).
template <class T> struct add_taps_beside {
    T const* from;
    T* dw;
    index_t in, out;
    ONESTEP_HD void operator()(index_t row, index_t k) const {
        index_t const tap = row / in, c = row % in;
        dw[row * out + k] += from[(c * 9 + tap) * out + k];
    }
};
/// y += what is added, for products that were stored as they came.
template <class T> struct add_to_pixels {
    added<T> more;
    T* y;
    index_t pixels, channels;
    ONESTEP_HD void operator()(index_t row, index_t k) const {
        T sum = y[row * channels + k];
        if (more.bias) sum += more.bias[k];
        if (more.shift) sum += more.shift[row / pixels * more.shift_stride + k];
        if (more.residual) sum += more.residual[row * channels + k];
        y[row * channels + k] = sum;
    }
};
}  // namespace functor

/// A convolution as a product with patches, on whichever side has fewer channels: every shape, every backend.
///
///     y = P(x) w + ...     dx = P'(dy w')     dw += P(x)' dy          P: patches of x; or, for few output channels and stride 1, of dy
///
/// Patches are made for as many images at once as `patch_elements` allows. Cost: one product and one or two passes each.
template <class T, backend Backend> class patch_convolution {
public:
    patch_convolution() = default;
    patch_convolution(convolution_shape const& at, accuracy) : at_(at) {}

    /// Elements of `prepared`: what can be made of weights once and used until they change. None here.
    index_t prepared_size() const { return 0; }
    void prepare(Backend&, T const*, T*) const {}

    /// y = x * w + more; y may be more.residual.
    void forward(Backend& device, index_t n, T const* x, T const* w, T const*, added<T> const& more, T* y) const {
        auto const memory = device.scratch();
        if (few_outputs()) {
            T* const beside = memory->template take<T>(at_.weights());
            device.for_each_pair(at_.taps() * at_.in, at_.out, functor::taps_beside<T>{w, beside, at_.in, at_.out});
            in_parts(*memory, n, at_.pixels(), at_.out, [&](index_t first, index_t count, T* part) {
                index_t const rows = count * at_.pixels(), columns = at_.taps() * at_.out;
                device.gemm(op::plain, op::plain, rows, columns, at_.in, T(1), x + first * at_.x_size(), at_.in, beside, columns, T(0),
                            part, columns);
                device.for_each_pair(rows, at_.out, functor::sum_taps<T>{at_, part, from(more, first), y + first * y_size()});
            });
            return;
        }
        // The residual may be y itself, which a product with beta = 1 adds to; a copy makes it so otherwise.
        added<T> rest = more;
        if (more.residual && more.residual != y) device.copy(more.residual, n * y_size(), y);
        rest.residual = nullptr;
        in_parts(*memory, n, at_.out_pixels(), at_.in, [&](index_t first, index_t count, T* part) {
            T const* const left = patches(device, first, count, x, part);
            device.gemm(op::plain, op::plain, count * at_.out_pixels(), at_.out, at_.taps() * at_.in, T(1), left, at_.taps() * at_.in, w,
                        at_.out, more.residual ? T(1) : T(0), y + first * y_size(), at_.out);
        });
        if (!rest.empty())
            device.for_each_pair(n * at_.out_pixels(), at_.out, functor::add_to_pixels<T>{rest, y, at_.out_pixels(), at_.out});
    }

    /// dx = gradient of x (of the fine x, where it is doubled) + residual, which may be null or dx.
    void input_gradient(Backend& device, index_t n, T const* dy, T const* w, T const* residual, T* dx) const {
        auto const memory = device.scratch();
        index_t const fine = at_.pixels() * at_.in;
        if (few_outputs()) {
            index_t const columns = at_.taps() * at_.out;
            T* const beside = memory->template take<T>(at_.weights());
            device.for_each_pair(at_.taps() * at_.in, at_.out, functor::taps_beside<T>{w, beside, at_.in, at_.out});
            if (residual && residual != dx) device.copy(residual, n * fine, dx);
            in_parts(*memory, n, at_.pixels(), at_.out, [&](index_t first, index_t count, T* part) {
                index_t const rows = count * at_.pixels();
                device.for_each_pair(rows * at_.taps(), at_.out, functor::gather_gradient_patches<T>{at_, dy + first * y_size(), part});
                device.gemm(op::plain, op::transposed, rows, at_.in, columns, T(1), part, columns, beside, columns, residual ? T(1) : T(0),
                            dx + first * fine, at_.in);
            });
            return;
        }
        in_parts(*memory, n, at_.out_pixels(), at_.in, [&](index_t first, index_t count, T* part) {
            device.gemm(op::plain, op::transposed, count * at_.out_pixels(), at_.taps() * at_.in, at_.out, T(1), dy + first * y_size(),
                        at_.out, w, at_.out, T(0), part, at_.taps() * at_.in);
            auto const sum = [&]<int Kernel>(std::integral_constant<int, Kernel>) {
                device.for_each_pair(
                    count * at_.pixels(), at_.in,
                    functor::sum_patches<T, Kernel>{at_, part, residual ? residual + first * fine : nullptr, dx + first * fine});
            };
            if (at_.kernel == 3) sum(std::integral_constant<int, 3>{});
            else sum(std::integral_constant<int, 1>{});
        });
    }

    /// dw += gradient of w.
    void weight_gradient(Backend& device, index_t n, T const* x, T const* dy, T* dw) const {
        auto const memory = device.scratch();
        if (few_outputs()) {
            index_t const columns = at_.taps() * at_.out;
            T* const beside = memory->template take<T>(at_.weights());
            in_parts(*memory, n, at_.pixels(), at_.out, [&](index_t first, index_t count, T* part) {
                index_t const rows = count * at_.pixels();
                device.for_each_pair(rows * at_.taps(), at_.out, functor::gather_gradient_patches<T>{at_, dy + first * y_size(), part});
                device.gemm(op::transposed, op::plain, at_.in, columns, rows, T(1), x + first * at_.x_size(), at_.in, part, columns,
                            first > 0 ? T(1) : T(0), beside, columns);
            });
            if (n > 0) device.for_each_pair(at_.taps() * at_.in, at_.out, functor::add_taps_beside<T>{beside, dw, at_.in, at_.out});
            return;
        }
        in_parts(*memory, n, at_.out_pixels(), at_.in, [&](index_t first, index_t count, T* part) {
            T const* const left = patches(device, first, count, x, part);
            device.gemm(op::transposed, op::plain, at_.taps() * at_.in, at_.out, count * at_.out_pixels(), T(1), left, at_.taps() * at_.in,
                        dy + first * y_size(), at_.out, T(1), dw, at_.out);
        });
    }

private:
    /// About as many elements as a shared cache holds; on devices with their own memory a few times more would fit, and gain little.
    static constexpr index_t patch_elements = index_t(1) << 22;

    bool few_outputs() const { return at_.kernel == 3 && at_.stride == 1 && !at_.doubled && at_.out < at_.in; }
    index_t y_size() const { return at_.out_pixels() * at_.out; }

    template <class Part> void in_parts(arena<Backend>& memory, index_t n, index_t pixels, index_t channels, Part const& part) const {
        index_t const image = pixels * channels * at_.taps();
        index_t const most = std::clamp<index_t>(patch_elements / std::max<index_t>(image, 1), 1, std::max<index_t>(n, 1));
        T* const room = memory.template take<T>(most * image);
        for (index_t first = 0; first < n; first += most) part(first, std::min(most, n - first), room);
    }
    T const* patches(Backend& device, index_t first, index_t count, T const* x, T* room) const {
        T const* const images = x + first * at_.x_size();
        if (at_.kernel == 1 && at_.stride == 1 && !at_.doubled) return images;
        device.for_each_pair(count * at_.out_pixels() * at_.taps(), at_.in, functor::gather_patches<T>{at_, images, room});
        return room;
    }
    added<T> from(added<T> more, index_t image) const {
        if (more.shift) more.shift += image * more.shift_stride;
        if (more.residual) more.residual += image * y_size();
        return more;
    }

    convolution_shape at_{};
};

namespace convolving {
template <class T, class Backend, class = void> struct choice { using type = patch_convolution<T, Backend>; };
template <class T, class Backend> struct choice<T, Backend, std::void_t<typename Backend::template convolution<T>>> {
    using type = typename Backend::template convolution<T>;
};
}  // namespace convolving

/// The fastest convolution that a backend has.
template <class T, class Backend> using convolution_on = typename convolving::choice<T, Backend>::type;

}  // namespace onestep
