#pragma once
/// How far the paths of a flow are from straight lines.
#include <cmath>
#include <string>
#include <vector>

#include "../sampler/sample.hpp"
#include "samples.hpp"

namespace onestep {

/// The numbers of a straightness measurement.
struct straightness_options {
    int steps = 100;  ///< Euler steps of equal length, >= 2 (a single step is straight whatever the flow)
};

/// What was found along n paths. Converts to the value.
struct straightness_report {
    double value = 0;           ///< S; 0 if and only if every path is straight and run at constant speed
    double normalised = 0;      ///< S / transport_cost: comparable between data sets
    double transport_cost = 0;  ///< E|Z_1 - Z_0|^2; reflow does not raise it
    index_t n = 0;              ///< paths
    int steps = 0;

    operator double() const { return value; }
};

/// "straightness = 0.25 (normalised = 0.0625, transport cost = 4, n = 1000, steps = 100)".
inline std::string to_string(straightness_report const& r) {
    return "straightness = " + to_string(r.value) + " (normalised = " + to_string(r.normalised) +
           ", transport cost = " + to_string(r.transport_cost) + ", n = " + std::to_string(r.n) + ", steps = " + std::to_string(r.steps) +
           ")";
}

namespace evaluation {

/// Mean and scatter of velocities over time, element by element. Euler's end point is the start plus the mean velocity,
/// so S is the weighted variance of the velocity along each path. It is updated step by step (West 1979): nothing but
/// the two sums is kept, and nothing cancels.
class velocity_scatter {
public:
    velocity_scatter(index_t n, index_t d, int threads)
        : n_(n), d_(d), threads_(threads), mean_(static_cast<std::size_t>(n * d)), scatter_(static_cast<std::size_t>(n * d)) {}

    /// Adds c.x * x + c.output * f with a weight > 0.
    template <class T> void add(conversion const& c, std::vector<T> const& x, std::vector<T> const& f, double scale, double weight) {
        total_ += weight;
        double const share = weight / total_;
        for_each_block(threads_, n_, [&](index_t row) {
            for (index_t i = row * d_; i < (row + 1) * d_; ++i) {
                auto const at = static_cast<std::size_t>(i);
                double u = c.output * static_cast<double>(f[at]);
                if (c.x != 0) u += c.x * static_cast<double>(x[at]);
                double const difference = scale * u - mean_[at];
                mean_[at] += share * difference;
                scatter_[at] += weight * difference * (scale * u - mean_[at]);
            }
        });
    }
    double scatter() const {
        return mean_over_rows([this](std::size_t i) { return scatter_[i] / total_; });
    }
    double squared_mean() const {
        return mean_over_rows([this](std::size_t i) { return mean_[i] * mean_[i]; });
    }

private:
    template <class Term> double mean_over_rows(Term const& term) const {
        double sum = 0;
        for (std::size_t i = 0; i < mean_.size(); ++i) sum += term(i);
        return sum / static_cast<double>(n_);
    }

    index_t n_, d_;
    int threads_;
    double total_ = 0;
    std::vector<double> mean_, scatter_;
};

/// Euler's method that shows every velocity to a velocity_scatter. `range` is the length of the whole time interval.
struct observed_euler {
    static constexpr char const* name = "observed_euler";
    static constexpr int order = 1;
    int steps;
    double range;
    velocity_scatter* seen;

    void step(auto& run, double t, double s) const {
        affine_step next(run.x());
        next.add(1, run.x());
        auto const u = run.velocity(run.x(), t);
        seen->add(u.coefficient, to_host(u.x), to_host(u.f), s < t ? -range : range, std::fabs(s - t) / range);
        u.add_to(next, s - t);
        next.run();
    }
    void fields(auto&& visit) const { visit("steps", steps); }
};

}  // namespace evaluation

/// Straightness of a model's flow, from unit noise z [n, ...],
///
///     S = int_0^1 E|(Z_1 - Z_0) - dZ_t/dt|^2 dt
///
/// along Euler paths, time scaled to run from 0 at the noise to 1 at the data (processes with another range too).
/// Euler needs many steps where S is large; its error falls as 1 / steps.
///
///     auto straight = onestep::straightness(model, z);
///
/// Cost: `steps` evaluations of all rows, each brought to the host. The sums are formed there in double, the same bits
/// for any number of threads. Throws shape_error if z is empty, domain_error for steps < 2, not_finite_error where a
/// path leaves the finite numbers.
/// Source: Liu, Gong, Liu 2022 (arXiv:2209.03003), section 2.2.
template <class Model, sample_set Noise>
straightness_report straightness(Model const& model, Noise const& z, straightness_options options = {}) {
    static_assert(denoiser<Model>, "Straightness is measured on a denoiser: model{net, process, target}.");
    using value_type = typename Noise::value_type;
    constexpr char const* name = "straightness";
    if (z.size() == 0) raise<shape_error>(name, "z is empty", "at least 1 path is needed");
    if (options.steps < 2) raise<domain_error>(name, "steps is " + std::to_string(options.steps), "at least 2 are needed");
    auto const times = times_of(uniform_grid{}, model.process(), options.steps);
    tensor<value_type, typename Noise::backend_type> x(z.backend(), z.shape());
    place_noise(model.process(), times.front(), view<value_type const, typename Noise::backend_type>(z), x.view());

    evaluation::velocity_scatter seen(x.rows(), x.cols(), evaluation::threads_of(x.backend()));
    solve(model, evaluation::observed_euler{options.steps, times.front() - times.back(), &seen}, times, x.view());
    straightness_report report{seen.scatter(), 0, seen.squared_mean(), x.rows(), options.steps};
    if (!std::isfinite(report.value) || !std::isfinite(report.transport_cost))
        raise<not_finite_error>(name, "S is " + to_string(report.value), "the noise or a velocity along a path is NaN or infinite");
    if (report.transport_cost > 0) report.normalised = report.value / report.transport_cost;
    else report.normalised = report.value > 0 ? HUGE_VAL : 0;
    return report;
}

}  // namespace onestep
