#pragma once
/// A borrowed tensor: address, shape, and the backend whose memory it lies in.
#include <concepts>
#include <type_traits>

#include "shape.hpp"

namespace onestep {

/// Contiguous and row-major. `T` may be const. Copying a view copies no elements; its owner must outlive it.
/// The backend is part of the type: a view<float, gpu> does not convert to a view<float, cpu>.
template <class T, class Backend> class view {
public:
    using value_type = std::remove_const_t<T>;
    using backend_type = Backend;

    view() = default;
    view(Backend& backend, T* data, onestep::shape const& extents) : backend_(&backend), data_(data), shape_(extents) {}

    T* data() const { return data_; }
    onestep::shape const& shape() const { return shape_; }
    index_t size() const { return shape_.size(); }
    index_t rows() const { return shape_.rows(); }  ///< samples
    index_t cols() const { return shape_.cols(); }  ///< elements of one sample
    Backend& backend() const { return *backend_; }
    bool empty() const { return data_ == nullptr || size() == 0; }

    /// Samples first .. first + count - 1. Throws shape_error if they are not all there.
    view rows(index_t first, index_t count) const {
        if (first < 0 || count < 0 || first + count > rows())
            raise<shape_error>("view", "rows " + std::to_string(first) + " to " + std::to_string(first + count) + " are asked for",
                               "there are " + std::to_string(rows()));
        return {*backend_, data_ + first * cols(), shape_.with_rows(count)};
    }
    /// The same elements under other extents. Throws shape_error if the number of elements differs.
    view reshaped(onestep::shape const& other) const {
        if (other.size() != size())
            raise<shape_error>("view", to_string(shape_) + " was asked to be " + to_string(other), "sizes must agree");
        return {*backend_, data_, other};
    }

    template <class U>
    requires(std::same_as<U, T const> && !std::is_const_v<T>) operator view<U, Backend>() const { return {*backend_, data_, shape_}; }

private:
    Backend* backend_ = nullptr;
    T* data_ = nullptr;
    onestep::shape shape_{};
};

/// Throws shape_error naming `object` and `what` unless v has exactly these extents.
template <class T, class Backend>
void require_shape(char const* object, char const* what, view<T, Backend> const& v, shape const& expected) {
    if (!(v.shape() == expected))
        raise<shape_error>(object, std::string(what) + " is " + to_string(v.shape()), "it must be " + to_string(expected));
}

}  // namespace onestep
