#pragma once
/// What a file reader hands over: extents and values in host memory.
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "../core/shape.hpp"

namespace onestep {

/// Row-major values in host memory; `tensor(backend, array.shape, array.values)` puts them on a backend.
template <class T> struct host_array {
    onestep::shape shape;
    std::vector<T> values;
};

/// Multiplies a byte or element count and says whether the product still fits.
inline bool multiply_within_range(std::uint64_t& product, std::uint64_t factor) {
    if (factor != 0 && product > std::numeric_limits<std::uint64_t>::max() / factor) return false;
    product *= factor;
    return true;
}

/// "[2, 3]" for extents that may be too many or too large for a shape.
inline std::string to_string(std::span<std::uint64_t const> extents) {
    std::string text = "[";
    for (std::size_t axis = 0; axis < extents.size(); ++axis) text += (axis ? ", " : "") + std::to_string(extents[axis]);
    return text + "]";
}

/// Extents read from a file as a shape. Throws format_error, naming `file` and `what`, for more than six of them or
/// if a product of some of them does not fit an index, even where another one is 0.
inline shape to_shape(std::string const& file, std::string const& what, std::span<std::uint64_t const> extents) {
    if (extents.size() > static_cast<std::size_t>(shape::max_rank))
        raise<format_error>(file, what + " has " + std::to_string(extents.size()) + " dimensions", "at most 6 are supported");
    constexpr auto largest = static_cast<std::uint64_t>(std::numeric_limits<index_t>::max());
    std::uint64_t product = 1;
    index_t signed_extents[shape::max_rank] = {};
    for (std::size_t axis = 0; axis < extents.size(); ++axis) {
        bool const fits = multiply_within_range(product, extents[axis] == 0 ? 1 : extents[axis]) && product <= largest;
        if (!fits) raise<format_error>(file, what + " is " + to_string(extents), "the number of elements must fit a signed 64-bit index");
        signed_extents[axis] = static_cast<index_t>(extents[axis]);
    }
    return {signed_extents, static_cast<index_t>(extents.size())};
}

}  // namespace onestep
