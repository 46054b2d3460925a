#include <onestep/objective/one_step_distillation.hpp>

#include <onestep/process/edm.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/target/edm_preconditioned.hpp>
#include <onestep/target/v_prediction.hpp>

#include "gradient.hpp"

namespace one_step_distillation_tests {

using namespace onestep;
using namespace onestep::test;

TEST_CASE("one_step_distillation: evaluates at pure noise and asks for its sample") {
    tensor<float, backend_type> const x0 = normal<float>(device(), {130, 5}, 4), noise = normal<float>(device(), {130, 5}, 5);
    auto net = lively_mlp<float>({.data = {5}, .width = 4, .blocks = 1});
    batch<float, backend_type> const data{x0.view(), noise.view()};
    auto const check = [&](auto const& target, float a, float b) {
        auto const memory = device().scratch();
        auto const p = one_step_distillation{}.build(model{net, rectified_flow{}, target}, data, random_key{1, 2}, *memory);
        CHECK(to_host(p.call.x) == noise.to_host());
        CHECK(to_host(p.call.t) == std::vector<float>(130, 1));
        std::vector<float> wanted(650);
        device().download(p.target, 650, wanted.data());
        CHECK(wanted == x0.to_host());
        std::vector<regression_row<float>> rows(130);
        device().download(p.rows, 130, rows.data());
        for (auto const& row : rows) {
            CHECK(row.a == a);
            CHECK(row.b == b);
            CHECK(row.weight == 1);
        }
    };
    check(velocity{}, 1, -1);  // x0 = x - u at t = 1
    check(onestep::x0{}, 0, 1);
}

TEST_CASE("one_step_distillation: starts where sampling starts, on any process, and asks as the target says") {
    tensor<double, backend_type> const x0 = normal<double>(device(), {5, 2}, 4), noise = normal<double>(device(), {5, 2}, 5);
    auto net = lively_mlp<double>({.data = {2}, .width = 4, .blocks = 1});
    batch<double, backend_type> const data{x0.view(), noise.view()};
    auto const check = [&](auto const& flow, double start, double scale, double time) {
        auto const memory = device().scratch();
        auto const p = one_step_distillation{}.build(flow, data, random_key{1, 2}, *memory);
        auto const x = to_host(p.call.x), z = noise.to_host();
        for (std::size_t i = 0; i < x.size(); ++i) CHECK(x[i] == doctest::Approx(scale * start * z[i]).epsilon(1e-14));
        CHECK(to_host(p.call.t).front() == doctest::Approx(time).epsilon(1e-14));
        std::vector<regression_row<double>> rows(5);
        device().download(p.rows, 5, rows.data());
        conversion const end = flow.x0_at(flow.process().t_max());
        CHECK(rows[3].a * scale == doctest::Approx(end.x).epsilon(1e-14));
        CHECK(rows[3].b == end.output);
    };
    check(model{net, variance_preserving{}, v_prediction{}}, 1, 1, 1);
    check(model{net, edm{}, edm_preconditioned{.sigma_data = 0.5}}, 80, 1 / std::sqrt(6400.25), std::log(80.0) / 4);
}

TEST_CASE("one_step_distillation: the gradient of its loss is that of difference quotients") {
    tensor<double, backend_type> const x0 = normal<double>(device(), {6, 2}, 4), noise = normal<double>(device(), {6, 2}, 5);
    auto net = lively_mlp<double>({.data = {2}, .width = 5, .blocks = 1, .time = {.size = 4}});
    batch<double, backend_type> const data{x0.view(), noise.view()};
    model by_velocity{net, rectified_flow{}, velocity{}};
    model by_x0{net, rectified_flow{}, onestep::x0{}};
    check_loss_gradient(one_step_distillation{}, by_velocity, data, {});
    check_loss_gradient(one_step_distillation{pseudo_huber{.c = 0.5}}, by_velocity, data, {});
    check_loss_gradient(one_step_distillation{}, by_x0, data, {});
}

TEST_CASE("one_step_distillation: its loss is the distance between samples and where one Euler step lands") {
    index_t const n = 20, d = 3;
    tensor<double, backend_type> const x0 = normal<double>(device(), {n, d}, 4), noise = normal<double>(device(), {n, d}, 5);
    auto net = lively_mlp<double>({.data = {3}, .width = 5, .blocks = 1});
    tensor<double, backend_type> const t(device(), {n}, std::vector<double>(20, 1));
    tensor<double, backend_type> f(device(), {n, d});
    net(noise.view(), t.view(), f.view());
    auto const z = noise.to_host(), u = f.to_host(), clean = x0.to_host();
    double expected = 0;
    for (std::size_t i = 0; i < z.size(); ++i) expected += std::pow(z[i] - u[i] - clean[i], 2) / static_cast<double>(n * d);
    model flow{net, rectified_flow{}, velocity{}};
    batch<double, backend_type> const data{x0.view(), noise.view()};
    loss_value const loss = accumulate(one_step_distillation{}, flow, data, {});
    CHECK(loss.weighted == doctest::Approx(expected).epsilon(1e-12));
    CHECK(loss.plain == loss.weighted);
    CHECK(accumulate(one_step_distillation{}, flow, data, random_key{7, 8}).weighted == loss.weighted);  // nothing is drawn
}

TEST_CASE("one_step_distillation: refuses batches without noise and targets without x0") {
    tensor<float, backend_type> const x0 = normal<float>(device(), {4, 2}, 4), noise = normal<float>(device(), {3, 2}, 5);
    auto net = lively_mlp<float>({.data = {2}, .width = 4, .blocks = 1});
    auto const memory = device().scratch();
    model const flow{net, rectified_flow{}, velocity{}};
    batch<float, backend_type> const alone{x0.view()}, mismatched{x0.view(), noise.view()}, pairs{x0.view(), x0.view()};
    CHECK_THROWS_WITH_AS(
        one_step_distillation{}.build(flow, alone, {}, *memory),
        "shape_error: one_step_distillation: the batch has no noise, it learns from pairs of noise and sample, such as reflow_pairs makes",
        shape_error);
    CHECK_THROWS_WITH_AS(one_step_distillation{}.build(flow, mismatched, {}, *memory),
                         "shape_error: one_step_distillation: noise is [3, 2], it must be [4, 2]", shape_error);
    CHECK_THROWS_AS(one_step_distillation{}.build(model{net, rectified_flow{}, epsilon{}}, pairs, {}, *memory), domain_error);
    CHECK(to_string(one_step_distillation{pseudo_huber{.c = 0.1}}) == "one_step_distillation{distance = pseudo_huber{c = 0.1}}");
}

}  // namespace one_step_distillation_tests
