#pragma once
/// An owned tensor.
#include <utility>
#include <vector>

#include "view.hpp"

namespace onestep {

/// Contiguous, row-major elements in a backend's memory, uninitialised when made. A value: copying copies the
/// elements, moving does not. The backend must outlive it.
template <class T, class Backend> class tensor {
public:
    using value_type = T;
    using backend_type = Backend;

    tensor() = default;
    tensor(Backend& backend, onestep::shape const& extents)
        : backend_(&backend), storage_(backend.template allocate<T>(extents.size())), shape_(extents) {}
    /// Copies host values, row after row. Throws shape_error if their number is not extents.size().
    tensor(Backend& backend, onestep::shape const& extents, std::vector<T> const& values) : tensor(backend, extents) {
        if (static_cast<index_t>(values.size()) != extents.size())
            raise<shape_error>("tensor", std::to_string(values.size()) + " values were given",
                               to_string(extents) + " holds " + std::to_string(extents.size()));
        backend.upload(values.data(), extents.size(), data());
    }
    tensor(tensor const& other) { *this = other; }
    tensor(tensor&& other) noexcept { swap(other); }
    tensor& operator=(tensor const& other) {
        if (this == &other) return *this;
        if (other.backend_ == nullptr) return *this = tensor();
        tensor copy(*other.backend_, other.shape_);
        other.backend_->copy(other.data(), other.size(), copy.data());
        swap(copy);
        return *this;
    }
    tensor& operator=(tensor&& other) noexcept {
        tensor moved(std::move(other));
        swap(moved);
        return *this;
    }
    ~tensor() = default;

    T* data() { return backend_ ? Backend::data(storage_) : nullptr; }
    T const* data() const { return backend_ ? Backend::data(storage_) : nullptr; }
    onestep::shape const& shape() const { return shape_; }
    index_t size() const { return backend_ ? shape_.size() : 0; }
    index_t rows() const { return backend_ ? shape_.rows() : 0; }
    index_t cols() const { return shape_.cols(); }
    Backend& backend() const { return *backend_; }

    onestep::view<T, Backend> view() { return {*backend_, data(), shape_}; }
    onestep::view<T const, Backend> view() const { return {*backend_, data(), shape_}; }
    operator onestep::view<T, Backend>() { return view(); }
    operator onestep::view<T const, Backend>() const { return view(); }

    /// The elements in host memory; waits for the backend.
    std::vector<T> to_host() const {
        std::vector<T> values(static_cast<std::size_t>(size()));
        if (size() > 0) backend_->download(data(), size(), values.data());
        return values;
    }

    void swap(tensor& other) noexcept {
        std::swap(backend_, other.backend_);
        std::swap(storage_, other.storage_);
        std::swap(shape_, other.shape_);
    }

private:
    Backend* backend_ = nullptr;
    typename Backend::template storage<T> storage_{};
    onestep::shape shape_{};
};

/// The elements of a view in host memory; waits for the backend.
template <class T, class Backend> std::vector<std::remove_const_t<T>> to_host(view<T, Backend> const& v) {
    std::vector<std::remove_const_t<T>> values(static_cast<std::size_t>(v.size()));
    if (v.size() > 0) v.backend().download(v.data(), v.size(), values.data());
    return values;
}
template <class T, class Backend> std::vector<T> to_host(tensor<T, Backend> const& t) { return t.to_host(); }

}  // namespace onestep
