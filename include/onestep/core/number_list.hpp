#pragma once
#include <string>
#include <vector>

#include "spec.hpp"

namespace onestep {

/// "[1, 0.5, 0]": how specs show a list. All digits: checkpoints compare it, and two lists must not look alike.
inline std::string number_list(std::vector<double> const& numbers) {
    std::string text = "[";
    for (std::size_t i = 0; i < numbers.size(); ++i) text += (i == 0 ? "" : ", ") + to_string(numbers[i]);
    return text + ']';
}

}  // namespace onestep
