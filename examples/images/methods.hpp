#pragma once
/// The methods by name.
#include <string>
#include <vector>

namespace images {

class lab;

/// What --method chooses.
struct method {
    std::string name;
    void (*run)(lab&);
};

/// flow, reflow, distilled.
std::vector<method> flows();
/// cd, ect, scd, sct.
std::vector<method> consistency();
/// shortcut, mean_flow, and both from the teacher's weights.
std::vector<method> maps();

}  // namespace images
