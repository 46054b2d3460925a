#pragma once
#include "../../core/sums.hpp"
#include "../parameters.hpp"
#include "joined.hpp"
#include "silu.hpp"

namespace onestep::layer {

/// The largest divisor of `channels` that is at most `most`: how many groups a normalisation gets that would like to have `most`. Throws
/// domain_error if one of them is below 1.
inline index_t group_count(index_t channels, index_t most) {
    if (channels < 1 || most < 1)
        raise<domain_error>("group_count", std::to_string(channels) + " channels in at most " + std::to_string(most) + " groups",
                            "both must be >= 1");
    index_t groups = most < channels ? most : channels;
    while (channels % groups != 0) --groups;
    return groups;
}

/// Rows (scale, shift), [n, 2 channels], that lie `stride` elements apart. Without rows scale and shift are zero.
template <class T> struct scale_shift {
    T* rows = nullptr;
    index_t stride = 0;
};

namespace functor {
/// Arrays with a number for each channel of each image: one block [images, channels] for each tensor of a `joined`, so that passes over
/// that tensor's pixels read neighbours.
struct channel_blocks {
    index_t images, a_channels, channels;
    ONESTEP_HD index_t at(index_t i, index_t c) const {
        return c < a_channels ? i * a_channels + c : images * a_channels + i * (channels - a_channels) + c - a_channels;
    }
};
/// What a group's elements have in common, rounded to T. `rest` is what `mean` lacks: a mean of 1e4 in float is wrong by up to 5e-4.
template <class T> struct moments { T mean, rest, inverse_deviation; };
/// Numbers for each channel of each image. With d = x - mean: p = d factor + offset. A derivative along v is
/// v factor + d d_factor + d_offset.
template <class T> struct norm_coefficients {
    T *mean, *factor, *offset, *d_factor, *d_offset;
    ONESTEP_HD norm_coefficients from(index_t k) const { return {mean + k, factor + k, offset + k, d_factor + k, d_offset + k}; }
};
/// What the functors that are called with (image, group) share.
template <class T> struct norm_groups {
    channel_blocks blocks;
    index_t pixels, group_channels, groups;
    T const* statistics;  // three for each group
    sums<T, 2>* totals;
    norm_coefficients<T> at;
    T const *weight, *bias;
    scale_shift<T const> condition;

    ONESTEP_HD moments<T> moments_of(index_t i, index_t g) const {
        T const* const s = statistics + 3 * (i * groups + g);
        return {s[0], s[1], s[2]};
    }
    ONESTEP_HD double count() const { return static_cast<double>(pixels * group_channels); }
    ONESTEP_HD T one_plus_scale(index_t i, index_t c) const {
        return condition.rows ? T(1) + condition.rows[i * condition.stride + c] : T(1);
    }
    ONESTEP_HD T shift(index_t i, index_t c) const {
        return condition.rows ? condition.rows[i * condition.stride + blocks.channels + c] : T(0);
    }
};

/// (d, d^2) for d = x - x at the image's first pixel, so that nothing cancels where x is large against its deviation.
template <class T> struct deviation_terms {
    T const* x;
    index_t pixels, channels;
    ONESTEP_HD_INLINE sums<T, 2> operator()(index_t r, index_t c) const {
        T const d = x[r * channels + c] - x[r / pixels * pixels * channels + c];
        return {{d, math::fma(d, d, T(0))}};  // an fma, so that no compiler joins the square with the addition that follows
    }
};
/// Statistics from the sums of deviation_terms, put together in double.
template <class T> struct find_moments {
    static constexpr index_t elements = 32;
    norm_groups<T> in;
    joined<T const> x;
    double epsilon;
    T* statistics;
    ONESTEP_HD double first_pixel(index_t i, index_t c) const {
        index_t const a_channels = in.blocks.a_channels, image = i * in.pixels;
        return static_cast<double>(c < a_channels ? x.a[image * a_channels + c]
                                                  : x.b[image * (in.blocks.channels - a_channels) + c - a_channels]);
    }
    ONESTEP_HD void operator()(index_t i, index_t g) const {
        index_t const begin = g * in.group_channels, end = begin + in.group_channels;
        double const pixels = static_cast<double>(in.pixels);
        double mean = 0, square = 0;
        for (index_t c = begin; c < end; ++c) mean += first_pixel(i, c) + static_cast<double>(in.totals[in.blocks.at(i, c)].v[0]) / pixels;
        mean /= static_cast<double>(in.group_channels);
        for (index_t c = begin; c < end; ++c) {
            sums<T, 2> const total = in.totals[in.blocks.at(i, c)];
            double const sum = static_cast<double>(total.v[0]), from_first = sum / pixels;
            double const within = math::fma(-sum, from_first, static_cast<double>(total.v[1]));
            double const between = first_pixel(i, c) + from_first - mean;
            square += within > 0 ? within : 0;
            square = math::fma(pixels * between, between, square);
        }
        T const rounded = static_cast<T>(mean);
        T* const s = statistics + 3 * (i * in.groups + g);
        s[0] = rounded;
        s[1] = static_cast<T>(mean - static_cast<double>(rounded));
        s[2] = static_cast<T>(1 / math::sqrt(square / in.count() + epsilon));
    }
};
/// Mean, factor and offset of each channel.
template <class T> struct find_coefficients {
    static constexpr index_t elements = 32;
    norm_groups<T> in;
    ONESTEP_HD void operator()(index_t i, index_t g) const {
        moments<T> const m = in.moments_of(i, g);
        for (index_t c = g * in.group_channels; c < (g + 1) * in.group_channels; ++c) {
            index_t const k = in.blocks.at(i, c);
            T const scaled = in.one_plus_scale(i, c), factor = in.weight[c] * scaled * m.inverse_deviation;
            in.at.mean[k] = m.mean;
            in.at.factor[k] = factor;
            in.at.offset[k] = math::fma(-m.rest, factor, math::fma(in.bias[c], scaled, in.shift(i, c)));
        }
    }
};

/// y = p or silu(p); the rows of y lie `y_stride` apart.
template <class T, bool Activated> struct normalise {
    T const* x;
    norm_coefficients<T> at;
    T* y;
    index_t pixels, channels, y_stride;
    ONESTEP_HD void operator()(index_t r, index_t c) const {
        index_t const k = r / pixels * channels + c;
        T const p = math::fma(x[r * channels + c] - at.mean[k], at.factor[k], at.offset[k]);
        if constexpr (Activated) y[r * y_stride + c] = onestep::silu(p);
        else y[r * y_stride + c] = p;
    }
};

/// (v, v d): a tangent, and what it has in common with x.
template <class T> struct tangent_terms {
    T const *x, *vx, *mean;
    index_t pixels, channels;
    ONESTEP_HD_INLINE sums<T, 2> operator()(index_t r, index_t c) const {
        index_t const i = r * channels + c;
        return {{vx[i], math::fma(vx[i], x[i] - mean[r / pixels * channels + c], T(0))}};
    }
};
/// (dp, dp d), dp = dL/dp, which goes over dy; with `Written` y is made again.
template <class T, bool Activated, bool Written> struct gradient_terms {
    T const* x;
    norm_coefficients<T> at;
    T *dy, *y;
    index_t pixels, channels, y_stride;
    ONESTEP_HD_INLINE sums<T, 2> operator()(index_t r, index_t c) const {
        index_t const k = r / pixels * channels + c, j = r * y_stride + c;
        T const d = x[r * channels + c] - at.mean[k];
        T dp = dy[j];
        if constexpr (Activated) {
            T const p = math::fma(d, at.factor[k], at.offset[k]), s = math::sigmoid(p), value = p * s;
            dp = math::fma(dp, math::fma(value, T(1) - s, s), T(0));
            dy[j] = dp;
            if constexpr (Written) y[j] = value;
        } else if constexpr (Written) {
            y[j] = math::fma(d, at.factor[k], at.offset[k]);
        }
        return {{dp, math::fma(dp, d, T(0))}};
    }
};

/// Coefficients of the tangent of p, from the sums of tangent_terms.
template <class T> struct find_tangent_coefficients {
    static constexpr index_t elements = 32;
    norm_groups<T> in;
    scale_shift<T const> vcondition;
    ONESTEP_HD void operator()(index_t i, index_t g) const {
        index_t const begin = g * in.group_channels, end = begin + in.group_channels;
        moments<T> const m = in.moments_of(i, g);
        double v = 0, vd = 0;
        for (index_t c = begin; c < end; ++c) {
            v += static_cast<double>(in.totals[in.blocks.at(i, c)].v[0]);
            vd += static_cast<double>(in.totals[in.blocks.at(i, c)].v[1]);
        }
        // Means over the group of v and of v xhat, xhat = (d - rest) inverse_deviation.
        T const mean_v = static_cast<T>(v / in.count());
        T const mean_vx =
            static_cast<T>(math::fma(-static_cast<double>(m.rest), v, vd) * static_cast<double>(m.inverse_deviation) / in.count());
        for (index_t c = begin; c < end; ++c) {
            index_t const k = in.blocks.at(i, c);
            T const factor = in.at.factor[k];
            T const *const row = vcondition.rows + i * vcondition.stride, vscale = vcondition.rows ? row[c] : T(0),
                           vshift = vcondition.rows ? row[in.blocks.channels + c] : T(0);
            T const slope = math::fma(in.weight[c], vscale, -(factor * mean_vx)) * m.inverse_deviation;
            in.at.d_factor[k] = slope;
            in.at.d_offset[k] = math::fma(-m.rest, slope, math::fma(-factor, mean_v, math::fma(in.bias[c], vscale, vshift)));
        }
    }
};
/// Coefficients of dL/dx and the gradient of the condition, from the sums of gradient_terms, which become sums of (dp, dp xhat).
template <class T> struct find_gradient_coefficients {
    static constexpr index_t elements = 32;
    norm_groups<T> in;
    scale_shift<T> dcondition;
    ONESTEP_HD void operator()(index_t i, index_t g) const {
        index_t const begin = g * in.group_channels, end = begin + in.group_channels;
        moments<T> const m = in.moments_of(i, g);
        double mean = 0, mean_x = 0;
        for (index_t c = begin; c < end; ++c) {
            sums<T, 2>& total = in.totals[in.blocks.at(i, c)];
            total.v[1] = math::fma(-m.rest, total.v[0], total.v[1]) * m.inverse_deviation;
            double const slope = static_cast<double>(in.weight[c] * in.one_plus_scale(i, c));
            mean = math::fma(slope, static_cast<double>(total.v[0]), mean);
            mean_x = math::fma(slope, static_cast<double>(total.v[1]), mean_x);
            if (dcondition.rows) {
                T* const row = dcondition.rows + i * dcondition.stride;
                row[c] = math::fma(in.weight[c], total.v[1], in.bias[c] * total.v[0]);
                row[in.blocks.channels + c] = total.v[0];
            }
        }
        T const d_factor = -static_cast<T>(mean_x / in.count()) * m.inverse_deviation * m.inverse_deviation;
        T const d_offset = math::fma(-m.rest, d_factor, -static_cast<T>(mean / in.count()) * m.inverse_deviation);
        for (index_t c = begin; c < end; ++c) {
            index_t const k = in.blocks.at(i, c);
            in.at.d_factor[k] = d_factor;
            in.at.d_offset[k] = d_offset;
        }
    }
};
/// out = v factor + d d_factor + d_offset, times silu'(p) where `Activated`; out += with `Added`.
template <class T, bool Activated, bool Added> struct norm_derivative {
    T const *x, *v;
    norm_coefficients<T> at;
    T* out;
    index_t pixels, channels, v_stride, out_stride;
    ONESTEP_HD void operator()(index_t r, index_t c) const {
        index_t const k = r / pixels * channels + c, j = r * out_stride + c;
        T const d = x[r * channels + c] - at.mean[k];
        T value = math::fma(v[r * v_stride + c], at.factor[k], math::fma(d, at.d_factor[k], at.d_offset[k]));
        if constexpr (Activated) value *= silu_derivative(math::fma(d, at.factor[k], at.offset[k]));
        if constexpr (Added) out[j] += value;
        else out[j] = value;
    }
};
/// (1 + scale) times the sums of dp xhat and of dp: an image's part of the gradients of weight and bias.
template <class T> struct norm_parameter_terms {
    sums<T, 2> const* totals;
    T const* scale;
    index_t channels, stride;
    ONESTEP_HD_INLINE sums<T, 2> operator()(index_t i, index_t c) const {
        sums<T, 2> const total = totals[i * channels + c];
        T const scaled = scale ? T(1) + scale[i * stride + c] : T(1);
        return {{math::fma(scaled, total.v[1], T(0)), math::fma(scaled, total.v[0], T(0))}};
    }
};
template <class T> struct store_totals {
    sums<T, 2>* totals;
    ONESTEP_HD void operator()(index_t k, sums<T, 2> const& total) const { totals[k] = total; }
};
template <class T> struct add_parameter_totals {
    T *dweight, *dbias;
    ONESTEP_HD void operator()(index_t c, sums<T, 2> const& total) const {
        dweight[c] += total.v[0];
        dbias[c] += total.v[1];
    }
};
}  // namespace functor

/// Group normalisation of images [n, pixels, channels], with the scale and shift that a condition asks for and the activation behind it:
///
///     xhat = (x - mean) / sqrt(variance + epsilon)       over all pixels and channels of one group of one image
///     p = (xhat weight + bias) (1 + scale) + shift       y = silu(p), or p if not activated
///
/// Groups are of neighbouring channels and may cross the seam of two joined tensors. Weights start at 1, biases at 0. Sums are of
/// differences to an image's first pixel and a group's mean is kept in two parts, so a mean far from zero costs no digits. Source: Wu, He
/// 2018 (arXiv:1803.08494); scale and shift: Dhariwal, Nichol 2021 (arXiv:2105.05233), section 3.
///
/// `memory.template take<T>(count)` lends uninitialised device memory for the call (an arena); each call takes 7 numbers for each
/// channel of each image. Cost: each of the three calls is one pass that sums and one that writes.
template <class T, backend Backend> class group_norm {
public:
    /// Adds name.weight and name.bias to the list. Throws domain_error unless groups divides channels and epsilon is positive.
    group_norm(parameter_list& list, std::string const& name, index_t channels, index_t groups, bool activated = true,
               double epsilon = 1e-5)
        : channels_(channels), groups_(groups), activated_(activated), epsilon_(epsilon) {
        if (groups < 1 || channels % groups != 0)
            raise<domain_error>("group_norm", name + " has " + std::to_string(groups) + " groups",
                                "their number must divide " + std::to_string(channels) + " channels");
        if (!(epsilon > 0)) raise<domain_error>("group_norm", name + " has epsilon " + std::to_string(epsilon), "it must be > 0");
        weight_ = list.add(name + ".weight", {channels}, 0, 1);
        bias_ = list.add(name + ".bias", {channels}, 0);
    }

    index_t channels() const { return channels_; }
    index_t groups() const { return groups_; }
    /// Elements of the buffer in which `forward` leaves the statistics of n images for the other two.
    index_t statistics_size(index_t n) const { return 3 * n * groups_; }

    /// Writes `statistics` and y [n, pixels, channels], which may be x where that is one tensor.
    template <class Memory>
    void forward(Backend& device, Memory& memory, T const* weights, index_t n, index_t pixels, joined<T const> const& x,
                 scale_shift<T const> const& condition, T* statistics, T* y) const {
        groups_type const in = prepare(memory, weights, n, pixels, x, condition, statistics);
        for (source const& s : sources(n, x))
            device.template reduce_segments<totals>(n, pixels, s.channels, functor::deviation_terms<T>{s.x, pixels, s.channels},
                                                    functor::store_totals<T>{in.totals + s.block});
        device.for_each_pair(n, groups_, functor::find_moments<T>{in, x, epsilon_, statistics});
        device.for_each_pair(n, groups_, functor::find_coefficients<T>{in});
        for (source const& s : sources(n, x)) {
            if (activated_) normalise<true>(device, in, s, y);
            else normalise<false>(device, in, s, y);
        }
    }

    /// The tangent vy of y along vx, which is joined like x, and vcondition, which has no rows where the condition stands still. The
    /// statistics move along. vy may be vx where that is one tensor.
    template <class Memory>
    void tangent(Backend& device, Memory& memory, T const* weights, index_t n, index_t pixels, joined<T const> const& x,
                 scale_shift<T const> const& condition, T const* statistics, joined<T const> const& vx,
                 scale_shift<T const> const& vcondition, T* vy) const {
        groups_type const in = prepare(memory, weights, n, pixels, x, condition, statistics);
        device.for_each_pair(n, groups_, functor::find_coefficients<T>{in});
        for (source const& s : sources(n, x))
            device.template reduce_segments<totals>(n, pixels, s.channels,
                                                    functor::tangent_terms<T>{s.x, s.of(vx), in.at.mean + s.block, pixels, s.channels},
                                                    functor::store_totals<T>{in.totals + s.block});
        device.for_each_pair(n, groups_, functor::find_tangent_coefficients<T>{in, vcondition});
        for (source const& s : sources(n, x)) {
            if (activated_) derive<true, false>(device, in, s, s.of(vx), s.channels, vy + s.first, channels_);
            else derive<false, false>(device, in, s, s.of(vx), s.channels, vy + s.first, channels_);
        }
    }

    /// From dy = dL/dy, which is used up, to dx (joined like x; `add`: dx += ...) and dcondition, which is overwritten where it has rows.
    /// Adds the gradients of weight and bias. y, unless null, receives forward's result again, so that nobody need keep it. Without
    /// `add` dx may be dy where it is one tensor.
    template <class Memory>
    void backward(Backend& device, Memory& memory, T const* weights, T* gradients, index_t n, index_t pixels, joined<T const> const& x,
                  scale_shift<T const> const& condition, T const* statistics, T* dy, T* y, joined<T> const& dx,
                  scale_shift<T> const& dcondition, bool add) const {
        groups_type const in = prepare(memory, weights, n, pixels, x, condition, statistics);
        device.for_each_pair(n, groups_, functor::find_coefficients<T>{in});
        for (source const& s : sources(n, x)) {
            if (activated_ && y) sum_gradients<true, true>(device, in, s, dy, y);
            else if (activated_) sum_gradients<true, false>(device, in, s, dy, dy);
            else if (y) sum_gradients<false, true>(device, in, s, dy, y);
            else sum_gradients<false, false>(device, in, s, dy, dy);
        }
        device.for_each_pair(n, groups_, functor::find_gradient_coefficients<T>{in, dcondition});
        for (source const& s : sources(n, x)) {
            if (add) derive<false, true>(device, in, s, dy + s.first, channels_, s.of(dx), s.channels);
            else derive<false, false>(device, in, s, dy + s.first, channels_, s.of(dx), s.channels);
            T const* const scale = condition.rows ? condition.rows + s.first : nullptr;
            device.template reduce_columns<totals>(
                n, s.channels, functor::norm_parameter_terms<T>{in.totals + s.block, scale, s.channels, condition.stride},
                functor::add_parameter_totals<T>{gradients + weight_ + s.first, gradients + bias_ + s.first});
        }
    }

private:
    using totals = sums<T, 2>;
    using groups_type = functor::norm_groups<T>;

    /// One of the tensors that x consists of: channels first .. first + channels - 1 of all.
    struct source {
        T const* x;
        index_t first, channels, block;  // its block of numbers for each channel of each image begins at `block`
        template <class U> U* of(joined<U> const& other) const { return first == 0 ? other.a : other.b; }
    };
    struct source_list {
        source each[2];
        int count;
        source const* begin() const { return each; }
        source const* end() const { return each + count; }
    };
    source_list sources(index_t n, joined<T const> const& x) const {
        return {{{x.a, 0, x.a_channels, 0}, {x.b, x.a_channels, channels_ - x.a_channels, n * x.a_channels}},
                x.a_channels < channels_ ? 2 : 1};
    }
    template <class Memory>
    groups_type prepare(Memory& memory, T const* weights, index_t n, index_t pixels, joined<T const> const& x,
                        scale_shift<T const> const& condition, T const* statistics) const {
        index_t const size = n * channels_;
        T* const numbers = memory.template take<T>(5 * size);
        return {{n, x.a_channels, channels_},
                pixels,
                channels_ / groups_,
                groups_,
                statistics,
                memory.template take<totals>(size),
                {numbers, numbers + size, numbers + 2 * size, numbers + 3 * size, numbers + 4 * size},
                weights + weight_,
                weights + bias_,
                condition};
    }

    template <bool Activated> void normalise(Backend& device, groups_type const& in, source const& s, T* y) const {
        device.for_each_pair(in.blocks.images * in.pixels, s.channels,
                             functor::normalise<T, Activated>{s.x, in.at.from(s.block), y + s.first, in.pixels, s.channels, channels_});
    }
    template <bool Activated, bool Written> void sum_gradients(Backend& device, groups_type const& in, source const& s, T* dy, T* y) const {
        device.template reduce_segments<totals>(in.blocks.images, in.pixels, s.channels,
                                                functor::gradient_terms<T, Activated, Written>{
                                                    s.x, in.at.from(s.block), dy + s.first, y + s.first, in.pixels, s.channels, channels_},
                                                functor::store_totals<T>{in.totals + s.block});
    }
    template <bool Activated, bool Added>
    void derive(Backend& device, groups_type const& in, source const& s, T const* v, index_t v_stride, T* out, index_t out_stride) const {
        device.for_each_pair(
            in.blocks.images * in.pixels, s.channels,
            functor::norm_derivative<T, Activated, Added>{s.x, v, in.at.from(s.block), out, in.pixels, s.channels, v_stride, out_stride});
    }

    index_t channels_ = 0, groups_ = 1, weight_ = 0, bias_ = 0;
    bool activated_ = true;
    double epsilon_ = 1e-5;
};

}  // namespace onestep::layer
