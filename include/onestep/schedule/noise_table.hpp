#pragma once
/// A noise schedule is a list of N betas, one a step of a discrete process,
///
///     x_i = sqrt(1 - beta_i) x_{i-1} + sqrt(beta_i) z,    alpha_bar_i = prod_{j <= i} (1 - beta_j),    i = 0 .. N - 1
///
/// so that x_i = sqrt(alpha_bar_i) x0 + sqrt(1 - alpha_bar_i) epsilon. Index 0 is one step of noise already: the data
/// themselves have alpha_bar_{-1} = 1 and no index. To add your own, write a spec with a member `table()`, or hand a list
/// of numbers to `beta_table`.
#include <cmath>
#include <concepts>
#include <string>
#include <utility>
#include <vector>

#include "../core/error.hpp"
#include "../core/spec.hpp"

namespace onestep {

/// The numbers of a noise schedule, in double; entry i is the literature's index i.
struct noise_table {
    std::string name;               ///< of the schedule it comes from
    std::vector<double> beta;       ///< in (0, 1); the last may be 1
    std::vector<double> alpha_bar;  ///< falls; 0 only where the last beta is 1
    std::vector<double> variance;   ///< 1 - alpha_bar, summed from positive terms so that small values keep their digits

    int steps() const { return static_cast<int>(beta.size()); }

    /// Throws domain_error for no beta, one outside (0, 1) (the last: outside (0, 1]), and betas so many and large that
    /// alpha_bar underflows.
    static noise_table of_betas(std::string name, std::vector<double> betas);
};

template <class S>
concept noise_schedule = spec<S> && requires(S const& s) {
    { s.table() } -> std::same_as<noise_table>;
};

inline noise_table noise_table::of_betas(std::string name, std::vector<double> betas) {
    if (betas.empty()) raise<domain_error>(name, "there are 0 betas", "at least 1 is needed");
    noise_table table{std::move(name), std::move(betas), {}, {}};
    std::size_t const count = table.beta.size();
    table.alpha_bar.reserve(count);
    table.variance.reserve(count);
    double alpha_bar = 1, variance = 0;
    for (std::size_t i = 0; i < count; ++i) {
        double const beta = table.beta[i];
        bool const last = i + 1 == count;
        if (!(beta > 0 && (beta < 1 || (last && beta == 1))))
            raise<domain_error>(table.name, "beta[" + std::to_string(i) + "] is " + to_string(beta),
                                "every beta must lie in (0, 1); the last may be 1");
        variance += alpha_bar * beta;
        alpha_bar *= 1 - beta;
        if (alpha_bar < 0.5) variance = 1 - alpha_bar;
        if (alpha_bar == 0 && !last)
            raise<domain_error>(table.name, "alpha_bar[" + std::to_string(i) + "] of " + std::to_string(count) + " underflows to 0",
                                "only the last may be 0: take smaller betas or fewer steps");
        table.alpha_bar.push_back(alpha_bar);
        table.variance.push_back(variance);
    }
    return table;
}

/// What every schedule with a number of steps says when it is too small.
inline void require_steps(char const* schedule, int steps, int least) {
    if (steps < least)
        raise<domain_error>(schedule, "steps is " + std::to_string(steps),
                            "at least " + std::to_string(least) + (least == 1 ? " is needed" : " are needed"));
}

/// first + (last - first) i / (count - 1), exactly `last` at the end; `first` alone where count is 1.
inline double evenly_spaced(double first, double last, int i, int count) {
    return count > 1 && i == count - 1 ? last : first + (last - first) * (count > 1 ? static_cast<double>(i) / (count - 1) : 0.0);
}

}  // namespace onestep
