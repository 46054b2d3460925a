#pragma once
/// Tensors of one value.
#include "../core/view.hpp"
#include "concept.hpp"

namespace onestep {

namespace functor {
/// x = value.
template <class T> struct set_value {
    T* x;
    T value;
    ONESTEP_HD void operator()(index_t i) const { x[i] = value; }
};
}  // namespace functor

/// Overwrites every element of x. One pass.
template <class T, backend Backend> void fill(view<T, Backend> x, std::type_identity_t<T> value) {
    x.backend().for_each_index(x.size(), functor::set_value<T>{x.data(), value});
}

}  // namespace onestep
