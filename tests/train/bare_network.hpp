#pragma once
/// A network that is nothing but its parameters: for optimizers and averages.
#include <vector>

#include <onestep/core/tensor.hpp>
#include <onestep/network/concept.hpp>

namespace onestep::test {

template <class T, class Backend> class bare_network {
public:
    bare_network(Backend& device, std::vector<T> const& parameters)
        : parameters_(device, {static_cast<index_t>(parameters.size())}, parameters),
          gradients_(device, parameters_.shape(), std::vector<T>(parameters.size())) {}

    void operator()(view<T const, Backend> x, view<T const, Backend>, view<T, Backend> y) const {
        x.backend().copy(x.data(), x.size(), y.data());
    }
    void forward(view<T const, Backend> x, view<T const, Backend> t, view<T, Backend> y) { (*this)(x, t, y); }
    void backward(view<T const, Backend>) {}
    view<T, Backend> parameters() { return parameters_.view(); }
    view<T, Backend> gradients() { return gradients_.view(); }

    void set_parameters(std::vector<T> const& values) {
        parameters_.backend().upload(values.data(), parameters_.size(), parameters_.data());
    }
    void set_gradients(std::vector<T> const& values) { gradients_.backend().upload(values.data(), gradients_.size(), gradients_.data()); }

private:
    tensor<T, Backend> parameters_, gradients_;
};

}  // namespace onestep::test
