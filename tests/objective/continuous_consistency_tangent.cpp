/// The derivative in continuous consistency against differences of the model's own f.
#include <onestep/objective/continuous_consistency.hpp>

#include <onestep/model/consistency_model.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/target/v_prediction.hpp>

#include "continuous.hpp"

namespace continuous_consistency_tangent_tests {

using namespace onestep;
using namespace onestep::test;
using namespace onestep::test::continuous;

namespace {

/// f of a consistency model where x = cos(a) x0 + sd sin(a) epsilon, by the coefficients that the model itself tells.
template <class Model> numbers consistency(Model& model, double sd, numbers const& angles, numbers const& x) {
    std::size_t const d = x.size() / angles.size();
    numbers read(x.size()), state(x.size()), told(angles.size()), times(angles.size());
    for (std::size_t r = 0; r < angles.size(); ++r) {
        times[r] = time_of_noise_to_signal(model.process(), sd * std::tan(angles[r]));
        network_input const ask = model.input_at(times[r]);
        told[r] = ask.time;
        for (std::size_t i = r * d; i < r * d + d; ++i) {
            state[i] = x[i] * model.process().alpha(times[r]) / std::cos(angles[r]);
            read[i] = ask.scale * state[i];
        }
    }
    numbers f = answer(model.network(), read, told);
    for (std::size_t i = 0; i < f.size(); ++i) {
        conversion const map = model.map_at(times[i / d]);
        f[i] = map.x * state[i] + map.output * f[i];
    }
    return f;
}

/// g = cos(a) df/da by differences of f itself, along the line x + h dx/da.
template <class Objective, class Model, class Velocity>
void check_tangent(Objective const& objective, Model& model, double sd, Velocity const& velocity) {
    using process_type = typename Model::process_type;
    using target_type = typename Model::target_type;
    std::string const process = process_type::name, target = target_type::name;
    CAPTURE(process);
    CAPTURE(target);
    random_key const key{8, 21};
    std::size_t const n = 40, d = 2;
    tensor<double, backend_type> const x0 = normal<double>(device(), {n, d}, 4), noise = normal<double>(device(), {n, d}, 5);
    auto const p = build(objective, model, {x0.view(), noise.view()}, key);
    numbers const levels = drawn_levels(key, n), clean = x0.to_host(), z = noise.to_host();
    numbers angles, x(n * d), u(n * d);
    for (double level : levels) angles.push_back(std::atan(level / sd));
    for (std::size_t i = 0; i < x.size(); ++i) {
        double const a = angles[i / d];
        x[i] = std::cos(a) * clean[i] + std::sin(a) * sd * z[i];
        u[i] = velocity(i, a, clean[i], z[i], x[i]);
    }
    auto const f = [&](double relative) {
        numbers moved_angles = angles, moved = x;
        for (std::size_t i = 0; i < x.size(); ++i) {
            double const h = relative * std::sin(angles[i / d]) * std::cos(angles[i / d]);
            moved_angles[i / d] = angles[i / d] + h;
            moved[i] = x[i] + h * u[i];
        }
        return consistency(model, sd, moved_angles, moved);
    };
    double const h = 2e-3;
    numbers const f1 = f(h), f2 = f(-h), f3 = f(2 * h), f4 = f(-2 * h);
    for (std::size_t i = 0; i < x.size(); ++i) {
        double const a = angles[i / d], slope = (8 * (f1[i] - f2[i]) - (f3[i] - f4[i])) / (12 * h);  // sin(a) cos(a) df/da
        CAPTURE(levels[i / d]);
        CHECK(std::fabs(p.g(i) - slope / std::sin(a)) < 2e-8 / std::fmin(1, std::sin(a)));
    }
}

template <class Objective, class Model> void check_tangent(Objective const& objective, Model& model, double sd) {
    check_tangent(objective, model, sd,
                  [sd](std::size_t, double a, double clean, double z, double) { return std::cos(a) * sd * z - std::sin(a) * clean; });
}

}  // namespace

TEST_CASE("continuous_consistency: the tangent is the derivative of the model's f along the path of a pair, on any process and target") {
    auto net = small_network();
    consistency_model circle{net, trigonometric_flow{.sigma_data = 0.5}};
    consistency_model circle_of_2{net, trigonometric_flow{.sigma_data = 2}};
    consistency_model karras{net, edm{}, edm_preconditioned{.sigma_data = 0.7}};
    consistency_model song{net, edm{}};  // consistency_preconditioned, sigma_min = 0.002
    consistency_model straight{net, rectified_flow{}};
    consistency_model preserving{net, variance_preserving{}, v_prediction{}};
    consistency_model shifted{net, variance_preserving{}, consistency_preconditioned{.sigma_data = 0.5, .sigma_min = 0.02}};
    continuous_consistency const objective(along_data{}, at_once, plain_tangent{});
    auto const with = [](double sd) { return continuous_consistency(along_data{}, {.warmup = 0, .sigma_data = sd}, plain_tangent{}); };
    check_tangent(objective, circle, 0.5);
    check_tangent(objective, circle_of_2, 2);
    check_tangent(objective, karras, 0.7);
    check_tangent(with(1.1), karras, 1.1);  // other units than the network's own
    check_tangent(objective, song, 0.5);
    check_tangent(with(0.5), straight, 0.5);
    check_tangent(with(1), preserving, 1);
    check_tangent(objective, shifted, 0.5);
}

TEST_CASE("continuous_consistency: the tangent along a teacher's flow, whatever process and target the teacher has") {
    auto net = small_network(), old = small_network();
    fill_normal(old.parameters().reshaped({1, old.parameters().size()}), random_key{9}.at(draw::user), 0.3);
    consistency_model student{net, trigonometric_flow{.sigma_data = 0.5}};
    consistency_model straight{net, rectified_flow{}};
    auto const check = [&](auto const& teacher, auto& taught) {
        using teacher_type = std::remove_cvref_t<decltype(teacher)>;
        std::string const of_teacher = teacher_type::process_type::name;
        CAPTURE(of_teacher);
        auto const& process = teacher.process();
        numbers u;
        random_key const key{8, 21};
        std::size_t const n = 40, d = 2;
        numbers const clean = normal<double>(device(), {n, d}, 4).to_host(), z = normal<double>(device(), {n, d}, 5).to_host(),
                      levels = drawn_levels(key, n);
        numbers read(n * d), state(n * d), told(n);
        for (std::size_t r = 0; r < n; ++r) {
            double const t = time_of_noise_to_signal(process, levels[r]);
            network_input const ask = teacher.input_at(t);
            told[r] = ask.time;
            for (std::size_t i = r * d; i < r * d + d; ++i) {
                state[i] = process.alpha(t) * clean[i] + process.sigma(t) * z[i];
                read[i] = ask.scale * state[i];
            }
        }
        numbers const said = answer(teacher.network(), read, told);
        for (std::size_t i = 0; i < said.size(); ++i) {
            double const t = time_of_noise_to_signal(process, levels[i / d]), alpha = process.alpha(t), a = std::atan(levels[i / d] / 0.5);
            conversion const v = teacher.velocity_at(t);
            double const flow = v.x * state[i] + v.output * said[i],
                         level_slope =
                             (process.sigma_derivative(t) * alpha - process.sigma(t) * process.alpha_derivative(t)) / (alpha * alpha);
            double const of_ratio =
                (flow - state[i] * process.alpha_derivative(t) / alpha) / alpha / level_slope;  // d(x_t / alpha)/d level
            u.push_back(-std::sin(a) * state[i] / alpha + std::cos(a) * of_ratio * 0.5 / (std::cos(a) * std::cos(a)));
        }
        continuous_consistency const objective{teacher, {.warmup = 0, .sigma_data = 0.5}, plain_tangent{}};
        check_tangent(objective, taught, 0.5, [&](std::size_t i, double, double, double, double) { return u[i]; });
    };
    check(model{old, trigonometric_flow{.sigma_data = 0.5}, trig_velocity{.sigma_data = 0.5}}, student);
    check(model{old, edm{}, edm_preconditioned{.sigma_data = 0.7}}, student);
    check(model{old, rectified_flow{}, velocity{}}, straight);
    check(model{old, variance_preserving{}, v_prediction{}}, straight);
}

TEST_CASE("continuous_consistency: differences come to the same tangent as their step shrinks, by its square") {
    auto net = small_network();
    tensor<double, backend_type> const x0 = normal<double>(device(), {30, 2}, 4);
    auto const check = [&](auto& model) {
        auto const exact =
            build(continuous_consistency(along_data{}, {.warmup = 0, .sigma_data = 0.5}, plain_tangent{}), model, {x0.view()}, {8, 21});
        auto const error = [&](double step) {
            auto const p = build(continuous_consistency(by_differences{.step = step}, {.warmup = 0, .sigma_data = 0.5}, plain_tangent{}),
                                 model, {x0.view()}, {8, 21});
            CHECK(p.x == exact.x);
            CHECK(p.t == exact.t);
            CHECK(p.output == exact.output);
            double worst = 0;
            for (std::size_t i = 0; i < p.x.size(); ++i) worst = std::fmax(worst, std::fabs(p.g(i) - exact.g(i)));
            return worst;
        };
        double const coarse = error(0.04), fine = error(0.02);
        CHECK(fine < 1e-2);
        CHECK(coarse / fine > 3.7);
        CHECK(coarse / fine < 4.3);
        CHECK(error(1e-4) < 1e-6);
    };
    consistency_model circle{net, trigonometric_flow{}};
    consistency_model straight{net, rectified_flow{}};
    consistency_model song{net, edm{}};
    check(circle);
    check(straight);
    check(song);
}

}  // namespace continuous_consistency_tangent_tests
