#include <onestep/sampler/multistep.hpp>

#include <onestep/backend/cpu.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/sampler/sample.hpp>
#include <onestep/target/velocity.hpp>

#include <doctest/doctest.h>

#include <vector>

#include "../exact_models.hpp"

namespace multistep_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

/// Weighs everything it remembers with fixed numbers, and keeps epsilon.
struct fixed_weights {
    static constexpr char const* name = "fixed_weights";
    static constexpr int order = 0;
    static constexpr bool remembers = true;
    int steps = 6, most = 3;
    double noise = 0;
    void step(auto& run, double t, double s) const {
        auto const here = run.predict(run.x(), t);
        auto const keep = run.keep(t);
        multistep_history const past = history_of(run, log_snr_step_of(name, run.process(), t, s), most);
        CHECK(past.count == std::min(run.index(), most));
        CHECK(past.node[0] == 0);
        for (int k = 1; k <= past.count; ++k) {
            auto const lambda = [&](int i) { return run.process().log_snr(run.time(run.index() + i)) / 2; };
            CHECK(past.node[static_cast<std::size_t>(k)] ==
                  doctest::Approx((lambda(-k) - lambda(0)) / (lambda(1) - lambda(0))).epsilon(1e-12));
        }
        multistep_update{0.5, {1, 0.25, -0.125, 2}, noise, 1 / t, -(1 - t) / t}.run(run, here, keep, past.count);
    }
    void fields(auto&&) const {}
};

}  // namespace

TEST_CASE("multistep_update: one pass is the plain sum, with as many earlier predictions as there are") {
    cpu device(1);
    gaussian_data<velocity> const net{0.3, 0.6};
    std::vector<double> const times{0.9, 0.8, 0.75, 0.5, 0.4, 0.35, 0.1};
    for (int most : {0, 1, 2, 3})
        for (double noise : {0.0, 0.5}) {
            CAPTURE(most);
            tensor<double, cpu> x(device, {2, 3}, {0.9, -1.4, 0.2, 1.1, -0.3, 0.6});
            std::vector<double> expected = x.to_host();
            solve(model{net, rectified_flow{}, velocity{}}, fixed_weights{.most = most, .noise = noise}, times, x.view(), random_key{3});
            std::vector<std::vector<double>> past;
            for (std::size_t i = 0; i + 1 < times.size(); ++i) {
                double const t = times[i], variance = (1 - t) * (1 - t) * 0.36 + t * t;
                tensor<double, cpu> z(device, {2, 3});
                fill_normal(z.view(), random_key{3}.at_step(i).at(draw::solver, 0));
                std::vector<double> now;
                for (double& value : expected) {
                    now.push_back(t * (value - (1 - t) * 0.3) / variance);
                    value = 0.5 * value + now.back();
                }
                double const weight[] = {0.25, -0.125, 2};
                for (std::size_t k = 0; k < past.size() && k < static_cast<std::size_t>(most); ++k)
                    for (std::size_t j = 0; j < 6; ++j) expected[j] += weight[k] * past[k][j];
                for (std::size_t j = 0; j < 6; ++j) expected[j] += noise * z.data()[j];
                past.insert(past.begin(), now);
            }
            for (std::size_t j = 0; j < 6; ++j) CHECK(x.data()[j] == doctest::Approx(expected[j]).epsilon(1e-13));
        }
}

TEST_CASE("remembers: a solver says that it uses earlier steps") { CHECK(remembers<fixed_weights>()); }

TEST_CASE("order_at_the_end: falls over the last of fewer than 15 steps, if asked to") {
    CHECK(order_at_the_end(3, 14, 10, true) == 3);
    CHECK(order_at_the_end(3, 14, 11, true) == 3);
    CHECK(order_at_the_end(3, 14, 12, true) == 2);
    CHECK(order_at_the_end(3, 14, 13, true) == 1);
    CHECK(order_at_the_end(3, 15, 14, true) == 3);
    CHECK(order_at_the_end(3, 14, 13, false) == 3);
    CHECK(order_at_the_end(1, 2, 0, true) == 1);
}

}  // namespace multistep_tests
