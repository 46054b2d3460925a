#include <onestep/sampler/inpainting.hpp>

#include <onestep/backend/cpu.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/process/trigonometric_flow.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/sampler/ddim.hpp>
#include <onestep/sampler/euler.hpp>
#include <onestep/sampler/heun.hpp>
#include <onestep/sampler/rk4.hpp>
#include <onestep/sampler/sample.hpp>

#include <doctest/doctest.h>

#include <limits>
#include <set>
#include <thread>

#include "../counting_allocator.hpp"
#include "../exact_models.hpp"

namespace inpainting_tests {

using namespace onestep;

namespace {

/// The exact x0 prediction for data whose pairs of neighbours have unit variance and a correlation, and mean 0, on any process.
/// It ties even elements to the odd one that follows.
template <class Process> struct pairs_network {
    double correlation;
    Process process = {};
    template <class T> void operator()(view<T const, cpu> x, view<T const, cpu> t, view<T, cpu> y) const {
        for (index_t r = 0; r < x.rows(); ++r) {
            double const time = static_cast<double>(t.data()[r]), a = process.alpha(time), s = process.sigma(time);
            for (index_t c = 0; c < x.cols(); c += 2) {
                double const u = static_cast<double>(x.data()[r * x.cols() + c]), w = static_cast<double>(x.data()[r * x.cols() + c + 1]);
                // along (1, 1) and (1, -1) the variances are 1 + correlation and 1 - correlation
                auto const shrunk = [&](double value, double variance) { return a * variance * value / (a * a * variance + s * s); };
                double const sum = shrunk((u + w) / 2, 1 + correlation), difference = shrunk((u - w) / 2, 1 - correlation);
                y.data()[r * x.cols() + c] = static_cast<T>(sum + difference);
                y.data()[r * x.cols() + c + 1] = static_cast<T>(sum - difference);
            }
        }
    }
};

struct counting_network {
    int* calls;
    template <class T> void operator()(view<T const, cpu> x, view<T const, cpu>, view<T, cpu> y) const {
        ++*calls;
        for (index_t i = 0; i < x.size(); ++i) y.data()[i] = x.data()[i] / 2;
    }
};

/// x' = x / 4 + z; writes down which streams it was given.
struct drawing_solver {
    static constexpr char const* name = "drawing_solver";
    static constexpr int order = 1;
    int steps = 3;
    std::vector<std::uint64_t>* keys = nullptr;
    void step(auto& run, double, double) const {
        for (std::uint64_t k = 0; keys && k < 3; ++k) keys->push_back(run.noise(k).key);
        affine_step next(run.x());
        next.add(0.25, run.x());
        next.run(1, run.noise());
    }
    void fields(auto&& visit) const { visit("steps", steps); }
};

struct still_solver {
    static constexpr char const* name = "still_solver";
    static constexpr int order = 1;
    int steps = 1;
    void step(auto&, double, double) const {}
    void fields(auto&& visit) const { visit("steps", steps); }
};

template <class T> tensor<T, cpu> ones_where_even(cpu& device, shape const& extents) {
    std::vector<T> mask(static_cast<std::size_t>(extents.size()));
    for (std::size_t i = 0; i < mask.size(); ++i) mask[i] = i % 2 == 0 ? T(1) : T(0);
    return {device, extents, mask};
}

/// Known elements are the picture's bits in the end, on any process and for any solver.
template <class T, class Process, class Solver> void check_known_are_exact(Process const& process, Solver const& solver, int resample) {
    CAPTURE(std::string(Process::name));
    CAPTURE(std::string(Solver::name));
    CAPTURE(resample);
    cpu device(1);
    model const flow{pairs_network<Process>{0.5, process}, process, x0{}};
    auto const known = normal<T>(device, {3, 6}, 21), z = normal<T>(device, {3, 6}, 22);
    auto const mask = ones_where_even<T>(device, {3, 6});
    auto const x = sample(flow, inpainting{solver, known, mask, {.resample = resample}}, z).to_host();
    for (std::size_t i = 0; i < x.size(); ++i) {
        if (i % 2 == 0) CHECK(x[i] == known.data()[i]);
        else CHECK((std::isfinite(x[i]) && x[i] != known.data()[i]));
    }
}

TEST_CASE("inpainting: known elements are exact in the end") {
    for (int resample : {1, 3}) {
        check_known_are_exact<float>(edm{}, ddim{.steps = 6}, resample);
        check_known_are_exact<double>(edm{}, ddim{.steps = 6, .eta = 1}, resample);
        check_known_are_exact<float>(trigonometric_flow{}, heun{.steps = 5}, resample);
        check_known_are_exact<float>(trigonometric_flow{}, rk4{.steps = 4}, resample);
        check_known_are_exact<float>(variance_preserving{}, ddim{.steps = 5}, resample);  // t_min > 0: sigma is not 0 there
        check_known_are_exact<double>(rectified_flow{}, ddim{.steps = 1}, resample);
    }
}

/// Mean, variance and covariance of two lists that are meant to be N(0, 1) and independent: each within 5 of its standard deviations.
/// A good generator fails one of them once in 1.7 million times.
void check_unit_normals(std::vector<double> const& a, std::vector<double> const& b) {
    double const n = static_cast<double>(a.size());
    double sum = 0, square = 0, product = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += a[i], square += a[i] * a[i], product += a[i] * b[i];
    CHECK(std::fabs(sum / n) < 5 / std::sqrt(n));
    CHECK(std::fabs(square / n - 1) < 5 * std::sqrt(2 / n));
    CHECK(std::fabs(product / n) < 5 / std::sqrt(n));
}

TEST_CASE("inpainting: after a step known elements are alpha x0 + sigma z with fresh noise, and blends are between") {
    cpu device(1);
    int calls = 0;
    model const flow{counting_network{&calls}, rectified_flow{}, x0{}};
    index_t const d = 4000;
    auto const known = normal<double>(device, {1, d}, 1);
    tensor<double, cpu> x = normal<double>(device, {1, d}, 2);
    auto const start = x;
    std::vector<double> values(static_cast<std::size_t>(d), 1);
    values[0] = 0, values[1] = 0.25;
    tensor<double, cpu> const mask(device, {1, d}, values);
    std::vector<double> const times{0.9, 0.7, 0.4, 0.1};
    sampling run(flow, inpainting{still_solver{}, known, mask}, times, x.view(), {5});
    std::vector<double> before = normal<double>(device, {1, d}, 3).to_host(), z(before.size());
    for (double s : {0.7, 0.4, 0.1}) {
        double const last = x.data()[1];
        run.advance();
        for (std::size_t i = 0; i < z.size(); ++i) z[i] = (x.data()[i] - (1 - s) * known.data()[i]) / s;
        z[0] = z[1] = 0;
        check_unit_normals(z, before);
        before = z;
        CHECK(x.data()[0] == start.data()[0]);
        // 0.25 given + 0.75 x, for a given that is within 7 sigma of alpha x0
        CHECK(std::fabs(x.data()[1] - 0.75 * last - 0.25 * (1 - s) * known.data()[1]) < 0.25 * 7 * s);
        CHECK(x.data()[1] != last);
    }
    CHECK(calls == 0);
}

TEST_CASE("inpainting: unknown elements see neither the picture nor its noise but through the network") {
    cpu device(1);
    int calls = 0;
    model const flow{counting_network{&calls}, rectified_flow{}, x0{}};
    auto const z = normal<float>(device, {2, 6}, 4);
    auto const mask = ones_where_even<float>(device, {2, 6});
    std::vector<float> picture(12, std::numeric_limits<float>::quiet_NaN());  // nothing is known of what is to be found
    for (std::size_t i = 0; i < 12; i += 2) picture[i] = 3;
    tensor<float, cpu> const known(device, {2, 6}, picture);
    for (auto const& times : {std::vector<double>{1, 0.7, 0.4}, {1, 0.5, 0}}) {
        tensor<float, cpu> plain = z, held = z;
        solve(flow, drawing_solver{}, times, plain.view(), {7});
        solve(flow, inpainting{drawing_solver{}, known, mask}, times, held.view(), {7});
        for (int i = 1; i < 12; i += 2) CHECK(held.data()[i] == plain.data()[i]);
        for (int i = 0; i < 12; i += 2) CHECK(held.data()[i] != plain.data()[i]);
    }
}

TEST_CASE("inpainting: a repetition goes back by the process's transition and draws anew") {
    cpu device(1);
    int calls = 0;
    model const flow{counting_network{&calls}, rectified_flow{}, x0{}};
    index_t const d = 4000;
    tensor<double, cpu> x = normal<double>(device, {1, d}, 2);
    auto const start = x.to_host();
    tensor<double, cpu> const nothing(device, {1, d}, std::vector<double>(static_cast<std::size_t>(d)));
    solve(flow, inpainting{still_solver{}, nothing, nothing, {.resample = 2}}, {0.8, 0.5}, x.view(), {5});
    // alpha_t / alpha_s = 0.2 / 0.5, sigma_t^2 - 0.4^2 sigma_s^2 = 0.64 - 0.04
    std::vector<double> z(start.size());
    for (std::size_t i = 0; i < z.size(); ++i) z[i] = (x.data()[i] - 0.4 * start[i]) / std::sqrt(0.6);
    check_unit_normals(z, start);

    std::vector<std::uint64_t> plain, repeated;
    tensor<double, cpu> y(device, {1, 2}, {1, 2});
    std::vector<double> const times{1, 0.75, 0.5, 0.25, 0};
    solve(flow, drawing_solver{4, &plain}, times, y.view(), {5});
    solve(flow, inpainting{drawing_solver{4, &repeated}, y, y, {.resample = 3}}, times, y.view(), {5});
    CHECK(plain.size() == 12);
    CHECK(repeated.size() == 3 * (3 * 3 + 1));
    CHECK(std::set<std::uint64_t>(repeated.begin(), repeated.end()).size() == repeated.size());
    for (std::size_t i = 0; i < 3; ++i)  // the first run of a step draws what it draws alone
        for (std::size_t k = 0; k < 3; ++k) CHECK(repeated[9 * i + k] == plain[3 * i + k]);
}

TEST_CASE("inpainting: repetitions are counted, and the last step runs once") {
    cpu device(1);
    int calls = 0;
    model const flow{counting_network{&calls}, rectified_flow{}, x0{}};
    auto const mask = ones_where_even<float>(device, {2, 6});
    auto const count = [&](auto const& solver, std::vector<double> const& times, int resample) {
        tensor<float, cpu> x = normal<float>(device, {2, 6}, 4);
        calls = 0;
        index_t const told = solve(flow, inpainting{solver, mask, mask, {.resample = resample}}, times, x.view());
        CHECK(told == calls);
        return calls;
    };
    std::vector<double> const to_data{1, 0.75, 0.5, 0.25, 0}, to_noise_left{1, 0.75, 0.5, 0.25};
    CHECK(count(ddim{}, to_data, 1) == 4);
    CHECK(count(ddim{}, to_data, 5) == 3 * 5 + 1);
    CHECK(count(ddim{}, to_noise_left, 5) == 3 * 5);
    CHECK(count(heun{}, to_data, 4) == 3 * 4 * 2 + 1);
    CHECK(count(rk4{}, to_noise_left, 6) == 3 * 6 * 4);  // scratch is given back between repetitions
    CHECK(count(ddim{}, {1, 0}, 9) == 1);
}

TEST_CASE("inpainting: found elements follow the known ones as the data do, and better with repetitions") {
    // x = (known, unknown) with variance 1 and correlation 0.8: unknown given known is N(0.8 known, 0.36). Regression over n rows has
    // a standard error of 0.6 / sqrt(n) in the slope and of 0.36 sqrt(2 / n) in the variance: 0.0134 and 0.0114. The bounds leave five of
    // them (a false alarm in 1.7 million) and 0.03 for the finite number of steps and repetitions.
    cpu device(1);
    index_t const n = 2000;
    trigonometric_flow const process{.sigma_data = 1};
    model const flow{pairs_network<trigonometric_flow>{0.8, process}, process, x0{}};
    auto const known = normal<float>(device, {n, 2}, 31), z = normal<float>(device, {n, 2}, 32);
    tensor<float, cpu> const mask(device, {1, 2}, {1, 0});
    auto const moments = [&](int resample) {
        auto const x = sample(flow, inpainting{heun{.steps = 20}, known, mask, {.resample = resample}}, z, uniform_grid{}, {6});
        double kk = 0, ku = 0, uu = 0;
        for (index_t r = 0; r < n; ++r) {
            double const k = x.data()[2 * r], u = x.data()[2 * r + 1];
            CHECK(x.data()[2 * r] == known.data()[2 * r]);
            kk += k * k, ku += k * u, uu += u * u;
        }
        double const slope = ku / kk;
        return std::array<double, 2>{slope, (uu - slope * ku) / static_cast<double>(n)};
    };
    auto const once = moments(1), often = moments(40);
    CAPTURE(once[0]);
    CAPTURE(once[1]);
    CAPTURE(often[0]);
    CAPTURE(often[1]);
    CHECK(std::fabs(often[0] - 0.8) < 5 * 0.0134 + 0.03);
    CHECK(std::fabs(often[1] - 0.36) < 5 * 0.0114 + 0.03);
    CHECK(std::fabs(once[0] - 0.8) > 0.3);  // without them the known half is hardly heard
}

TEST_CASE("inpainting: one picture and one mask may serve all rows, and rows do not depend on their batch") {
    std::vector<float> whole;
    for (int threads : {1, 2}) {
        cpu device(threads);
        model const flow{pairs_network<rectified_flow>{0.5}, rectified_flow{}, x0{}};
        index_t const n = 1500;  // enough elements for two threads
        auto const known = normal<float>(device, {n, 6}, 11), z = normal<float>(device, {n, 6}, 12);
        auto const mask = ones_where_even<float>(device, {1, 6}), masks = ones_where_even<float>(device, {n, 6});
        random_key const key{8};
        std::vector<double> const times{1, 0.6, 0.3, 0};
        tensor<float, cpu> x = z, y = z;
        inpainting const solver{ddim{.eta = 1}, known, mask, {.resample = 2}};
        solve(flow, solver, times, x.view(), key);
        solve(flow, inpainting{ddim{.eta = 1}, known, masks, {.resample = 2}}, times, y.view(), key);
        CHECK(x.to_host() == y.to_host());
        if (threads == 1) whole = x.to_host();
        CHECK(x.to_host() == whole);
        for (index_t size : {1, 7, 64})
            for (index_t first : {0, 5, 900}) {
                tensor<float, cpu> part(device, {size, 6});
                device.copy(z.data() + 6 * first, part.size(), part.data());
                inpainting const some{ddim{.eta = 1}, known.view().rows(first, size), mask.view(), {.resample = 2}};
                solve(flow, some, times, part.view(), key.from_row(first));
                CHECK(part.to_host() == std::vector<float>(whole.begin() + 6 * first, whole.begin() + 6 * (first + size)));
            }
        tensor<float, cpu> const one(device, {1, 6}, {1, 2, 3, 4, 5, 6});  // a picture for all rows
        tensor<float, cpu> same = z;
        solve(flow, inpainting{ddim{}, one, mask}, times, same.view(), key);
        for (index_t i = 0; i < same.size(); i += 2) CHECK(same.data()[i] == static_cast<float>(1 + i % 6));
    }
}

TEST_CASE("inpainting: a warm call allocates nothing, and one solver serves many threads") {
    cpu device(1);
    model const flow{pairs_network<rectified_flow>{0.5}, rectified_flow{}, x0{}};
    auto const known = normal<float>(device, {20, 6}, 11), z = normal<float>(device, {20, 6}, 12);
    auto const mask = ones_where_even<float>(device, {1, 6});
    inpainting const solver{ddim{.eta = 1}, known, mask, {.resample = 3}};
    std::vector<double> const times{1, 0.6, 0.3, 0};
    tensor<float, cpu> x = z;
    solve(flow, solver, times, x.view(), {3});
    auto const expected = x.to_host();
    x = z;
    solve(flow, solver, times, x.view(), {3});
    tensor<float, cpu> y = z;
    auto const before = test::allocations();
    solve(flow, solver, times, y.view(), {3});
    CHECK(test::allocations() == before);
    CHECK(y.to_host() == expected);

    std::vector<std::vector<float>> results(4);
    std::vector<std::thread> threads;
    for (auto& result : results)
        threads.emplace_back([&] {
            tensor<float, cpu> mine = z;
            solve(flow, solver, times, mine.view(), {3});
            result = mine.to_host();
        });
    for (auto& thread : threads) thread.join();
    for (auto const& result : results) CHECK(result == expected);
}

TEST_CASE("inpainting: refuses shapes that do not fit, numbers out of range and steps towards the noise") {
    cpu device(1);
    int calls = 0;
    model const flow{counting_network{&calls}, rectified_flow{}, x0{}};
    tensor<float, cpu> x(device, {2, 6}, std::vector<float>(12, 1)), other(device, {3, 6}, std::vector<float>(18, 1));
    auto const before = x.to_host();
    std::vector<double> const times{1, 0.5, 0};
    CHECK_THROWS_WITH_AS(solve(flow, inpainting{ddim{}, other, x}, times, x.view()),
                         "shape_error: inpainting: known is [3, 6], it must be [2, 6] or [1, 6]", shape_error);
    CHECK_THROWS_WITH_AS(solve(flow, inpainting{ddim{}, x, other}, times, x.view()),
                         "shape_error: inpainting: mask is [3, 6], it must be [2, 6] or [1, 6]", shape_error);
    CHECK_THROWS_WITH_AS(solve(flow, inpainting{ddim{}, x, x}, {0, 0.5}, x.view()),
                         "domain_error: inpainting: a step goes from 0 to 0.5, it must go towards the data", domain_error);
    CHECK_THROWS_WITH_AS((inpainting{ddim{}, x, x, {.resample = 0}}), "domain_error: inpainting: resample is 0, it must be at least 1",
                         domain_error);
    CHECK(x.to_host() == before);
    CHECK(calls == 0);
}

TEST_CASE("inpainting: is a printable solver with the inner one's order and steps") {
    cpu device(1);
    tensor<float, cpu> const x(device, {1, 2}, {1, 1});
    inpainting const solver{heun{.steps = 9}, x, x, {.resample = 4}};
    CHECK(to_string(solver) == "inpainting{solver = heun{steps = 9}, resample = 4}");
    CHECK(to_string(inpainting{still_solver{}, x, x}) == "inpainting{solver = still_solver{steps = 1}, resample = 1}");
    CHECK(solver.steps == 9);
    CHECK(solver.order == 2);
    CHECK(solver.solver() == heun{.steps = 9});
}

}  // namespace

}  // namespace inpainting_tests
