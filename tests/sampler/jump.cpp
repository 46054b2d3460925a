#include <onestep/sampler/jump.hpp>

#include <onestep/network/mlp.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/sampler/euler.hpp>
#include <onestep/time/explicit_grid.hpp>

#include <doctest/doctest.h>

#include "../counting_allocator.hpp"
#include "../exact_average_velocity.hpp"
#include "../exact_models.hpp"
#include "../test_backend.hpp"

namespace jump_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

template <class T> mlp<T, backend_type> lively_mlp(mlp_options const& options) {
    mlp<T, backend_type> net(device(), options);
    fill_normal(net.parameters().reshaped({1, net.parameters().size()}), random_key{3}.at(draw::user), 0.3);
    return net;
}

/// F of rows that all stand at the same times, on the host.
template <class Network, class... Times>
std::vector<double> answers(Network& net, std::vector<double> const& x, index_t n, Times... times) {
    index_t const d = static_cast<index_t>(x.size()) / n;
    tensor<double, backend_type> const at(device(), {n, d}, x);
    tensor<double, backend_type> y(device(), {n, d});
    auto const all = [&](double time) {
        return tensor<double, backend_type>(device(), {n}, std::vector<double>(static_cast<std::size_t>(n), time));
    };
    std::array<tensor<double, backend_type>, sizeof...(Times)> const told{all(times)...};
    if constexpr (sizeof...(Times) == 1) net(at.view(), told[0].view(), y.view());
    else net(at.view(), told[0].view(), told[1].view(), y.view());
    return y.to_host();
}

/// What jump adds to row r at step i.
std::vector<double> noise_of(random_key key, std::uint64_t i, index_t n, index_t d) {
    tensor<double, backend_type> z(device(), {n, d});
    fill_normal(z.view(), key.at_step(i).at(draw::solver));
    return z.to_host();
}

/// f = mean + deviation / S (x - alpha mean), the exact consistency function of N(mean, deviation^2), as the network of a
/// consistency_model on trigonometric flow: f = cos(t) x - sd sin(t) F(x / sd, t).
struct exact_consistency {
    double mean = 0.4, deviation = 0.7, sd = 0.5;
    void operator()(view<double const, cpu> x, view<double const, cpu> t, view<double, cpu> y) const {
        for (index_t i = 0; i < x.size(); ++i) {
            double const a = t.data()[i / x.cols()], at = sd * x.data()[i], spread = std::hypot(std::cos(a) * deviation, sd * std::sin(a));
            double const clean = mean + deviation / spread * (at - std::cos(a) * mean);
            y.data()[i] = (std::cos(a) * at - clean) / (sd * std::sin(a));
        }
    }
};

/// |mean - m| and |variance - v| in deviations of the estimates for normal samples.
void check_normal(std::vector<double> const& x, double m, double v) {
    double const n = static_cast<double>(x.size());
    double mean = 0, square = 0;
    for (double value : x) mean += value / n;
    for (double value : x) square += (value - m) * (value - m) / n;
    CHECK(std::fabs(mean - m) < 5 * std::sqrt(v / n));
    CHECK(std::fabs(square - v) < 5 * v * std::sqrt(2 / n));
}

}  // namespace

TEST_CASE("jump: the exact flow map of Gaussian data arrives exactly, in any number of steps and on any grid") {
    cpu host(1);
    exact_average_velocity const net{0.4, 0.7};
    flow_map_model const map{net};
    tensor<double, cpu> const z = normal<double>(host, {50, 3}, 4);
    std::vector<double> exact;
    for (double value : z.to_host()) exact.push_back(0.4 + 0.7 * value);
    for (int steps : {1, 2, 3, 17}) CHECK(relative_to(sample(map, jump{.steps = steps}, z).to_host(), exact) < 1e-14);
    CHECK(relative_to(sample(map, jump{.steps = 3}, z, explicit_grid{{1, 0.9, 0.1, 0}}).to_host(), exact) < 1e-14);
    // Part of the way.
    tensor<double, cpu> x = z;
    CHECK(solve(map, jump{}, {0.8, 0.5, 0.3}, x.view()) == 2);
    for (index_t i = 0; i < x.size(); ++i) CHECK(x.data()[i] == doctest::Approx(net.flow(z.data()[i], 0.8, 0.3)).epsilon(1e-13));
}

TEST_CASE("jump: a flow map is asked once an interval for the way to the next time") {
    auto net = lively_mlp<double>({.data = {2}, .width = 5, .blocks = 1, .time = {.size = 4, .scale = 2}, .second_time = true});
    flow_map_model const map{net};
    tensor<double, backend_type> const z = normal<double>(device(), {6, 2}, 4);
    std::vector<double> x = z.to_host();
    std::vector<double> const times{1, 0.7, 0.2, 0};
    for (std::size_t i = 0; i + 1 < times.size(); ++i) {
        auto const f = answers(net, x, 6, times[i], times[i + 1]);
        for (std::size_t k = 0; k < x.size(); ++k) x[k] -= (times[i] - times[i + 1]) * f[k];
    }
    CHECK(relative_difference(sample(map, jump{.steps = 3}, z, explicit_grid{times}).to_host(), x) < 1e-13);
}

TEST_CASE("jump: several steps of a consistency model add sqrt(t^2 - t_min^2) fresh noise each") {
    edm const process{.sigma_min = 0.002};
    auto net = lively_mlp<double>({.data = {2}, .width = 5, .blocks = 1, .time = {.size = 4, .scale = 2}});
    consistency_model const map{net, process};
    tensor<double, backend_type> const z = normal<double>(device(), {6, 2}, 4);
    random_key const key{9, 0, 30};
    double const sd = 0.5, least = 0.002;
    auto const formula = [&](std::vector<double> const& times) {
        std::vector<double> x = z.to_host();
        for (double& value : x) value *= times.front();
        for (std::size_t i = 0; i + 1 < times.size(); ++i) {
            double const t = times[i], to = times[i + 1], total = t * t + sd * sd;
            std::vector<double> read = x;
            for (double& value : read) value /= std::sqrt(total);
            auto const f = answers(net, read, 6, std::log(t) / 4), fresh = noise_of(key, i, 6, 2);
            double const skip = sd * sd / ((t - least) * (t - least) + sd * sd), out = sd * (t - least) / std::sqrt(total);
            for (std::size_t k = 0; k < x.size(); ++k)
                x[k] = skip * x[k] + out * f[k] + (to > least ? std::sqrt(to * to - least * least) * fresh[k] : 0);
        }
        return x;
    };
    double const last = process.t_min(), first = process.t_max();
    for (auto const& times :
         {std::vector<double>{first, last}, std::vector<double>{first, 0.821, last}, std::vector<double>{first, 24.4, 5.84, 0.9, last}}) {
        auto const x = sample(map, jump{.steps = static_cast<int>(times.size()) - 1}, z, explicit_grid{times}, key);
        CHECK(relative_difference(x.to_host(), formula(times)) < 1e-12);
    }
    // A time at which all but the boundary's noise is gone adds none, and f there is x itself.
    tensor<double, backend_type> x = z, y = z;
    solve(map, jump{}, {5, 0.002, 0.001}, x.view(), key);
    solve(map, jump{}, {5, 0.002}, y.view(), key);
    CHECK(x.to_host() == y.to_host());
}

TEST_CASE("jump: on another process a consistency model's noise is scaled, and one step is f alone") {
    trigonometric_flow const process{.sigma_data = 0.5};
    auto net = lively_mlp<double>({.data = {2}, .width = 5, .blocks = 1, .time = {.size = 4, .scale = 2}});
    consistency_model const map{net, process};
    tensor<double, backend_type> const z = normal<double>(device(), {6, 2}, 4);
    random_key const key{9};
    double const first = process.t_max(), middle = 1.1;
    auto const f = [&](std::vector<double> const& x, double t) {
        std::vector<double> read = x, out;
        for (double& value : read) value /= 0.5;
        auto const answer = answers(net, read, 6, t);
        for (std::size_t k = 0; k < x.size(); ++k) out.push_back(std::cos(t) * x[k] - 0.5 * std::sin(t) * answer[k]);
        return out;
    };
    std::vector<double> start = z.to_host();
    for (double& value : start) value *= prior_scale_of(process);
    auto const one = f(start, first);
    CHECK(relative_difference(sample(map, jump{}, z, uniform_grid{}, key).to_host(), one) < 1e-12);
    std::vector<double> again = one;
    auto const fresh = noise_of(key, 0, 6, 2);
    for (std::size_t k = 0; k < again.size(); ++k) again[k] = std::cos(middle) * one[k] + 0.5 * std::sin(middle) * fresh[k];
    auto const two = sample(map, jump{.steps = 2}, z, explicit_grid{{first, middle, process.t_min()}}, key);
    CHECK(relative_difference(two.to_host(), f(again, middle)) < 1e-12);
}

TEST_CASE("jump: noise carries a flow map further and back, by the formula") {
    cpu host(1);
    exact_average_velocity const net{0.4, 0.7};
    flow_map_model const map{net};
    tensor<double, cpu> const z = normal<double>(host, {20, 2}, 4);
    random_key const key{9, 0, 5};
    for (double gamma : {0.0, 0.3, 0.9, 1.0}) {
        CAPTURE(gamma);
        auto const x = sample(map, jump{.steps = 2, .noise = gamma}, z, explicit_grid{{1, 0.6, 0}}, key);
        tensor<double, cpu> fresh(host, {20, 2});
        fill_normal(fresh.view(), key.at_step(0).at(draw::solver));
        // The level sigma / alpha of 0.6 is 1.5; aim at sqrt(1 - gamma^2) of it, and come back with what is missing of the noise.
        double const level = std::sqrt(1 - gamma * gamma) * 1.5, aim = level / (1 + level), signal = 0.4 / (1 - aim);
        double const noise = gamma * 0.6;
        for (index_t i = 0; i < 40; ++i) {
            double const back = signal * net.flow(z.data()[i], 1, aim) + noise * fresh.data()[i];
            CHECK(x.data()[i] == doctest::Approx(net.flow(back, 0.6, 0)).epsilon(1e-12));
        }
    }
    // At the last time no noise is drawn: one step is the same for any gamma.
    CHECK(sample(map, jump{.noise = 1}, z, uniform_grid{}, key).to_host() == sample(map, jump{}, z).to_host());
}

TEST_CASE("jump: noise leaves the marginals of exact maps as they are, at every time") {
    cpu host(2);
    index_t const n = 100'000;
    flow_map_model const map{exact_average_velocity{0.4, 0.7}};
    tensor<double, cpu> const z = normal<double>(host, {n, 1}, 4);
    for (double gamma : {0.5, 1.0}) {
        CAPTURE(gamma);
        check_normal(sample(map, jump{.steps = 4, .noise = gamma}, z, uniform_grid{}, {9}).to_host(), 0.4, 0.49);
        tensor<double, cpu> x = z;
        // The last interval draws none, so the state at 0.3 is seen on the way of a longer run: stop it there by a short step.
        solve(map, jump{.noise = gamma}, {1, 0.6, 0.3, 0.3 - 1e-9}, x.view(), {9});
        check_normal(x.to_host(), 0.7 * 0.4, 0.7 * 0.7 * 0.49 + 0.3 * 0.3);
    }
    trigonometric_flow const process{.sigma_data = 0.5};
    consistency_model const fast{exact_consistency{}, process};
    auto const x = sample(fast, jump{.steps = 3}, z, explicit_grid{{process.t_max(), 1.1, 0.4, process.t_min()}}, {9});
    double const last = 0.7 / std::hypot(std::cos(process.t_max()) * 0.7, 0.5 * std::sin(process.t_max()));
    CHECK(last == doctest::Approx(1.4).epsilon(0.02));  // the start's spread is the process's own, to that
    check_normal(x.to_host(), 0.4, 0.49);
}

TEST_CASE("jump: a row's sample depends on its noise and its number, not on the batch, and float follows double") {
    auto net = lively_mlp<double>({.data = {3}, .width = 6, .blocks = 1, .time = {.size = 4, .scale = 2}, .second_time = true});
    flow_map_model const map{net};
    tensor<double, backend_type> const z = normal<double>(device(), {30, 3}, 4);
    jump const how{.steps = 3, .noise = 0.5};
    random_key const key{2, 0, 100};
    auto const all = sample(map, how, z, uniform_grid{}, key).to_host();
    auto const part = sample(map, how, z.view().rows(11, 4), uniform_grid{}, key.from_row(11)).to_host();
    CHECK(relative_difference(part, std::vector<double>(all.begin() + 33, all.begin() + 45)) < 1e-13);
    auto narrow_net = lively_mlp<float>({.data = {3}, .width = 6, .blocks = 1, .time = {.size = 4, .scale = 2}, .second_time = true});
    std::vector<float> parameters, noise;
    for (double p : to_host(net.parameters())) parameters.push_back(static_cast<float>(p));
    for (double value : z.to_host()) noise.push_back(static_cast<float>(value));
    device().upload(parameters.data(), narrow_net.parameters().size(), narrow_net.parameters().data());
    tensor<float, backend_type> const narrow_z(device(), {30, 3}, noise);
    std::vector<double> narrow;
    for (float value : sample(flow_map_model{narrow_net}, how, narrow_z, uniform_grid{}, key).to_host())
        narrow.push_back(static_cast<double>(value));
    CHECK(relative_difference(narrow, all) < 1e-5);
}

TEST_CASE("jump: the same bits for any number of threads, and nothing allocated when warm") {
    std::vector<float> first;
    for (int threads : {1, 2}) {
        cpu host(threads);
        mlp<float, cpu> net(host, {.data = {20}, .width = 64, .blocks = 1, .second_time = true});
        fill_normal(net.parameters().reshaped({1, net.parameters().size()}), random_key{3}.at(draw::user), 0.2);
        flow_map_model const map{net};
        tensor<float, cpu> x = normal<float>(host, {300, 20}, 4);
        std::vector<double> const times{1, 0.5, 0};
        solve(map, jump{.noise = 0.5}, times, x.view(), {1});
        solve(map, jump{.noise = 0.5}, times, x.view(), {2});
        auto const before = allocations();
        CHECK(solve(map, jump{.noise = 0.5}, times, x.view(), {3}) == 2);
        CHECK(allocations() == before);
        if (threads == 1) first = x.to_host();
        else CHECK(x.to_host() == first);
    }
}

TEST_CASE("jump: labels given to the model reach its network") {
    auto net =
        lively_mlp<double>({.data = {2}, .width = 5, .blocks = 1, .time = {.size = 4, .scale = 2}, .classes = 3, .second_time = true});
    auto single = lively_mlp<double>({.data = {2}, .width = 5, .blocks = 1, .time = {.size = 4, .scale = 2}, .classes = 3});
    tensor<double, backend_type> const z = normal<double>(device(), {3, 2}, 4);
    auto const check = [&](auto const& map) {
        auto const labelled = sample(map.given(class_labels(device(), {2, 0, 1}, 3)), jump{.steps = 2}, z).to_host();
        auto const none = sample(map, jump{.steps = 2}, z).to_host();
        for (std::int32_t r = 0; r < 3; ++r) {
            std::int32_t const label = (r + 2) % 3;
            auto const one = sample(map.given(class_labels(device(), {label}, 3)), jump{.steps = 2}, z.view().rows(r, 1), uniform_grid{},
                                    random_key{}.from_row(r))
                                 .to_host();
            for (std::size_t c = 0; c < 2; ++c) {
                std::size_t const i = 2 * static_cast<std::size_t>(r) + c;
                CHECK(one[c] == doctest::Approx(labelled[i]).epsilon(1e-12));
                CHECK(std::fabs(labelled[i] - none[i]) > 1e-7);
            }
        }
    };
    check(flow_map_model{net});
    check(consistency_model{single, edm{}});
}

TEST_CASE("jump: refuses steps, times and noise outside their range, and is a spec") {
    cpu host(1);
    flow_map_model const map{exact_average_velocity{}};
    tensor<double, cpu> z = normal<double>(host, {2, 1}, 4);
    CHECK_THROWS_WITH_AS(sample(map, jump{.steps = 0}, z), "domain_error: uniform_grid: steps is 0, at least 1 is needed", domain_error);
    CHECK_THROWS_WITH_AS(sample(map, jump{.steps = 2}, z, explicit_grid{{1, 0}}),
                         "domain_error: explicit_grid: steps is 2 and 2 times were given, that many steps have 3 times", domain_error);
    CHECK_THROWS_WITH_AS(solve(map, jump{}, {0.2, 0.6}, z.view()),
                         "domain_error: jump: the times rise from 0.2 to 0.6, a flow map carries x towards the data", domain_error);
    CHECK_THROWS_WITH_AS(solve(map, jump{}, {0.5}, z.view()), "domain_error: grid: 1 times were given, a grid has at least two",
                         domain_error);
    for (double noise : {-0.1, 1.1, std::nan("")}) CHECK_THROWS_AS(solve(map, jump{.noise = noise}, {1, 0}, z.view()), domain_error);
    CHECK_THROWS_WITH(solve(map, jump{.noise = 2}, {1, 0}, z.view()), "domain_error: jump: noise is 2, it must lie in [0, 1]");
    tensor<double, cpu> none(host, {0, 1});
    CHECK(solve(map, jump{}, {1, 0}, none.view()) == 0);
    CHECK(to_string(jump{.steps = 2}) == "jump{steps = 2, noise = 0}");
    CHECK(jump{} == jump{.steps = 1, .noise = 0});
}

}  // namespace jump_tests
