#include <onestep/sampler/trajectory.hpp>

#include <onestep/process/discrete.hpp>
#include <onestep/sampler/heun.hpp>
#include <onestep/sampler/limits.hpp>
#include <onestep/target/edm_preconditioned.hpp>
#include <onestep/target/score.hpp>

#include <set>

#include "order.hpp"

namespace trajectory_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

/// Remembers what it is asked, and answers 2 x + t.
struct asked {
    std::vector<double>*x, *t;
    void operator()(view<double const, cpu> in, view<double const, cpu> times, view<double, cpu> y) const {
        x->assign(in.data(), in.data() + in.size());
        t->assign(times.data(), times.data() + times.size());
        for (index_t i = 0; i < in.size(); ++i) y.data()[i] = 2 * in.data()[i] + times.data()[i / in.cols()];
    }
};

/// Asks for more scratch than a step may use.
struct greedy {
    static constexpr char const* name = "greedy";
    static constexpr int order = 1;
    int steps = 1;
    void step(auto& run, double, double) const {
        for (int k = 0; k < 13; ++k) run.scratch();
    }
    void fields(auto&& visit) const { visit("steps", steps); }
};

std::vector<double> const two_times{1, 0};

}  // namespace

TEST_CASE("trajectory: a slope is u = a x + b F at its time") {
    cpu device(1);
    arena<cpu> memory(device);
    tensor<double, cpu> x(device, {1, 3}, {0.5, -1, 2});
    model const by_velocity{gaussian_data<velocity>{0.3, 0.5}, rectified_flow{}, velocity{}};
    model const by_x0{gaussian_data<x0>{0.3, 0.5}, rectified_flow{}, x0{}};
    model const by_epsilon{gaussian_data<epsilon>{0.3, 0.5}, rectified_flow{}, epsilon{}};
    model const by_edm{gaussian_data<edm_preconditioned>{0.3, 0.5}, rectified_flow{}, edm_preconditioned{}};
    auto const slope_of = [&](auto const& m, double t) {
        trajectory run(m, two_times, x.view(), memory, random_key{});
        auto const slope = run.velocity(x.view(), t);
        CHECK(run.evaluations() == 1);
        std::vector<double> u;
        for (index_t i = 0; i < 3; ++i) u.push_back(slope.coefficient.x * slope.x.data()[i] + slope.coefficient.output * slope.f.data()[i]);
        return u;
    };
    for (double t : {0.1, 0.4, 0.85}) {
        CAPTURE(t);
        auto const u = slope_of(by_velocity, t), v = slope_of(by_x0, t), w = slope_of(by_epsilon, t), e = slope_of(by_edm, t);
        for (std::size_t i = 0; i < 3; ++i) {
            double const centred = (x.data()[i] - (1 - t) * 0.3) / ((1 - t) * (1 - t) * 0.25 + t * t);
            CHECK(u[i] == doctest::Approx(t * centred - 0.3 - (1 - t) * 0.25 * centred).epsilon(1e-14));
            CHECK(v[i] == doctest::Approx(u[i]).epsilon(1e-13));
            CHECK(w[i] == doctest::Approx(u[i]).epsilon(1e-13));
            CHECK(e[i] == doctest::Approx(u[i]).epsilon(1e-12));
        }
    }
}

TEST_CASE("trajectory: knows where a velocity exists") {
    cpu device(1);
    arena<cpu> memory(device);
    tensor<float, cpu> x(device, {1, 1}, {0.5f});
    auto const has = [&](auto const& m, double t) { return trajectory(m, two_times, x.view(), memory, random_key{}).has_velocity(t); };
    model const by_velocity{gaussian_data<velocity>{}, rectified_flow{}, velocity{}};
    model const by_x0{gaussian_data<x0>{}, rectified_flow{}, x0{}};
    model const by_epsilon{gaussian_data<epsilon>{}, rectified_flow{}, epsilon{}};
    model const by_edm{gaussian_data<edm_preconditioned>{}, rectified_flow{}, edm_preconditioned{}};
    for (double t : {0.0, 0.5, 1.0}) CHECK(has(by_velocity, t));
    CHECK_FALSE(has(by_x0, 0));
    CHECK(has(by_x0, 1));
    CHECK(has(by_epsilon, 0.25));
    CHECK_FALSE(has(by_epsilon, 1));
    CHECK(has(by_edm, 0.5));
    CHECK_FALSE(has(by_edm, 0));  // its clock is infinite at both ends
    CHECK_FALSE(has(by_edm, 1));
    limited const bounded_velocity{by_velocity, clip{}};
    CHECK_FALSE(has(bounded_velocity, 0));  // it goes through the clean sample
    CHECK(has(bounded_velocity, 0.5));
    CHECK(has(bounded_velocity, 1));
    trajectory run(by_epsilon, two_times, x.view(), memory, random_key{});
    CHECK_THROWS_AS(run.velocity(x.view(), 1), domain_error);
    CHECK(run.evaluations() == 0);
}

TEST_CASE("trajectory: solvers end at limited data where the model has a velocity of its own") {
    cpu device(1);
    model const flow{gaussian_data<velocity>{0.3, 2}, rectified_flow{}, velocity{}};
    limited const bounded{flow, clip{-0.5, 0.75}};
    tensor<double, cpu> const z(device, {1, 3}, {3, -3, 0.1});
    for (auto const& x : {sample(bounded, heun{.steps = 4}, z).to_host(), sample(bounded, rk4{.steps = 4}, z).to_host()}) {
        CHECK(x[0] == doctest::Approx(0.75).epsilon(1e-12));
        CHECK(x[1] == doctest::Approx(-0.5).epsilon(1e-12));
        CHECK(std::fabs(x[2]) < 0.75);
    }
}

TEST_CASE("trajectory: the network reads scaled inputs and is told its own time") {
    cpu device(1);
    arena<cpu> memory(device);
    std::vector<double> read, told;
    tensor<double, cpu> x(device, {2, 2}, {0.5, -1, 2, 4});
    auto const ask = [&](auto const& target, auto const& process, double t) {
        model const m{asked{&read, &told}, process, target};
        trajectory run(m, two_times, x.view(), memory, random_key{});
        auto const p = run.predict(x.view(), t);
        CHECK(p.x.data() == x.data());  // what the prediction belongs to is x itself, not the scaled copy
        CHECK(p.t == t);
        for (index_t i = 0; i < 4; ++i) CHECK(p.f.data()[i] == 2 * read[static_cast<std::size_t>(i)] + told[0]);
    };
    ask(edm_preconditioned{.sigma_data = 0.5}, edm{}, 3);
    CHECK(told == std::vector<double>(2, std::log(3.0) / 4));
    for (std::size_t i = 0; i < 4; ++i) CHECK(read[i] == doctest::Approx(x.data()[i] / std::sqrt(9.25)).epsilon(1e-15));
    ask(edm_preconditioned{.sigma_data = 0.5}, rectified_flow{}, 0.75);  // sigma / alpha = 3, x / alpha = 4 x
    CHECK(told[1] == doctest::Approx(std::log(3.0) / 4).epsilon(1e-15));
    for (std::size_t i = 0; i < 4; ++i) CHECK(read[i] == doctest::Approx(4 * x.data()[i] / std::sqrt(9.25)).epsilon(1e-15));
    ask(epsilon{}, discrete<>{}, 400);
    CHECK(told == std::vector<double>{399, 399});
    CHECK(read == x.to_host());
    ask(velocity{}, rectified_flow{}, 0.3);
    CHECK(told == std::vector<double>{0.3, 0.3});
}

TEST_CASE("trajectory: rows may stand at times of their own") {
    cpu device(1);
    arena<cpu> memory(device);
    std::vector<double> read, told;
    tensor<double, cpu> x(device, {2, 2}, {0.5, -1, 2, 4}), f(device, {2, 2});
    double const times[] = {0.2, 0.7};
    auto const check = [&](auto const& m) {
        trajectory run(m, two_times, x.view(), memory, random_key{});
        auto* const clocks = run.template row_array<row_clock<double>>(0);
        for (int r = 0; r < 2; ++r) clocks[r] = run.clock(times[r]);
        auto const u = run.velocity_rows(x.view(), clocks, f.view());
        CHECK(run.evaluations() == 1);
        std::vector<double> const read_together = read, told_together = told;
        for (index_t r = 0; r < 2; ++r) {
            tensor<double, cpu> one(device, {1, 2}, {x.data()[2 * r], x.data()[2 * r + 1]});
            trajectory alone(m, two_times, one.view(), memory, random_key{});
            auto const slope = alone.velocity(one.view(), times[r]);
            for (index_t c = 0; c < 2; ++c) {
                CHECK(read_together[static_cast<std::size_t>(2 * r + c)] == read[static_cast<std::size_t>(c)]);
                CHECK(
                    u(r, 2 * r + c) ==
                    doctest::Approx(slope.coefficient.x * slope.x.data()[c] + slope.coefficient.output * slope.f.data()[c]).epsilon(1e-14));
            }
            CHECK(told_together[static_cast<std::size_t>(r)] == told[0]);
        }
    };
    model const plain{asked{&read, &told}, rectified_flow{}, v_prediction{}};
    model const preconditioned{asked{&read, &told}, rectified_flow{}, edm_preconditioned{}};
    check(plain);
    check(preconditioned);
    check(limited{plain, clip{-0.5, 0.5}});
    check(limited{preconditioned, clip{-0.5, 0.5}});
    check(limited{plain, dynamic_threshold{.quantile = 0.6}});
}

TEST_CASE("trajectory: scratch is shaped like x and the same in every step, lasting memory survives steps") {
    cpu device(1);
    arena<cpu> memory(device);
    tensor<float, cpu> x(device, {2, 3});
    model const m{gaussian_data<velocity>{}, rectified_flow{}, velocity{}};
    std::vector<double> const times = equal_times(1, 0, 3);
    trajectory run(m, times, x.view(), memory, random_key{});
    CHECK(run.steps() == 3);
    CHECK(run.time(3) == 0);
    std::set<float*> places;
    float* first[2] = {};
    for (int step = 0; step < 3; ++step) {
        run.begin_step(step);
        CHECK(run.index() == step);
        for (float*& at : first) {
            auto const s = run.scratch();
            CHECK(s.shape() == x.shape());
            CHECK((step == 0 || s.data() == at));
            at = s.data();
        }
        CHECK(first[0] != first[1]);
        places.insert(run.lasting(0).data());
    }
    CHECK(places.size() == 1);
    CHECK(run.lasting(1).data() != run.lasting(0).data());
    CHECK(places.count(first[0]) == 0);
    CHECK_THROWS_WITH_AS(solve(m, greedy{}, {1, 0}, x.view()),
                         "domain_error: trajectory: a 13th scratch tensor was asked for, a step uses at most 12", domain_error);
}

TEST_CASE("trajectory: remembers three earlier predictions, newest first") {
    cpu device(1);
    arena<cpu> memory(device);
    tensor<double, cpu> x(device, {1, 1}, {0.0});
    model const m{gaussian_data<velocity>{}, rectified_flow{}, velocity{}};
    std::vector<double> const times = equal_times(1, 0, 8);
    trajectory run(m, times, x.view(), memory, random_key{});
    CHECK(run.remembered() == 0);
    for (int step = 0; step < 7; ++step) {
        run.begin_step(step);
        run.keep(times[static_cast<std::size_t>(step)]).data()[0] = 10 + step;
        CHECK(run.remembered() == std::min(step, 3));
        for (int k = 0; k <= run.remembered(); ++k) {
            CHECK(run.kept(k).data()[0] == 10 + step - k);
            CHECK(run.kept_time(k) == times[static_cast<std::size_t>(step - k)]);
        }
    }
    run.forget();
    CHECK(run.remembered() == 0);
    run.keep(0.5).data()[0] = 99;
    CHECK(run.remembered() == 0);
    CHECK(run.kept(0).data()[0] == 99);
}

TEST_CASE("trajectory: noise differs between steps, uses and rows, and belongs to samples") {
    cpu device(1);
    arena<cpu> memory(device);
    tensor<float, cpu> x(device, {2, 4});
    model const m{gaussian_data<velocity>{}, rectified_flow{}, velocity{}};
    std::vector<double> const times = equal_times(1, 0, 3);
    auto const drawn = [&](random_key key, int step, std::uint64_t k) {
        trajectory run(m, times, x.view(), memory, key);
        run.begin_step(step);
        tensor<float, cpu> z(device, x.shape());
        fill_normal(z.view(), run.noise(k));
        return z.to_host();
    };
    auto const first = drawn({7, 0, 3}, 0, 0);
    CHECK(first == drawn({7, 0, 3}, 0, 0));
    CHECK(first != drawn({7, 0, 3}, 1, 0));
    CHECK(first != drawn({7, 0, 3}, 0, 1));
    CHECK(first != drawn({8, 0, 3}, 0, 0));
    auto const shifted = drawn({7, 0, 4}, 0, 0);
    CHECK(std::equal(first.begin() + 4, first.end(), shifted.begin()));
    CHECK_FALSE(std::equal(first.begin(), first.begin() + 4, shifted.begin()));
    // a stream of its own: not the one that samples start from
    tensor<float, cpu> z(device, x.shape());
    fill_normal(z.view(), random_key{7, 0, 3}.at(draw::noise));
    CHECK(first != z.to_host());
}

TEST_CASE("trajectory: a limited prediction enters every output and what is kept") {
    cpu device(1);
    arena<cpu> memory(device);
    tensor<double, cpu> x(device, {1, 4}, {0.5, -1, 2, 0.1}), kept(device, {1, 4}), out(device, {1, 4});
    std::vector<double> read, told;
    model const m{asked{&read, &told}, rectified_flow{}, x0{}};
    limited const bounded{m, clip{-0.75, 1.25}};
    trajectory run(bounded, two_times, x.view(), memory, random_key{});
    auto const p = run.predict(x.view(), 0.25);
    data_step<double, cpu> step{};
    step.outputs[0] = {out.view(), 0, 1, {}};
    step.keep = kept.view();
    run.advance(p, step);
    std::vector<double> const expected{1.25, -0.75, 1.25, 0.45};
    for (std::size_t i = 0; i < 4; ++i) CHECK(out.data()[i] == doctest::Approx(expected[i]).epsilon(1e-15));
    CHECK(kept.to_host() == out.to_host());
    std::vector<double> const before = x.to_host();
    run.advance(p, 0.5, 0.25);
    for (std::size_t i = 0; i < 4; ++i) CHECK(x.data()[i] == doctest::Approx(0.5 * before[i] + 0.25 * expected[i]).epsilon(1e-15));
}

}  // namespace trajectory_tests
