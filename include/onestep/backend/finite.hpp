#pragma once
/// Looks for NaN and infinity.
#include "../core/math.hpp"
#include "../core/view.hpp"
#include "scratch.hpp"

namespace onestep {

namespace functor {
/// 1 for an element of a part of a long vector that is not finite.
template <class T> struct not_finite_part {
    T const* x;
    index_t n, length;
    ONESTEP_HD index_t operator()(index_t part, index_t i) const {
        index_t const at = part * length + i;
        return at < n && !(x[at] - x[at] == T(0)) ? 1 : 0;
    }
};
struct store_count {
    index_t* out;
    ONESTEP_HD void operator()(index_t r, index_t count) const { out[r] = count; }
};
struct read_count {
    index_t const* x;
    ONESTEP_HD index_t operator()(index_t, index_t c) const { return x[c]; }
};
}  // namespace functor

/// Number of elements that are NaN or infinite. One pass.
template <class T, class Backend> index_t count_not_finite(view<T, Backend> x) {
    constexpr index_t length = 4096;
    Backend& device = x.backend();
    index_t const parts = (x.size() + length - 1) / length;
    if (parts == 0) return 0;
    auto const memory = device.scratch();
    index_t* const counts = memory->template take<index_t>(parts + 1);
    device.template reduce_rows<index_t>(parts, length, functor::not_finite_part<std::remove_const_t<T>>{x.data(), x.size(), length},
                                         functor::store_count{counts});
    device.template reduce_rows<index_t>(1, parts, functor::read_count{counts}, functor::store_count{counts + parts});
    index_t total = 0;
    device.download(counts + parts, 1, &total);
    return total;
}

/// Throws not_finite_error if x holds NaN or infinity.
template <class T, class Backend> void require_finite(char const* object, view<T, Backend> x) {
    if (index_t const count = count_not_finite(x); count > 0)
        raise<not_finite_error>(object, std::to_string(count) + " of " + std::to_string(x.size()) + " values are NaN or infinite",
                                "all must be finite");
}

}  // namespace onestep
