#pragma once
/// Names, shapes and places of a network's parameters inside its one flat buffer.
#include <cmath>
#include <string>
#include <vector>

#include "../backend/random_fill.hpp"

namespace onestep {

/// One tensor inside the flat buffer.
struct parameter {
    std::string name;      ///< PyTorch's way: "blocks.0.first.weight"
    shape extents;         ///< PyTorch's order: a linear weight is [out, in]
    index_t offset = 0;    ///< first element in the flat buffer
    double deviation = 0;  ///< of its normal initial values; 0: starts at zero
};

/// The list a network fills when it is built.
class parameter_list {
public:
    /// Adds a tensor behind the last one and returns its offset.
    index_t add(std::string name, shape const& extents, double deviation) {
        index_t const offset = size_;
        entries_.push_back({std::move(name), extents, offset, deviation});
        size_ += extents.size();
        return offset;
    }
    index_t size() const { return size_; }
    auto begin() const { return entries_.begin(); }
    auto end() const { return entries_.end(); }

    /// Overwrites a flat buffer with initial values: parameter k is drawn from stream (seed, weights, k).
    template <class T, backend Backend> void initialise(view<T, Backend> flat, std::uint64_t seed) const {
        std::uint64_t index = 0;
        for (parameter const& p : entries_)
            fill_normal(view<T, Backend>(flat.backend(), flat.data() + p.offset, {1, p.extents.size()}),
                        random_key{seed}.at(draw::weights, index++), p.deviation);
    }

private:
    std::vector<parameter> entries_;
    index_t size_ = 0;
};

}  // namespace onestep
