#pragma once
/// How finely a path is divided in the course of training. To add your own, write `levels`.
#include <concepts>

#include "../core/error.hpp"
#include "../core/shape.hpp"
#include "../core/spec.hpp"

namespace onestep {

/// The number of noise levels at training step `step` (from 0): >= 2, a function of the step alone.
template <class C>
concept curriculum = spec<C> && requires(C const& c, index_t step) {
    { c.levels(step) } -> std::same_as<index_t>;
};

}  // namespace onestep
