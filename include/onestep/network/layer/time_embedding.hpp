#pragma once
#include <vector>

#include "../../backend/concept.hpp"
#include "../../core/math.hpp"
#include "../../core/random.hpp"
#include "../../core/spec.hpp"
#include "../../core/tensor.hpp"

namespace onestep {

/// Features of a time: sin and cos at `size` / 2 frequencies, [sin ..., cos ...].
struct time_features {
    static constexpr char const* name = "time_features";

    enum class kind {
        sinusoidal,  ///< angle = scale t 10000^(-i / half), i = 0 .. half - 1. Source: Vaswani et al. 2017 (arXiv:1706.03762)
        fourier,     ///< angle = 2 pi scale w_i t, w_i ~ N(0, 1) and fixed. Source: Tancik et al. 2020 (arXiv:2006.10739)
    };
    kind features = kind::sinusoidal;
    int size = 64;  ///< even, >= 2
    /// Multiplies t. 1000 resolves t in [0, 1] finely; derivatives in t grow with it, so methods that take them use less.
    double scale = 1000;

    void fields(auto&& visit) const {
        visit("features", features == kind::sinusoidal ? "sinusoidal" : "fourier");
        visit("size", size);
        visit("scale", scale);
    }
    friend bool operator==(time_features const&, time_features const&) = default;
};

namespace layer {

namespace functor {
/// Writes sin and cos of t(r) angular_frequency(i) at columns first + i and first + half + i, and their tangents.
template <class T, bool Stacked, bool Distance> struct time_waves {
    T const *t, *s;    // Distance: t - s is embedded; otherwise t itself, and s is not read
    T const *vt, *vs;  // tangents; null: zero
    T const* frequency;
    T* out;
    index_t half, stride, first, rows;
    ONESTEP_HD void operator()(index_t r, index_t i) const {
        T time = t[r];
        if constexpr (Distance) time -= s[r];
        math::sin_cos<T> const wave = math::sincos(time * frequency[i]);
        T* const row = out + r * stride + first;
        row[i] = wave.sin;
        row[half + i] = wave.cos;
        if constexpr (Stacked) {
            T const rate = ((vt ? vt[r] : T(0)) - (Distance && vs ? vs[r] : T(0))) * frequency[i];
            T* const tangent = row + rows * stride;
            tangent[i] = wave.cos * rate;
            tangent[half + i] = -wave.sin * rate;
        }
    }
};
/// The tangents alone.
template <class T, bool Distance> struct time_wave_tangents {
    T const *t, *s, *vt, *vs;
    T const* frequency;
    T* out;
    index_t half, stride, first;
    ONESTEP_HD void operator()(index_t r, index_t i) const {
        T time = t[r], rate = vt ? vt[r] : T(0);
        if constexpr (Distance) {
            time -= s[r];
            if (vs) rate -= vs[r];
        }
        rate *= frequency[i];
        math::sin_cos<T> const wave = math::sincos(time * frequency[i]);
        T* const row = out + r * stride + first;
        row[i] = wave.cos * rate;
        row[half + i] = -wave.sin * rate;
    }
};
}  // namespace functor

/// Features [n, size] of t [n]; with two times [n, 2 size]: those of t, then those of t - s (so that a step of length
/// zero always looks the same). One pass a time. The Fourier frequencies are drawn from (seed, weights).
template <class T, backend Backend> class time_embedding {
public:
    /// Throws domain_error unless the size is even and >= 2 and the scale is finite.
    time_embedding(Backend& device, time_features const& options, bool second_time, std::uint64_t seed)
        : half_(options.size / 2), second_time_(second_time) {
        if (options.size < 2 || options.size % 2 != 0)
            raise<domain_error>("time_embedding", "size is " + std::to_string(options.size), "it must be even and at least 2");
        if (!std::isfinite(options.scale))
            raise<domain_error>("time_embedding", "scale is " + to_string(options.scale), "it must be finite");
        frequency_ = tensor<T, Backend>(device, {half_}, frequencies(options, seed));
    }

    index_t size() const { return 2 * half_ * (second_time_ ? 2 : 1); }

    /// Writes [n, size()]; s is null for one time.
    void forward(Backend& device, index_t n, T const* t, T const* s, T* y) const { waves<false>(device, n, t, nullptr, s, nullptr, y); }
    /// Writes [2 n, size()]: features, then their tangents; vt and vs may be null (zero).
    void jvp(Backend& device, index_t n, T const* t, T const* vt, T const* s, T const* vs, T* y) const {
        waves<true>(device, n, t, vt, s, vs, y);
    }
    /// Writes the tangents of the features alone, [n, size()].
    void tangent(Backend& device, index_t n, T const* t, T const* vt, T const* s, T const* vs, T* vy) const {
        device.for_each_pair(n, half_,
                             functor::time_wave_tangents<T, false>{t, nullptr, vt, nullptr, frequency_.data(), vy, half_, size(), 0});
        if (second_time_)
            device.for_each_pair(n, half_,
                                 functor::time_wave_tangents<T, true>{t, s, vt, vs, frequency_.data(), vy, half_, size(), 2 * half_});
    }

private:
    static std::vector<T> frequencies(time_features const& options, std::uint64_t seed) {
        index_t const half = options.size / 2;
        std::vector<T> w(static_cast<std::size_t>(half));
        random_stream const stream = random_key{seed}.at(draw::weights, 1u << 20);
        for (index_t i = 0; i < half; ++i) {
            double value = std::pow(10000.0, -static_cast<double>(i) / static_cast<double>(half));
            if (options.features == time_features::kind::fourier)
                value = 6.283185307179586 * static_cast<double>(normal_deviate(stream, i));
            w[static_cast<std::size_t>(i)] = static_cast<T>(options.scale * value);
        }
        return w;
    }
    template <bool Stacked> void waves(Backend& device, index_t n, T const* t, T const* vt, T const* s, T const* vs, T* y) const {
        device.for_each_pair(n, half_,
                             functor::time_waves<T, Stacked, false>{t, nullptr, vt, nullptr, frequency_.data(), y, half_, size(), 0, n});
        if (second_time_)
            device.for_each_pair(n, half_,
                                 functor::time_waves<T, Stacked, true>{t, s, vt, vs, frequency_.data(), y, half_, size(), 2 * half_, n});
    }

    index_t half_;
    bool second_time_;
    tensor<T, Backend> frequency_;
};

}  // namespace layer
}  // namespace onestep
