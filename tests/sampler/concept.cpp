#include <onestep/sampler/concept.hpp>

#include <onestep/sampler/euler.hpp>

#include "order.hpp"

using namespace onestep;
using namespace onestep::test;

namespace {

/// Not a solver: it states no order.
struct without_order {
    static constexpr char const* name = "without_order";
    int steps = 1;
    void step(auto&, double, double) const {}
    void fields(auto&& visit) const { visit("steps", steps); }
};
/// Asks for more scratch than a step may use.
struct greedy {
    static constexpr char const* name = "greedy";
    static constexpr int order = 1;
    int steps = 1;
    void step(auto& flow, double, double) const {
        for (int k = 0; k < 9; ++k) flow.scratch();
    }
    void fields(auto&& visit) const { visit("steps", steps); }
};

}  // namespace

TEST_CASE("solver: euler converges at its order for every target and in both directions") { check_order(euler{}, {64, 96, 128, 192, 256, 384}); }

TEST_CASE("solver: a slope is u = a x + b F at its time") {
    cpu device(1);
    arena<cpu> memory(device);
    tensor<double, cpu> x(device, {1, 3}, {0.5, -1, 2});
    model const by_velocity{gaussian_data<velocity>{0.3, 0.5}, rectified_flow{}, velocity{}};
    model const by_x0{gaussian_data<x0>{0.3, 0.5}, rectified_flow{}, x0{}};
    model const by_epsilon{gaussian_data<epsilon>{0.3, 0.5}, rectified_flow{}, epsilon{}};
    auto const slope_of = [&](auto const& m, double t) {
        flow run(m, x.view(), memory);
        auto const slope = run.velocity(x.view(), t);
        CHECK(run.evaluations() == 1);
        std::vector<double> u;
        for (index_t i = 0; i < 3; ++i) u.push_back(slope.coefficient.x * slope.x.data()[i] + slope.coefficient.output * slope.f.data()[i]);
        return u;
    };
    for (double t : {0.1, 0.4, 0.85}) {
        CAPTURE(t);
        auto const u = slope_of(by_velocity, t), v = slope_of(by_x0, t), w = slope_of(by_epsilon, t);
        for (std::size_t i = 0; i < 3; ++i) {
            double const centred = (x.data()[i] - (1 - t) * 0.3) / ((1 - t) * (1 - t) * 0.25 + t * t);
            CHECK(u[i] == doctest::Approx(t * centred - 0.3 - (1 - t) * 0.25 * centred).epsilon(1e-14));
            CHECK(v[i] == doctest::Approx(u[i]).epsilon(1e-13));
            CHECK(w[i] == doctest::Approx(u[i]).epsilon(1e-13));
        }
    }
}

TEST_CASE("solver: knows where a velocity exists") {
    cpu device(1);
    arena<cpu> memory(device);
    tensor<float, cpu> x(device, {1, 1}, {0.5f});
    static model const by_velocity{gaussian_data<velocity>{}, rectified_flow{}, velocity{}};
    static model const by_x0{gaussian_data<x0>{}, rectified_flow{}, x0{}};
    static model const by_epsilon{gaussian_data<epsilon>{}, rectified_flow{}, epsilon{}};
    flow const a(by_velocity, x.view(), memory);
    flow const b(by_x0, x.view(), memory);
    flow const c(by_epsilon, x.view(), memory);
    for (double t : {0.0, 0.5, 1.0}) CHECK(a.has_velocity(t));
    CHECK_FALSE(b.has_velocity(0));
    CHECK(b.has_velocity(1));
    CHECK(c.has_velocity(0.25));
    CHECK_FALSE(c.has_velocity(1));
    flow run(by_epsilon, x.view(), memory);
    CHECK_THROWS_AS(run.velocity(x.view(), 1), domain_error);
    CHECK(run.evaluations() == 0);
}

TEST_CASE("solver: scratch is shaped like x and the same in every step") {
    cpu device(1);
    arena<cpu> memory(device);
    tensor<float, cpu> x(device, {2, 3});
    model const m{gaussian_data<velocity>{}, rectified_flow{}, velocity{}};
    flow run(m, x.view(), memory);
    float* first[2] = {};
    for (int step = 0; step < 3; ++step) {
        run.begin_step();
        for (float*& at : first) {
            auto const s = run.scratch();
            CHECK(s.shape() == x.shape());
            CHECK((step == 0 || s.data() == at));
            at = s.data();
        }
        CHECK(first[0] != first[1]);
    }
    CHECK_THROWS_WITH_AS(solve(m, greedy{}, {1, 0}, x.view()), "domain_error: flow: a ninth scratch tensor was asked for, a step uses at most 8", domain_error);
}

TEST_CASE("solver: a solver is a spec with steps, an order and a step") {
    using run = flow<model<gaussian_data<velocity>, rectified_flow, velocity>, float, cpu>;
    CHECK(solver<euler, run>);
    CHECK(solver<rk4, run>);
    CHECK(solver<greedy, run>);
    CHECK_FALSE(solver<without_order, run>);
    CHECK_FALSE(solver<rectified_flow, run>);
}
