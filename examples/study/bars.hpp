#pragma once
/// Whether few steps are as good as many.
#include "report.hpp"

namespace study {

/// Prints a line for each method and returns whether all keep what they promise, by the medians of their seeds, in both distances:
///
///     few_steps    the fewest steps are at most `factor` times as far from the data as the method's best with more steps, or as the
///                  teacher's 64. Where these are nearer than two halves of the data lie apart, that distance takes their place
///     many_steps   one step is at least five times as far as 64
///
/// Needs the teacher among the methods.
bool hold(os::cpu& device, std::vector<problem_report> const& problems, double factor);

}  // namespace study
