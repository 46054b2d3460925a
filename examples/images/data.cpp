#include "data.hpp"

#include <cmath>
#include <filesystem>
#include <onestep/io/idx.hpp>
#include <optional>

#include "../digits/digits_data.hpp"

namespace images {

double image_data::deviation() const {
    double sum = 0;
    for (float v : train.x0().to_host()) sum += static_cast<double>(v) * static_cast<double>(v);
    return std::sqrt(sum / static_cast<double>(train.x0().size()));
}

labels image_data::wanted(index_t n) const {
    auto const all = train.labels().to_host();
    auto const size = static_cast<index_t>(all.size());
    index_t const apart = std::max<index_t>(1, size / n);
    std::vector<std::int32_t> chosen;
    for (index_t i = 0; i < n; ++i) chosen.push_back(all[static_cast<std::size_t>(i * apart % size)]);
    return {train.device(), {n}, chosen};
}

labels image_data::for_grid(index_t lines) const {
    if (classes != 10) return wanted(10 * lines);
    std::vector<std::int32_t> chosen;
    for (index_t i = 0; i < 10 * lines; ++i) chosen.push_back(static_cast<std::int32_t>(i % 10));
    return {train.device(), {10 * lines}, chosen};
}

namespace {

/// Images and labels in host memory, before they are divided.
struct pile {
    os::shape extents;  // of one image
    std::vector<float> pixels;
    std::vector<std::int32_t> labels;

    void add(pile const& from, std::size_t i) {
        auto const size = static_cast<std::ptrdiff_t>(extents.size()), at = static_cast<std::ptrdiff_t>(i) * size;
        pixels.insert(pixels.end(), from.pixels.begin() + at, from.pixels.begin() + at + size);
        labels.push_back(from.labels[i]);
    }
    os::dataset<float, os::cpu> on(os::cpu& device, index_t classes) const {
        auto const n = static_cast<index_t>(labels.size());
        samples x(device, {n, extents[0], extents[1], extents[2]}, pixels);
        return os::dataset<float, os::cpu>(std::move(x)).labelled({device, {n}, labels}, classes);
    }
};

/// Image i is held out where `out(i)`.
template <class Out> image_data divided(os::cpu& device, std::string const& name, pile const& all, index_t classes, Out const& out) {
    pile train{all.extents, {}, {}}, held_out{all.extents, {}, {}};
    for (std::size_t i = 0; i < all.labels.size(); ++i) (out(i) ? held_out : train).add(all, i);
    return {name, train.on(device, classes), held_out.on(device, classes), classes};
}

pile built_in_digits() {
    pile all{{8, 8, 1}, {}, {}};
    for (char const* line : digits_data::lines) {
        all.labels.push_back(*line - '0');
        for (char const* p = line + 1; *p; ++p) all.pixels.push_back(static_cast<float>(*p - 'A') / 8 - 1);
    }
    return all;
}

std::optional<std::string> found(std::string const& folder, std::string const& name) {
    for (char const* ending : {"", ".gz"})
        if (std::string const path = folder + "/" + name + ending; std::filesystem::exists(path)) return path;
    return std::nullopt;
}

/// Images and labels from two files, if both are there.
std::optional<pile> read(std::string const& folder, std::string const& image_name, std::string const& label_name) {
    auto const images = found(folder, image_name), numbers = found(folder, label_name);
    if (!images || !numbers) return std::nullopt;
    os::cpu host(1);
    samples const x = os::read_idx<float>(host, *images);
    if (x.shape().rank() != 4)
        os::raise<os::format_error>(*images, "it holds " + to_string(x.shape()), "images [n, h, w] or [n, h, w, c] are needed");
    pile all{{x.shape()[1], x.shape()[2], x.shape()[3]}, x.to_host(), os::read_idx_labels(*numbers)};
    if (static_cast<index_t>(all.labels.size()) != x.rows())
        os::raise<os::format_error>(*numbers, "it holds " + std::to_string(all.labels.size()) + " labels",
                                    *images + " holds " + std::to_string(x.rows()) + " images");
    return all;
}

[[noreturn]] void missing(std::string const& name, std::string const& folder, std::string const& files, std::string const& remedy) {
    os::raise<os::file_error>(name, "its files are not in the folder " + folder,
                              "which must hold, raw or with .gz at the end,\n" + files + remedy + "; --folder says where the files are");
}

/// MNIST or a set that comes in files of the same names.
image_data like_mnist(os::cpu& device, std::string const& name, std::string const& folder, std::string const& remedy) {
    auto const train = read(folder, "train-images-idx3-ubyte", "train-labels-idx1-ubyte");
    auto const test = read(folder, "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte");
    if (train && test) return {name, train->on(device, 10), test->on(device, 10), 10};
    auto const part = read(folder, name + "10k-images-idx3-ubyte", name + "10k-labels-idx1-ubyte");
    if (!part)
        missing(name, folder,
                "  train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, or\n  " + name +
                    "10k-images-idx3-ubyte and " + name + "10k-labels-idx1-ubyte\n",
                remedy);
    std::size_t const kept = part->labels.size() / 10 * 9;
    return divided(device, name + "10k", *part, 10, [kept](std::size_t i) { return i >= kept; });
}

image_data emoji(os::cpu& device, std::string const& folder) {
    auto const all = read(folder, "emoji32-images-idx4-ubyte", "emoji32-labels-idx1-ubyte");
    if (!all)
        missing("emoji", folder, "  emoji32-images-idx4-ubyte and emoji32-labels-idx1-ubyte\n",
                "they are [n, 32, 32, 3] bytes and [n] groups, drawn from the glyphs of Debian's package fonts-noto-color-emoji");
    index_t const classes = all->labels.empty() ? 0 : *std::max_element(all->labels.begin(), all->labels.end()) + 1;
    return divided(device, "emoji", *all, classes, [](std::size_t i) { return i % 10 == 9; });
}

}  // namespace

image_data load_images(os::cpu& device, std::string const& name, std::string const& folder) {
    if (name == "digits") return divided(device, "digits", built_in_digits(), 10, [](std::size_t i) { return i >= 1500; });
    if (name == "fashion")
        return like_mnist(device, name, folder.empty() ? "/usr/share/datasets/fashion-mnist" : folder,
                          "Debian's package dataset-fashion-mnist installs the four of them in /usr/share/datasets/fashion-mnist");
    std::string const here = folder.empty() ? "." : folder;
    if (name == "mnist")
        return like_mnist(
            device, name, here,
            "mirrors of MNIST, https://ossci-datasets.s3.amazonaws.com/mnist/ among them, have the four under these names and .gz");
    return emoji(device, here);
}

}  // namespace images
