#pragma once
/// The one pass over memory that every solver step is made of.
#include <array>

#include "../backend/random_fill.hpp"

namespace onestep {

/// coefficient * input.
template <class T> struct affine_term {
    double coefficient = 0;
    T const* input = nullptr;
};

namespace functor {
/// out = sum of c_k in_k, added in order.
template <class T, int Terms> struct affine {
    T c[Terms];
    T const* in[Terms];
    T* out;
    ONESTEP_HD T sum(index_t i) const {
        T total = c[0] * in[0][i];
        for (int k = 1; k < Terms; ++k) total = math::fma(c[k], in[k][i], total);
        return total;
    }
    ONESTEP_HD void operator()(index_t i) const { out[i] = sum(i); }
};
/// Nothing to add: out = 0, whatever was there.
template <class T> struct affine<T, 0> {
    T* out;
    ONESTEP_HD T sum(index_t) const { return T(0); }
    ONESTEP_HD void operator()(index_t i) const { out[i] = T(0); }
};
/// The same plus d z with z ~ N(0, 1) made on the spot.
template <class T, int Terms> struct affine_noise {
    affine<T, Terms> step;
    T d;
    ONESTEP_HD void operator()(index_t, index_t i, float z) const { step.out[i] = math::fma(d, static_cast<T>(z), step.sum(i)); }
};
}  // namespace functor

/// out = sum of c_k in_k (+ d z): coefficients in double, one fused pass, noise generated in place. `out` may be one of
/// the inputs. Terms with coefficient 0 are left out and never read. At most 8 remain.
template <class T, class Backend> class affine_step {
public:
    static constexpr int max_terms = 8;

    affine_step(view<T, Backend> out) : out_(out) {}

    affine_step& add(double coefficient, view<T const, Backend> input) {
        if (coefficient == 0) return *this;
        for (int k = 0; k < count_; ++k)  // x often enters twice: once itself, once through a velocity
            if (terms_[static_cast<std::size_t>(k)].input == input.data()) {
                if ((terms_[static_cast<std::size_t>(k)].coefficient += coefficient) == 0) {  // they cancel: the term goes
                    for (--count_; k < count_; ++k) terms_[static_cast<std::size_t>(k)] = terms_[static_cast<std::size_t>(k) + 1];
                }
                return *this;
            }
        if (count_ == max_terms) raise<domain_error>("affine_step", "a ninth input was added", "a step combines at most 8");
        terms_[static_cast<std::size_t>(count_++)] = {coefficient, input.data()};
        return *this;
    }
    void run() const { dispatch<0>(0, nullptr); }
    /// Row r takes the noise of sample first_sample + r of the stream.
    void run(double d, random_stream noise) const { d == 0 ? dispatch<0>(0, nullptr) : dispatch<0>(d, &noise); }

private:
    template <int Terms> void dispatch(double d, random_stream const* noise) const {
        if constexpr (Terms < max_terms)
            if (count_ > Terms) return dispatch<Terms + 1>(d, noise);
        functor::affine<T, Terms> step{};
        step.out = out_.data();
        if constexpr (Terms > 0)
            for (int k = 0; k < Terms; ++k) {
                affine_term<T> const& term = terms_[static_cast<std::size_t>(k)];
                step.c[k] = static_cast<T>(term.coefficient);
                step.in[k] = term.input;
            }
        Backend& device = out_.backend();
        if (noise) for_each_normal(device, *noise, out_.rows(), out_.cols(), functor::affine_noise<T, Terms>{step, static_cast<T>(d)});
        else device.for_each_index(out_.size(), step);
    }

    view<T, Backend> out_;
    std::array<affine_term<T>, max_terms> terms_{};
    int count_ = 0;
};

template <class T, class Backend> affine_step(view<T, Backend>) -> affine_step<T, Backend>;

}  // namespace onestep
