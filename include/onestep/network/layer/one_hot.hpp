#pragma once
#include <cstdint>

#include "../../core/host_device.hpp"
#include "../../core/shape.hpp"

namespace onestep::layer::functor {

/// one_hot(r, c) = 1 where c is the label of row r (the last column where there are no labels).
template <class T> struct one_hot {
    std::int32_t const* labels;
    T* out;
    index_t cols;
    ONESTEP_HD void operator()(index_t r, index_t c) const { out[r * cols + c] = c == (labels ? labels[r] : cols - 1) ? T(1) : T(0); }
};

}  // namespace onestep::layer::functor
