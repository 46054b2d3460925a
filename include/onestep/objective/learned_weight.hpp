#pragma once
/// A learned weight of the loss over time.
#include "../backend/arena.hpp"
#include "../backend/fill.hpp"
#include "../network/layer/linear.hpp"
#include "../network/layer/time_embedding.hpp"
#include "concept.hpp"

namespace onestep {

namespace functor {
/// weight(r) *= e^-v(r).
template <class T> struct weigh_down {
    regression_row<T>* rows;
    T const* v;
    ONESTEP_HD void operator()(index_t r) const { rows[r].weight *= math::exp(-v[r]); }
};
}  // namespace functor

/// v(t), the logarithm of the loss that is expected at t: a linear layer on sines and cosines of the network's clock, which starts at
/// zero. With it a batch's loss is
///
///     1/n sum of   e^-v(t) w distance + v(t)
///
/// At its minimum v = log E[w distance | t], so that every time counts alike however large its loss is. It is trained beside the
/// network and never used in sampling.
///
/// Its parameters and gradients are flat views, as a network's. Not for use from several threads at once. The backend must outlive it.
/// Source: Karras et al. 2023 (arXiv:2312.02696), section 2.5; Lu, Song 2024 (arXiv:2410.11081), section 4.2.
template <class T, backend Backend> class learned_weight {
public:
    explicit learned_weight(Backend& device, time_features const& features = {.size = 64, .scale = 16})
        : device_(&device), embedding_(device, features, false, 0), layer_(list_, "log_loss", embedding_.size(), 1, 0),
          parameters_(device, {list_.size()}), gradients_(device, {list_.size()}), memory_(device) {
        fill(parameters_.view(), 0);
        fill(gradients_.view(), 0);
    }

    parameter_list const& names() const { return list_; }
    view<T, Backend> parameters() { return parameters_.view(); }
    view<T, Backend> gradients() { return gradients_.view(); }

    /// v(t) of each row; kept for `backward`. The result stays valid until the next call.
    view<T const, Backend> forward(view<T const, Backend> t) {
        memory_.reset();
        index_t const n = t.rows();
        waves_ = memory_.template take<T>(n * embedding_.size());
        T* const v = memory_.template take<T>(n);
        embedding_.forward(*device_, n, t.data(), nullptr, waves_);
        layer_.forward(*device_, parameters_.data(), n, waves_, v);
        return {*device_, v, {n}};
    }
    /// Adds the gradients that follow from dL/dv [n].
    void backward(view<T const, Backend> dv) { layer_.backward_parameters(*device_, gradients_.data(), dv.rows(), waves_, dv.data()); }

private:
    Backend* device_;
    parameter_list list_;
    layer::time_embedding<T, Backend> embedding_;
    layer::linear<T, Backend> layer_;
    tensor<T, Backend> parameters_, gradients_;
    arena<Backend> memory_;
    T* waves_ = nullptr;
};

/// Any objective whose losses are balanced over time by a learned weight; see learned_weight. The trainer keeps and trains it.
///
///     onestep::trainer t{model, onestep::learned_weighting{onestep::flow_matching{}}, onestep::adam{}};
template <spec Objective> class learned_weighting {
public:
    static constexpr char const* name = "learned_weighting";
    static constexpr bool learns_weight = true;

    explicit learned_weighting(Objective const& objective) : objective_(objective) {}

    decltype(auto) distance() const { return objective_.distance(); }
    double target_decay(index_t step) const requires has_target_decay<Objective> { return objective_.target_decay(step); }
    template <class... Arguments> auto build(Arguments&&... arguments) const requires requires(Objective const& o) {
        o.build(std::forward<Arguments>(arguments)...);
    }
    { return objective_.build(std::forward<Arguments>(arguments)...); }
    void fields(auto&& visit) const { visit("objective", objective_); }

private:
    Objective objective_;
};

}  // namespace onestep
