#include <doctest/doctest.h>
#include <onestep/backend/cpu.hpp>
#include <onestep/model/model.hpp>
#include <onestep/network/guided.hpp>
#include <onestep/network/mlp.hpp>
#include <onestep/process/discrete.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/sampler/ddim.hpp>
#include <onestep/sampler/euler.hpp>
#include <onestep/sampler/heun.hpp>
#include <onestep/sampler/limits.hpp>
#include <onestep/sampler/sample.hpp>
#include <onestep/target/edm_preconditioned.hpp>
#include <onestep/target/epsilon.hpp>
#include <onestep/target/score.hpp>
#include <onestep/target/v_prediction.hpp>
#include <onestep/time/karras_grid.hpp>
#include <onestep/time/trailing_grid.hpp>

#include <limits>
#include <thread>

#include "counting_allocator.hpp"
#include "network/values.hpp"
#include "test_backend.hpp"

namespace onestep::guided_tests {
namespace {

using test::backend_type;
using test::device;

template <class T> mlp<T, backend_type> lively_mlp(int classes, std::uint64_t seed) {
    mlp<T, backend_type> net(device(), {.data = {4}, .width = 12, .blocks = 1, .classes = classes});
    auto const parameters = test::normals<T>(net.parameters().size(), seed, 0.3);
    device().upload(parameters.data(), net.parameters().size(), net.parameters().data());
    return net;
}

template <class T> struct batch_of_five {
    tensor<T, backend_type> x{device(), {5, 4}, test::normals<T>(20, 1)};
    tensor<T, backend_type> t{device(), {5}, {T(0.1), T(0.2), T(0.3), T(0.4), T(0.5)}};
    tensor<T, backend_type> y{device(), {5, 4}, std::vector<T>(20, T(7))};
    tensor<std::int32_t, backend_type> labels = class_labels(device(), {2, 0, 1, 1, 2}, 3);
    tensor<std::int32_t, backend_type> negative = class_labels(device(), {0, 1, 2, 0, 0}, 3);

    template <class Network> std::vector<T> of(Network& net) {
        net(x, t, y.view());
        return y.to_host();
    }
    std::vector<T> labelled(mlp<T, backend_type>& net, tensor<std::int32_t, backend_type> const& l) {
        net(x, t, l, y.view());
        return y.to_host();
    }
};

double deviation(double const* row, std::size_t n) {
    double mean = 0, square = 0;
    for (std::size_t i = 0; i < n; ++i) mean += row[i] / static_cast<double>(n);
    for (std::size_t i = 0; i < n; ++i) square += (row[i] - mean) * (row[i] - mean);
    return std::sqrt(square / static_cast<double>(n));
}

/// u + s (c - u) by a plain loop, rescaled by phi.
std::vector<double> by_hand(std::vector<double> const& c, std::vector<double> const& u, double s, double phi, std::size_t d) {
    std::vector<double> f(c.size());
    for (std::size_t i = 0; i < c.size(); ++i) f[i] = (1 - s) * u[i] + s * c[i];
    for (std::size_t r = 0; phi != 0 && r < c.size() / d; ++r) {
        double const ratio = deviation(&c[r * d], d) / deviation(&f[r * d], d);
        for (std::size_t i = r * d; i < (r + 1) * d; ++i) f[i] = phi * f[i] * ratio + (1 - phi) * f[i];
    }
    return f;
}

TEST_CASE("guided: is u + s (c - u), where u is given no label, negative labels or a weaker network") {
    auto net = lively_mlp<double>(3, 5), weaker = lively_mlp<double>(3, 6);
    batch_of_five<double> b;
    auto const c = b.labelled(net, b.labels), none = b.of(net), other = b.labelled(net, b.negative), weak = b.labelled(weaker, b.labels);
    CHECK(test::relative_difference(c, none) > 0.01);
    CHECK(test::relative_difference(other, none) > 0.01);
    for (double s : {0.0, 0.5, 1.0, 3.0, 7.5, -1.0})
        for (double phi : {0.0, 0.7, 1.0}) {
            CAPTURE(s);
            CAPTURE(phi);
            guidance const numbers{.scale = s, .rescale = phi};
            guided free{conditioned{net, b.labels}, net, numbers};
            guided against{conditioned{net, b.labels}, conditioned{net, b.negative}, numbers};
            guided stronger{conditioned{net, b.labels}, conditioned{weaker, b.labels}, numbers};
            CHECK(test::relative_difference(b.of(free), by_hand(c, none, s, phi, 4)) < 1e-13);
            CHECK(test::relative_difference(b.of(against), by_hand(c, other, s, phi, 4)) < 1e-13);
            CHECK(test::relative_difference(b.of(stronger), by_hand(c, weak, s, phi, 4)) < 1e-13);
        }
    guided conditional{conditioned{net, b.labels}, net, guidance{.scale = 1}};
    CHECK(b.of(conditional) == c);
    guided unconditional{conditioned{net, b.labels}, net, guidance{.scale = 0}};
    CHECK(b.of(unconditional) == none);
}

TEST_CASE("guided: rescaling gives each sample the deviation of its conditional output") {
    auto net = lively_mlp<float>(3, 5);
    batch_of_five<float> b;
    guided plain{conditioned{net, b.labels}, net, guidance{.scale = 5}};
    guided rescaled{conditioned{net, b.labels}, net, guidance{.scale = 5, .rescale = 1}};
    auto const c = b.labelled(net, b.labels), f = b.of(plain), g = b.of(rescaled);
    std::vector<double> const cd(c.begin(), c.end()), fd(f.begin(), f.end()), gd(g.begin(), g.end());
    for (std::size_t r = 0; r < 20; r += 4) {
        CHECK(deviation(&gd[r], 4) == doctest::Approx(deviation(&cd[r], 4)).epsilon(1e-6));
        CHECK(std::fabs(deviation(&fd[r], 4) / deviation(&cd[r], 4) - 1) > 0.01);
        for (std::size_t i = 1; i < 4; ++i) CHECK(gd[r + i] * fd[r] == doctest::Approx(gd[r] * fd[r + i]).epsilon(1e-5));
    }
}

TEST_CASE("guided: acts in rows whose time lies in the interval, both ends included") {
    auto net = lively_mlp<float>(3, 5);
    batch_of_five<float> b;
    auto const c = b.labelled(net, b.labels);
    for (double phi : {0.0, 0.7}) {
        CAPTURE(phi);
        guided everywhere{conditioned{net, b.labels}, net, guidance{.scale = 3, .rescale = phi}};
        guided within{conditioned{net, b.labels}, net, guidance{.scale = 3, .from = 0.2, .to = 0.4, .rescale = phi}};
        auto const all = b.of(everywhere), some = b.of(within);
        for (std::size_t i = 0; i < 20; ++i) {
            CAPTURE(i);
            bool const acts = i / 4 >= 1 && i / 4 <= 3;
            CHECK(some[i] == (acts ? all[i] : c[i]));
            CHECK(all[i] != c[i]);
        }
        // the same when the host knows the time, at times where single precision rounds
        for (double time : {0.1, 0.2, 0.3, 0.4, 0.5}) {
            CAPTURE(time);
            tensor<float, backend_type> const t(device(), {5}, std::vector<float>(5, static_cast<float>(time)));
            tensor<float, backend_type> by_row(device(), {5, 4}), by_host(device(), {5, 4});
            within(b.x, t, by_row.view());
            within.evaluate(b.x, t, time, by_host.view());
            CHECK(by_row.to_host() == by_host.to_host());
        }
    }
}

TEST_CASE("guided: rows do not depend on their batch, and go with their labels") {
    auto net = lively_mlp<float>(3, 5);
    index_t const n = 80;
    std::vector<std::int32_t> some(static_cast<std::size_t>(n));
    for (std::size_t i = 0; i < some.size(); ++i) some[i] = static_cast<std::int32_t>(i * i % 3);
    auto const labels = class_labels(device(), some, 3);
    auto const x = tensor<float, backend_type>(device(), {n, 4}, test::normals<float>(4 * n, 2));
    tensor<float, backend_type> const t(device(), {n}, std::vector<float>(80, 0.3f));
    for (double phi : {0.0, 0.7}) {
        guided const whole{conditioned{net, labels}, net, guidance{.scale = 2.5, .from = 0.1, .rescale = phi}};
        tensor<float, backend_type> y(device(), {n, 4});
        whole(x, t, y.view());
        auto const expected = y.to_host();
        for (index_t count : {1, 7, 64})
            for (index_t first : {0, 3, 16}) {
                auto const part = whole.rows(first, count);
                tensor<float, backend_type> z(device(), {count, 4});
                part(x.view().rows(first, count), t.view().rows(first, count), z.view());
                std::vector<float> const rows(expected.begin() + 4 * first, expected.begin() + 4 * (first + count));
                // products are the same bits on a card only for the same extents
                CHECK(test::relative_difference(z.to_host(), rows) < (std::same_as<backend_type, cpu> ? 1e-30 : 1e-5));
            }
    }
}

/// Answers c whatever it is asked; counts. On host memory.
struct constant_answer {
    std::vector<float> values;
    int* calls = nullptr;
    template <class T> void operator()(view<T const, cpu> x, view<T const, cpu>, view<T, cpu> y) const {
        if (calls) ++*calls;
        for (index_t i = 0; i < x.size(); ++i) y.data()[i] = static_cast<T>(values[static_cast<std::size_t>(i)]);
    }
};

TEST_CASE("guided: the deviation keeps its digits beside a large mean, and constant samples stay as they are") {
    cpu host(1);
    std::vector<float> c, u;
    for (int i = 0; i < 1000; ++i) {
        c.push_back(4096.0f + 0.25f * static_cast<float>(i % 7));
        u.push_back(4096.0f + 0.125f * static_cast<float>(i % 5));
    }
    tensor<float, cpu> const x(host, {1, 1000}), t(host, {1}, {0.5f});
    tensor<float, cpu> y(host, {1, 1000});
    guided big{constant_answer{c}, constant_answer{u}, guidance{.scale = 2, .rescale = 1}};
    big(x, t, y.view());
    std::vector<double> f(1000), cd(c.begin(), c.end());
    for (std::size_t i = 0; i < 1000; ++i) f[i] = 2.0 * c[i] - u[i];
    double const ratio = deviation(cd.data(), 1000) / deviation(f.data(), 1000);
    CHECK(std::fabs(ratio - 1) > 0.1);
    for (std::size_t i = 0; i < 1000; ++i) CHECK(static_cast<double>(y.data()[i]) == doctest::Approx(f[i] * ratio).epsilon(2e-7));

    // one element a row, and rows whose guided output is constant
    tensor<float, cpu> const x1(host, {2, 1}), t1(host, {2}, {0.5f, 0.5f});
    tensor<float, cpu> y1(host, {2, 1});
    guided single{constant_answer{{1, 2}}, constant_answer{{0, 4}}, guidance{.scale = 3, .rescale = 0.7}};
    single(x1, t1, y1.view());
    CHECK(y1.to_host() == std::vector<float>{3, -2});
    tensor<float, cpu> const x2(host, {1, 2}), t2(host, {1}, {0.5f});
    tensor<float, cpu> y2(host, {1, 2});
    guided flat{constant_answer{{1, 2}}, constant_answer{{0, 2}}, guidance{.scale = 2, .rescale = 0.7}};
    flat(x2, t2, y2.view());
    CHECK(y2.to_host() == std::vector<float>{2, 2});
}

TEST_CASE("guided: NaN is not hidden and stays in its row") {
    cpu host(1);
    float const nan = std::numeric_limits<float>::quiet_NaN();
    tensor<float, cpu> const x(host, {2, 2}), t(host, {2}, {0.5f, 0.5f});
    tensor<float, cpu> y(host, {2, 2});
    for (double phi : {0.0, 0.7}) {
        guided broken{constant_answer{{1, 2, nan, 4}}, constant_answer{{0, 0, 1, 1}}, guidance{.scale = 1.5, .rescale = phi}};
        broken(x, t, y.view());
        CHECK(std::isnan(y.data()[2]));
        CHECK(std::isfinite(y.data()[0]));
        CHECK(std::isfinite(y.data()[1]));
    }
}

/// The exact answer for classes of round Gaussians N(mean, deviation^2), and for N(0, 1) without a label, told as any target on any
/// process. `clock` gives back the process's time. Counts both kinds of calls.
template <class Target, class Process> struct labelled_gaussians {
    Process process;
    Target target;
    double (*clock)(double) = [](double told) { return told; };
    int *conditional = nullptr, *unconditional = nullptr;

    template <class T> void answer(view<T const, cpu> x, view<T const, cpu> t, std::int32_t const* labels, view<T, cpu> y) const {
        for (index_t r = 0; r < x.rows(); ++r) {
            marginal const m = marginal_at(process, clock(static_cast<double>(t.data()[r])));
            target_weights const w = target.weights(m);
            double const mean = labels ? labels[r] : 0, deviation = labels ? 0.5 : 1, scale = input_scale_of(target, m);
            for (index_t c = 0; c < x.cols(); ++c) {
                double const centred = (static_cast<double>(x.data()[r * x.cols() + c]) / scale - m.alpha * mean) /
                                       (m.alpha * m.alpha * deviation * deviation + m.sigma * m.sigma);
                y.data()[r * x.cols() + c] =
                    static_cast<T>(w.x0 * (mean + m.alpha * deviation * deviation * centred) + w.epsilon * m.sigma * centred);
            }
        }
    }
    template <class T> void operator()(view<T const, cpu> x, view<T const, cpu> t, view<std::int32_t const, cpu> l, view<T, cpu> y) const {
        if (conditional) ++*conditional;
        answer(x, t, l.data(), y);
    }
    template <class T> void operator()(view<T const, cpu> x, view<T const, cpu> t, view<T, cpu> y) const {
        if (unconditional) ++*unconditional;
        answer(x, t, static_cast<std::int32_t const*>(nullptr), y);
    }
};

TEST_CASE("model guided: guiding any target is guiding every target") {
    cpu host(1);
    auto const labels = class_labels(host, {2, 1}, 3);
    variance_preserving const process{};
    auto const z = tensor<double, cpu>(host, {2, 3}, test::normals<double>(6, 8));
    guidance const numbers{.scale = 2.5, .from = 0.2, .to = 0.8};
    auto const samples = [&](auto const& target) {
        using target_type = std::remove_cvref_t<decltype(target)>;
        auto const clock = [](double told) {
            if constexpr (tells_network_time<target_type>) return variance_preserving{}.time_of_log_snr(-8 * told);
            else return told;
        };
        labelled_gaussians<target_type, variance_preserving<>> const net{process, target, clock};
        model const flow{net, process, target};
        return sample(flow.guided(labels, numbers), ddim{.steps = 12}, z).to_host();
    };
    auto const expected = samples(x0{});
    CHECK(test::relative_difference(samples(epsilon{}), expected) < 1e-11);
    CHECK(test::relative_difference(samples(v_prediction{}), expected) < 1e-11);
    CHECK(test::relative_difference(samples(velocity{}), expected) < 1e-11);
    CHECK(test::relative_difference(samples(score{}), expected) < 1e-11);
    CHECK(test::relative_difference(samples(edm_preconditioned{}), expected) < 1e-11);
}

TEST_CASE("model guided: Euler's steps by a plain loop") {
    cpu host(1);
    auto const labels = class_labels(host, {2, 1}, 3);
    labelled_gaussians<velocity, rectified_flow> const net{};
    model const flow{net, rectified_flow{}, velocity{}};
    tensor<double, cpu> const z(host, {2, 2}, {0.3, -1.1, 0.8, 0.2});
    auto const x = sample(flow.guided(labels, {.scale = 3, .from = 0.3, .to = 0.7}), euler{.steps = 5}, z).to_host();
    auto const u = [](double at, double t, double mean, double variance) {  // velocity of N(mean, variance)
        double const total = (1 - t) * (1 - t) * variance + t * t;
        return -mean + (t - (1 - t) * variance) / total * (at - (1 - t) * mean);
    };
    for (std::size_t i = 0; i < 4; ++i) {
        double at = z.data()[i], const_mean = i < 2 ? 2 : 1;
        for (double t : {1.0, 0.8, 0.6, 0.4, 0.2}) {
            double const c = u(at, t, const_mean, 0.25), free = u(at, t, 0, 1), s = t == 0.6 || t == 0.4 ? 3 : 1;
            at -= 0.2 * (free + s * (c - free));
        }
        CHECK(x[i] == doctest::Approx(at).epsilon(1e-12));
    }
}

TEST_CASE("model guided: outside the interval the second network is not asked, on any clock") {
    cpu host(1);
    int conditional = 0, unconditional = 0;
    auto const labels = class_labels(host, {2, 1}, 3);
    tensor<double, cpu> const z(host, {2, 3}, test::normals<double>(6, 8));
    auto const check = [&](auto const& process, auto const& target, auto const& grid, auto clock, int steps, double from, double to) {
        using process_type = std::remove_cvref_t<decltype(process)>;
        using target_type = std::remove_cvref_t<decltype(target)>;
        CAPTURE(std::string(process_type::name));
        CAPTURE(from);
        CAPTURE(to);
        labelled_gaussians<target_type, process_type> const net{process, target, clock, &conditional, &unconditional};
        model const flow{net, process, target};
        conditional = unconditional = 0;
        auto const x = sample(flow.guided(labels, {.from = from, .to = to}), ddim{.steps = steps}, z, grid);
        int inside = 0;
        auto const times = times_of(grid, process, steps);
        for (int i = 0; i < steps; ++i) {
            double const t = times[static_cast<std::size_t>(i)];
            if (t >= from && t <= to) ++inside;
        }
        CHECK(conditional == steps);
        CHECK(unconditional == inside);
        for (double value : x.to_host()) CHECK(std::isfinite(value));
        return inside;
    };
    auto const same = [](double told) { return told; };
    auto const exponential = [](double told) { return std::exp(4 * told); };
    auto const next = [](double told) { return told + 1; };
    CHECK(check(rectified_flow{}, x0{}, uniform_grid{}, same, 10, 0.3, 0.7) == 5);
    CHECK(check(rectified_flow{}, x0{}, uniform_grid{}, same, 10, 0.0, 1.0) == 10);
    CHECK(check(rectified_flow{}, x0{}, uniform_grid{}, same, 10, -HUGE_VAL, 0.5) == 5);
    CHECK(check(rectified_flow{}, x0{}, uniform_grid{}, same, 10, 0.5, HUGE_VAL) == 6);
    CHECK(check(rectified_flow{}, x0{}, uniform_grid{}, same, 4, 0.55, 0.6) == 0);
    CHECK(check(edm{}, edm_preconditioned{}, karras_grid{}, exponential, 18, 0.28, 2.9) > 2);
    CHECK(check(edm{}, edm_preconditioned{}, karras_grid{}, exponential, 18, 0, 2.9) > 2);
    CHECK(check(edm{}, edm_preconditioned{}, karras_grid{}, exponential, 18, 0.28, 80) > 2);
    CHECK(check(discrete{}, epsilon{}, trailing_grid{}, next, 10, 300, 700) == 5);
    CHECK(check(discrete{}, epsilon{}, trailing_grid{}, next, 10, 301, 699) == 3);
}

/// Rectified flow whose networks count time from noise to data.
struct reversed_clock {
    rectified_flow path = {};
    double alpha(double t) const { return path.alpha(t); }
    double sigma(double t) const { return path.sigma(t); }
    double alpha_derivative(double t) const { return path.alpha_derivative(t); }
    double sigma_derivative(double t) const { return path.sigma_derivative(t); }
    double log_snr(double t) const { return path.log_snr(t); }
    double time_of_log_snr(double value) const { return path.time_of_log_snr(value); }
    double t_min() const { return 0; }
    double t_max() const { return 1; }
    double network_time(double t) const { return 1 - t; }
};

TEST_CASE("model guided: an interval on a clock that runs the other way") {
    cpu host(1);
    labelled_gaussians<velocity, rectified_flow> const net{{}, {}, [](double told) { return 1 - told; }};
    auto const labels = class_labels(host, {2}, 3);
    model const flow{net, reversed_clock{}, velocity{}};
    auto const at = [&](guidance const& numbers) {
        auto const model = flow.guided(labels, numbers);
        guidance const& found = model.network().options();
        return std::array<double, 2>{found.from, found.to};
    };
    CHECK(at({.from = 0.25, .to = 0.75}) == std::array<double, 2>{0.25, 0.75});
    CHECK(at({.from = 0.125, .to = 0.75}) == std::array<double, 2>{0.25, 0.875});
    CHECK(at({.from = 0, .to = 0.75}) == std::array<double, 2>{0.25, HUGE_VAL});
    CHECK(at({.from = 0.125}) == std::array<double, 2>{-HUGE_VAL, 0.875});
    CHECK(at({}) == std::array<double, 2>{-HUGE_VAL, HUGE_VAL});
}

TEST_CASE("model guided: limits come after guidance") {
    cpu host(1);
    auto const labels = class_labels(host, {2, 1}, 3);
    labelled_gaussians<x0, rectified_flow> const net{};
    model const flow{net, rectified_flow{}, x0{}};
    auto const model = flow.guided(labels, {.scale = 4});
    tensor<double, cpu> x(host, {2, 2}, {0.3, -1.1, 0.8, 0.2});
    auto const start = x.to_host();
    solve(limited{model, clip{-1, 1}}, ddim{}, {0.5, 0.25}, x.view());
    for (std::size_t i = 0; i < 4; ++i) {
        double const mean = i < 2 ? 2 : 1, half = start[i] - 0.5 * mean;
        double const c = mean + 0.5 * 0.25 * half / (0.25 * 0.25 + 0.25), free = 0.5 * start[i] / (0.25 + 0.25);
        double const data = std::fmin(std::fmax(free + 4 * (c - free), -1), 1), noise = (start[i] - 0.5 * data) / 0.5;
        CHECK(x.data()[i] == doctest::Approx(0.75 * data + 0.25 * noise).epsilon(1e-13));
    }
}

TEST_CASE("model guided_by: away from a weaker model") {
    cpu host(1);
    labelled_gaussians<x0, rectified_flow> const net{}, weaker{};
    auto const labels = class_labels(host, {2, 1}, 3);
    model const strong{net, rectified_flow{}, x0{}}, weak{weaker, rectified_flow{}, x0{}};
    auto const z = tensor<double, cpu>(host, {2, 3}, test::normals<double>(6, 8));
    auto const by = sample(strong.given(labels).guided_by(weak, {.scale = 2}), ddim{.steps = 5}, z).to_host();
    CHECK(by == sample(strong.guided(labels, {.scale = 2}), ddim{.steps = 5}, z).to_host());
    auto const both = sample(strong.given(labels).guided_by(weak.given(labels), {.scale = 2}), ddim{.steps = 5}, z).to_host();
    CHECK(test::relative_difference(both, sample(strong.given(labels), ddim{.steps = 5}, z).to_host()) < 1e-14);
    // guidance of a guided model: the outer one's first answer is the inner's
    auto const twice = strong.guided(labels, {.scale = 2}).guided_by(weak, {.scale = 1.5});
    CHECK(test::relative_difference(sample(twice, ddim{.steps = 5}, z).to_host(),
                                    sample(strong.guided(labels, {.scale = 3}), ddim{.steps = 5}, z).to_host()) < 1e-12);

    labelled_gaussians<x0, edm> const other{};
    model const near{other, edm{.sigma_max = 80}, x0{}}, far{other, edm{.sigma_max = 50}, x0{}};
    CHECK_THROWS_WITH_AS(near.guided_by(far, {}),
                         "domain_error: guided_by: the weaker model has another process or target, both answers must mean the same",
                         domain_error);
}

TEST_CASE("model guided: rows of a batch go with their labels") {
    cpu host(1);
    auto const labels = class_labels(host, {2, 1, 0}, 3), negative = class_labels(host, {0, 0, 1}, 3);
    labelled_gaussians<x0, rectified_flow> const net{};
    model const flow{net, rectified_flow{}, x0{}};
    auto const z = tensor<double, cpu>(host, {3, 2}, test::normals<double>(6, 8));
    auto const guided = flow.guided(labels, negative, {.scale = 2, .rescale = 0.7});
    auto const whole = sample(guided, heun{.steps = 4}, z).to_host();
    auto const part = sample(guided.rows(1, 2), heun{.steps = 4}, z.view().rows(1, 2)).to_host();
    CHECK(part == std::vector<double>(whole.begin() + 2, whole.end()));
    CHECK(to_host(guided.rows(1, 2).network().unconditional().labels()) == std::vector<std::int32_t>{0, 1});
}

TEST_CASE("model guided: a warm call allocates nothing, and one model serves many threads") {
    cpu host(1);
    mlp<float, cpu> net(host, {.data = {4}, .width = 12, .blocks = 1, .classes = 3});
    fill_normal(net.parameters().reshaped({1, net.parameters().size()}), random_key{3}.at(draw::user), 0.3);
    auto const labels = class_labels(host, {2, 1, 0, 1, 1}, 3);
    model const flow{net, rectified_flow{}, velocity{}};
    auto const guided = flow.guided(labels, {.scale = 2, .from = 0.2, .to = 0.9, .rescale = 0.7});
    auto const z = normal<float>(host, {5, 4}, 6);
    std::vector<double> const times{1, 0.8, 0.5, 0.1, 0};
    tensor<float, cpu> x = z;
    solve(guided, heun{}, times, x.view());
    auto const expected = x.to_host();
    x = z;
    solve(guided, heun{}, times, x.view());
    tensor<float, cpu> y = z;
    auto const before = test::allocations();
    solve(guided, heun{}, times, y.view());
    CHECK(test::allocations() == before);
    CHECK(y.to_host() == expected);

    std::vector<std::vector<float>> results(4);
    std::vector<std::thread> threads;
    for (auto& result : results)
        threads.emplace_back([&] {
            tensor<float, cpu> mine = z;
            solve(guided, heun{}, times, mine.view());
            result = mine.to_host();
        });
    for (auto& thread : threads) thread.join();
    for (auto const& result : results) CHECK(result == expected);
}

TEST_CASE("model guided: refuses labels that the network does not know, and numbers out of range") {
    cpu host(1);
    mlp<float, cpu> net(host, {.data = {2}, .width = 4, .blocks = 1, .classes = 3});
    model const flow{net, rectified_flow{}, velocity{}};
    tensor<std::int32_t, cpu> const wrong(host, {2}, {2, 7}), right(host, {2}, {2, 0});
    CHECK_THROWS_WITH_AS(flow.guided(wrong, {}), "label_error: conditioned: label 1 is 7, labels are 0 to 2", label_error);
    CHECK_THROWS_WITH_AS(flow.guided(right, wrong, {}), "label_error: conditioned: label 1 is 7, labels are 0 to 2", label_error);
    CHECK_THROWS_WITH_AS(flow.guided(right, {.scale = HUGE_VAL}), "domain_error: guidance: scale is inf, it must be finite", domain_error);
    CHECK_THROWS_WITH_AS(flow.guided(right, {.from = 0.5, .to = 0.25}),
                         "domain_error: guidance: from is 0.5 and to is 0.25, from <= to is needed", domain_error);
    CHECK_THROWS_WITH_AS(flow.guided(right, {.rescale = 1.5}), "domain_error: guidance: rescale is 1.5, it must be in [0, 1]",
                         domain_error);
    CHECK_THROWS_WITH_AS(flow.guided(right, {.from = 2, .to = 3}),
                         "domain_error: guidance: the interval is 2 to 3, the process runs from 0 to 1", domain_error);
    CHECK_THROWS_WITH_AS((guided{net, net, guidance{.scale = std::nan("")}}), "domain_error: guidance: scale is nan, it must be finite",
                         domain_error);
    auto const z = normal<float>(host, {3, 2}, 6);
    CHECK_THROWS_WITH_AS(sample(flow.guided(right, {}), euler{}, z), "shape_error: mlp: labels is [2], it must be [3]", shape_error);
}

TEST_CASE("guided: is a network, evaluated only, and keeps lvalues by reference") {
    mlp<float, backend_type> net(device(), {.data = {4}, .width = 4, .blocks = 1, .classes = 3});
    auto const labels = class_labels(device(), {0}, 3);
    guided both{conditioned{net, labels}, net, guidance{}};
    using type = decltype(both);
    static_assert(std::same_as<type, guided<conditioned<mlp<float, backend_type>&, backend_type>, mlp<float, backend_type>&>>);
    static_assert(network<type, float, backend_type> && network<type const, float, backend_type>);
    static_assert(!network<type, double, backend_type> && !has_forward<type, float, backend_type> && !has_parameters<type>);
    CHECK(&both.unconditional() == &net);
    CHECK(&both.conditional().network() == &net);
    CHECK(to_string(guidance{.scale = 4, .from = 0.25, .to = 0.75, .rescale = 0.5}) ==
          "guidance{scale = 4, from = 0.25, to = 0.75, rescale = 0.5}");
    CHECK(guidance{} == guidance{.scale = 3});
}

}  // namespace
}  // namespace onestep::guided_tests
