#pragma once
/// Results as JSON, tables and pictures.
#include <nlohmann/json.hpp>

#include "lab.hpp"

namespace study {

nlohmann::ordered_json to_json(outcome const& o);
outcome outcome_from(nlohmann::ordered_json const& json);

/// All seeds of one method.
struct summary {
    std::string name;
    std::vector<outcome> seeds;
};

/// Writes results.json and the figures of every problem to the folder.
struct problem_report {
    problem const* task;
    std::vector<summary> methods;
    std::string samples;  ///< folder with the samples of the first seed
};
void write_report(os::cpu& device, std::string const& folder, std::vector<problem_report> const& problems, double seconds);

}  // namespace study
