#pragma once
#include "../../backend/concept.hpp"

namespace onestep::layer {

/// Images [n, pixels, channels] in one tensor, {a, channels}, or in two side by side, {a, a_channels, b}, as if concatenated: b is
/// [n, pixels, channels - a_channels].
template <class T> struct joined {
    T* a;
    index_t a_channels;
    T* b = nullptr;
};

}  // namespace onestep::layer
