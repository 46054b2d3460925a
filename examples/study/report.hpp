#pragma once
/// Results as JSON, tables and pictures.
#include <nlohmann/json.hpp>

#include "lab.hpp"

namespace study {

nlohmann::ordered_json to_json(outcome const& o);
outcome outcome_from(nlohmann::ordered_json const& json);

/// All seeds of one method.
struct summary {
    method what;
    std::vector<outcome> seeds;
};

/// All methods on one problem.
struct problem_report {
    problem const* task;
    std::vector<summary> methods;
    std::string samples;  ///< folder with the samples of the first seed
};

/// Sliced Wasserstein and energy distance between two interleaved halves of the data.
struct distances {
    double sliced_wasserstein, energy_distance;
};
distances floor_of(os::cpu& device, problem const& task);

/// Writes results.json and the figures of every problem to the folder.
void write_report(os::cpu& device, std::string const& folder, std::vector<problem_report> const& problems, double seconds);

}  // namespace study
