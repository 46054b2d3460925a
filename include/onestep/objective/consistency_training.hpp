#pragma once
#include "../backend/random_fill.hpp"
#include "../time/doubling.hpp"
#include "../time/neighbouring_levels.hpp"
#include "../time/shrinking_gap.hpp"
#include "../time/square_root_levels.hpp"
#include "consistency_rows.hpp"
#include "target_average.hpp"

namespace onestep {

/// Consistency training without a teacher: f must say the same at two points of the path of one sample and one noise,
///
///     x_t = alpha_t x0 + sigma_t epsilon      x_s = alpha_s x0 + sigma_s epsilon      s < t
///     target = f_average(x_s, s), held constant          loss = w(t, s) distance(f_theta(x_t, t) - target)
///
/// Where s lies at the model's boundary or below, the target is x_s / alpha_s itself, the sample where there is no noise. The model is a
/// consistency_model. Three published recipes stand below as functions; what they are made of goes by position:
///
///     distance     squared, pseudo_huber, ...
///     pairs        neighbouring_levels (levels that grow in number), shrinking_gap, or any time_pair_density
///     weighting    unit_weight, inverse_gap, edm_weight, ... (pair_weighting.hpp)
///     average      no_average, constant_average, adaptive_average (target_average.hpp)
///
///     onestep::consistency_model fast{net, onestep::edm{}};
///     onestep::trainer t{fast, onestep::improved_consistency_training({.elements = 784, .steps = 100'000}), onestep::adam{}};
///     auto x = onestep::sample(t.averaged(), onestep::jump{}, z);
///
/// Pairs come from (key, time) and key.step, noise from (key, noise). Rows whose t itself lies up to the boundary weigh nothing.
/// Throws shape_error for noise that is not shaped like x0, domain_error where the model has no answer at a drawn time.
/// Cost: one evaluation of the target model, none where every s is at the boundary; two fused passes.
/// Source: Song et al. 2023 (arXiv:2303.01469), algorithm 3.
template <distance Distance = squared, spec Pairs = neighbouring_levels<square_root_levels>, pair_weighting Weighting = unit_weight,
          target_average<Pairs> Average = adaptive_average>
class consistency_training {
public:
    static constexpr char const* name = "consistency_training";

    explicit consistency_training(Distance const& distance = {}, Pairs const& pairs = {}, Weighting const& weighting = {},
                                  Average const& average = {})
        : distance_(distance), pairs_(pairs), weighting_(weighting), average_(average) {}

    Distance const& distance() const { return distance_; }
    Pairs const& pairs() const { return pairs_; }
    double target_decay(index_t step) const requires(!std::same_as<Average, no_average>) { return average_.decay(pairs_, step); }

    template <class Model, class Target, class T, class Backend>
    regression<T, Backend> build(Model const& model, Target& target, batch<T, Backend> const& data, random_key key,
                                 arena<Backend>& memory) const {
        static_assert(consistency_map<Model>, "Consistency training trains a consistency_model: consistency_model{net, process}.");
        if (!data.noise.empty()) require_shape(name, "noise", data.noise, data.x0.shape());
        Backend& device = data.x0.backend();
        index_t const n = data.x0.rows(), d = data.x0.cols();
        consistency_rows<T> const rows = upload_consistency_rows(model, target, pairs_, weighting_, data, key, memory,
                                                                 [](marginal const&, marginal const& s, double scale) {
                                                                     return std::array{scale * s.alpha, scale * s.sigma};
                                                                 });
        T* const x = memory.template take<T>(n * d);
        view<T, Backend> const older(device, memory.template take<T>(n * d), data.x0.shape());
        if (data.noise.empty())
            for_each_normal(device, key.at(draw::noise), n, d, functor::mix_noise<T>{rows.later, data.x0.data(), x, older.data()});
        else device.for_each_pair(n, d, functor::mix_pair<T>{rows.later, data.x0.data(), data.noise.data(), x, older.data(), d});
        evaluate_map(target, rows, older, data.labels, memory);
        return {{{device, x, data.x0.shape()}, {device, rows.t, {n}}, {}, data.labels}, older.data(), rows.later};
    }

    void fields(auto&& visit) const {
        visit("distance", distance_);
        visit("pairs", pairs_);
        visit("weighting", weighting_);
        visit("average", average_);
    }

private:
    Distance distance_;
    Pairs pairs_;
    Weighting weighting_;
    Average average_;
};

/// Consistency training as first published: squared distance (LPIPS there on images), levels that grow as the square root of the step,
/// an average that slows down with them.
///
///     first_consistency_training({.steps = 100'000})
///     first_consistency_training({.to = 18, .steps = 6'000})       short trainings want fewer levels: news of the data pass one a step
///
/// Source: Song et al. 2023 (arXiv:2303.01469), table 3.
inline auto first_consistency_training(square_root_levels const& levels = {}, karras_grid const& grid = {},
                                       adaptive_average const& average = {}) {
    return consistency_training(squared{}, neighbouring_levels{levels, uniform_level{}, grid}, unit_weight{}, average);
}

/// Numbers of improved_consistency_training.
struct improved_consistency_options {
    index_t elements = 3072;  ///< of one sample: c = 0.00054 sqrt(elements)
    index_t steps = 400'000;  ///< training steps, over which 10 intervals become 1280
    karras_grid grid = {};    ///< needs sigma_max on processes that start at pure noise
};

/// Improved consistency training: pseudo-Huber distance on a whole sample, intervals that double, levels log-normally chosen, weight
/// 1 / gap, targets from the weights as they are.
///
///     improved_consistency_training({.elements = 784, .steps = 100'000})
///
/// Source: Song, Dhariwal 2023 (arXiv:2310.14189), table 1.
inline auto improved_consistency_training(improved_consistency_options const& options = {}) {
    return consistency_training(pseudo_huber{.c = 0.00054 * std::sqrt(static_cast<double>(options.elements))},
                                neighbouring_levels{doubling{.steps = options.steps}, log_normal_level{}, options.grid}, inverse_gap{},
                                no_average{});
}

/// Easy consistency training: a gap that shrinks from diffusion training on, norms of differences (pseudo-Huber with a c that only
/// keeps its slope finite), weight 1 / gap. Best begun from a trained denoiser's weights, with the same process and target.
///
///     easy_consistency_training()                                          as on CIFAR-10, 200'000 steps
///     easy_consistency_training({.base = 256, .stage = 0})                 a short tuning of a trained denoiser
///
/// On ImageNet 64 the authors' code has base 4 and edm_weight in place of inverse_gap.
/// Source: Geng et al. 2024 (arXiv:2406.14548).
inline auto easy_consistency_training(gap_schedule const& gap = {}) {
    return consistency_training(pseudo_huber{.c = 1e-8}, shrinking_gap{log_normal{.mean = -1.1, .deviation = 2}, gap}, inverse_gap{},
                                no_average{});
}

}  // namespace onestep
