#pragma once
/// Training data in a backend's memory.
#include "../network/conditioned.hpp"
#include "../objective/concept.hpp"

namespace onestep {

/// Clean samples [n, ...], optionally the noise paired with each, optionally a label for each. Owns its tensors.
template <class T, class Backend> class dataset {
public:
    using value_type = T;
    using backend_type = Backend;

    explicit dataset(tensor<T, Backend> x0) : x0_(std::move(x0)) { require_rows(); }
    /// Pairs. Throws shape_error unless both have the same shape.
    dataset(tensor<T, Backend> x0, tensor<T, Backend> noise) : x0_(std::move(x0)), noise_(std::move(noise)) {
        require_rows();
        require_shape("dataset", "noise", std::as_const(noise_).view(), x0_.shape());
    }

    /// The same data with labels. Throws shape_error unless there is one a sample, label_error unless each lies in
    /// [0, classes).
    dataset labelled(tensor<std::int32_t, Backend> labels, index_t classes) && {
        require_shape("dataset", "labels", std::as_const(labels).view(), {x0_.rows()});
        require_labels<Backend>("dataset", labels, classes);
        labels_ = std::move(labels);
        return std::move(*this);
    }

    index_t rows() const { return x0_.rows(); }
    Backend& device() const { return x0_.backend(); }
    tensor<T, Backend> const& x0() const { return x0_; }
    tensor<T, Backend> const& noise() const { return noise_; }
    tensor<std::int32_t, Backend> const& labels() const { return labels_; }
    /// All of it as one batch.
    batch<T, Backend> all() const {
        return {x0_.view(), noise_.size() ? noise_.view() : view<T const, Backend>{},
                labels_.size() ? labels_.view() : view<std::int32_t const, Backend>{}};
    }

private:
    void require_rows() const {
        if (x0_.rows() < 1 || x0_.size() < 1)
            raise<shape_error>("dataset", "x0 is " + to_string(x0_.shape()), "there must be at least one sample");
    }
    tensor<T, Backend> x0_, noise_;
    tensor<std::int32_t, Backend> labels_;
};

}  // namespace onestep
