#include <onestep/sampler/limits.hpp>

#include <onestep/backend/cpu.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/sampler/ancestral.hpp>
#include <onestep/sampler/ddim.hpp>
#include <onestep/sampler/dpm_solver_2m.hpp>
#include <onestep/sampler/dpm_solver_2s.hpp>
#include <onestep/sampler/dpm_solver_3m.hpp>
#include <onestep/sampler/dpm_solver_3s.hpp>
#include <onestep/sampler/dpm_solver_sde.hpp>
#include <onestep/sampler/edm_stochastic.hpp>
#include <onestep/sampler/euler.hpp>
#include <onestep/sampler/euler_ancestral.hpp>
#include <onestep/sampler/euler_maruyama.hpp>
#include <onestep/sampler/exponential_adams.hpp>
#include <onestep/sampler/heun.hpp>
#include <onestep/sampler/midpoint.hpp>
#include <onestep/sampler/predictor_corrector.hpp>
#include <onestep/sampler/rk4.hpp>
#include <onestep/sampler/rk45.hpp>
#include <onestep/sampler/sample.hpp>
#include <onestep/sampler/unipc.hpp>
#include <onestep/target/epsilon.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>

#include "../counting_allocator.hpp"
#include "../exact_models.hpp"

namespace limits_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

void apply(clip const& limits, std::vector<double>& row) {
    for (double& value : row) value = std::fmin(std::fmax(value, limits.low), limits.high);
}
void apply(dynamic_threshold const& limits, std::vector<double>& row) {
    std::vector<double> sizes;
    for (double value : row) sizes.push_back(std::fabs(value));
    std::sort(sizes.begin(), sizes.end());
    double const position = limits.quantile * static_cast<double>(sizes.size() - 1);
    auto const k = static_cast<std::size_t>(position);
    double s = sizes[k];
    if (k + 1 < sizes.size()) s += (position - static_cast<double>(k)) * (sizes[k + 1] - sizes[k]);
    s = std::fmin(std::fmax(s, 1), limits.ceiling);
    for (double& value : row) value = std::fmin(std::fmax(value, -s), s) / s;
}
struct nothing {};
void apply(nothing const&, std::vector<double>&) {}

/// Predicts x0 = 2.5 sin(x / (alpha + sigma)), told as any target; with limits it is their plain loops that limit x0.
template <class Target, class Process, class Limits = nothing> struct wide_network {
    Target target = {};
    Process process = {};
    Limits limits = {};
    template <class T> void operator()(view<T const, cpu> x, view<T const, cpu> t, view<T, cpu> y) const {
        std::vector<double> row(static_cast<std::size_t>(x.cols()));
        for (index_t r = 0; r < x.rows(); ++r) {
            marginal const m = marginal_at(process, static_cast<double>(t.data()[r]));
            target_weights const w = target.weights(m);
            auto const at = [&](std::size_t c) { return static_cast<double>(x.data()[r * x.cols() + static_cast<index_t>(c)]); };
            for (std::size_t c = 0; c < row.size(); ++c) row[c] = 2.5 * std::sin(at(c) / (m.alpha + m.sigma) + static_cast<double>(c));
            apply(limits, row);
            for (std::size_t c = 0; c < row.size(); ++c)
                y.data()[r * x.cols() + static_cast<index_t>(c)] =
                    static_cast<T>(w.x0 * row[c] + (w.epsilon == 0 ? 0 : w.epsilon * (at(c) - m.alpha * row[c]) / m.sigma));
        }
    }
};

/// A limited model takes the same way as one whose network limits its own prediction of x0: whatever the solver does with x0, the limits
/// come before it.
template <class Target, class Process, class Limits, class Solver>
void check_limits_come_first(Process const& process, Limits const& limits, Solver const& solver, std::vector<double> const& times,
                             double tolerance = 1e-11) {
    CAPTURE(std::string(Solver::name));
    CAPTURE(std::string(Process::name));
    CAPTURE(std::string(Limits::name));
    cpu device(1);
    model const wide{wide_network<Target, Process>{{}, process, {}}, process, Target{}};
    model const narrow{wide_network<x0, Process, Limits>{{}, process, limits}, process, x0{}};
    tensor<double, cpu> start = normal<double>(device, {3, 7}, 5);
    for (index_t i = 0; i < start.size(); ++i) start.data()[i] *= process.sigma(times.front());
    tensor<double, cpu> a = start, b = start, free = start;
    limited const model{wide, limits};
    index_t const evaluations = solve(model, solver, times, a.view(), {3});
    CHECK(evaluations == solve(narrow, solver, times, b.view(), {3}));
    CHECK(relative_to(a.to_host(), b.to_host()) < tolerance);
    solve(wide, solver, times, free.view(), {3});
    CHECK(relative_to(free.to_host(), b.to_host()) > 0.01);  // the limits did something
}

template <class Target, class Process, class Limits>
void check_every_solver(Process const& process, Limits const& limits, std::vector<double> const& times) {
    auto const check = [&](auto const& solver, double tolerance = 1e-11) {
        check_limits_come_first<Target>(process, limits, solver, times, tolerance);
    };
    check(ancestral{});
    check(ddim{});
    check(ddim{.eta = 1});
    check(dpm_solver_2m{});
    check(dpm_solver_2s{});
    check(dpm_solver_3m{});
    check(dpm_solver_3s{});
    check(dpm_solver_sde{});
    check(edm_stochastic{});
    check(euler{});
    check(euler_ancestral{});
    check(euler_maruyama{});
    check(exponential_adams{});
    check(heun{});
    check(midpoint{});
    check(predictor_corrector{});
    check(rk4{});
    check(unipc{});
}

TEST_CASE("limited: every solver takes the limited x0, to the data") {
    check_every_solver<velocity>(rectified_flow{}, clip{-1, 1}, {1, 0.8, 0.55, 0.3, 0.1, 0});
    check_every_solver<epsilon>(edm{}, dynamic_threshold{.quantile = 0.7}, {80, 20, 5, 1.5, 0.4, 0});
    check_limits_come_first<velocity>(rectified_flow{}, clip{-1, 1}, rk45{}, {0.9, 0.1}, 1e-6);
}

TEST_CASE("limited: every solver takes the limited x0, to a noisy end and with limits that are not symmetric") {
    check_limits_come_first<epsilon>(rectified_flow{}, clip{-0.5, 0.75}, heun{}, {0.9, 0.6, 0.3, 0.1});
    check_limits_come_first<epsilon>(rectified_flow{}, clip{-0.5, 0.75}, ddim{}, {0.9, 0.6, 0.3, 0.1});
    check_limits_come_first<epsilon>(rectified_flow{}, dynamic_threshold{.quantile = 0.9, .ceiling = 1.25}, unipc{}, {0.9, 0.6, 0.3, 0.1});
    check_limits_come_first<velocity>(edm{}, dynamic_threshold{.quantile = 0.9, .ceiling = 1}, dpm_solver_2m{}, {80, 10, 2, 0.5});
}

TEST_CASE("limited: one step by hand") {
    // rectified flow from t = 0.5 to 0.25: x = 0.5 D + 0.5 e, F = e - x0 says D = x - 0.5 F
    struct given_output {
        void operator()(view<double const, cpu>, view<double const, cpu>, view<double, cpu> y) const {
            for (index_t i = 0; i < y.size(); ++i) y.data()[i] = -3.0 + static_cast<double>(i);
        }
    };
    cpu device(1);
    model const flow{given_output{}, rectified_flow{}, velocity{}};
    std::vector<double> const start{0.5, -1, 0.25, 2, 0.75, -2};
    tensor<double, cpu> x(device, {2, 3}, start);
    solve(limited{flow, clip{-1, 0.5}}, ddim{}, {0.5, 0.25}, x.view());
    std::vector<double> const data{0.5, 0, 0.5, 0.5, 0.25, -1};  // of 2, 0, 0.75, 2, 0.25, -3
    for (std::size_t i = 0; i < 6; ++i)
        CHECK(x.data()[i] == doctest::Approx(0.75 * data[i] + 0.25 * (start[i] - 0.5 * data[i]) / 0.5).epsilon(1e-15));

    tensor<double, cpu> y(device, {2, 3}, start);
    solve(limited{flow, dynamic_threshold{.quantile = 1}}, ddim{}, {0.5, 0.25}, y.view());
    std::vector<double> const scaled{1, 0, 0.375, 2.0 / 3, 0.25 / 3, -1};
    for (std::size_t i = 0; i < 6; ++i)
        CHECK(y.data()[i] == doctest::Approx(0.75 * scaled[i] + 0.25 * (start[i] - 0.5 * scaled[i]) / 0.5).epsilon(1e-14));
}

TEST_CASE("limited: float, NaN and rows") {
    cpu device(1);
    wide_network<velocity, rectified_flow> const net{};
    model const flow{net, rectified_flow{}, velocity{}};
    std::vector<double> const times{1, 0.6, 0.2, 0};
    tensor<float, cpu> const z = normal<float>(device, {70, 9}, 5);
    limited const clipped{flow, clip{-1, 1}};
    limited const scaled{flow, dynamic_threshold{.quantile = 0.8}};
    auto const check = [&](auto const& model, auto const& solver) {
        tensor<float, cpu> whole = z;
        solve(model, solver, times, whole.view(), {3});
        for (index_t i = 0; i < whole.size(); ++i) CHECK(std::fabs(whole.data()[i]) <= 1);
        for (index_t count : {1, 7, 64}) {
            tensor<float, cpu> part(device, {count, 9});
            device.copy(z.data() + 9 * 4, part.size(), part.data());
            solve(model, solver, times, part.view(), random_key{3}.from_row(4));
            CHECK(part.to_host() == std::vector<float>(whole.data() + 9 * 4, whole.data() + 9 * (4 + count)));
        }
        tensor<float, cpu> broken = z;
        broken.data()[9] = std::numeric_limits<float>::quiet_NaN();
        solve(model, solver, times, broken.view(), {3});
        CHECK(std::isnan(broken.data()[9]));  // a limit does not hide it
        for (index_t i = 18; i < broken.size(); ++i) CHECK(broken.data()[i] == whole.data()[i]);
    };
    check(clipped, ddim{.eta = 1});
    check(clipped, dpm_solver_2m{});
    check(scaled, ddim{.eta = 1});
    check(scaled, dpm_solver_2m{});
}

TEST_CASE("limited: a warm call allocates nothing") {
    cpu device(1);
    gaussian_data<velocity> const net{0.3, 2};
    model const flow{net, rectified_flow{}, velocity{}};
    limited const model{flow, dynamic_threshold{.quantile = 0.8}};
    std::vector<double> const times{1, 0.6, 0.2, 0};
    auto x = normal<float>(device, {5, 9}, 5);
    for (int warm = 0; warm < 2; ++warm) solve(model, heun{}, times, x.view());
    auto const before = allocations();
    solve(model, heun{}, times, x.view());
    CHECK(allocations() == before);
}

TEST_CASE("limited: an lvalue model is referred to, an rvalue is owned") {
    cpu device(1);
    model const flow{gaussian_data<velocity>{0.3, 2}, rectified_flow{}, velocity{}};
    limited const by_reference{flow, clip{-1, 1}};
    CHECK(&by_reference.process() == &flow.process());
    CHECK(&by_reference.network() == &flow.network());
    limited const owned{model{gaussian_data<velocity>{0.3, 2}, rectified_flow{}, velocity{}}, clip{-1, 1}};
    auto const z = normal<double>(device, {2, 3}, 5);
    CHECK(sample(owned, ddim{.steps = 3}, z).to_host() == sample(by_reference, ddim{.steps = 3}, z).to_host());
}

TEST_CASE("limited: refuses limits out of range") {
    model const flow{gaussian_data<velocity>{0.3, 0.5}, rectified_flow{}, velocity{}};
    CHECK_THROWS_WITH_AS((limited{flow, clip{1, 1}}), "domain_error: clip: low is 1 and high is 1, low must be less than high",
                         domain_error);
    CHECK_THROWS_AS((limited{flow, clip{std::nan(""), 1}}), domain_error);
    CHECK_THROWS_WITH_AS((limited{flow, dynamic_threshold{.quantile = 0}}),
                         "domain_error: dynamic_threshold: quantile is 0, it must be in (0, 1]", domain_error);
    CHECK_THROWS_AS((limited{flow, dynamic_threshold{.quantile = 1.5}}), domain_error);
    CHECK_THROWS_WITH_AS((limited{flow, dynamic_threshold{.ceiling = 0.5}}),
                         "domain_error: dynamic_threshold: ceiling is 0.5, it must be at least 1", domain_error);
    CHECK_THROWS_AS((limited{flow, dynamic_threshold{.ceiling = std::nan("")}}), domain_error);
    static_assert(denoiser<limited<decltype(flow)&, clip>>);
    CHECK(to_string(clip{-2, 3}) == "clip{low = -2, high = 3}");
    CHECK(to_string(dynamic_threshold{}) == "dynamic_threshold{quantile = 0.995, ceiling = inf}");
    CHECK(clip{} == clip{-1, 1});
    CHECK(dynamic_threshold{} == dynamic_threshold{.quantile = 0.995});
}

}  // namespace

}  // namespace limits_tests
