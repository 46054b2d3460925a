#pragma once
/// What the program is told.
#include <onestep/core/shape.hpp>

#include <cstdint>
#include <string>

namespace images {

struct settings {
    std::string data = "digits", folder, method = "flow", teacher, out = "out/images";
    onestep::index_t steps = 20'000, every = 1000, generate = 2000, pairs = 20'000;
    onestep::index_t rehearse = 0;  ///< stop after so many steps and go on; 0: never
    double minutes = 0;             ///< 0: no limit
    double rate = 5e-4;             ///< of what is trained from scratch; half of it of what starts from the teacher
    int width = 32, batch = 64, threads = 0;
    std::uint64_t seed = 1;
    bool resume = false, report = false;
};

}  // namespace images
