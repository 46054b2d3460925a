#include "judge.hpp"

#include <filesystem>
#include <onestep/evaluation/frechet.hpp>
#include <onestep/evaluation/precision_recall.hpp>
#include <onestep/train/checkpoint.hpp>

namespace images {

judge::judge(os::cpu& device, image_data const& data, std::string const& file, index_t compared)
    : data_(data), net_(device, data.extents(), data.classes, 1) {
    if (std::filesystem::exists(file)) {
        os::load_parameters(file, net_);
    } else {
        std::printf("training a classifier\n");
        train_classifier(net_, data.train.all());
        os::save_parameters(file, net_);
    }
    reading const all = read(data.train.x0(), data.train.labels());
    moments_ = os::feature_moments(all.features);
    // Some of all of them: sets may be sorted.
    index_t const n = all.features.rows(), some = std::min(n, compared), d = all.features.cols();
    real_ = samples(device, {some, d});
    for (index_t i = 0; i < some; ++i) device.copy(all.features.data() + i * n / some * d, d, real_.data() + i * d);
}

judge::reading judge::read(samples const& x, labels const& wanted) {
    constexpr index_t part = 256;
    os::cpu& device = x.backend();
    index_t const n = x.rows(), classes = net_.classes();
    samples features(device, {n, net_.features}), scores(device, {n, classes});
    for (index_t first = 0; first < n; first += part) {
        index_t const count = std::min(part, n - first);
        net_.forward(x.view().rows(first, count), scores.view().rows(first, count), features.data() + first * net_.features);
    }
    auto const values = scores.to_host();
    auto const names = wanted.to_host();
    index_t right = 0;
    for (index_t r = 0; r < n; ++r) {
        auto const row = values.begin() + r * classes;
        right += std::max_element(row, row + classes) - row == names[static_cast<std::size_t>(r)];
    }
    return {std::move(features), static_cast<double>(right) / static_cast<double>(n)};
}

quality judge::measure(samples const& x, labels const& wanted) {
    reading const made = read(x, wanted);
    auto const like = os::precision_recall(real_, made.features);
    return {os::frechet_distance(moments_, os::feature_moments(made.features)), like.precision, like.recall, made.accuracy};
}

}  // namespace images
