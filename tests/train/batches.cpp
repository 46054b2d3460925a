#include <onestep/train/batches.hpp>

#include <onestep/backend/cpu.hpp>

#include <doctest/doctest.h>

#include <algorithm>

#include "../counting_allocator.hpp"

namespace batches_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

/// Row r is {r, -r}: a sample tells its number.
tensor<float, cpu> numbered(cpu& device, index_t n) {
    std::vector<float> values;
    for (index_t r = 0; r < n; ++r) values.push_back(static_cast<float>(r)), values.push_back(static_cast<float>(-r));
    return {device, {n, 2}, values};
}
/// The numbers of the samples in places 0 .. count - 1 of the sequence.
std::vector<int> sequence(cpu& device, index_t n, index_t size, index_t count, std::uint64_t seed) {
    auto const data = numbered(device, n);
    batch_source<float, cpu> source({data.view()}, size, seed);
    std::vector<int> places;
    for (index_t k = 0; static_cast<index_t>(places.size()) < count; ++k) {
        auto const x = to_host(source.at(k).x0);
        for (index_t r = 0; r < size; ++r) {
            CHECK(x[static_cast<std::size_t>(2 * r + 1)] == -x[static_cast<std::size_t>(2 * r)]);
            places.push_back(static_cast<int>(x[static_cast<std::size_t>(2 * r)]));
        }
    }
    places.resize(static_cast<std::size_t>(count));
    return places;
}

}  // namespace

TEST_CASE("batches: every epoch sees every sample once, each in an order of its own") {
    cpu device(1);
    for (index_t size : {1, 7, 10, 13, 64}) {
        CAPTURE(size);
        auto const places = sequence(device, 53, size, 53 * 4, 3);
        std::vector<std::vector<int>> epochs;
        for (std::size_t e = 0; e < 4; ++e) {
            std::vector<int> epoch(places.begin() + static_cast<std::ptrdiff_t>(53 * e),
                                   places.begin() + static_cast<std::ptrdiff_t>(53 * e + 53));
            for (auto const& before : epochs) CHECK(epoch != before);
            epochs.push_back(epoch);
            std::sort(epoch.begin(), epoch.end());
            for (int r = 0; r < 53; ++r) CHECK(epoch[static_cast<std::size_t>(r)] == r);
        }
    }
}

TEST_CASE("batches: the sequence depends on the seed and not on the batch size") {
    cpu device(1);
    auto const places = sequence(device, 53, 10, 200, 3);
    for (index_t size : {1, 3, 53, 200}) CHECK(sequence(device, 53, size, 200, 3) == places);
    CHECK(sequence(device, 53, 10, 200, 4) != places);
}

TEST_CASE("batches: any batch can be made without those before it") {
    cpu device(1);
    auto const data = numbered(device, 20);
    batch_source<float, cpu> in_order({data.view()}, 6, 9);
    std::vector<std::vector<float>> all;
    for (index_t k = 0; k < 12; ++k) all.push_back(to_host(in_order.at(k).x0));
    batch_source<float, cpu> source({data.view()}, 6, 9);
    for (index_t k : {11, 3, 3, 0, 7, 4, 10}) CHECK(to_host(source.at(k).x0) == all[static_cast<std::size_t>(k)]);
}

TEST_CASE("batches: positions are shuffled evenly") {
    cpu device(1);
    // how often sample s is at place p of an epoch of 5: 2000 epochs, 400 +- 18 expected
    auto const places = sequence(device, 5, 5, 5 * 2000, 1);
    int count[5][5] = {};
    for (std::size_t i = 0; i < places.size(); ++i) ++count[i % 5][places[i]];
    for (auto const& row : count)
        for (int times : row) CHECK(std::abs(times - 400) < 90);
}

TEST_CASE("batches: noise and labels stay with their samples") {
    cpu device(1);
    auto const data = numbered(device, 30);
    std::vector<float> noise;
    std::vector<std::int32_t> numbers;
    for (std::int32_t r = 0; r < 30; ++r) noise.insert(noise.end(), {10.0f * static_cast<float>(r), 0.5f}), numbers.push_back(r);
    tensor<float, cpu> const z(device, {30, 2}, noise);
    tensor<std::int32_t, cpu> const labels(device, {30}, numbers);
    batch_source<float, cpu> source({data.view(), z.view(), labels.view()}, 8, 2);
    for (index_t k = 0; k < 6; ++k) {
        auto const part = source.at(k);
        CHECK(part.x0.shape() == shape{8, 2});
        CHECK(part.noise.shape() == shape{8, 2});
        CHECK(part.labels.shape() == shape{8});
        for (index_t r = 0; r < 8; ++r) {
            CHECK(part.noise.data()[2 * r] == 10 * part.x0.data()[2 * r]);
            CHECK(part.noise.data()[2 * r + 1] == 0.5f);
            CHECK(static_cast<float>(part.labels.data()[r]) == part.x0.data()[2 * r]);
        }
    }
    auto const plain = batch_source<float, cpu>({data.view()}, 8, 2).size();
    CHECK(plain == 8);
    batch_source<float, cpu> without({data.view()}, 8, 2);
    CHECK(without.at(0).noise.empty());
    CHECK(without.at(0).labels.data() == nullptr);
}

TEST_CASE("batches: samples keep their shape") {
    cpu device(1);
    tensor<float, cpu> const data(device, {3, 2, 2, 1}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
    batch_source<float, cpu> source({data.view()}, 3, 0);
    auto const part = source.at(0).x0;
    CHECK(part.shape() == shape{3, 2, 2, 1});
    auto values = to_host(part);
    for (std::size_t r = 0; r < 3; ++r)
        for (std::size_t i = 1; i < 4; ++i) CHECK(values[4 * r + i] == values[4 * r] + static_cast<float>(i));
}

TEST_CASE("batches: a loop yields batches and the keys of their steps") {
    cpu device(1);
    auto const data = numbered(device, 20);
    batch_source<float, cpu> source({data.view()}, 6, 9);
    index_t step = 0;
    for (auto [x0, key] : batches(data, {.size = 6, .steps = 11, .seed = 9})) {
        CHECK(to_host(x0) == to_host(source.at(step).x0));
        CHECK(key == random_key{9, static_cast<std::uint64_t>(step)});
        ++step;
    }
    CHECK(step == 11);
    for ([[maybe_unused]] auto item : batches(data, {.size = 6, .steps = 0})) FAIL("a loop of no steps has no batch");
}

TEST_CASE("batches: refuses what makes no batch") {
    cpu device(1);
    auto const data = numbered(device, 3);
    tensor<float, cpu> const none(device, {0, 2});
    CHECK_THROWS_WITH_AS((batch_source<float, cpu>({data.view()}, 0, 1)), "domain_error: batches: size is 0, it must be at least 1",
                         domain_error);
    CHECK_THROWS_AS((batch_source<float, cpu>({data.view()}, -4, 1)), domain_error);
    CHECK_THROWS_WITH_AS((batch_source<float, cpu>({none.view()}, 2, 1)),
                         "shape_error: batches: x0 is [0, 2], there must be at least one sample", shape_error);
    CHECK_THROWS_AS(batches(data, {.size = 0}), domain_error);
    // views of other lengths would be read out of bounds
    tensor<float, cpu> const short_noise(device, {2, 2}, {1, 2, 3, 4});
    tensor<std::int32_t, cpu> const short_labels(device, {2}, {0, 1});
    CHECK_THROWS_WITH_AS((batch_source<float, cpu>({data.view(), short_noise.view()}, 2, 1)),
                         "shape_error: batches: noise is [2, 2], it must be [3, 2]", shape_error);
    CHECK_THROWS_WITH_AS((batch_source<float, cpu>({data.view(), {}, short_labels.view()}, 2, 1)),
                         "shape_error: batches: labels is [2], it must be [3]", shape_error);
}

TEST_CASE("batches: no allocation after the first") {
    if (!counts_allocations) return;
    cpu device(1);
    auto const data = numbered(device, 50);
    batch_source<float, cpu> source({data.view()}, 16, 9);
    source.at(0);
    std::size_t const before = allocations();
    for (index_t k = 1; k < 20; ++k) source.at(k);
    CHECK(allocations() == before);
}

}  // namespace batches_tests
