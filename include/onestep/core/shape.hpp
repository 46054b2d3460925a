#pragma once
/// Extents of a contiguous, row-major tensor: batch first, channels last, [n, h, w, c] or [n, d].
#include <cstddef>
#include <initializer_list>
#include <string>

#include "error.hpp"
#include "host_device.hpp"

namespace onestep {

/// Counts and positions. Signed, so that a difference of two is what it says.
using index_t = std::ptrdiff_t;

/// Up to six extents, kept inline: a shape never allocates and passes into kernels by value.
class shape {
public:
    static constexpr int max_rank = 6;

    constexpr shape() = default;
    /// Throws shape_error for more than six extents or a negative one.
    constexpr shape(std::initializer_list<index_t> extents) : shape(extents.begin(), static_cast<index_t>(extents.size())) {}
    constexpr shape(index_t const* extents, index_t rank) {
        if (rank > max_rank) raise<shape_error>("shape", "rank is " + std::to_string(rank), "at most 6 is supported");
        for (; rank_ < rank; ++rank_) {
            if (extents[rank_] < 0)
                raise<shape_error>("shape", "extent " + std::to_string(rank_) + " is " + std::to_string(extents[rank_]),
                                   "extents are >= 0");
            extents_[rank_] = extents[rank_];
        }
    }

    ONESTEP_HD constexpr int rank() const { return rank_; }
    ONESTEP_HD constexpr index_t operator[](int axis) const { return extents_[axis]; }
    /// Number of elements; 1 for rank 0.
    ONESTEP_HD constexpr index_t size() const {
        index_t product = 1;
        for (int axis = 0; axis < rank_; ++axis) product *= extents_[axis];
        return product;
    }
    /// Samples in the batch: the first extent (1 for rank 0).
    ONESTEP_HD constexpr index_t rows() const { return rank_ == 0 ? 1 : extents_[0]; }
    /// Elements of one sample: the product of all extents but the first.
    ONESTEP_HD constexpr index_t cols() const {
        index_t product = 1;
        for (int axis = 1; axis < rank_; ++axis) product *= extents_[axis];
        return product;
    }
    /// The same sample shape with n rows.
    constexpr shape with_rows(index_t n) const {
        shape other = *this;
        if (other.rank_ == 0) other.rank_ = 1;
        other.extents_[0] = n;
        return other;
    }
    constexpr index_t const* begin() const { return extents_; }
    constexpr index_t const* end() const { return extents_ + rank_; }

    friend constexpr bool operator==(shape const& a, shape const& b) {
        if (a.rank_ != b.rank_) return false;
        for (int axis = 0; axis < a.rank_; ++axis)
            if (a.extents_[axis] != b.extents_[axis]) return false;
        return true;
    }

private:
    index_t extents_[max_rank] = {};
    int rank_ = 0;
};

/// "[16, 28, 28, 1]"; a `rows` text replaces the first extent: to_string(s, "n") is "[n, 28, 28, 1]".
inline std::string to_string(shape const& s, char const* rows = nullptr) {
    std::string text = "[";
    for (int axis = 0; axis < s.rank(); ++axis) {
        if (axis > 0) text += ", ";
        text += axis == 0 && rows ? std::string(rows) : std::to_string(s[axis]);
    }
    return text + "]";
}

}  // namespace onestep
