#include <onestep/sampler/rk45.hpp>

#include <onestep/process/discrete.hpp>
#include <onestep/process/variance_exploding.hpp>
#include <onestep/sampler/limits.hpp>
#include <onestep/target/edm_preconditioned.hpp>

#include <limits>

#include "../counting_allocator.hpp"
#include "order.hpp"

namespace rk45_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

/// Every interval is one step, whatever the error.
constexpr rk45 unchecked{.rtol = 1e9, .atol = 1e9, .first_step = HUGE_VAL};

/// F = something of x and t, and remembers the times of all rows.
struct noting {
    std::vector<std::vector<double>>* times;
    void operator()(view<double const, cpu> x, view<double const, cpu> t, view<double, cpu> y) const {
        times->emplace_back(t.data(), t.data() + t.size());
        for (index_t r = 0; r < x.rows(); ++r)
            for (index_t c = 0; c < x.cols(); ++c)
                y.data()[r * x.cols() + c] = std::cos(3 * x.data()[r * x.cols() + c]) * (1 + t.data()[r]);
    }
};

/// du/dt = 1 / t^2 on rectified flow: no step is short enough near t = 0.
struct singular {
    void operator()(view<double const, cpu> x, view<double const, cpu> t, view<double, cpu> y) const {
        for (index_t i = 0; i < x.size(); ++i) y.data()[i] = x.data()[i] / (t.data()[i / x.cols()] * t.data()[i / x.cols()]);
    }
};

struct broken {
    void operator()(view<double const, cpu>, view<double const, cpu> t, view<double, cpu> y) const {
        for (index_t i = 0; i < y.size(); ++i) y.data()[i] = t.data()[0] > 0.5 ? 1.0 : std::numeric_limits<double>::quiet_NaN();
    }
};

/// What SciPy's RK45 does with one system, written anew: the same steps, in one plain loop over a vector.
struct plain_rk45 {
    double rtol, atol;
    int evaluations = 0;
    std::vector<double> times{};

    template <class F> std::vector<double> solve(F const& slope, std::vector<double> x, double t, double s) {
        std::size_t const d = x.size();
        double const way = s < t ? -1 : 1;
        auto const f = [&](double time, std::vector<double> const& at) {
            ++evaluations;
            std::vector<double> u;
            for (double value : at) u.push_back(slope(value, time));
            return u;
        };
        auto const rms = [&](auto const& term) {
            double sum = 0;
            for (std::size_t i = 0; i < d; ++i) sum += term(i) * term(i);
            return std::sqrt(sum / static_cast<double>(d));
        };
        auto const moved = [&](double h, std::vector<std::pair<double, std::vector<double> const*>> const& terms) {
            std::vector<double> y = x;
            for (auto const& [c, k] : terms)
                for (std::size_t i = 0; i < d; ++i) y[i] += h * c * (*k)[i];
            return y;
        };
        std::vector<double> k1 = f(t, x);
        auto const scale = [&](std::size_t i) { return atol + rtol * std::fabs(x[i]); };
        double const d0 = rms([&](std::size_t i) { return x[i] / scale(i); }), d1 = rms([&](std::size_t i) { return k1[i] / scale(i); });
        double const h0 = std::fmin(d0 < 1e-5 || d1 < 1e-5 ? 1e-6 : 0.01 * d0 / d1, std::fabs(s - t));
        std::vector<double> const probe = f(t + way * h0, moved(way * h0, {{1, &k1}}));
        double const d2 = rms([&](std::size_t i) { return (probe[i] - k1[i]) / scale(i); }) / h0;
        double const h1 = d1 <= 1e-15 && d2 <= 1e-15 ? std::fmax(1e-6, h0 * 1e-3) : std::pow(0.01 / std::fmax(d1, d2), 1.0 / 5);
        double size = std::fmin(std::fmin(100 * h0, h1), std::fabs(s - t));
        bool rejected = false;
        while (t != s) {
            double ahead = t + way * size;
            if (way * (ahead - s) > 0) ahead = s;
            double const h = ahead - t;
            auto const k2 = f(t + h / 5, moved(h, {{1.0 / 5, &k1}}));
            auto const k3 = f(t + 3 * h / 10, moved(h, {{3.0 / 40, &k1}, {9.0 / 40, &k2}}));
            auto const k4 = f(t + 4 * h / 5, moved(h, {{44.0 / 45, &k1}, {-56.0 / 15, &k2}, {32.0 / 9, &k3}}));
            auto const k5 =
                f(t + 8 * h / 9, moved(h, {{19372.0 / 6561, &k1}, {-25360.0 / 2187, &k2}, {64448.0 / 6561, &k3}, {-212.0 / 729, &k4}}));
            auto const k6 =
                f(ahead,
                  moved(h, {{9017.0 / 3168, &k1}, {-355.0 / 33, &k2}, {46732.0 / 5247, &k3}, {49.0 / 176, &k4}, {-5103.0 / 18656, &k5}}));
            auto const y = moved(h, {{35.0 / 384, &k1}, {500.0 / 1113, &k3}, {125.0 / 192, &k4}, {-2187.0 / 6784, &k5}, {11.0 / 84, &k6}});
            auto const k7 = f(ahead, y);
            double const error = rms([&](std::size_t i) {
                double const fourth = 5179.0 / 57600 * k1[i] + 7571.0 / 16695 * k3[i] + 393.0 / 640 * k4[i] - 92097.0 / 339200 * k5[i] +
                                      187.0 / 2100 * k6[i] + k7[i] / 40;
                return (x[i] + h * fourth - y[i]) / (atol + rtol * std::fmax(std::fabs(x[i]), std::fabs(y[i])));
            });
            if (error < 1) {
                double const factor = std::fmin(10, 0.9 * std::pow(error, -0.2));
                size = std::fabs(h) * (rejected ? std::fmin(1, factor) : factor);
                rejected = false;
                t = ahead;
                x = y;
                k1 = k7;
                times.push_back(t);
            } else {
                size = std::fabs(h) * std::fmax(0.2, 0.9 * std::pow(error, -0.2));
                rejected = true;
            }
        }
        return x;
    }
};

}  // namespace

TEST_CASE("rk45: converges at its order where each interval is one step") {
    // stretches on which few enough steps for rounding are many enough for the order to show
    std::vector<int> const steps{24, 32, 48, 64, 96};
    check_order_on_gaussian<x0>(unchecked, 0.95, 0.1, steps);
    check_order_on_gaussian<v_prediction>(unchecked, 0.6, 0.05, steps, variance_preserving{});
    check_order_on_gaussian<v_prediction>(unchecked, 0.05, 0.6, steps, variance_preserving{});
    check_order_on_gaussian<v_prediction>(unchecked, 0.5, 1.5, steps, edm{});
    check_order_on_mixture<velocity>(unchecked, 0.9, 0.5, steps);
    check_order_on_mixture<v_prediction>(unchecked, 0.25, 0.6, steps, variance_preserving{});
    check_order_on_mixture<epsilon>(unchecked, 2, 0.75, {12, 16, 24, 32, 48}, edm{});
    check_order_on_gaussian<v_prediction>(unchecked, 1.4, 0.1, {12, 16, 24, 32, 48}, trigonometric_flow{});
}

TEST_CASE("rk45: takes the steps of an independent implementation") {
    cpu device(1);
    auto const slope = [](double x, double t) { return std::cos(3 * x) * (1 + t); };
    for (auto const& [from, to] : {std::pair{1.0, 0.0}, std::pair{0.1, 0.9}})
        for (double tolerance : {1e-3, 1e-5, 1e-8}) {
            CAPTURE(tolerance);
            std::vector<std::vector<double>> times;
            plain_rk45 plain{tolerance, 3 * tolerance};
            auto const expected = plain.solve(slope, {0.4, -1.2, 2}, from, to);
            tensor<double, cpu> x(device, {1, 3}, {0.4, -1.2, 2});
            index_t const evaluations = solve(model{noting{&times}, rectified_flow{}, velocity{}},
                                              rk45{.rtol = tolerance, .atol = 3 * tolerance}, {from, to}, x.view());
            CHECK(evaluations == plain.evaluations);
            CHECK(times.size() == static_cast<std::size_t>(evaluations));
            CHECK(times.back().front() == to);
            CHECK(relative_to(x.to_host(), expected) < 1e-12);
        }
}

TEST_CASE("rk45: the error follows the tolerance on five processes, in both directions") {
    cpu device(1);
    auto const on = [&](auto const& process, double noisy, double clean) {
        using process_type = std::remove_cvref_t<decltype(process)>;
        CAPTURE(std::string(process_type::name));
        gaussian_data<v_prediction, process_type> const net{0.3, 0.7, {}, process};
        model const flow{net, process, v_prediction{}};
        tensor<double, cpu> const start(device, {3, 2}, {0.7, -1.2, 2.1, 0.1, -0.4, 1.5});
        for (bool const towards_data : {true, false}) {
            CAPTURE(towards_data);
            double const from = towards_data ? noisy : clean, to = towards_data ? clean : noisy;
            double before = 1;
            index_t evaluations_before = 0;
            for (double tolerance : {1e-3, 1e-5, 1e-7, 1e-9}) {
                CAPTURE(tolerance);
                tensor<double, cpu> x = start;
                index_t const evaluations = solve(flow, rk45{.rtol = tolerance, .atol = tolerance}, {from, to}, x.view());
                double worst = 0;
                for (index_t i = 0; i < x.size(); ++i)
                    worst = std::fmax(worst,
                                      std::fabs(x.data()[i] - net.flow(start.data()[i], from, to)) / std::fmax(1, std::fabs(x.data()[i])));
                CHECK(worst < 50 * tolerance);
                CHECK(worst < before);
                CHECK(evaluations > evaluations_before);
                before = worst;
                evaluations_before = evaluations;
            }
        }
    };
    on(rectified_flow{}, 1, 0);
    on(variance_preserving{}, 1, 1e-3);
    on(edm{}, 80, 0);
    on(variance_exploding{}, 1, 0);
    on(trigonometric_flow{}, 1.5, 0);
}

TEST_CASE("rk45: a row is the same in any batch and for any number of threads") {
    std::vector<float> whole;
    for (int threads : {1, 2, 3}) {
        cpu device(threads);
        model const flow{mixture_data<velocity>{three_clusters()}, rectified_flow{}, velocity{}};
        tensor<float, cpu> const z = normal<float>(device, {300, 2}, 9);
        auto const all = sample(flow, rk45{}, z);
        if (threads == 1) whole = all.to_host();
        CHECK(all.to_host() == whole);
        for (index_t size : {1, 7, 64})
            for (index_t first : {0, 5, 201}) {
                auto const part = sample(flow, rk45{}, z.view().rows(first, size));
                CHECK(part.to_host() == std::vector<float>(whole.begin() + first * 2, whole.begin() + (first + size) * 2));
            }
    }
}

TEST_CASE("rk45: every row keeps a time of its own, and those that arrive wait") {
    cpu device(1);
    std::vector<std::vector<double>> together, alone[2];
    tensor<double, cpu> x(device, {2, 1}, {0.4, 30});
    index_t const evaluations = solve(model{noting{&together}, rectified_flow{}, velocity{}}, rk45{}, {1, 0}, x.view());
    index_t longest = 0;
    for (index_t r = 0; r < 2; ++r) {
        std::vector<double> const start{r == 0 ? 0.4 : 30};
        tensor<double, cpu> one(device, {1, 1}, start);
        auto const k = static_cast<std::size_t>(r);
        index_t const count = solve(model{noting{&alone[k]}, rectified_flow{}, velocity{}}, rk45{}, {1, 0}, one.view());
        longest = std::max(longest, count);
        CHECK(one.data()[0] == x.data()[r]);
        for (std::size_t i = 0; i < together.size(); ++i)
            CHECK(together[i][k] == (i < alone[k].size() ? alone[k][i][0] : 1.0));  // waiting rows are asked at the start
    }
    CHECK(evaluations == longest);
    CHECK(alone[0].size() != alone[1].size());
}

TEST_CASE("rk45: scaled inputs and clocks of their own reach the network row by row") {
    cpu device(1);
    tensor<double, cpu> const start(device, {3, 2}, {30, -12, 2.1, 60, -40, 1.5});
    auto const ends = [&](auto const& target, auto const& process, double from, double to, double tolerance) {
        using target_type = std::remove_cvref_t<decltype(target)>;
        using process_type = std::remove_cvref_t<decltype(process)>;
        tensor<double, cpu> x = start;
        gaussian_data<target_type, process_type> const net{0.3, 0.5, target, process};
        solve(model{net, process, target}, rk45{.rtol = tolerance, .atol = tolerance}, {from, to}, x.view());
        std::vector<double> exact;
        for (double value : start.to_host()) exact.push_back(net.flow(value, from, to));
        return relative_to(x.to_host(), exact);
    };
    CHECK(ends(edm_preconditioned{}, edm{}, 80, 0.002, 1e-10) < 1e-8);
    CHECK(ends(edm_preconditioned{}, variance_preserving{}, 1, 0.01, 1e-10) < 1e-8);
    CHECK(ends(epsilon{}, discrete<>{}, 1000, 1, 1e-6) < 1e-3);  // its velocity jumps at every level
}

TEST_CASE("rk45: where the end has no velocity the last piece is a step of DDIM") {
    cpu device(1);
    model const point{point_data{0.375}, rectified_flow{}, x0{}};
    tensor<float, cpu> x(device, {2, 2}, {1, -2, 3, 0.5f});
    solve(point, rk45{}, {1, 0}, x.view());
    CHECK(x.to_host() == std::vector<float>(4, 0.375f));
    gaussian_data<epsilon, variance_preserving<>> const net{0.3, 0.5};
    tensor<double, cpu> y(device, {1, 2}, {0.8, -1.7});
    solve(model{net, variance_preserving{}, epsilon{}}, rk45{.rtol = 1e-9, .atol = 1e-9}, {1, 0}, y.view());
    CHECK(y.data()[0] == doctest::Approx(net.flow(0.8, 1, 0)).epsilon(1e-5));
    CHECK(y.data()[1] == doctest::Approx(net.flow(-1.7, 1, 0)).epsilon(1e-5));
}

TEST_CASE("rk45: limited models agree with rk4 of many steps") {
    cpu device(1);
    gaussian_data<velocity> const net{0.3, 0.7};
    model const flow{net, rectified_flow{}, velocity{}};
    tensor<double, cpu> const start(device, {3, 2}, {0.7, -1.2, 2.1, 0.1, -3.4, 1.5});
    auto const difference = [&](auto const& limits) {
        tensor<double, cpu> x = start, fine = start;
        limited const model_with_limits{flow, limits};
        solve(model_with_limits, rk45{.rtol = 1e-8, .atol = 1e-8}, {1, 0.05}, x.view());
        solve(model_with_limits, rk4{}, equal_times(1, 0.05, 4000), fine.view());
        CHECK(relative_to(x.to_host(), [&] {
                  tensor<double, cpu> free = start;
                  solve(flow, rk4{}, equal_times(1, 0.05, 200), free.view());
                  return free.to_host();
              }()) > 0.01);
        return relative_to(x.to_host(), fine.to_host());
    };
    CHECK(difference(clip{-0.5, 0.5}) < 1e-5);
    CHECK(difference(dynamic_threshold{.quantile = 0.9}) < 1e-5);
}

TEST_CASE("rk45: refuses what cannot be done") {
    cpu device(1);
    model const flow{gaussian_data<velocity>{0.3, 0.5}, rectified_flow{}, velocity{}};
    tensor<double, cpu> x(device, {2, 1}, {1, 2});
    CHECK_THROWS_WITH_AS(solve(flow, rk45{.rtol = 0}, {1, 0}, x.view()),
                         "domain_error: rk45: rtol is 0 and atol is 0.00001, both must be > 0", domain_error);
    CHECK_THROWS_AS(solve(flow, rk45{.atol = -1}, {1, 0}, x.view()), domain_error);
    CHECK_THROWS_AS(solve(flow, rk45{.first_step = -1}, {1, 0}, x.view()), domain_error);
    CHECK(x.to_host() == std::vector<double>{1, 2});
    CHECK_THROWS_WITH_AS(
        solve(flow, rk45{.first_step = 0.5, .max_evaluations = 6}, {1, 0}, x.view()),
        "domain_error: rk45: row 0 stands at t = 1 after 1 evaluations, max_evaluations is 6; raise it, or loosen rtol and atol",
        domain_error);
    CHECK_THROWS_WITH_AS(solve(model{broken{}, rectified_flow{}, velocity{}}, rk45{}, {1, 0}, x.view()),
                         doctest::Contains("not_finite_error: rk45: row 0 stands at t = "), not_finite_error);
    x = tensor<double, cpu>(device, {2, 1}, {1, 2});
    CHECK_THROWS_AS(solve(model{singular{}, rectified_flow{}, velocity{}}, rk45{}, {1, 1e-200}, x.view()), error);
}

TEST_CASE("rk45: lands on every time of a grid, one evaluation more for each new interval") {
    cpu device(1);
    gaussian_data<velocity> const net{0.3, 0.5};
    model const flow{net, rectified_flow{}, velocity{}};
    tensor<double, cpu> x(device, {1, 1}, {0.8});
    std::vector<double> const times = equal_times(1, 0, 5);
    sampling run(flow, rk45{.rtol = 1e-9, .atol = 1e-9}, times, x.view());
    do {
        run.advance();
        CHECK(x.data()[0] == doctest::Approx(net.flow(0.8, 1, run.time())).epsilon(1e-8));
    } while (!run.done());
}

TEST_CASE("rk45: a warm call allocates nothing") {
    if (!counts_allocations) return;
    cpu device(2);
    model const flow{gaussian_data<velocity>{0.3, 0.5}, rectified_flow{}, velocity{}};
    tensor<float, cpu> x = normal<float>(device, {200, 3}, 9);
    std::vector<double> const times{1, 0};
    for (int k = 0; k < 3; ++k) solve(flow, rk45{}, times, x.view());
    std::size_t const before = allocations();
    solve(flow, rk45{}, times, x.view());
    CHECK(allocations() == before);
}

TEST_CASE("rk45: is a printable and comparable spec") {
    CHECK(to_string(rk45{.rtol = 0.001}) == "rk45{steps = 1, rtol = 0.001, atol = 0.00001, first_step = 0, max_evaluations = 10000}");
    CHECK(rk45{} == rk45{});
    CHECK_FALSE(rk45{.atol = 1} == rk45{});
}

}  // namespace rk45_tests
