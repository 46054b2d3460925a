#pragma once
#include <string>
#include <vector>

#include "spec.hpp"

namespace onestep {

/// "[1, 0.5, 0]": how specs show a list. All digits: checkpoints compare it, and two lists must not look alike.
template <class Number = double> std::string number_list(std::vector<Number> const& numbers) {
    std::string text = "[";
    for (std::size_t i = 0; i < numbers.size(); ++i) text += (i == 0 ? "" : ", ") + spec_text::value(numbers[i]);
    return text + ']';
}

}  // namespace onestep
