#pragma once
/// Rows of a tensor in another order.
#include <cstdint>

#include "../core/host_device.hpp"
#include "../core/shape.hpp"

namespace onestep::functor {

/// out(r, c) = in(index(r), c), for for_each_pair.
template <class T> struct gather {
    T const* in;
    std::int32_t const* index;
    T* out;
    index_t cols;
    ONESTEP_HD void operator()(index_t r, index_t c) const { out[r * cols + c] = in[static_cast<index_t>(index[r]) * cols + c]; }
};

}  // namespace onestep::functor
