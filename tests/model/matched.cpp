#include <onestep/model/matched.hpp>

#include <onestep/backend/cpu.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/sampler/rk4.hpp>
#include <onestep/sampler/sample.hpp>
#include <onestep/target/epsilon.hpp>

#include <doctest/doctest.h>

#include "../exact_models.hpp"

namespace matched_tests {

using namespace onestep;
using namespace onestep::test;

TEST_CASE("matched: a network of one process follows the exact flow of another") {
    cpu device(1);
    gaussian_data<epsilon, variance_preserving<>> const net{0.3, 0.5};
    model const trained{net, variance_preserving{}, epsilon{}};
    auto const on_edm = matched(trained, edm{});
    auto const straight = matched(trained, rectified_flow{});
    tensor<double, cpu> x(device, {1, 2}, {0.9, -1.4}), y = x;
    std::vector<double> const start = x.to_host();
    solve(on_edm, rk4{}, equal_times(2.0, 0.5, 400), x.view());
    solve(straight, rk4{}, equal_times(0.8, 0.2, 400), y.view());
    gaussian_data<epsilon, edm> const exact{0.3, 0.5};
    gaussian_data<epsilon> const exact_straight{0.3, 0.5};
    for (std::size_t i = 0; i < 2; ++i) {
        CHECK(x.to_host()[i] == doctest::Approx(exact.flow(start[i], 2.0, 0.5)).epsilon(1e-8));
        CHECK(y.to_host()[i] == doctest::Approx(exact_straight.flow(start[i], 0.8, 0.2)).epsilon(1e-8));
    }
}

TEST_CASE("matched: times without a counterpart are refused") {
    gaussian_data<epsilon, variance_preserving<>> const net{0.3, 0.5};
    model const trained{net, variance_preserving{}, epsilon{}};
    CHECK_THROWS_AS(matched(trained, rectified_flow{}).x0_at(1), domain_error);  // pure noise, which this process never reaches
}

}  // namespace matched_tests
