#pragma once
/// Exponential moving average of a model's parameters.
#include <algorithm>
#include <memory>

#include "../core/math.hpp"
#include "../core/spec.hpp"
#include "../model/model.hpp"

namespace onestep {

/// Numbers of an average: a = a + (1 - d_k) (p - a) after update k = 1, 2, ..., with d_k = min(decay, (1 + k) / (10 + k)).
/// The ramp lets a young average forget the initial parameters.
struct average_options {
    static constexpr char const* name = "average";
    double decay = 0.999;  ///< in [0, 1)
    bool ramp = true;

    double at(index_t update) const {
        return ramp ? std::min(decay, (1.0 + static_cast<double>(update)) / (10.0 + static_cast<double>(update))) : decay;
    }
    void fields(auto&& visit) const {
        visit("decay", decay);
        visit("ramp", ramp);
    }
    friend bool operator==(average_options const&, average_options const&) = default;
};

namespace functor {
/// a += rate (p - a).
template <class T> struct move_average {
    T* a;
    T const* p;
    T rate;
    ONESTEP_HD void operator()(index_t i) const { a[i] = math::fma(rate, p[i] - a[i], a[i]); }
};
}  // namespace functor

/// The averaged model is a model in its own right: it owns a copy of the network and can be sampled, trained and stored.
///
///     onestep::average ema{0.999, flow};
///     ... adam.step(); ema.update();
///     auto x = onestep::sample(ema.model(), onestep::euler{.steps = 4}, z);
///
/// The model it follows must outlive it. The network must be copy-constructible.
template <class Model> class average {
    using network = typename Model::network_type;
    static_assert(std::copy_constructible<network>,
                  "The average of a model owns a copy of its network: the network must be copy-constructible.");

public:
    using model_type = std::remove_cvref_t<decltype(std::declval<Model const&>().with_network(std::declval<network>()))>;

    average(double decay, Model& source) : average(average_options{decay}, source) {}
    /// Throws domain_error unless 0 <= decay < 1.
    average(average_options const& options, Model& source)
        : options_(options), source_(&source),
          averaged_(std::make_unique<model_type>(source.with_network(network(std::as_const(source.network()))))) {
        if (!(options.decay >= 0 && options.decay < 1))
            raise<domain_error>("average", "decay is " + to_string(options.decay), "it must be in [0, 1)");
    }

    model_type& model() { return *averaged_; }
    model_type const& model() const { return *averaged_; }
    average_options const& options() const { return options_; }
    index_t updates() const { return updates_; }

    /// One pass over the parameters.
    void update() { move(begin_update()); }
    /// The same with a decay of one's own; 0 copies. For averages that follow a schedule.
    void update(double decay) {
        ++updates_;
        move(1 - decay);
    }
    /// Counts an update whose pass is done elsewhere (inside the optimizer's) and returns its rate 1 - d_k.
    double begin_update() { return 1 - options_.at(++updates_); }
    /// For a run that is resumed.
    void restore(index_t updates) { updates_ = updates; }

private:
    void move(double rate) {
        auto const p = source_->network().parameters();
        auto const a = averaged_->network().parameters();
        using T = scalar_of<network>;
        if (rate == 1) p.backend().copy(p.data(), p.size(), a.data());
        else p.backend().for_each_index(p.size(), functor::move_average<T>{a.data(), p.data(), static_cast<T>(rate)});
    }

    average_options options_;
    Model* source_;
    std::unique_ptr<model_type> averaged_;  // stable address: trainers and optimizers refer to it
    index_t updates_ = 0;
};

template <class Model> average(double, Model&) -> average<Model>;
template <class Model> average(average_options, Model&) -> average<Model>;

}  // namespace onestep
