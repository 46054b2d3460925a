/// Continuous consistency at its solution: Gaussian data N(m, s0^2), whose consistency function is known,
///
///     f = m + (s0 / S) (x_t - alpha m),    S = sqrt(alpha^2 s0^2 + sigma^2)
///
/// and with it the network of any target, here with derivatives by dual numbers. And what concerns the host alone: threads and allocations.
#include <onestep/objective/continuous_consistency.hpp>

#include <onestep/core/dual.hpp>
#include <onestep/model/consistency_model.hpp>
#include <onestep/network/mlp.hpp>
#include <onestep/objective/accumulate.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/target/v_prediction.hpp>

#include "../counting_allocator.hpp"
#include "../exact_models.hpp"

#include <doctest/doctest.h>

namespace continuous_consistency_exact_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

using std::sqrt;

/// What a network knows at the time that it is told, in any scalar.
template <class S> struct known { S alpha, sigma, scale, of_x0, of_noise; };

double const sd = 0.5;

struct on_trigonometric_flow {
    template <class S> known<S> operator()(S told) const {
        S const c = cos(told), s = sin(told);
        return {c, sd * s, S(1 / sd), -s / sd, c};
    }
};
struct on_edm {
    template <class S> known<S> operator()(S told) const {
        S const level = exp(4 * told), h = sqrt(level * level + sd * sd);
        return {S(1), level, 1 / h, level / (sd * h), -sd / h};
    }
};
struct on_rectified_flow {
    template <class S> known<S> operator()(S told) const { return {1 - told, told, S(1), S(-1), S(1)}; }
};
struct on_variance_preserving {  // beta from 0.1 to 20, v_prediction
    template <class S> known<S> operator()(S told) const {
        S const log_alpha = -0.25 * 19.9 * told * told - 0.05 * told, alpha = exp(log_alpha), sigma = sqrt(-expm1(2 * log_alpha));
        return {alpha, sigma, S(1), -sigma, alpha};
    }
};

double const least = 0.05;
struct on_song {  // consistency_preconditioned, f = x at the level `least`
    template <class S> known<S> operator()(S told) const {
        S const level = exp(4 * told), h = sqrt(level * level + sd * sd), skip = sd * sd / ((level - least) * (level - least) + sd * sd),
                out = sd * (level - least) / h;
        return {S(1), level, 1 / h, (1 - skip) / out, -skip * level / out};
    }
};

/// The exact network: F = p f + q (x_t - alpha f) / sigma. `from` is the level at which f starts to be x_t / alpha itself.
template <class Known> struct exact_network {
    double mean = 0.3, deviation = 0.8, from = 0;

    template <class S> S at(S read, S told) const {
        known<S> const k = Known{}(told);
        S const x = read / k.scale, spread = sqrt(k.alpha * k.alpha * deviation * deviation + k.sigma * k.sigma);
        S const f = mean + std::hypot(deviation, from) / spread * (x - k.alpha * mean);
        return k.of_x0 * f + k.of_noise * (x - k.alpha * f) / k.sigma;
    }
    void operator()(view<double const, cpu> x, view<double const, cpu> t, view<double, cpu> y) const {
        for (index_t i = 0; i < x.size(); ++i) y.data()[i] = at(x.data()[i], t.data()[i / x.cols()]);
    }
    void jvp(view<double const, cpu> x, view<double const, cpu> vx, view<double const, cpu> t, view<double const, cpu> vt,
             view<double, cpu> y, view<double, cpu> vy) const {
        for (index_t i = 0; i < x.size(); ++i) {
            index_t const r = i / x.cols();
            dual const f = at(dual{x.data()[i], vx.data()[i]}, dual{t.data()[r], vt.data()[r]});
            y.data()[i] = f.value;
            vy.data()[i] = f.derivative;
        }
    }
    void forward(view<double const, cpu> x, view<double const, cpu> t, view<double, cpu> y) const { (*this)(x, t, y); }
};

/// g of every element that is not still, as if x0 ~ N(0.3, 0.8^2), beside the network's input.
struct tangents {
    std::vector<double> g, x;
    double largest() const {
        double most = 0;
        for (double value : g) most = std::fmax(most, std::fabs(value));
        return most;
    }
};
template <class Objective, class Student>
[[gnu::noinline]] tangents tangents_of(Objective const& objective, Student& student, index_t n = 500) {
    static cpu device(1);
    tensor<double, cpu> x0 = normal<double>(device, {n, 3}, 4);
    for (index_t i = 0; i < x0.size(); ++i) x0.data()[i] = 0.3 + 0.8 * x0.data()[i];
    auto const memory = device.scratch();
    auto const p = objective.build(student, batch<double, cpu>{x0.view()}, {8, 21}, *memory);
    tangents out;
    for (index_t i = 0; i < x0.size(); ++i) {
        auto const& row = p.rows[i / 3];
        if (row.weight == 0) continue;
        out.x.push_back(p.call.x.data()[i]);
        out.g.push_back(p.target[i] - (row.a * p.call.x.data()[i] + row.b * p.output[i]));
    }
    return out;
}

continuous_consistency_options const numbers{.warmup = 0, .sigma_data = sd};

/// sCD: nothing is left of g at any sample. sCT: nothing of its mean at any x.
template <class Student> void check_solution(Student const& exact, Student const& mistaken) {
    using process_type = typename Student::process_type;
    std::string const process = process_type::name;
    CAPTURE(process);
    model const straight{gaussian_data<velocity>{0.3, 0.8}, rectified_flow{}, velocity{}};
    edm const wide{.sigma_max = 1e6};
    model const karras{gaussian_data<edm_preconditioned, edm>{0.3, 0.8, {sd}, wide}, wide, edm_preconditioned{sd}};
    auto student = exact, other = mistaken;
    for (log_normal const& levels : {log_normal{-1, 1.4}, log_normal{1, 2}}) {
        CHECK(tangents_of(continuous_consistency(from_teacher<decltype(straight)>(straight), numbers, plain_tangent{}, levels), student)
                  .largest() < 1e-9);
        CHECK(tangents_of(continuous_consistency(from_teacher<decltype(karras)>(karras), numbers, plain_tangent{}, levels), student)
                  .largest() < 1e-9);
    }
    CHECK(tangents_of(continuous_consistency{straight, numbers, plain_tangent{}}, other).largest() > 1e-3);

    // E[g h(x)] = 0 for any h, within four deviations of the sample's mean.
    auto const off = [](tangents const& t, auto const& h) {
        double sum = 0, square = 0, n = static_cast<double>(t.g.size());
        for (std::size_t i = 0; i < t.g.size(); ++i) {
            double const term = t.g[i] * h(t.x[i]);
            sum += term;
            square += term * term;
        }
        return std::fabs(sum) / std::sqrt(square - sum * sum / n);  // in deviations
    };
    auto const one = [](double) { return 1.0; };
    auto const side = [](double x) { return x; };
    auto const wave = [](double x) { return std::sin(3 * x); };
    continuous_consistency const objective(along_data{}, numbers, plain_tangent{});
    tangents const right = tangents_of(objective, student, 20000), wrong = tangents_of(objective, other, 20000);
    CHECK(right.largest() > 0.1);  // the pairs of one batch do not follow the flow
    CHECK(off(right, one) < 4);
    CHECK(off(right, side) < 4);
    CHECK(off(right, wave) < 4);
    CHECK(std::fmax(off(wrong, one), off(wrong, side)) > 8);
}

}  // namespace

TEST_CASE("continuous_consistency: the exact network is its solution, on trigonometric flow, EDM, straight and variance-preserving paths") {
    auto const check = [](auto known, auto const& process, auto const& target, double from = 0) {
        using network = exact_network<decltype(known)>;
        check_solution(consistency_model{network{.from = from}, process, target},
                       consistency_model{network{.mean = 0.45, .deviation = 0.9}, process, target});
    };
    check(on_trigonometric_flow{}, trigonometric_flow{.sigma_data = sd}, trig_velocity{.sigma_data = sd});
    check(on_edm{}, edm{}, edm_preconditioned{.sigma_data = sd});
    check(on_song{}, edm{}, consistency_preconditioned{.sigma_data = sd, .sigma_min = least}, least);
    check(on_rectified_flow{}, rectified_flow{}, velocity{});
    check(on_variance_preserving{}, variance_preserving{}, v_prediction{});
}

TEST_CASE("continuous_consistency: the derivative makes the difference, the exact network does not match the velocity") {
    consistency_model student{exact_network<on_trigonometric_flow>{}, trigonometric_flow{.sigma_data = sd}};
    model const teacher{gaussian_data<velocity>{0.3, 0.8}, rectified_flow{}, velocity{}};
    CHECK(tangents_of(continuous_consistency{teacher, {.warmup = 42}, plain_tangent{}}, student).largest() > 0.05);  // r = 1/2
}

namespace {

/// Data of sigma_data's own deviation and no mean: nothing moves, f = x and F = -tan(a / 2) x / sd.
struct still_network {
    void operator()(view<double const, cpu> x, view<double const, cpu> t, view<double, cpu> y) const {
        for (index_t i = 0; i < x.size(); ++i) y.data()[i] = -std::tan(t.data()[i / x.cols()] / 2) * x.data()[i];
    }
    void jvp(view<double const, cpu> x, view<double const, cpu> vx, view<double const, cpu> t, view<double const, cpu> vt,
             view<double, cpu> y, view<double, cpu> vy) const {
        (*this)(x, t, y);
        for (index_t i = 0; i < x.size(); ++i) {
            double const slope = std::tan(t.data()[i / x.cols()] / 2);
            vy.data()[i] = -slope * vx.data()[i] - (1 + slope * slope) / 2 * vt.data()[i / x.cols()] * x.data()[i];
        }
    }
    void forward(view<double const, cpu> x, view<double const, cpu> t, view<double, cpu> y) const { (*this)(x, t, y); }
};
struct zero_network {
    void operator()(view<double const, cpu>, view<double const, cpu>, view<double, cpu> y) const {
        for (index_t i = 0; i < y.size(); ++i) y.data()[i] = 0;
    }
};

}  // namespace

TEST_CASE("continuous_consistency: where no velocity is left, f = x is the solution") {
    consistency_model student{still_network{}, trigonometric_flow{.sigma_data = sd}};
    model const teacher{zero_network{}, trigonometric_flow{.sigma_data = sd}, trig_velocity{.sigma_data = sd}};
    CHECK(tangents_of(continuous_consistency{teacher, numbers, plain_tangent{}}, student).largest() < 1e-13);
    for (double angle : {0.1, 0.7, 1.5}) {
        auto const map = student.map_at(angle);
        CHECK(map.x - map.output * std::tan(angle / 2) / sd == doctest::Approx(1).epsilon(1e-14));
    }
}

TEST_CASE("continuous_consistency: the same bits for any number of threads") {
    std::vector<float> gradients;
    loss_value loss;
    for (int threads : {1, 2}) {
        cpu host(threads);
        mlp<float, cpu> net(host, {.data = {60}, .width = 96, .blocks = 2});
        fill_normal(net.parameters().reshaped({1, net.parameters().size()}), random_key{3}.at(draw::user), 0.1);
        consistency_model circle{net, trigonometric_flow{}};
        tensor<float, cpu> const x0 = normal<float>(host, {200, 60}, 4);
        loss_value const now = accumulate(continuous_consistency(along_data{}, {.warmup = 0}), circle, x0.view(), {1, 2});
        if (threads > 1) {
            CHECK(to_host(net.gradients()) == gradients);
            CHECK(now.weighted == loss.weighted);
            CHECK(now.plain == loss.plain);
        }
        gradients = to_host(net.gradients());
        loss = now;
    }
}

TEST_CASE("continuous_consistency: a warm step allocates nothing") {
    if (!counts_allocations) return;
    cpu host(2);
    mlp<float, cpu> net(host, {.data = {60}, .width = 96, .blocks = 2, .classes = 3}),
        old(host, {.data = {60}, .width = 32, .blocks = 1, .classes = 3});
    consistency_model straight{net, rectified_flow{}};
    model teacher{old, edm{}, edm_preconditioned{}};
    tensor<float, cpu> const x0 = normal<float>(host, {200, 60}, 4), noise = normal<float>(host, {200, 60}, 5);
    auto const labels = class_labels(host, std::vector<std::int32_t>(200, 1), 3);
    learned_weight<float, cpu> weight(host);
    auto const warm = [&](auto const& objective, batch<float, cpu> const& data) {
        accumulate_with<decltype(straight), float, cpu> with{straight};
        if (learns_weight<std::remove_cvref_t<decltype(objective)>>()) with.weight = &weight;
        for (std::uint64_t k = 0; k < 3; ++k) accumulate(objective, straight, data, {1, k}, with);
        std::size_t const before = allocations();
        accumulate(objective, straight, data, {1, 9}, with);
        return allocations() - before;
    };
    CHECK(warm(continuous_consistency(along_data{}, {.sigma_data = 0.5}), {x0.view()}) == 0);
    CHECK(warm(continuous_consistency{teacher, {.sigma_data = 0.5, .guidance = 2}}, {x0.view(), noise.view(), labels.view()}) == 0);
    CHECK(warm(learned_weighting{continuous_consistency(along_data{}, {.sigma_data = 0.5}, norm_tangent{})}, {x0.view()}) == 0);
    CHECK(warm(continuous_consistency(by_differences{}, {.sigma_data = 0.5}, clamped_tangent{}), {x0.view()}) == 0);
}

}  // namespace continuous_consistency_exact_tests
