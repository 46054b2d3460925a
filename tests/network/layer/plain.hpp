#pragma once
/// Layers of images in double, as their formulas are written, for tests of what is made of them.
#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <onestep/network/parameters.hpp>

#include "network/values.hpp"
#include "test_backend.hpp"

namespace onestep::test {

using values = std::vector<double>;
using rows = tensor<double, backend_type>;

inline rows on_device(values const& v) { return {device(), {1, static_cast<index_t>(v.size())}, v}; }

/// Parameters in PyTorch's order.
inline std::map<std::string, values> by_name(parameter_list const& list, values const& flat) {
    std::map<std::string, values> all;
    for (parameter const& each : list) all[each.name] = to_named(each, flat);
    return all;
}

/// n images of height x width pixels.
struct image_extents {
    index_t n, height, width;
    index_t pixels() const { return height * width; }
    index_t all_pixels() const { return n * pixels(); }
};

/// Channels first .. last - 1 of pixels with `channels`.
inline values cut(values const& x, index_t channels, index_t first, index_t last) {
    values part;
    for (index_t r = 0; r < static_cast<index_t>(x.size()) / channels; ++r)
        part.insert(part.end(), x.begin() + r * channels + first, x.begin() + r * channels + last);
    return part;
}
/// Pixels with a channels beside the same with b channels.
inline values side_by_side(values const& left, index_t a, values const& right, index_t b) {
    values both;
    for (index_t r = 0; r < static_cast<index_t>(left.size()) / a; ++r) {
        both.insert(both.end(), left.begin() + r * a, left.begin() + (r + 1) * a);
        both.insert(both.end(), right.begin() + r * b, right.begin() + (r + 1) * b);
    }
    return both;
}

/// (x - mean) / sqrt(variance + 1e-5) weight + bias, over groups of neighbouring channels of each image.
inline values plain_group_norm(image_extents const& e, index_t groups, values x, values const& weight, values const& bias) {
    index_t const channels = static_cast<index_t>(weight.size()), size = channels / groups;
    for (index_t i = 0; i < e.n; ++i)
        for (index_t g = 0; g < groups; ++g) {
            double const count = static_cast<double>(e.pixels() * size);
            double mean = 0, square = 0;
            auto const for_each = [&](auto const& f) {
                for (index_t k = 0; k < e.pixels() * channels; ++k)
                    if (k % channels / size == g) f(x[i * e.pixels() * channels + k], k % channels);
            };
            for_each([&](double v, index_t) { mean += v / count; });
            for_each([&](double v, index_t) { square += (v - mean) * (v - mean) / count; });
            for_each([&](double& v, index_t k) { v = (v - mean) / std::sqrt(square + 1e-5) * weight[k] + bias[k]; });
        }
    return x;
}

/// A convolution with a weight [out, in, kernel, kernel].
inline values plain_convolution(image_extents const& e, index_t kernel, values const& x, values const& weight, values const& bias) {
    index_t const out = static_cast<index_t>(bias.size()), taps = kernel * kernel, in = static_cast<index_t>(weight.size()) / out / taps;
    values y;
    for (index_t pixel = 0; pixel < e.all_pixels(); ++pixel)
        for (index_t o = 0; o < out; ++o) {
            double sum = bias[o];
            for (index_t tap = 0; tap < taps; ++tap) {
                index_t const down = tap / kernel - kernel / 2, right = tap % kernel - kernel / 2;
                index_t const row = pixel / e.width % e.height + down, column = pixel % e.width + right;
                if (row < 0 || row >= e.height || column < 0 || column >= e.width) continue;
                for (index_t k = 0; k < in; ++k) sum += weight[(o * in + k) * taps + tap] * x[(pixel + down * e.width + right) * in + k];
            }
            y.push_back(sum);
        }
    return y;
}

/// Checks, one parameter after the other, the gradient of loss(weights) against a difference quotient.
template <class Loss>
void check_parameter_gradients(parameter_list const& list, values const& weights, values const& gradient, Loss const& loss) {
    for (parameter const& each : list) {
        CAPTURE(each.name);
        values direction(weights.size());
        auto const v = normals<double>(each.extents.size(), 91);
        std::copy(v.begin(), v.end(), direction.begin() + each.offset);
        double const exact = slope(1e-4, [&](double h) { return loss(along(weights, h, direction)); });
        CHECK(dot(direction, gradient) - exact == doctest::Approx(0).epsilon(1e-8));
    }
}

}  // namespace onestep::test
