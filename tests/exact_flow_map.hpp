#pragma once
/// The exact flow map of Gaussian data under any map rule, as a network of two times. On host memory.
#include <cmath>

#include <onestep/backend/cpu.hpp>
#include <onestep/model/local_target.hpp>

#include "exact_models.hpp"

namespace onestep::test {

/// Data N(mean, deviation^2), each element for itself. F is what the rule needs to arrive where the flow does; at s = t it is the rule's
/// local target of the posterior. `error` stretches where the map arrives about the origin, by 1 + error (t - s).
template <class Rule, class Process> struct exact_flow_map {
    double mean = 0.4, deviation = 0.7;
    Rule rule = Rule{};
    Process process = {};
    double error = 0;

    double flow(double x, double t, double s) const {
        return gaussian_data<x0, Process>{mean, deviation, {}, process}.flow(x, t, s) * (1 + error * (t - s));
    }
    double value(double x, double t, double s) const {
        marginal const m = marginal_at(process, t);
        if (t != s) {
            conversion const map = rule.at(m, marginal_at(process, s));
            return (flow(x, t, s) - map.x * x) / map.output;
        }
        target_weights const w = local_target_of(rule).weights(m);
        double const v = deviation * deviation, centred = (x - m.alpha * mean) / (m.alpha * m.alpha * v + m.sigma * m.sigma);
        return w.x0 * (mean + m.alpha * v * centred) + w.epsilon * m.sigma * centred;
    }
    using input = view<double const, cpu>;
    using output = view<double, cpu>;
    void operator()(input x, input t, input s, output y) const {
        for (index_t r = 0; r < x.rows(); ++r) {
            double scale = 1;
            if constexpr (requires(marginal const& m) { rule.input_scale(m); }) scale = rule.input_scale(marginal_at(process, t.data()[r]));
            for (index_t i = r * x.cols(); i < (r + 1) * x.cols(); ++i) y.data()[i] = value(x.data()[i] / scale, t.data()[r], s.data()[r]);
        }
    }
    void forward(input x, input t, input s, output y) const { (*this)(x, t, s, y); }
};

}  // namespace onestep::test
