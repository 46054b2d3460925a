/// Progressive distillation where everything is known in closed form.
#include <onestep/objective/progressive_distillation.hpp>

#include <onestep/network/mlp.hpp>
#include <onestep/objective/accumulate.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/process/trigonometric_flow.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/sampler/sample.hpp>
#include <onestep/target/trig_velocity.hpp>
#include <onestep/time/power_grid.hpp>

#include <doctest/doctest.h>

#include "../exact_models.hpp"

namespace progressive_distillation_exact_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

/// Predicts the x0 with which a DDIM step of the grid of `steps` lands exactly where the flow of N(mean, deviation^2) leads.
template <class Process, class Grid = uniform_grid> struct exact_jumps {
    gaussian_data<x0, Process> data;
    int steps;
    Grid grid = {};
    double wrong = 0;

    void operator()(view<double const, cpu> x, view<double const, cpu> t, view<double, cpu> y) const {
        auto const& p = data.process;
        auto const times = times_of(grid, p, steps);
        for (index_t r = 0; r < x.rows(); ++r) {
            double const from = t.data()[r];
            std::size_t i = 0;
            for (std::size_t k = 0; k + 1 < times.size(); ++k)
                if (std::fabs(times[k] - from) < std::fabs(times[i] - from)) i = k;
            double const to = times[i + 1], ratio = p.sigma(to) / p.sigma(from);
            for (index_t c = 0; c < x.cols(); ++c) {
                double const at = x.data()[r * x.cols() + c], there = data.flow(at, from, to);
                y.data()[r * x.cols() + c] = (there - ratio * at) / (p.alpha(to) - ratio * p.alpha(from)) + wrong;
            }
        }
    }
};

struct host_build {
    std::vector<double> x, target, prediction;
    std::vector<double> weights;
    double loss = 0;  // weighted, by hand
};
/// What the objective builds for a student whose network cannot be trained, and the student's prediction.
template <class Objective, class Student>
[[gnu::noinline]] host_build build(cpu& device, Objective const& objective, Student const& student, index_t n, random_key key) {
    tensor<double, cpu> const clean = normal<double>(device, {n, 2}, 4);
    auto const memory = device.scratch();
    auto const p = objective.build(student, batch<double, cpu>{clean.view()}, key, *memory);
    tensor<double, cpu> f(device, {n, 2});
    student.network()(p.call.x, p.call.t, f.view());
    host_build out;
    for (index_t i = 0; i < 2 * n; ++i) {
        regression_row<double> const& row = p.rows[i / 2];
        out.x.push_back(p.call.x.data()[i]);
        out.target.push_back(p.target[i]);
        out.prediction.push_back(row.a * p.call.x.data()[i] + row.b * f.data()[i]);
        out.weights.push_back(row.weight);
        double const residual = out.prediction.back() - out.target.back();
        out.loss += row.weight * residual * residual / static_cast<double>(2 * n);
    }
    return out;
}

}  // namespace

TEST_CASE("progressive_distillation: a student that jumps exactly is what a teacher that jumps exactly asks for") {
    cpu device(1);
    auto const check = [&](auto const& process, int steps, auto const& grid) {
        using process_type = std::remove_cvref_t<decltype(process)>;
        gaussian_data<x0, process_type> const data{0.3, 0.7, {}, process};
        model const teacher{exact_jumps{data, 2 * steps, grid}, process, x0{}};
        model const student{exact_jumps{data, steps, grid}, process, x0{}};
        model const wrong{exact_jumps{data, steps, grid, 0.1}, process, x0{}};
        progressive_distillation const objective(teacher, {.steps = steps}, squared{}, unit_weight{}, grid);
        host_build const b = build(device, objective, student, 300, {1, 2});
        CHECK(b.loss < 1e-22);
        CHECK(relative_to(b.prediction, b.target) < 1e-10);
        CHECK(build(device, objective, wrong, 300, {1, 2}).loss == doctest::Approx(0.01).epsilon(1e-8));
        CHECK(build(device, objective, teacher, 300, {1, 2}).loss > 1e-8);  // the teacher's own step is another
    };
    check(rectified_flow{}, 8, uniform_grid{});
    check(rectified_flow{}, 1, uniform_grid{});
    check(edm{}, 4, power_grid{7});
    check(variance_preserving{}, 4, uniform_grid{});
    check(trigonometric_flow{}, 4, uniform_grid{});
}

TEST_CASE("progressive_distillation: the student's one step of ddim is the teacher's two") {
    cpu device(1);
    gaussian_data<x0, variance_preserving<>> const posterior{0.3, 0.7};
    model const teacher{posterior, variance_preserving{}, x0{}};
    index_t const n = 40;
    random_key const key{1, 2};
    auto const check = [&](int steps) {
        host_build const b = build(device, progressive_distillation{teacher, {.steps = steps}}, teacher, n, key);
        auto const& p = teacher.process();
        for (index_t r = 0; r < n; ++r) {
            auto const i = static_cast<int>(below(key.at(draw::time), static_cast<std::uint64_t>(steps), r));
            auto const fine = times_of(uniform_grid{}, p, 2 * steps);
            std::vector<double> const two(fine.begin() + 2 * i, fine.begin() + 2 * i + 3);
            tensor<double, cpu> x(device, {1, 2}, {b.x[2 * static_cast<std::size_t>(r)], b.x[2 * static_cast<std::size_t>(r) + 1]});
            solve(teacher, ddim{}, two, x.view());
            ddim_step const once = ddim_step_of(p, two.front(), two.back(), 0);
            for (std::size_t c = 0; c < 2; ++c) {
                std::size_t const at = 2 * static_cast<std::size_t>(r) + c;
                CHECK(once.x * b.x[at] + once.x0 * b.target[at] == doctest::Approx(x.data()[c]).epsilon(1e-11));
            }
        }
    };
    check(4);
    check(1);
}

TEST_CASE("progressive_distillation: of data that are one point every target is that point") {
    cpu device(1);
    auto const check = [&](auto const& process, auto const& target) {
        using process_type = std::remove_cvref_t<decltype(process)>;
        model const teacher{gaussian_data<std::remove_cvref_t<decltype(target)>, process_type>{0.6, 0, target, process}, process, target};
        for (double value : build(device, progressive_distillation{teacher, {.steps = 4}}, teacher, 100, {1, 2}).target)
            CHECK(value == doctest::Approx(0.6).epsilon(1e-11));
    };
    check(rectified_flow{}, velocity{});
    check(variance_preserving{}, x0{});
    check(edm{}, x0{});
}

TEST_CASE("progressive_distillation: where the flow stands still, exact steps ask for x and DDIM's for what it makes of it") {
    // Trigonometric flow of data as wide as sigma_data: u = 0. The posterior mean is cos(t) x, and DDIM's step multiplies by cos(t - s).
    cpu device(1);
    trigonometric_flow const process{.sigma_data = 0.5};
    model const still{exact_jumps<trigonometric_flow>{{0, 0.5, {}, process}, 2}, process, x0{}};
    host_build const last = build(device, progressive_distillation{still, {.steps = 1}}, still, 50, {1, 2});
    CHECK(relative_to(last.target, last.x) < 1e-13);

    model const teacher{gaussian_data<x0, trigonometric_flow>{0, 0.5, {}, process}, process, x0{}};
    random_key const key{1, 2};
    host_build const b = build(device, progressive_distillation{teacher, {.steps = 4}}, teacher, 50, key);
    auto const times = times_of(uniform_grid{}, process, 8);
    for (std::size_t r = 0; r < 50; ++r) {
        auto const i = static_cast<std::size_t>(below(key.at(draw::time), 4, static_cast<index_t>(r)));
        double const t = times[2 * i], m = times[2 * i + 1], s = times[2 * i + 2], ratio = std::sin(s) / std::sin(t);
        double const factor = (std::cos(t - m) * std::cos(m - s) - ratio) / (std::cos(s) - ratio * std::cos(t));
        CHECK(b.target[2 * r] == doctest::Approx(factor * b.x[2 * r]).epsilon(1e-11));
    }
}

TEST_CASE("progressive_distillation: the same bits for any number of threads") {
    std::vector<float> expected;
    for (int threads : {1, 2}) {
        cpu device(threads);
        mlp<float, cpu> net(device, {.data = {60}, .width = 96, .blocks = 1}), old(device, {.data = {60}, .width = 96, .blocks = 1});
        fill_normal(net.parameters().reshaped({1, net.parameters().size()}), random_key{3}.at(draw::user), 0.2);
        fill_normal(old.parameters().reshaped({1, old.parameters().size()}), random_key{4}.at(draw::user), 0.2);
        model flow{net, rectified_flow{}, velocity{}}, teacher{old, rectified_flow{}, velocity{}};
        tensor<float, cpu> const clean = normal<float>(device, {200, 60}, 4);
        accumulate(progressive_distillation{teacher, {.steps = 4}}, flow, clean.view(), {1, 2});
        if (threads == 1) expected = to_host(net.gradients());
        CHECK(to_host(net.gradients()) == expected);
    }
}

}  // namespace progressive_distillation_exact_tests
