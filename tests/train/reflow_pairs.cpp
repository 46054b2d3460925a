#include <onestep/train/reflow_pairs.hpp>

#include <onestep/backend/cpu.hpp>
#include <onestep/network/mlp.hpp>
#include <onestep/sampler/euler.hpp>
#include <onestep/sampler/heun.hpp>
#include <onestep/sampler/rk4.hpp>

#include <doctest/doctest.h>

#include <limits>

#include "../exact_models.hpp"

namespace reflow_pairs_tests {

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
struct not_a_number {
    void operator()(view<float const, cpu> x, view<float const, cpu>, view<float, cpu> y) const {
        for (index_t i = 0; i < x.size(); ++i) y.data()[i] = i == 3 ? std::numeric_limits<float>::quiet_NaN() : 0;
    }
};

}  // namespace

TEST_CASE("reflow_pairs: noise and the sample that the flow makes of it") {
    cpu device(1);
    gaussian_data<velocity> const net{0.3, 0.5};
    model const flow{net, rectified_flow{}, velocity{}};
    auto const z = normal<double>(device, {40, 3}, 2);
    auto const pairs = reflow_pairs(flow, rk4{.steps = 60}, z);
    CHECK(pairs.noise().to_host() == z.to_host());
    CHECK(pairs.x0().shape() == z.shape());
    CHECK(pairs.labels().size() == 0);
    for (index_t i = 0; i < z.size(); ++i) CHECK(pairs.x0().data()[i] == doctest::Approx(0.3 + 0.5 * z.data()[i]).epsilon(1e-6));
    CHECK(pairs.x0().to_host() == sample(flow, rk4{.steps = 60}, z).to_host());
}

TEST_CASE("reflow_pairs: the result does not depend on how many rows are solved at a time, nor on threads") {
    std::vector<float> expected;
    for (int threads : {1, 2}) {
        cpu device(threads);
        model const flow{mixture_data<velocity>{three_clusters()}, rectified_flow{}, velocity{}};
        auto const z = normal<float>(device, {600, 2}, 2);
        if (expected.empty()) expected = reflow_pairs(flow, heun{.steps = 5}, z).x0().to_host();
        for (index_t batch : {1, 7, 512, 600, 10'000}) {
            CAPTURE(batch);
            CHECK(reflow_pairs(flow, heun{.steps = 5}, z, {.batch = batch}).x0().to_host() == expected);
        }
    }
}

TEST_CASE("reflow_pairs: labels go with their rows and are remembered") {
    cpu device(1);
    model const flow{to_label{}, rectified_flow{}, x0{}};
    std::vector<std::int32_t> numbers;
    for (int r = 0; r < 23; ++r) numbers.push_back(r * 7 % 5);
    tensor<std::int32_t, cpu> const labels(device, {23}, numbers);
    auto const z = normal<float>(device, {23, 2}, 2);
    for (index_t batch : {1, 6, 23, 100}) {
        CAPTURE(batch);
        auto const pairs = reflow_pairs(flow, euler{.steps = 2}, z, labels, 5, {.batch = batch});
        CHECK(pairs.labels().to_host() == numbers);
        CHECK(pairs.noise().to_host() == z.to_host());
        for (index_t i = 0; i < 46; ++i) CHECK(pairs.x0().data()[i] == static_cast<float>(numbers[static_cast<std::size_t>(i / 2)]));
    }
}

TEST_CASE("reflow_pairs: a given grid is followed") {
    cpu device(1);
    struct coarse_end {
        static double time(rectified_flow const&, double from, double to, int steps, int i) {
            double const s = static_cast<double>(i) / steps;
            return i == steps ? to : from + (to - from) * s * s;
        }
    };
    struct square_grid : coarse_end, uniform_grid {
        using coarse_end::time;
    };
    model const flow{gaussian_data<velocity>{0.3, 0.5}, rectified_flow{}, velocity{}};
    auto const z = normal<double>(device, {4, 3}, 2);
    auto const pairs = reflow_pairs(flow, euler{.steps = 4}, z, {.batch = 3}, square_grid{});
    CHECK(pairs.x0().to_host() == sample(flow, euler{.steps = 4}, z, square_grid{}).to_host());
    CHECK(pairs.x0().to_host() != sample(flow, euler{.steps = 4}, z).to_host());
}

TEST_CASE("reflow_pairs: refuses what it cannot do") {
    cpu device(1);
    model const flow{gaussian_data<velocity>{}, rectified_flow{}, velocity{}};
    model const by_label{to_label{}, rectified_flow{}, x0{}};
    auto const z = normal<float>(device, {4, 2}, 2);
    tensor<std::int32_t, cpu> const few(device, {3}, {0, 1, 2}), high(device, {4}, {0, 1, 5, 2});
    CHECK_THROWS_WITH_AS(reflow_pairs(flow, euler{}, z, {.batch = 0}), "domain_error: reflow_pairs: batch is 0, it must be at least 1",
                         domain_error);
    CHECK_THROWS_AS(reflow_pairs(flow, euler{.steps = 0}, z), domain_error);
    CHECK_THROWS_WITH_AS(reflow_pairs(by_label, euler{}, z, few, 5), "shape_error: reflow_pairs: labels is [3], it must be [4]",
                         shape_error);
    CHECK_THROWS_WITH_AS(reflow_pairs(by_label, euler{}, z, high, 5), "label_error: reflow_pairs: label 2 is 5, labels are 0 to 4",
                         label_error);
    CHECK_THROWS_WITH_AS(reflow_pairs(model{not_a_number{}, rectified_flow{}, velocity{}}, euler{}, z),
                         "not_finite_error: reflow_pairs: 1 of 8 values are NaN or infinite, all must be finite", not_finite_error);
}

}  // namespace reflow_pairs_tests
