#pragma once
/// Recordings of U-Nets by PyTorch (tests/golden/network/unet.py), and ours beside them.
#include <algorithm>
#include <cmath>
#include <sstream>
#include <string>
#include <vector>

#include <onestep/io/safetensors.hpp>
#include <onestep/network/unet.hpp>

#include "test_backend.hpp"

namespace onestep::test {

template <class N> std::vector<N> words(std::string const& text) {
    std::istringstream in(text);
    std::vector<N> list;
    for (N value; in >> value;) list.push_back(value);
    return list;
}
inline unet_options options_of(safetensors_file const& file) {
    auto const text = [&](char const* key) { return file.metadata().at(key); };
    auto const number = [&](char const* key) { return words<int>(text(key)).at(0); };
    auto const data = words<index_t>(text("data"));
    unet_options o;
    o.data = {data.at(0), data.at(1), data.at(2)};
    o.width = number("width");
    o.multipliers = words<int>(text("multipliers"));
    o.blocks = number("blocks");
    o.attention = words<int>(text("attention"));
    o.head_channels = number("head_channels");
    o.groups = number("groups");
    o.scaled = text("scale_shift") == "true";
    o.embedding = number("embedding");
    o.time = {time_features::kind::sinusoidal, number("size"), words<double>(text("scale")).at(0)};
    o.classes = number("classes");
    o.second_time = text("second_time") == "true";
    return o;
}

template <class T> double size_of(std::vector<T> const& values) {
    double largest = 0;
    for (T const value : values) largest = std::max(largest, std::fabs(static_cast<double>(value)));
    return largest;
}
template <class T> tensor<T, backend_type> placed(safetensors_file const& file, std::string const& name) {
    auto const array = file.get<float>(name);
    return {device(), array.shape, std::vector<T>(array.values.begin(), array.values.end())};
}

/// Our network with a file's weights, its inputs, and the largest relative differences of everything from PyTorch's.
template <class T> struct compared {
    safetensors_file file;
    unet<T, backend_type> net;
    tensor<T, backend_type> x, t, dy, vx, vt, s, vs, y, vy, dx;
    tensor<std::int32_t, backend_type> labels;

    compared(std::string const& name, accuracy how)
        : file(safetensors_file::read(std::string(ONESTEP_TEST_DATA) + "/network/" + name + ".safetensors")), net(device(), made(how)),
          x(placed<T>(file, "x")), t(placed<T>(file, "t")), dy(placed<T>(file, "dy")), vx(placed<T>(file, "vx")), vt(placed<T>(file, "vt")),
          y(device(), x.shape()), vy(device(), x.shape()), dx(device(), x.shape()) {
        if (net.options().second_time) s = placed<T>(file, "s"), vs = placed<T>(file, "vs");
        if (net.options().classes > 0) labels = {device(), {t.rows()}, file.get<std::int32_t>("labels").values};
        std::vector<T> flat(static_cast<std::size_t>(net.names().size()));
        for (parameter const& p : net.names()) from_named(p, file.get<float>("weight." + p.name).values, flat);
        device().upload(flat.data(), net.names().size(), net.parameters().data());
    }
    unet_options made(accuracy how) const {
        unet_options o = options_of(file);
        o.convolutions = how;
        return o;
    }
    void run() {
        if (net.options().second_time) net.forward_jvp(x, vx, t, vt, s, vs, labels, y, vy);
        else net.forward_jvp(x, vx, t, vt, y, vy);
        net.backward(dy.view(), dx.view());
    }
    double difference(tensor<T, backend_type> const& ours, std::string const& name) const {
        auto const theirs = file.get<float>(name).values;
        return relative_difference(ours.to_host(), std::vector<T>(theirs.begin(), theirs.end()));
    }
    double worst() {
        run();
        double most = std::max({difference(y, "y"), difference(vy, "vy"), difference(dx, "dx")});
        // Some biases have no influence (a key's moves all scores of a row alike, one before a normalisation of single channels is
        // subtracted again): nothing is left of their gradients but rounding, so a bias is measured against its layer's weight too.
        auto const flat = to_host(net.gradients());
        double weight = 0;
        for (parameter const& p : net.names()) {
            auto const theirs = file.get<float>("gradient." + p.name).values;
            auto const ours = to_named(p, flat);
            bool const bias = p.name.ends_with(".bias") && !p.name.ends_with("emb.bias");
            if (!bias) weight = size_of(theirs);
            double const size = bias ? std::max(size_of(theirs), weight) : size_of(theirs);
            for (std::size_t i = 0; i < ours.size(); ++i)
                most = std::max(most, std::fabs(static_cast<double>(ours[i]) - static_cast<double>(theirs[i])) / size);
        }
        return most;
    }
};

}  // namespace onestep::test
