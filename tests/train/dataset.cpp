#include <onestep/train/dataset.hpp>

#include <onestep/backend/cpu.hpp>

#include <doctest/doctest.h>

namespace dataset_tests {

using namespace onestep;

namespace {

tensor<float, cpu> of(cpu& device, shape const& extents) {
    return {device, extents, std::vector<float>(static_cast<std::size_t>(extents.size()), 0.5f)};
}

}  // namespace

TEST_CASE("dataset: clean samples alone") {
    cpu device(1);
    auto samples = of(device, {3, 2});
    float const* const address = samples.data();
    dataset const data(std::move(samples));
    CHECK(data.rows() == 3);
    CHECK(data.x0().data() == address);  // moved, not copied
    CHECK(&data.device() == &device);
    auto const all = data.all();
    CHECK(all.x0.data() == address);
    CHECK(all.x0.shape() == shape{3, 2});
    CHECK(all.noise.empty());
    CHECK(all.labels.data() == nullptr);
}

TEST_CASE("dataset: pairs and labels") {
    cpu device(1);
    dataset<float, cpu> const data =
        dataset<float, cpu>(of(device, {3, 2}), of(device, {3, 2})).labelled(tensor<std::int32_t, cpu>(device, {3}, {2, 0, 1}), 3);
    auto const all = data.all();
    CHECK(all.noise.data() == data.noise().data());
    CHECK(all.noise.shape() == shape{3, 2});
    CHECK(to_host(all.labels) == std::vector<std::int32_t>{2, 0, 1});
    CHECK(data.labels().size() == 3);
    dataset<float, cpu> const copy = data;
    CHECK(copy.all().x0.data() != all.x0.data());
    CHECK(to_host(copy.all().labels) == to_host(all.labels));
}

TEST_CASE("dataset: refuses what does not belong together") {
    cpu device(1);
    auto const labelled = [&](std::vector<std::int32_t> const& labels, index_t classes) {
        return dataset<float, cpu>(of(device, {3, 2}))
            .labelled(tensor<std::int32_t, cpu>(device, {static_cast<index_t>(labels.size())}, labels), classes);
    };
    CHECK_THROWS_WITH_AS((dataset<float, cpu>(of(device, {0, 2}))), "shape_error: dataset: x0 is [0, 2], there must be at least one sample",
                         shape_error);
    CHECK_THROWS_AS((dataset<float, cpu>(tensor<float, cpu>())), shape_error);
    CHECK_THROWS_WITH_AS((dataset<float, cpu>(of(device, {3, 2}), of(device, {2, 2}))),
                         "shape_error: dataset: noise is [2, 2], it must be [3, 2]", shape_error);
    CHECK_THROWS_AS((dataset<float, cpu>(of(device, {3, 2}), of(device, {3, 2, 1}))), shape_error);
    CHECK_THROWS_WITH_AS(labelled({0, 1}, 3), "shape_error: dataset: labels is [2], it must be [3]", shape_error);
    CHECK_THROWS_WITH_AS(labelled({0, 3, 1}, 3), "label_error: dataset: label 1 is 3, labels are 0 to 2", label_error);
    CHECK_THROWS_AS(labelled({0, -1, 1}, 3), label_error);
    CHECK_NOTHROW(labelled({0, 2, 1}, 3));
}

}  // namespace dataset_tests
