#pragma once
#include "../core/random.hpp"

namespace onestep {

/// The stream for a second number a row, where the first is drawn by a density that knows one number a row: that of the samples 2^63
/// further on, which no data set reaches.
constexpr random_stream second_draw(random_stream stream) {
    stream.first_sample += std::uint64_t{1} << 63;
    return stream;
}

}  // namespace onestep
