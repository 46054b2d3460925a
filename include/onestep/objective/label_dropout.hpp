#pragma once
/// Labels that are now and then withheld, so that one network learns to answer with and without them: what classifier-free guidance
/// asks for.
#include <utility>

#include "../core/error.hpp"
#include "concept.hpp"

namespace onestep {

/// A network that tells its number of classes, which is also the label that means "none".
template <class N>
concept has_classes = requires(N const& net) {
    { net.classes() } -> std::convertible_to<int>;
};

namespace functor {
/// out(r) = none with probability `share`, from row `first` on.
struct drop_label {
    random_stream stream;
    std::int32_t const* labels;
    std::int32_t* out;
    double share;
    std::int32_t none;
    index_t first;
    ONESTEP_HD void operator()(index_t r) const { out[r] = r >= first && uniform(stream, r) < share ? none : labels[r]; }
};
}  // namespace functor

/// Copies labels [n] into `memory`, each replaced by `none` with probability `share`; rows before `first` keep theirs. Row r's fate
/// depends on (stream, r) alone. Labels that are empty, and a share of 0, are returned as they are. One pass over [n].
template <class Backend>
view<std::int32_t const, Backend> drop_labels(view<std::int32_t const, Backend> labels, double share, std::int32_t none,
                                              random_stream stream, arena<Backend>& memory, index_t first = 0) {
    if (labels.data() == nullptr || share == 0) return labels;
    index_t const n = labels.size();
    std::int32_t* const out = memory.template take<std::int32_t>(n);
    labels.backend().for_each_index(n, functor::drop_label{stream, labels.data(), out, share, none, first});
    return {labels.backend(), out, labels.shape()};
}

/// The same for what `object` gives to a network: none is its classes(). Throws domain_error unless share lies in [0, 1], and for labels
/// that are to be dropped for a network that does not tell its classes().
template <class Network, class Backend>
view<std::int32_t const, Backend> drop_labels_for(char const* object, Network const& net, view<std::int32_t const, Backend> labels,
                                                  double share, random_stream stream, arena<Backend>& memory, index_t first = 0) {
    if (!(share >= 0 && share <= 1)) raise<domain_error>(object, "label_dropout is " + to_string(share), "it must lie in [0, 1]");
    if constexpr (has_classes<Network>) return drop_labels(labels, share, static_cast<std::int32_t>(net.classes()), stream, memory, first);
    else if (labels.data() != nullptr && share > 0)
        raise<domain_error>(object, "label_dropout is " + to_string(share),
                            "this network does not say which label means none: it has no classes(); or drop none by 0");
    return labels;
}

/// Any objective with labels withheld: before it builds, each row's label becomes the network's classes(), "none", with probability
/// `share`. Batches without labels pass unchanged.
///
///     onestep::trainer t{model, onestep::label_dropout{onestep::flow_matching{}, 0.1}, onestep::adam{}};
///
/// `mean_flow` and `shortcut_training` have a label_dropout of their own, which goes with what they do to rows without a label.
/// Draws from (key, label). Cost: one pass over [n]. Throws what the objective throws.
/// Source: Ho, Salimans 2022 (arXiv:2207.12598), algorithm 1; 0.1 or 0.2 there.
template <spec Objective> class label_dropout {
public:
    static constexpr char const* name = "label_dropout";
    static constexpr bool learns_weight = onestep::learns_weight<Objective>();

    /// Throws domain_error unless share lies in [0, 1].
    explicit label_dropout(Objective const& objective, double share = 0.1) : objective_(objective), share_(share) {
        if (!(share >= 0 && share <= 1)) raise<domain_error>(name, "share is " + to_string(share), "it must lie in [0, 1]");
    }

    decltype(auto) distance() const { return objective_.distance(); }
    double target_decay(index_t step) const requires has_target_decay<Objective> { return objective_.target_decay(step); }

    template <class Model, class T, class Backend>
    requires builds<Objective, Model, T, Backend> regression<T, Backend> build(Model& model, batch<T, Backend> const& data, random_key key,
                                                                               arena<Backend>& memory)
    const { return objective_.build(model, dropped(model, data, key, memory), key, memory); }
    template <class Model, class Target, class T, class Backend>
    requires builds_with_target<Objective, Model, Target, T, Backend> regression<T, Backend> build(Model& model, Target& target,
                                                                                                   batch<T, Backend> const& data,
                                                                                                   random_key key, arena<Backend>& memory)
    const { return objective_.build(model, target, dropped(model, data, key, memory), key, memory); }
    void fields(auto&& visit) const {
        visit("objective", objective_);
        visit("share", share_);
    }

private:
    template <class Model, class T, class Backend>
    batch<T, Backend> dropped(Model& model, batch<T, Backend> data, random_key key, arena<Backend>& memory) const {
        using network = std::remove_cvref_t<decltype(model.network())>;
        static_assert(has_classes<network>,
                      "Label dropout needs a network that tells its number of classes, which is the label for none: net.classes().");
        if constexpr (has_classes<network>)
            data.labels =
                drop_labels(data.labels, share_, static_cast<std::int32_t>(model.network().classes()), key.at(draw::label), memory);
        return data;
    }

    Objective objective_;
    double share_;
};

}  // namespace onestep
