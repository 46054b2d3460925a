#pragma once
/// Names, shapes and places of a network's parameters inside its one flat buffer.
#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "../backend/fill.hpp"
#include "../backend/random_fill.hpp"

namespace onestep {

/// One tensor inside the flat buffer.
struct parameter {
    std::string name;      ///< PyTorch's way: "blocks.0.first.weight"
    shape extents;         ///< PyTorch's order: a linear weight is [out, in], a convolution's [out, in, height, width]
    index_t offset = 0;    ///< first element in the flat buffer
    double deviation = 0;  ///< of its normal initial values; 0: starts at `value`
    double value = 0;      ///< of all its elements at first, if the deviation is 0
    /// The axes of `extents` from the slowest to the fastest, as they lie in memory: {2, 3, 1, 0} for a convolution's weight. Only the
    /// first extents.rank() count.
    std::array<int, shape::max_rank> order = {0, 1, 2, 3, 4, 5};
};

/// f(position among the values in PyTorch's order, position in the flat buffer) for every element of p.
template <class F> void for_each_named(parameter const& p, F const& f) {
    int const rank = p.extents.rank();
    index_t step[shape::max_rank] = {};  // in memory, along each axis
    index_t next = 1;
    for (int k = rank; k-- > 0;) {
        auto const axis = static_cast<std::size_t>(p.order[static_cast<std::size_t>(k)]);
        step[axis] = next;
        next *= p.extents[static_cast<int>(axis)];
    }
    index_t at[shape::max_rank] = {};
    for (index_t i = 0; i < p.extents.size(); ++i) {
        index_t place = p.offset;
        for (int axis = 0; axis < rank; ++axis) place += at[axis] * step[axis];
        f(static_cast<std::size_t>(i), static_cast<std::size_t>(place));
        for (int axis = rank; axis-- > 0 && ++at[axis] == p.extents[axis];) at[axis] = 0;
    }
}
/// A parameter's values in PyTorch's order, out of the flat buffer (in host memory).
template <class T> std::vector<T> to_named(parameter const& p, std::vector<T> const& flat) {
    std::vector<T> values(static_cast<std::size_t>(p.extents.size()));
    for_each_named(p, [&](std::size_t named, std::size_t place) { values[named] = flat[place]; });
    return values;
}
/// And back into it.
template <class T, class U> void from_named(parameter const& p, std::vector<T> const& values, std::vector<U>& flat) {
    for_each_named(p, [&](std::size_t named, std::size_t place) { flat[place] = static_cast<U>(values[named]); });
}

/// The list a network fills when it is built.
class parameter_list {
public:
    /// Adds a tensor behind the last one and returns its offset.
    index_t add(std::string name, shape const& extents, double deviation, double value = 0) {
        return add({std::move(name), extents, 0, deviation, value});
    }
    /// The same with everything that a parameter has; its offset is overwritten.
    index_t add(parameter p) {
        index_t const offset = p.offset = size_;
        size_ += p.extents.size();
        entries_.push_back(std::move(p));
        return offset;
    }
    index_t size() const { return size_; }
    auto begin() const { return entries_.begin(); }
    auto end() const { return entries_.end(); }

    /// Overwrites a flat buffer with initial values: parameter k is drawn from stream (seed, weights, k).
    template <class T, backend Backend> void initialise(view<T, Backend> flat, std::uint64_t seed) const {
        std::uint64_t index = 0;
        for (parameter const& p : entries_) {
            view<T, Backend> const part(flat.backend(), flat.data() + p.offset, {1, p.extents.size()});
            random_stream const stream = random_key{seed}.at(draw::weights, index++);
            if (p.deviation == 0) fill(part, static_cast<T>(p.value));
            else fill_normal(part, stream, p.deviation);
        }
    }

private:
    std::vector<parameter> entries_;
    index_t size_ = 0;
};

}  // namespace onestep
