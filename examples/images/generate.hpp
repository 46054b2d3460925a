#pragma once
/// Samples of a model, a part at a time, and the ways in which models are sampled.
#include <onestep/sampler/euler.hpp>
#include <onestep/sampler/jump.hpp>
#include <onestep/time/angle_grid.hpp>

#include "data.hpp"

namespace images {

/// A denoiser's samples.
struct by_euler {
    auto operator()(auto const& model, int steps, auto z, os::random_key) const { return os::sample(model, os::euler{.steps = steps}, z); }
};
/// Those of a flow map.
struct by_jumps {
    auto operator()(auto const& model, int steps, auto z, os::random_key) const { return os::sample(model, os::jump{.steps = steps}, z); }
};
/// Those of a consistency model, at equal angles.
struct by_angles {
    double deviation;  ///< of the data
    auto operator()(auto const& model, int steps, auto z, os::random_key key) const {
        return os::sample(model, os::jump{.steps = steps}, z, os::angle_grid{deviation}, key);
    }
};

/// One sample for each row of noise and its label. Row r is the same whatever the other rows are: parts are as large as memory is to be.
template <class Model, class Draw>
samples generate(Model const& model, Draw const& draw, int steps, samples const& noise, labels const& wanted, std::uint64_t seed) {
    constexpr index_t part = 100;
    samples x(noise.backend(), noise.shape());
    auto const labelled = model.given(wanted);
    for (index_t first = 0; first < x.rows(); first += part) {
        index_t const count = std::min(part, x.rows() - first);
        samples const made =
            draw(labelled.rows(first, count), steps, noise.view().rows(first, count), os::random_key{seed}.from_row(first));
        x.backend().copy(made.data(), made.size(), x.data() + first * x.cols());
    }
    return x;
}

}  // namespace images
