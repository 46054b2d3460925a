#include <onestep/model/ddim_rule.hpp>

#include <onestep/process/edm.hpp>
#include <onestep/process/trigonometric_flow.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/sampler/jump.hpp>
#include <onestep/target/epsilon.hpp>
#include <onestep/target/scaled_velocity.hpp>
#include <onestep/target/trig_velocity.hpp>

#include <doctest/doctest.h>

#include "../exact_flow_map.hpp"

namespace ddim_rule_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

template <class Rule, class Process> conversion at(Rule const& rule, Process const& p, double t, double s) {
    return rule.at(marginal_at(p, t), marginal_at(p, s));
}
void check(conversion const& c, double x, double output) {
    CHECK(c.x == doctest::Approx(x).epsilon(1e-13));
    CHECK(c.output == doctest::Approx(output).epsilon(1e-13));
}

}  // namespace

TEST_CASE("ddim_rule: consistency trajectory models' map is s/t x + (1 - s/t) g with EDM's preconditioning inside") {
    double const sd = 0.5;
    ddim_rule const rule{edm_preconditioned{sd}};
    for (double t : {0.002, 0.3, 5.0, 80.0})
        for (double share : {0.0, 0.1, 0.7, 0.99}) {
            double const s = share * t, total = t * t + sd * sd;
            check(at(rule, edm{}, t, s), share + (1 - share) * sd * sd / total, (1 - share) * t * sd / std::sqrt(total));
            CHECK(rule.input_scale(marginal_at(edm{}, t)) == doctest::Approx(1 / std::sqrt(total)).epsilon(1e-14));
            // On another process it is the same at equal noise levels, with x = alpha x_e.
            variance_preserving<> const p;
            double const low = p.t_min(), a = low + 0.1 + 0.5 * share, b = low + 0.9 * share * 0.1;
            double const from = noise_to_signal(p, a), to = noise_to_signal(p, b);
            conversion const there = at(rule, edm{}, from, to);
            check(at(rule, p, a, b), p.alpha(b) / p.alpha(a) * there.x, p.alpha(b) * there.output);
        }
}

TEST_CASE("ddim_rule: simple-EDM and Euler-FM as printed, and a rotation on trigonometric flow") {
    // x_s = (a a' + b b') / (a^2 + b^2) x - (a' b - a b') sd / sqrt(a^2 + b^2) F for x_t = a x0 + b noise of deviation sd
    for (double sd : {0.5, 1.0}) {
        trigonometric_flow const p{.sigma_data = sd};
        for (double t : {0.2, 0.9, 1.5})
            for (double s : {0.0, 0.1, 0.19}) {
                check(at(ddim_rule{trig_velocity{sd}}, p, t, s), std::cos(t - s), -sd * std::sin(t - s));
                check(at(ddim_rule{edm_preconditioned{sd}}, p, t, s), std::cos(t - s), sd * std::sin(t - s));
            }
    }
    for (double t : {0.2, 0.6, 1.0})
        for (double s : {0.0, 0.1, 0.19}) {
            double const a = 1 - t, b = t, a_s = 1 - s, b_s = s, square = a * a + b * b;
            check(at(ddim_rule{trig_velocity{1}}, rectified_flow{}, t, s), (a * a_s + b * b_s) / square,
                  -(a_s * b - a * b_s) / std::sqrt(square));
            check(at(ddim_rule{scaled_velocity{0.5}}, rectified_flow{}, t, s), 1, -(t - s) * 0.5);
            check(at(ddim_rule{velocity{}}, rectified_flow{}, t, s), 1,
                  average_velocity{}.at(marginal_at(rectified_flow{}, t), marginal_at(rectified_flow{}, s)).output);
            check(at(ddim_rule{x0{}}, rectified_flow{}, t, s), b_s / b, a_s - b_s / b * a);
        }
}

TEST_CASE("ddim_rule: nothing moves at s = t, to the last bit") {
    auto const check_rule = [](auto const& rule, auto const& p) {
        for (double share : {0.0, 0.123, 0.77, 1.0}) {
            double const t = p.t_min() + (p.t_max() - p.t_min()) * share;
            CHECK(at(rule, p, t, t).x == 1);
            CHECK(at(rule, p, t, t).output == 0);
        }
    };
    check_rule(ddim_rule{}, edm{});
    check_rule(ddim_rule{}, variance_preserving<>{});
    check_rule(ddim_rule{epsilon{}}, rectified_flow{});
    check_rule(ddim_rule{scaled_velocity{}}, rectified_flow{});
}

TEST_CASE("ddim_rule: an exact flow map's answer near s = t is that of the posterior, off by the distance") {
    auto const check_rule = [](auto const& rule, auto const& p, double t) {
        exact_flow_map<std::remove_cvref_t<decltype(rule)>, std::remove_cvref_t<decltype(p)>> const net{0.4, 0.7, rule, p};
        double const x = 0.9 * p.alpha(t) - 0.3 * p.sigma(t), there = net.value(x, t, t);
        double const far = std::fabs(net.value(x, t, t * (1 - 1e-2)) - there), near = std::fabs(net.value(x, t, t * (1 - 1e-3)) - there);
        CHECK(far < 0.02);
        CHECK(far / near == doctest::Approx(10).epsilon(0.05));
    };
    check_rule(ddim_rule{}, edm{}, 1.2);
    check_rule(ddim_rule{}, rectified_flow{}, 0.6);
    check_rule(ddim_rule{trig_velocity{0.5}}, trigonometric_flow{}, 0.8);
    check_rule(ddim_rule{scaled_velocity{}}, rectified_flow{}, 0.7);
    check_rule(average_velocity{}, rectified_flow{}, 0.7);
}

TEST_CASE("ddim_rule: jumps with the exact network arrive where the flow does, in one step or several") {
    cpu host(1);
    auto const check_rule = [&](auto const& rule, auto const& p, std::vector<double> const& times) {
        exact_flow_map<std::remove_cvref_t<decltype(rule)>, std::remove_cvref_t<decltype(p)>> const net{0.4, 0.7, rule, p};
        flow_map_model const fast{net, p, rule};
        double const end = times.back(), scale = p.sigma(times.front());
        tensor<double, cpu> x(host, {2, 3}, {-0.9 * scale, 0.1, 0.3, 1.1, 2 * scale, -0.4}), once = x;
        std::vector<double> const begin = x.to_host();
        solve(fast, jump{}, times, x.view());
        solve(fast, jump{}, {times.front(), end}, once.view());
        for (std::size_t i = 0; i < 6; ++i) {
            double const there = net.flow(begin[i], times.front(), end);
            CHECK(x.to_host()[i] == doctest::Approx(there).epsilon(1e-12));
            CHECK(once.to_host()[i] == doctest::Approx(there).epsilon(1e-12));
        }
    };
    check_rule(ddim_rule{}, edm{}, {80, 5, 0.3, 0});
    check_rule(ddim_rule{}, rectified_flow{}, {1, 0.5, 0.1, 0});
    check_rule(ddim_rule{trig_velocity{0.5}}, trigonometric_flow{}, {1.5, 0.8, 0.2});
    check_rule(ddim_rule{scaled_velocity{}}, rectified_flow{}, {0.994, 0.6, 0});
}

TEST_CASE("ddim_rule: refuses where the target says nothing, and is a spec") {
    CHECK_THROWS_AS(at(ddim_rule{epsilon{}}, rectified_flow{}, 1, 0.5), domain_error);
    CHECK(map_rule<ddim_rule<epsilon>>);
    CHECK(to_string(ddim_rule{}) == "ddim_rule{target = edm_preconditioned{sigma_data = 0.5}}");
    CHECK(ddim_rule{} == ddim_rule{edm_preconditioned{}});
    CHECK_FALSE(ddim_rule{} == ddim_rule{edm_preconditioned{0.3}});
}

}  // namespace ddim_rule_tests
