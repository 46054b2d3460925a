#pragma once
/// Dropout for the length of a training step.
#include <optional>

#include "../core/random.hpp"

namespace onestep {

/// A network that drops activations when it is told to: net.drop(key) from now on, net.drop({}) no longer.
template <class N>
concept drops_activations = requires(N& net, std::optional<random_key> key) {
    net.drop(key);
};

/// Lets a network drop what `key` says while this lives, if it can. Networks that are given one key drop the same.
template <class Network> class dropping {
public:
    dropping(Network& net, random_key key) : net_(net) {
        if constexpr (drops_activations<Network>) net_.drop(key);
    }
    dropping(dropping const&) = delete;
    dropping& operator=(dropping const&) = delete;
    ~dropping() {
        if constexpr (drops_activations<Network>) net_.drop({});
    }

private:
    Network& net_;
};

}  // namespace onestep
