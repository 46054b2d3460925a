#pragma once
/// Inpainting: a solver whose known elements follow a given picture.
#include "../process/transition.hpp"
#include "concept.hpp"

namespace onestep {

/// Numbers of inpainting.
struct inpainting_options {
    int resample = 1;  ///< how often each step runs, >= 1
};

namespace functor {
/// x = m (alpha known + noise) + (1 - m) x; exactly one of both where m is 1 or 0.
template <class T> struct keep_known {
    T* x;
    T const *known, *mask;
    index_t cols, known_row, mask_row;  // from one row to the next: cols, or 0 where all rows share one
    T alpha, sigma;

    ONESTEP_HD void at(index_t row, index_t col, index_t i, T noise) const {
        T const m = mask[row * mask_row + col], given = math::fma(alpha, known[row * known_row + col], noise);
        x[i] = m == T(0) ? x[i] : (m == T(1) ? given : math::fma(m, given - x[i], x[i]));
    }
    ONESTEP_HD void operator()(index_t row, index_t col) const { at(row, col, row * cols + col, T(0)); }
    ONESTEP_HD void operator()(index_t row, index_t i, float z) const { at(row, i - row * cols, i, sigma * static_cast<T>(z)); }
};
}  // namespace functor

/// Any solver, with elements of x held to a known picture. After each of its steps, from t to s, in one pass,
///
///     x <- mask (alpha_s known + sigma_s z) + (1 - mask) x,    fresh z ~ N(0, 1) each time
///
/// where mask is 1 for known elements and 0 for those to be found; what lies between blends. At the data (sigma_s = 0 or s = t_min)
/// known elements are the picture's own, exactly. `known` and `mask` are [n, ...] like x, or [1, ...] for all rows; they are borrowed.
///
///     auto x = sample(flow, inpainting{ddim{.steps = 50}, photo, mask, {.resample = 10}}, z);
///
/// Found elements see known ones only through the network, and a step gives them little time to agree. With resample = r > 1 each
/// step but the last runs r times: in between the whole x goes back from s to t by the process's own transition (RePaint's trick, with
/// jumps of one step), x <- (alpha_t/alpha_s) x + sqrt(variance) z.
///
/// The inner solver must not remember earlier steps, which repeating and replacing would falsify; one step finds nothing, 4 or
/// more are needed. Steps run towards the data; domain_error otherwise, and for resample < 1. shape_error for shapes that do not fit.
/// Cost: r (steps - 1) + 1 steps of the inner solver, each with a pass more (two between repetitions).
/// Source: Song et al. 2021 (arXiv:2011.13456), appendix I.2; Lugmayr et al. 2022 (arXiv:2201.09865), algorithm 1.
template <class Solver, class T, class Backend> class inpainting {
    static_assert(!remembers<Solver>(),
                  "Inpainting changes x between steps and repeats them: the solver inside must not remember earlier steps.");

public:
    static constexpr char const* name = "inpainting";
    int order, steps;  ///< the inner solver's

    /// Throws domain_error unless resample >= 1.
    inpainting(Solver const& solver, view<T const, Backend> known, view<T const, Backend> mask, inpainting_options const& options = {})
        : order(solver.order), steps(solver.steps), solver_(solver), known_(known), mask_(mask), options_(options) {
        if (options.resample < 1) raise<domain_error>(name, "resample is " + std::to_string(options.resample), "it must be at least 1");
    }
    inpainting(Solver const& solver, tensor<T, Backend> const& known, tensor<T, Backend> const& mask,
               inpainting_options const& options = {})
        : inpainting(solver, known.view(), mask.view(), options) {}

    Solver const& solver() const { return solver_; }

    void step(auto& run, double t, double s) const {
        if (!(s < t)) raise<domain_error>(name, "a step goes from " + to_string(t) + " to " + to_string(s), "it must go towards the data");
        auto const x = run.x();
        require_rows("known", known_, x.shape());
        require_rows("mask", mask_, x.shape());
        auto const& p = run.process();
        bool const ends = p.sigma(s) == 0 || s <= p.t_min();
        int const rounds = ends ? 1 : options_.resample;
        for (int round = 0; round < rounds; ++round) {
            if (round > 0) {
                transition const back = transition_of(p, t, s);
                affine_step renew(x);
                renew.add(back.forward, x);
                renew.run(std::sqrt(back.large_variance), run.noise(renewal));
            }
            run.begin_round(round);
            solver_.step(run, t, s);
            functor::keep_known<T> const keep{x.data(),
                                              known_.data(),
                                              mask_.data(),
                                              x.cols(),
                                              known_.rows() == x.rows() ? x.cols() : 0,
                                              mask_.rows() == x.rows() ? x.cols() : 0,
                                              ends ? T(1) : static_cast<T>(p.alpha(s)),
                                              ends ? T(0) : static_cast<T>(p.sigma(s))};
            if (ends) x.backend().for_each_pair(x.rows(), x.cols(), keep);
            else for_each_normal(x.backend(), run.noise(replacement), x.rows(), x.cols(), keep);
        }
    }
    void fields(auto&& visit) const {
        visit("solver", solver_);
        visit("resample", options_.resample);
    }

private:
    /// Noise that no inner solver draws.
    static constexpr std::uint64_t replacement = 1u << 12, renewal = replacement + 1;

    void require_rows(char const* what, view<T const, Backend> const& given, shape const& x) const {
        if (!(given.shape() == x) && !(given.shape() == x.with_rows(1)))
            raise<shape_error>(name, std::string(what) + " is " + to_string(given.shape()),
                               "it must be " + to_string(x) + " or " + to_string(x.with_rows(1)));
    }

    Solver solver_;
    view<T const, Backend> known_, mask_;
    inpainting_options options_;
};

template <class Solver, class T, class Backend>
inpainting(Solver, tensor<T, Backend>, tensor<T, Backend>) -> inpainting<Solver, T, Backend>;
template <class Solver, class T, class Backend>
inpainting(Solver, tensor<T, Backend>, tensor<T, Backend>, inpainting_options) -> inpainting<Solver, T, Backend>;
template <class Solver, class T, class Backend>
inpainting(Solver, view<T const, Backend>, view<T const, Backend>) -> inpainting<Solver, T, Backend>;
template <class Solver, class T, class Backend>
inpainting(Solver, view<T const, Backend>, view<T const, Backend>, inpainting_options) -> inpainting<Solver, T, Backend>;

}  // namespace onestep
