#pragma once
#include "../../backend/pool.hpp"
#include "../../backend/scratch.hpp"
#include "../../core/random.hpp"

namespace onestep::layer {

/// What every layer of one pass through a network needs: where it runs, where its results live, and how many images there are.
template <class T, backend Backend> struct pass {
    Backend& device;
    pool<Backend>& memory;
    T const* weights;                     ///< the flat buffer
    T const* prepared;                    ///< what the backend made of it
    index_t n;                            ///< images
    index_t tangents = 0;                 ///< a tangent is carried along for the first so many of them
    random_key const* dropped = nullptr;  ///< what dropout draws from; null: nothing is dropped

    using piece = typename pool<Backend>::template piece<T>;
    piece take(index_t elements) const { return memory.template take<T>(elements); }
};

/// A result and the tangent of its first rows; without tangents v is null.
template <class T> struct carried { T *x, *v; };

}  // namespace onestep::layer
