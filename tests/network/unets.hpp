#pragma once
/// Small U-Nets and batches for tests of them.
#include <string>
#include <vector>

#include <onestep/network/unet.hpp>

#include "network/values.hpp"

namespace onestep::test {

/// Small networks that have between them every option.
struct variant {
    char const* what;
    unet_options options;
};
inline std::vector<variant> variants() {
    unet_options plain;
    plain.data = {8, 4, 2};
    plain.width = 8;
    plain.multipliers = {1, 2};
    plain.blocks = 1;
    plain.attention = {4};
    plain.head_channels = 8;
    plain.groups = 4;
    plain.time = {time_features::kind::sinusoidal, 8, 10};
    unet_options scaled = plain;
    scaled.scaled = true;
    scaled.second_time = true;
    scaled.classes = 3;
    scaled.blocks = 2;
    scaled.attention = {};
    unet_options deep = plain;
    deep.data = {12, 12, 1};
    deep.multipliers = {1, 1, 2};
    deep.attention = {12, 3};
    deep.embedding = 12;
    deep.time = {time_features::kind::fourier, 6, 0.3};
    unet_options odd = plain;
    odd.data = {7, 5, 3};
    odd.width = 17;
    odd.multipliers = {1};
    odd.attention = {7};
    odd.head_channels = 17;
    odd.groups = 16;  // one group: with one for each channel nothing that is added to a channel would be seen
    odd.dropout = 0.2;
    unet_options point = plain;
    point.data = {1, 1, 1};
    point.multipliers = {2};
    point.attention = {1};
    unet_options wide = plain;
    wide.data = {8, 8, 1};
    wide.width = 32;
    wide.convolutions = accuracy::balanced;
    wide.zero_output = false;
    return {{"plain", plain}, {"scaled, two times, labels", scaled}, {"three levels", deep}, {"odd", odd}, {"one pixel", point},
            {"wide", wide}};
}

/// Parameters that are not zero anywhere.
template <class Net> void disturb(Net& net, double deviation = 0.1) {
    auto const all = to_host(net.parameters());
    auto const other = along(all, deviation, normals<scalar_of<Net>>(net.parameters().size(), 77));
    net.parameters().backend().upload(other.data(), net.parameters().size(), net.parameters().data());
}
template <class T, class Backend> struct batch_of {
    batch_of(Backend& on, index_t n, shape const& data)
        : x(on, {n, data[0], data[1], data[2]}, normals<T>(n * data.size(), 1)), v(on, x.shape(), normals<T>(n * data.size(), 2)),
          dy(on, x.shape(), normals<T>(n * data.size(), 3)), y(on, x.shape()), vy(on, x.shape()), dx(on, x.shape()),
          t(on, {n}, normals<T>(n, 4, 0.2)), vt(on, {n}, normals<T>(n, 5)), s(on, {n}, normals<T>(n, 6, 0.2)) {}
    tensor<T, Backend> x, v, dy, y, vy, dx, t, vt, s;
};

}  // namespace onestep::test
