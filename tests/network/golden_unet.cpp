#include <doctest/doctest.h>
#include <onestep/io/safetensors.hpp>
#include <onestep/network/unet.hpp>

#include <sstream>

#include "network/values.hpp"
#include "test_backend.hpp"

// Files written by tests/golden/network/unet.py: PyTorch's answers and derivatives, computed in double and rounded to single precision.

namespace onestep {
namespace {

using test::backend_type;
using test::device;

#if defined(ONESTEP_TEST_BACKEND_GPU)
constexpr char const* file_name = "unet_from_gpu.safetensors";
#else
constexpr char const* file_name = "unet_from_onestep.safetensors";
#endif

template <class N> std::vector<N> words(std::string const& text) {
    std::istringstream in(text);
    std::vector<N> list;
    for (N value; in >> value;) list.push_back(value);
    return list;
}
unet_options options_of(safetensors_file const& file) {
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
        return test::relative_difference(ours.to_host(), std::vector<T>(theirs.begin(), theirs.end()));
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

char const* const files[] = {"unet_attention", "unet_two_times", "unet_one_level"};

TEST_CASE("unet: values, both gradients and tangents are PyTorch's, with its weights") {
    for (char const* file : files) {
        CAPTURE(file);
        CHECK(compared<double>(file, accuracy::fast).worst() < 2e-7);  // the files are rounded to single precision
        CHECK(compared<float>(file, accuracy::exact).worst() < 2e-5);
        CHECK(compared<float>(file, accuracy::fast).worst() < 1e-4);
    }
}

TEST_CASE("unet: a file has as many weights as the network") {
    for (char const* file : files) {
        compared<float> const c(file, accuracy::exact);
        index_t weights = 0;
        for (std::string const& name : c.file.names()) weights += name.starts_with("weight.");
        CHECK(weights == std::distance(c.net.names().begin(), c.net.names().end()));
    }
}

TEST_CASE("unet: writes its weights as PyTorch has them") {
    // The file stays where the tests run: tests/golden/network/unet.py --check lets PyTorch load it and compare y.
    compared<float> source("unet_two_times", accuracy::exact);
    unet_options options = source.net.options();
    options.zero_output = false;
    unet<float, backend_type> net(device(), options);
    fill_normal(net.parameters(), random_key{11}.at(draw::user), 0.2);
    net(source.x, source.t, source.s, source.labels, source.y);
    std::string const path = file_name;

    auto const flat = to_host(net.parameters());
    std::vector<std::vector<float>> values;
    safetensors_writer writer;
    for (parameter const& p : net.names()) values.push_back(to_named(p, flat));
    auto each = values.begin();
    for (parameter const& p : net.names()) writer.add("weight." + p.name, p.extents, *each++);
    auto const x = source.x.to_host(), t = source.t.to_host(), s = source.s.to_host(), y = source.y.to_host();
    auto const labels = source.labels.to_host();
    writer.add("x", source.x.shape(), x);
    writer.add("t", source.t.shape(), t);
    writer.add("s", source.s.shape(), s);
    writer.add("y", source.y.shape(), y);
    writer.add("labels", source.labels.shape(), labels);
    for (auto const& [key, text] : source.file.metadata()) writer.metadata(key, text);
    writer.save(path);

    auto const written = safetensors_file::read(path);
    std::vector<float> again(flat.size());
    for (parameter const& p : net.names()) from_named(p, written.get<float>("weight." + p.name).values, again);
    CHECK(again == flat);
    CHECK(written.extents("weight.in.weight") == std::vector<std::uint64_t>{8, 3, 3, 3});
}

}  // namespace
}  // namespace onestep
