#include <doctest/doctest.h>

#include "network/golden.hpp"

// Files written by tests/golden/network/unet.py: PyTorch's answers and derivatives, computed in double and rounded to single precision.

namespace onestep::golden_unet_tests {
namespace {

using test::backend_type;
using test::compared;
using test::device;

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
    std::string const path = "unet_from_onestep.safetensors";

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
}  // namespace onestep::golden_unet_tests
