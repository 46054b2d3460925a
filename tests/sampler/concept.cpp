#include <onestep/sampler/concept.hpp>

#include <onestep/sampler/euler.hpp>
#include <onestep/sampler/heun.hpp>
#include <onestep/sampler/midpoint.hpp>

#include "order.hpp"

namespace sampler_concept_tests {

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
/// Uses what came before.
struct historian {
    static constexpr char const* name = "historian";
    static constexpr int order = 1;
    static constexpr bool remembers = true;
    int steps = 1;
    void step(auto&, double, double) const {}
    void fields(auto&& visit) const { visit("steps", steps); }
};
/// The solver that concept.hpp shows.
struct my_euler {
    static constexpr char const* name = "my_euler";
    static constexpr int order = 1;
    int steps = 10;
    void step(auto& run, double t, double s) const {
        affine_step next(run.x());
        next.add(1, run.x());
        run.velocity(run.x(), t).add_to(next, s - t);
        next.run();
    }
    void fields(auto&& visit) const { visit("steps", steps); }
};

}  // namespace

TEST_CASE("solver: euler converges at its order for every target and in both directions") {
    check_order(euler{}, {64, 96, 128, 192, 256, 384});
}

TEST_CASE("solver: a solver is a spec with steps, an order and a step") {
    using run = trajectory<model<gaussian_data<velocity>, rectified_flow, velocity>, float, cpu>;
    CHECK(solver<euler, run>);
    CHECK(solver<rk4, run>);
    CHECK(solver<historian, run>);
    CHECK(solver<my_euler, run>);
    CHECK_FALSE(solver<without_order, run>);
    CHECK_FALSE(solver<rectified_flow, run>);
    CHECK_FALSE(solver<int, run>);
}

TEST_CASE("solver: says whether it remembers") {
    CHECK(remembers<historian>());
    CHECK_FALSE(remembers<euler>());
}

TEST_CASE("solver: one's own is as good as the library's") {
    cpu device(1);
    model const flow{mixture_data<velocity>{three_clusters()}, rectified_flow{}, velocity{}};
    tensor<double, cpu> const z = normal<double>(device, {5, 2}, 3);
    CHECK(sample(flow, my_euler{}, z).to_host() == sample(flow, euler{.steps = 10}, z).to_host());
}

TEST_CASE("solver: the deterministic ones carry data to the noise and back at their order, on four processes") {
    cpu device(1);
    tensor<double, cpu> const start(device, {4, 2}, {1.4, 0.3, -0.9, 0.8, -0.2, -1.1, 1.3, 0.7});
    auto const round_trip = [&](auto const& process, auto const& solver, double clean, double noisy) {
        using process_type = std::remove_cvref_t<decltype(process)>;
        model const flow{mixture_data<v_prediction, process_type>{three_clusters(), {}, process}, process, v_prediction{}};
        std::vector<int> const steps{64, 96, 128, 192, 256};
        std::vector<double> errors;
        for (int n : steps) {
            tensor<double, cpu> x = start;
            solve(flow, solver, equal_times(clean, noisy, n), x.view());
            double const moved = relative_to(x.to_host(), start.to_host());
            CHECK(moved > 0.1);
            solve(flow, solver, equal_times(noisy, clean, n), x.view());
            errors.push_back(relative_to(x.to_host(), start.to_host()));
        }
        CAPTURE(std::string(process_type::name));
        CAPTURE(errors.front());
        CAPTURE(errors.back());
        return fitted_order(steps, errors);
    };
    auto const on = [&](auto const& process, double clean, double noisy) {
        CHECK(std::fabs(round_trip(process, euler{}, clean, noisy) - 1) < 0.2);
        CHECK(round_trip(process, heun{}, clean, noisy) > 1.8);
        CHECK(round_trip(process, midpoint{}, clean, noisy) > 1.8);
        CHECK(round_trip(process, rk4{}, clean, noisy) > 3.7);
    };
    on(rectified_flow{}, 0, 1);
    on(variance_preserving{}, 0.05, 0.6);
    on(edm{}, 0.25, 3);
    on(trigonometric_flow{}, 0.1, 1.4);
}

}  // namespace sampler_concept_tests
