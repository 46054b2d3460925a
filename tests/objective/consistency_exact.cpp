/// Discrete consistency at its solution: Gaussian data N(m, s0^2), whose consistency function is known. With l the noise level at which
/// f is x / alpha itself (0: the data),
///
///     f = m + sqrt(s0^2 + l^2) / S (x_t - alpha m),    S = sqrt(alpha^2 s0^2 + sigma^2)
#include <onestep/model/consistency_model.hpp>
#include <onestep/network/mlp.hpp>
#include <onestep/objective/accumulate.hpp>
#include <onestep/objective/consistency_distillation.hpp>
#include <onestep/objective/consistency_training.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/target/edm_preconditioned.hpp>

#include "../exact_models.hpp"

#include <doctest/doctest.h>

namespace consistency_exact_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

using numbers = std::vector<double>;
double const data_mean = 0.3, data_deviation = 0.8;

cpu& host() {
    static cpu device(1);
    return device;
}

/// The network of f for rectified flow, f = x - t F, and for EDM with consistency_preconditioned.
struct exact_answer {
    double deviation = data_deviation;

    double f(double x, marginal const& m, double level) const {
        double const spread = std::hypot(m.alpha * deviation, m.sigma);
        return data_mean + std::hypot(deviation, level) / spread * (x - m.alpha * data_mean);
    }
};
struct exact_flow : exact_answer {
    void operator()(view<double const, cpu> x, view<double const, cpu> t, view<double, cpu> y) const {
        for (index_t i = 0; i < x.size(); ++i) {
            double const at = t.data()[i / x.cols()];
            y.data()[i] = (x.data()[i] - f(x.data()[i], {at, 1 - at, at, -1, 1}, 0)) / at;
        }
    }
};
struct exact_edm : exact_answer {
    void operator()(view<double const, cpu> x, view<double const, cpu> t, view<double, cpu> y) const {
        double const sd = 0.5, sm = 0.002;
        for (index_t i = 0; i < x.size(); ++i) {
            double const se = std::exp(4 * t.data()[i / x.cols()]), total = std::sqrt(se * se + sd * sd), state = x.data()[i] * total;
            double const skip = sd * sd / ((se - sm) * (se - sm) + sd * sd), out = sd * (se - sm) / total;
            y.data()[i] = (f(state, {se, 1, se, 0, 1}, sm) - skip * state) / out;
        }
    }
};

/// Every row at the same pair.
struct one_pair {
    static constexpr char const* name = "one_pair";
    double t = 1, s = 0;
    time_pair sample(process auto const&, random_stream, index_t, index_t) const { return {t, s}; }
    void fields(auto&&) const {}
};

/// f - target of every element.
template <class Objective, class Student>
[[gnu::noinline]] numbers residuals(Objective const& objective, Student& student, numbers const& x0, numbers const& noise) {
    index_t const n = static_cast<index_t>(x0.size());
    tensor<double, cpu> const clean(host(), {n, 1}, x0), z(host(), {n, 1}, noise);
    auto const memory = host().scratch();
    auto const p = objective.build(student, student, batch<double, cpu>{clean.view(), z.view()}, {}, *memory);
    tensor<double, cpu> f(host(), {n, 1});
    student.network()(p.call.x, p.call.t, f.view());
    numbers out;
    for (index_t i = 0; i < n; ++i) out.push_back(p.rows[i].a * p.call.x.data()[i] + p.rows[i].b * f.data()[i] - p.target[i]);
    return out;
}
double largest(numbers const& values) {
    double most = 0;
    for (double value : values) most = std::fmax(most, std::fabs(value));
    return most;
}

/// Pairs of sample and noise of which two in a row have the same x_t and, in the mean, what the law of Gaussian data given x_t has. What
/// is linear in them has its conditional mean as their mean.
struct conditional_pairs {
    numbers x0, noise;
    template <class Process> conditional_pairs(Process const& p, double t) {
        double const alpha = p.alpha(t), sigma = p.sigma(t), spread = std::hypot(alpha * data_deviation, sigma);
        for (double z : {-2.0, -0.7, 0.4, 1.5}) {
            double const x = alpha * data_mean + spread * z;
            double const mean = data_mean + alpha * data_deviation * data_deviation * z / spread, around = data_deviation * sigma / spread;
            for (double side : {-1.0, 1.0}) {
                x0.push_back(mean + side * around);
                noise.push_back((x - alpha * x0.back()) / sigma);
            }
        }
    }
};
numbers means_of_two(numbers const& values) {
    numbers out;
    for (std::size_t i = 0; i < values.size(); i += 2) out.push_back((values[i] + values[i + 1]) / 2);
    return out;
}

/// The order in the gap of what `measure` makes of residuals, for pairs from t down by gaps that halve.
template <class Make, class Student, class Measure>
double order_in_gap(Make const& objective_for, Student& student, double t, double gap, Measure const& measure) {
    conditional_pairs const data(student.process(), t);
    std::vector<int> parts;
    numbers errors;
    for (int k = 1; k <= 16; k *= 2) {
        parts.push_back(k);
        errors.push_back(largest(measure(residuals(objective_for(one_pair{t, t - gap / k}), student, data.x0, data.noise))));
    }
    return fitted_order(parts, errors);
}
auto const as_they_are = [](numbers const& values) { return values; };

template <class Teacher, class Student>
void check_distillation(Teacher const& teacher, Student exact, Student mistaken, double t, double gap) {
    std::string const process = Student::process_type::name;
    CAPTURE(process);
    auto const order = [&](auto const& solver, Student& student) {
        return order_in_gap([&](one_pair pair) { return consistency_distillation(teacher, solver, squared{}, pair); }, student, t, gap,
                            as_they_are);
    };
    CHECK(order(euler{}, exact) == doctest::Approx(2).epsilon(0.1));
    CHECK(order(ddim{}, exact) == doctest::Approx(2).epsilon(0.1));
    CHECK(order(heun{}, exact) == doctest::Approx(3).epsilon(0.07));
    CHECK(order(dpm_solver_2s{}, exact) == doctest::Approx(3).epsilon(0.07));
    CHECK(order(heun{}, mistaken) == doctest::Approx(1).epsilon(0.2));
}

}  // namespace

TEST_CASE("consistency_distillation: with an exact teacher the exact student's residual is the error of one step") {
    model const flow{gaussian_data<velocity>{data_mean, data_deviation}, rectified_flow{}, velocity{}};
    check_distillation(flow, consistency_model{exact_flow{}, rectified_flow{}}, consistency_model{exact_flow{{1.1}}, rectified_flow{}}, 0.7,
                       0.2);
    edm_preconditioned const target{.sigma_data = 0.5};
    model const karras{gaussian_data<edm_preconditioned, edm>{data_mean, data_deviation, target, {}}, edm{}, target};
    check_distillation(karras, consistency_model{exact_edm{}, edm{}}, consistency_model{exact_edm{{1.1}}, edm{}}, 1.5, 0.4);
}

TEST_CASE("consistency_distillation: a step that is exact leaves no residual at all") {
    // With deviation 0 all paths end in one point: x0 is known, and a step of first order in sigma / alpha is exact.
    model const point{gaussian_data<x0>{data_mean, 0}, rectified_flow{}, x0{}};
    consistency_model student{exact_flow{{0}}, rectified_flow{}};
    numbers const x0(4, data_mean), noise{-1.5, -0.2, 0.4, 2};
    for (double s : {0.0, 0.1, 0.6}) {
        consistency_distillation const objective(point, ddim{}, squared{}, one_pair{0.8, s});
        CHECK(largest(residuals(objective, student, x0, noise)) < 1e-14);
    }
}

TEST_CASE("consistency_training: the exact student's mean residual is of second order in the gap, a mistaken one's of first") {
    auto const check = [](auto exact, auto mistaken, double t, double gap) {
        auto const make = [](one_pair pair) { return consistency_training(squared{}, pair, inverse_gap{}, no_average{}); };
        // Weighted by 1 / gap, as improved consistency training is, the gradient vanishes with the gap, in first order.
        CHECK(order_in_gap(make, exact, t, gap, means_of_two) == doctest::Approx(2).epsilon(0.1));
        CHECK(order_in_gap(make, mistaken, t, gap, means_of_two) == doctest::Approx(1).epsilon(0.15));
        CHECK(order_in_gap(make, exact, t, gap, as_they_are) == doctest::Approx(1).epsilon(0.15));  // no single pair follows the flow
    };
    check(consistency_model{exact_flow{}, rectified_flow{}}, consistency_model{exact_flow{{1.1}}, rectified_flow{}}, 0.7, 0.1);
    check(consistency_model{exact_edm{}, edm{}}, consistency_model{exact_edm{{1.1}}, edm{}}, 1.5, 0.2);
}

TEST_CASE("consistency_training: at the boundary its target is the posterior mean in the mean, as a denoiser's") {
    rectified_flow const p;
    consistency_model student{exact_flow{}, p};
    conditional_pairs const data(p, 0.6);
    consistency_training const objective(squared{}, one_pair{0.6, 0}, unit_weight{}, no_average{});
    numbers const rest = means_of_two(residuals(objective, student, data.x0, data.noise));
    double const spread = std::hypot(0.4 * data_deviation, 0.6);
    double const z[] = {-2, -0.7, 0.4, 1.5};
    for (std::size_t i = 0; i < 4; ++i) {
        double const f = data_mean + data_deviation * z[i], mean = data_mean + 0.4 * data_deviation * data_deviation * z[i] / spread;
        CHECK(rest[i] == doctest::Approx(f - mean).epsilon(1e-12));
    }
}

TEST_CASE("consistency objectives: gradients have the same bits with one thread and with two") {
    auto const gradients = [](int threads, bool distils) {
        cpu device(threads);
        mlp<float, cpu> net(device, {.data = {3}, .width = 40, .blocks = 2}), teacher_net(device, {.data = {3}, .width = 40, .blocks = 1});
        for (auto* one : {&net, &teacher_net})
            fill_normal(one->parameters().reshaped({1, one->parameters().size()}), random_key{3}.at(draw::user), 0.2);
        consistency_model student{net, edm{}};
        model const teacher{teacher_net, edm{}, edm_preconditioned{.sigma_data = 0.5}};
        tensor<float, cpu> const x0 = normal<float>(device, {700, 3}, 4);
        if (distils) accumulate(consistency_distillation{teacher}, student, x0.view(), {5, 6});
        else accumulate(improved_consistency_training({.elements = 3}), student, x0.view(), {5, 6});
        return to_host(net.gradients());
    };
    for (bool distils : {false, true}) {
        auto const one = gradients(1, distils), two = gradients(2, distils);
        float most = 0;
        for (float g : one) most = std::fmax(most, std::fabs(g));
        CHECK(most > 1e-3);
        CHECK(one == two);
    }
}

}  // namespace consistency_exact_tests
