#pragma once
#include <limits>

#include "../process/transition.hpp"
#include "concept.hpp"

namespace onestep {

namespace functor {
/// |z|^2, |score|^2 and |x|^2 of a row.
struct squared_norms {
    double noise = 0, score = 0, x = 0;
    ONESTEP_HD squared_norms& operator+=(squared_norms const& other) {
        noise += other.noise;
        score += other.score;
        x += other.x;
        return *this;
    }
};
/// The share of four neighbours, with the z that `langevin_move` will draw.
template <class T> struct squared_norms_of_quad {
    T const *x, *score;
    random_stream stream;
    index_t cols;
    ONESTEP_HD squared_norms operator()(index_t row, index_t q) const {
        quad const v = stream.words(row, static_cast<std::uint64_t>(q));
        std::uint32_t const radius[2] = {v.x, v.z}, phase[2] = {v.y, v.w};
        float even[2], odd[2];
        box_muller(radius, phase, even, odd);
        float const z[4] = {even[0], odd[0], even[1], odd[1]};
        squared_norms sum;
        for (index_t k = 0; k < 4 && 4 * q + k < cols; ++k) {
            index_t const i = row * cols + 4 * q + k;
            auto const s = static_cast<double>(score[i]), here = static_cast<double>(x[i]), noise = static_cast<double>(z[k]);
            sum.noise += noise * noise;
            sum.score += s * s;
            sum.x += here * here;
        }
        return sum;
    }
};
/// step = factor |z|^2 / |score|^2; 0 where the score is no more than the rounding of x in it, (rounding |x|)^2.
template <class T> struct store_langevin_step {
    double factor, rounding;
    T* step;
    ONESTEP_HD void operator()(index_t row, squared_norms const& sum) const {
        step[row] = sum.score > rounding * rounding * sum.x ? static_cast<T>(factor * sum.noise / sum.score) : T(0);
    }
};
/// x += step score + sqrt(2 step) z, with a step for each row.
template <class T> struct langevin_move {
    T* x;
    T const *score, *step;
    ONESTEP_HD void operator()(index_t row, index_t i, float z) const {
        T const e = step[row];
        x[i] = math::fma(math::sqrt(T(2) * e), static_cast<T>(z), math::fma(e, score[i], x[i]));
    }
};
}  // namespace functor

/// Reverse diffusion as predictor, with Langevin steps before it as corrector.
///
///     corrector   x += e score + sqrt(2 e) z,    e = 2 a^2 (snr |z|/|score|)^2
///     predictor   x_s = (2 - a) x + v score + sqrt(v) z
///
/// where score = (alpha D - x)/sigma^2 at t, a = alpha_t/alpha_s, and v is the variance of x_t given x_s: the process's own step
/// x_t = a x_s + sqrt(v) z run backwards. a^2 is 1 - beta for variance preserving processes and 1 where alpha = 1.
/// A step from alpha_t = 0 (which has no correction, as e = 0) or to sigma_s = 0 draws x_s from its law given D and x instead,
/// which is D at the data.
///
/// |z| and |score| are norms of one sample (e = 0 where the score is 0), so each sample has a step size e of its own and does not depend on
/// the others of its batch. The original averages both over the batch, which couples samples. Both are for data of many dimensions, where a
/// norm hardly varies: in one or two, |score| comes near 0 where the density is highest, and e near infinity.
/// Throws domain_error for a step towards the noise and for fields out of range.
///
/// Cost: corrections + 1 evaluations a step, 2 tensors of x's shape.  Order: 1 in mean and variance without corrections
/// (tests/sampler/predictor_corrector.cpp).
/// Source: Song et al. 2021 (arXiv:2011.13456), appendix G.
struct predictor_corrector {
    static constexpr char const* name = "predictor_corrector";
    static constexpr int order = 1;
    int steps = 1000;     ///< intervals of the grid, >= 1
    int corrections = 1;  ///< Langevin steps before each prediction, >= 0
    double snr = 0.16;    ///< of a Langevin step: |e score| / |sqrt(2 e) z| is a snr; > 0
    bool denoise = true;  ///< no noise is added by the last predictor of the run

    void step(auto& run, double t, double s) const {
        if (corrections < 0) raise<domain_error>(name, "corrections is " + std::to_string(corrections), "it must be at least 0");
        if (!(snr > 0 && snr < HUGE_VAL)) raise<domain_error>(name, "snr is " + to_string(snr), "it must be positive");
        auto const& p = run.process();
        transition const c = transition_of(p, t, s);
        double const alpha = p.alpha(t), sigma = p.sigma(t);
        if (c.forward > 0)
            for (int k = 0; k < corrections; ++k) correct(run, t, c.forward * c.forward, static_cast<std::uint64_t>(k) + 1);
        bool const quiet = denoise && run.index() + 1 == run.steps();
        auto const here = run.predict(run.x(), t);
        if (alpha == 0 || p.sigma(s) == 0) return run.advance(here, c.x, c.x0, quiet ? 0 : std::sqrt(c.small_variance));
        double const pull = c.large_variance / (sigma * sigma);
        run.advance(here, 2 - c.forward - pull, pull * alpha, quiet ? 0 : std::sqrt(c.large_variance));
    }
    void fields(auto&& visit) const {
        visit("steps", steps);
        visit("corrections", corrections);
        visit("snr", snr);
        visit("denoise", denoise);
    }
    friend bool operator==(predictor_corrector const&, predictor_corrector const&) = default;

private:
    /// One Langevin step at t, with the run's noise number `draw`.
    void correct(auto& run, double t, double squared_signal, std::uint64_t draw) const {
        using value = typename std::remove_reference_t<decltype(run)>::value_type;
        using backend = typename std::remove_reference_t<decltype(run)>::backend_type;
        double const alpha = run.process().alpha(t), variance = run.process().sigma(t) * run.process().sigma(t);
        auto const x = run.x();
        auto const here = run.predict(x, t);
        auto const score = run.scratch();
        value* const sizes = run.template row_array<value>(0);
        run.advance(here, data_step<value, backend>{{{{score, -1 / variance, alpha / variance, {}}}}});
        backend& device = x.backend();
        random_stream const noise = run.noise(draw);
        device.template reduce_rows<functor::squared_norms>(
            x.rows(), (x.cols() + 3) / 4, functor::squared_norms_of_quad<value>{x.data(), score.data(), noise, x.cols()},
            functor::store_langevin_step<value>{2 * squared_signal * snr * snr,
                                                2 * double(std::numeric_limits<value>::epsilon()) / variance, sizes});
        for_each_normal(device, noise, x.rows(), x.cols(), functor::langevin_move<value>{x.data(), score.data(), sizes});
        run.reuse_scratch();
    }
};

}  // namespace onestep
