#pragma once
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "../../backend/concept.hpp"
#include "../../core/error.hpp"
#include "../../core/math.hpp"
#include "../../core/random.hpp"
#include "../../core/spec.hpp"

namespace onestep::layer {

namespace functor {
/// x(position) = 0 where the word is at most `last`, scale x(position) elsewhere.
template <class T> struct drop_or_scale {
    using same_size = std::conditional_t<sizeof(T) == sizeof(std::uint32_t), std::uint32_t, std::uint64_t>;
    T* x;
    T scale;
    std::uint32_t last;
    ONESTEP_HD void operator()(index_t, index_t position, std::uint32_t word) const {
        // A choice between masks, not between numbers: compilers jump around a product, which may trap, and nothing vectorises.
        auto const kept = math::bits<same_size>(x[position] * scale);
        x[position] = math::bits<T>(kept & (word <= last ? same_size(0) : ~same_size(0)));
    }
};
}  // namespace functor

/// y = 0 with probability p, x / (1 - p) otherwise, each element for itself: the mean of y is x.
///
/// The fate of an element is a function of (stream, row, element) alone, so it is the same for any batch size, any number of threads and
/// on every backend, and two networks that are given the same stream drop the same elements. The map is linear and diagonal for a given
/// stream: applied to a gradient it is its transpose, applied to a tangent its JVP. An element is dropped with probability exactly
/// round(2^32 p) / 2^32. Cost: one pass, none where p = 0. Source: Srivastava et al. 2014, section 10 ("inverted" as usual: nothing
/// is left to do in evaluation).
template <class T, backend Backend> class dropout {
public:
    /// Throws domain_error unless 0 <= p < 1.
    explicit dropout(double p) : p_(p) {
        if (!(p >= 0 && p < 1)) raise<domain_error>("dropout", "the probability is " + to_string(p), "it must be in [0, 1)");
    }

    double probability() const { return p_; }

    /// In place on x [n, cols]; row r is sample first_sample + r of the stream.
    void apply(Backend& device, random_stream stream, index_t n, index_t cols, T* x) const {
        auto const dropped = static_cast<std::uint64_t>(std::round(p_ * 0x1p32));  // of 2^32 words
        if (dropped == 0 || n <= 0 || cols <= 0) return;
        functor::drop_or_scale<T> const pass{x, static_cast<T>(1 / (1 - p_)), static_cast<std::uint32_t>(dropped - 1)};
        with_words<Backend::quads_per_item, functor::drop_or_scale<T>> const items{pass, stream, n, cols};
        device.for_each_index(items.items(), items);
    }

private:
    double p_;
};

}  // namespace onestep::layer
