#pragma once
/// Applies gradients to parameters.
#include "../backend/fill.hpp"
#include "../core/math.hpp"
#include "../core/tensor.hpp"
#include "adam.hpp"
#include "average.hpp"

namespace onestep {

namespace functor {
/// One fused pass: moments, parameter, average, and the gradient back to zero.
template <class T, bool Averaged> struct adam_update {
    T *p, *g, *m, *v, *a;
    T const* gradient_scale;  // in backend memory, so that clipping needs no round trip
    T beta1, rest1, beta2, rest2, step, root, epsilon, shrink, average_rate;
    ONESTEP_HD void operator()(index_t i) const {
        T const gradient = *gradient_scale * g[i];
        T const first = math::fma(beta1, m[i], rest1 * gradient);
        T const second = math::fma(beta2, v[i], rest2 * gradient * gradient);
        T const next = math::fma(shrink, p[i], -step * math::divide(first, math::fma(root, math::sqrt(second), epsilon)));
        m[i] = first;
        v[i] = second;
        p[i] = next;
        g[i] = 0;
        if constexpr (Averaged) a[i] = math::fma(average_rate, next - a[i], a[i]);
    }
};
/// Squared elements of a part of a long vector.
template <class T> struct square_part {
    T const* x;
    index_t n, length;
    ONESTEP_HD double operator()(index_t part, index_t i) const {
        index_t const at = part * length + i;
        return at < n ? static_cast<double>(x[at]) * static_cast<double>(x[at]) : 0.0;
    }
};
struct store_double {
    double* out;
    ONESTEP_HD void operator()(index_t r, double sum) const { out[r] = sum; }
};
struct read_double {
    double const* x;
    ONESTEP_HD double operator()(index_t, index_t c) const { return x[c]; }
};
/// norm = sqrt(sum); scale = min(1, limit / norm).
template <class T> struct clip_scale {
    double* norm;
    T* scale;
    double limit;
    ONESTEP_HD void operator()(index_t, double sum) const {
        double const length = math::sqrt(sum);
        *norm = length;
        *scale = length > limit ? static_cast<T>(limit / length) : T(1);
    }
};
}  // namespace functor

/// A spec (adam, adamw) at work on one network: the moments and the count of updates.
///
///     onestep::optimizer adam{onestep::adam{.rate = 2e-4}, net};
///     onestep::accumulate(objective, flow, x0, key);
///     adam.step();
///
/// `step` consumes the gradients: they are zero afterwards. One pass over the parameters, average included; with
/// clipping one more over the gradients. No allocation. The network must outlive it.
template <class Spec, has_parameters Network> class optimizer {
    using T = scalar_of<Network>;
    using Backend = backend_of<Network>;

public:
    /// Throws domain_error for a spec outside its range.
    optimizer(Spec const& spec, Network& net)
        : spec_(spec), net_(&net), first_(device(), {size()}), second_(device(), {size()}), sums_(device(), {parts() + 1}),
          scale_(device(), {2}) {
        static_cast<void>(spec.coefficients(1, 1.0));
        fill(first_.view(), 0);
        fill(second_.view(), 0);
        fill(scale_.view(), 1);
    }

    Spec const& spec() const { return spec_; }
    index_t updates() const { return updates_; }
    /// The moments m and v, each as long as the parameters.
    view<T, Backend> first_moment() { return first_.view(); }
    view<T, Backend> second_moment() { return second_.view(); }
    /// For a run that is resumed.
    void restore(index_t updates) { updates_ = updates; }

    /// Applies the gradients at `factor` times the spec's rate.
    void step(double factor = 1) { update<false>(factor, nullptr, 0); }
    /// The same, and moves an average of the same network in the same pass.
    template <class Model> void step(double factor, average<Model>& ema) {
        update<true>(factor, ema.model().network().parameters().data(), ema.begin_update());
    }

    /// Scales the gradients of the next step so that their norm is at most `limit` (> 0; infinity only measures).
    /// Returns the norm before. Throws not_finite_error, with the gradients set to zero, if it is NaN or infinite.
    double clip(double limit) {
        if (!(limit > 0)) raise<domain_error>("clip", "limit is " + to_string(limit), "it must be > 0");
        constexpr index_t length = 4096;
        T* const g = net_->gradients().data();
        device().template reduce_rows<double>(parts(), length, functor::square_part<T>{g, size(), length},
                                              functor::store_double{sums_.data()});
        device().template reduce_rows<double>(1, parts(), functor::read_double{sums_.data()},
                                              functor::clip_scale<T>{sums_.data() + parts(), scale_.data() + 1, limit});
        double norm = 0;
        device().download(sums_.data() + parts(), 1, &norm);
        if (!std::isfinite(norm)) {
            discard();
            raise<not_finite_error>("optimizer", "the gradient's norm is " + to_string(norm),
                                    "parameters were left as they are; a lower rate or clipping helps");
        }
        clipped_ = true;
        return norm;
    }
    /// Sets the gradients to zero without a step.
    void discard() {
        clipped_ = false;
        fill(net_->gradients(), 0);
    }

private:
    Backend& device() const { return net_->parameters().backend(); }
    index_t size() const { return net_->parameters().size(); }
    index_t parts() const { return (size() + 4095) / 4096; }

    template <bool Averaged> void update(double factor, T* averaged, double average_rate) {
        T const* const scale = scale_.data() + (std::exchange(clipped_, false) ? 1 : 0);
        adam_coefficients const c = spec_.coefficients(++updates_, factor);
        auto const t = [](double value) { return static_cast<T>(value); };
        device().for_each_index(
            size(), functor::adam_update<T, Averaged>{net_->parameters().data(), net_->gradients().data(), first_.data(), second_.data(),
                                                      averaged, scale, t(c.beta1), t(1 - c.beta1), t(c.beta2), t(1 - c.beta2), t(c.step),
                                                      t(c.root), t(c.epsilon), t(c.shrink), t(average_rate)});
    }

    Spec spec_;
    Network* net_;
    tensor<T, Backend> first_, second_;
    tensor<double, Backend> sums_;
    tensor<T, Backend> scale_;  // 1, and what clip found
    index_t updates_ = 0;
    bool clipped_ = false;
};

template <class Spec, class Network> optimizer(Spec, Network&) -> optimizer<Spec, Network>;

}  // namespace onestep
