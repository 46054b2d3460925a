#pragma once
/// Tensors of random numbers.
#include "../core/random.hpp"
#include "../core/tensor.hpp"
#include "concept.hpp"

namespace onestep {

namespace functor {
/// x[position] = scale z.
template <class T> struct store_scaled {
    T* x;
    T scale;
    ONESTEP_HD void operator()(index_t, index_t position, float z) const { x[position] = scale * static_cast<T>(z); }
};
}  // namespace functor

/// Runs pass(row, position, z) over every element of a [rows, cols] tensor with fresh z ~ N(0, 1).
template <backend Backend, class Pass> void for_each_normal(Backend& device, random_stream stream, index_t rows, index_t cols, Pass pass) {
    with_normals<Backend::quads_per_item, Pass> const items{pass, stream, rows, cols};
    device.for_each_index(items.items(), items);
}

/// Overwrites x [n, ...] with scale * z, z ~ N(0, 1). Row r is sample `first_sample + r` of the stream. One pass.
template <class T, backend Backend> void fill_normal(view<T, Backend> x, random_stream stream, double scale = 1) {
    for_each_normal(x.backend(), stream, x.rows(), x.cols(), functor::store_scaled<T>{x.data(), static_cast<T>(scale)});
}

/// A new tensor of standard normal deviates: noise of sample r is the same for any number of rows.
///
///     auto z = onestep::normal<float>(device, {16, 32, 32, 3}, /*seed*/ 7);
template <class T, backend Backend> tensor<T, Backend> normal(Backend& device, shape const& extents, std::uint64_t seed) {
    tensor<T, Backend> x(device, extents);
    fill_normal(x.view(), random_key{seed}.at(draw::noise));
    return x;
}

}  // namespace onestep
