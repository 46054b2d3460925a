#include <onestep/train/pair_file.hpp>

#include <onestep/backend/cpu.hpp>
#include <onestep/network/mlp.hpp>
#include <onestep/objective/one_step_distillation.hpp>
#include <onestep/sampler/euler.hpp>
#include <onestep/sampler/heun.hpp>
#include <onestep/train/trainer.hpp>

#include <limits>

#include "../exact_models.hpp"
#include "../io/scratch.hpp"

namespace pair_file_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

/// Every path ends at the row's label.
struct to_label {
    int classes() const { return 5; }
    template <class T>
    void operator()(view<T const, cpu> x, view<T const, cpu>, view<std::int32_t const, cpu> labels, view<T, cpu> y) const {
        for (index_t i = 0; i < x.size(); ++i) y.data()[i] = static_cast<T>(labels.data()[i / x.cols()]);
    }
};
template <class T> std::vector<T> list(std::span<T const> values) { return {values.begin(), values.end()}; }

}  // namespace

TEST_CASE("pair_file: what reflow_pairs makes, however many rows are in memory at a time") {
    scratch_folder const folder;
    cpu device(1);
    model const flow{mixture_data<velocity>{three_clusters()}, rectified_flow{}, velocity{}};
    auto const expected = reflow_pairs(flow, heun{.steps = 5}, normal<float>(device, {150, 2}, 9), {.seed = 9});
    std::string bytes;
    for (index_t batch : {1, 7, 150, 1000}) {
        CAPTURE(batch);
        write_pairs<float>(device, folder / "pairs.npy", flow, heun{.steps = 5}, {150, 2}, {.batch = batch, .seed = 9});
        pair_file<float> const pairs(folder / "pairs.npy");
        CHECK(pairs.extents() == shape{150, 2});
        CHECK(pairs.rows() == 150);
        CHECK(list(pairs.noise()) == expected.noise().to_host());
        CHECK(list(pairs.x0()) == expected.x0().to_host());
        CHECK(pairs.labels().empty());
        if (bytes.empty()) bytes = text_of(folder / "pairs.npy");
        CHECK(text_of(folder / "pairs.npy") == bytes);
    }
    auto const plain = read_npy<float>(folder / "pairs.npy");
    CHECK(plain.shape == shape{2, 150, 2});
    CHECK(folder.entries() == 1);
}

TEST_CASE("pair_file: a trainer runs on the file as on the pairs in memory") {
    scratch_folder const folder;
    cpu device(1);
    model const flow{mixture_data<velocity>{three_clusters()}, rectified_flow{}, velocity{}};
    write_pairs<float>(device, folder / "pairs.npy", flow, euler{.steps = 3}, {100, 2});
    pair_file<float> const pairs(folder / "pairs.npy");
    auto const trained = [&](auto const& data) {
        mlp<float, cpu> net(device, {.data = {2}, .width = 8, .blocks = 1});
        model student{net, rectified_flow{}, velocity{}};
        trainer run{student, one_step_distillation{}, adam{.rate = 1e-3}, {.batch = 32}};
        run.run(data, 7);
        return to_host(net.parameters());
    };
    auto const expected = trained(reflow_pairs(flow, euler{.steps = 3}, normal<float>(device, {100, 2}, 0)));
    CHECK(trained(pairs.mapped(device)) == expected);
    CHECK(trained(pairs.load(device)) == expected);
}

TEST_CASE("pair_file: labels go with their rows") {
    scratch_folder const folder;
    cpu device(1);
    model const flow{to_label{}, rectified_flow{}, x0{}};
    std::vector<std::int32_t> numbers;
    for (int r = 0; r < 23; ++r) numbers.push_back(r * 7 % 5);
    tensor<std::int32_t, cpu> const labels(device, {23}, numbers);
    write_pairs<double>(device, folder / "pairs.npy", flow, euler{.steps = 2}, {23, 1, 2}, labels, 5, {.batch = 6});
    CHECK(folder.entries() == 2);
    pair_file<double> const pairs(folder / "pairs.npy");
    CHECK(list(pairs.labels()) == numbers);
    for (std::size_t i = 0; i < 46; ++i) CHECK(pairs.x0()[i] == numbers[i / 2]);
    CHECK(to_host(pairs.mapped(device).labels) == numbers);
    CHECK(pairs.load(device).labels().to_host() == numbers);
    CHECK(read_npy<std::int32_t>(folder / "pairs.labels.npy").values == numbers);
    CHECK(labels_path("a/b") == "a/b.labels.npy");

    // Labels that do not fit are refused, and those of an older file do not outlive it.
    write_npy(folder / "pairs.labels.npy", {3}, std::vector<std::int32_t>{1, 2, 3});
    CHECK(message<format_error>([&] { pair_file<double>{folder / "pairs.npy"}; }) ==
          "format_error: " + (folder / "pairs.labels.npy") + ": the labels are [3], it must be [23]");
    model const plain{gaussian_data<velocity>{}, rectified_flow{}, velocity{}};
    write_pairs<double>(device, folder / "pairs.npy", plain, euler{}, {23, 2});
    CHECK(pair_file<double>(folder / "pairs.npy").labels().empty());
    CHECK(list(pairs.labels()) == numbers);  // what is mapped stays
}

TEST_CASE("pair_file: refuses foreign and truncated files, and writes all or nothing") {
    scratch_folder const folder;
    cpu device(1);
    std::string const path = folder / "pairs.npy";
    model const flow{gaussian_data<velocity>{}, rectified_flow{}, velocity{}};
    write_npy(path, {3, 4, 2}, std::vector<float>(24, 1.f));
    CHECK(message<format_error>([&] { pair_file<float>{path}; }) ==
          "format_error: " + path + ": the array is [3, 4, 2], pairs are [2, n, ...], noise and samples");
    write_npy(path, {2, 4}, std::vector<float>(8, 1.f));
    CHECK_THROWS_AS(pair_file<float>{path}, format_error);
    write_npy(path, {2, 0, 4}, std::vector<float>{});
    CHECK_THROWS_AS(pair_file<float>{path}, format_error);
    write_pairs<float>(device, path, flow, euler{}, {4, 2});
    CHECK_THROWS_AS(pair_file<double>{path}, format_error);
    std::string const whole = text_of(path);
    write_file_atomically(path, whole.substr(0, whole.size() - 1));
    CHECK_THROWS_AS(pair_file<float>{path}, format_error);
    CHECK_THROWS_AS(pair_file<float>{folder / "none.npy"}, file_error);

    write_file_atomically(path, whole);
    auto const broken = [](view<float const, cpu> x, view<float const, cpu>, view<float, cpu> y) {
        for (index_t i = 0; i < x.size(); ++i) y.data()[i] = std::numeric_limits<float>::quiet_NaN();
    };
    CHECK(message<not_finite_error>([&] {
              write_pairs<float>(device, path, model{broken, rectified_flow{}, velocity{}}, euler{}, {4, 2});
          }) == "not_finite_error: write_pairs: 8 of 8 values are NaN or infinite, all must be finite");
    CHECK(text_of(path) == whole);
    CHECK(folder.entries() == 1);
    write_npy(folder / "pairs.labels.npy", {4}, std::vector<std::int32_t>{1, 2, 3, 0});
    CHECK_THROWS_AS(write_pairs<float>(device, path, model{broken, rectified_flow{}, velocity{}}, euler{}, {4, 2}), not_finite_error);
    CHECK(list(pair_file<float>(path).labels()) == std::vector<std::int32_t>{1, 2, 3, 0});  // with the pairs they belong to
    CHECK(std::remove((folder / "pairs.labels.npy").c_str()) == 0);
    tensor<std::int32_t, cpu> const few(device, {3}, {0, 1, 2});
    model const by_label{to_label{}, rectified_flow{}, x0{}};
    CHECK_THROWS_AS(write_pairs<float>(device, path, by_label, euler{}, {4, 2}, few, 5), shape_error);
    CHECK_THROWS_AS(write_pairs<float>(device, path, by_label, euler{}, {3, 2}, few, 2), label_error);
    CHECK(message<domain_error>([&] {
              write_pairs<float>(device, path, flow, euler{}, {4, 2}, {.batch = 0});
          }) == "domain_error: write_pairs: batch is 0, it must be at least 1");
    CHECK(message<shape_error>([&] {
              write_pairs<float>(device, path, flow, euler{}, {0, 2});
          }) == "shape_error: write_pairs: pairs of [0, 2] are asked for, at least one sample of at most 4 extents is needed");
    CHECK(folder.entries() == 1);
}

}  // namespace pair_file_tests
