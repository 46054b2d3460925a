#pragma once
/// Conditioning is a view of a network: samplers and objectives never see a label.
#include <algorithm>
#include <type_traits>
#include <vector>

#include "../core/tensor.hpp"
#include "concept.hpp"

namespace onestep {

/// Throws label_error unless every label lies in [0, classes).
template <class Backend> void require_labels(char const* object, view<std::int32_t const, Backend> labels, index_t classes) {
    std::int32_t part[256];
    for (index_t first = 0; first < labels.size(); first += 256) {
        index_t const count = std::min<index_t>(256, labels.size() - first);
        labels.backend().download(labels.data() + first, count, part);
        for (index_t i = 0; i < count; ++i)
            if (part[i] < 0 || part[i] >= classes)
                raise<label_error>(object, "label " + std::to_string(first + i) + " is " + std::to_string(part[i]),
                                   "labels are 0 to " + std::to_string(classes - 1));
    }
}

/// Labels in a backend's memory. Throws label_error unless each lies in [0, classes).
template <backend Backend>
tensor<std::int32_t, Backend> class_labels(Backend& device, std::vector<std::int32_t> const& values, index_t classes) {
    tensor<std::int32_t, Backend> labels(device, {static_cast<index_t>(values.size())}, values);
    require_labels<Backend>("class_labels", labels, classes);
    return labels;
}

/// Says that labels were checked before, so that a training step need not read them back.
struct labels_are_checked {};

/// A network with a label for each row: conditioned{net, labels}(x, t, y) is net(x, t, labels, y). Keeps an lvalue
/// network by reference and owns an rvalue. The labels are borrowed.
template <class Network, class Backend> class conditioned {
    using inner = std::remove_reference_t<Network>;
    template <class T> using input = std::type_identity_t<view<T const, Backend>>;

public:
    using label_view = view<std::int32_t const, Backend>;

    /// Throws label_error if a label is not below net.classes(), where the network tells that number.
    conditioned(Network&& net, label_view labels) : conditioned(std::forward<Network>(net), labels, labels_are_checked{}) {
        if constexpr (requires { net.classes(); }) require_labels("conditioned", labels, static_cast<index_t>(net_.classes()));
    }
    conditioned(Network&& net, label_view labels, labels_are_checked) : net_(std::forward<Network>(net)), labels_(labels) {}

    inner& network() const { return const_cast<inner&>(net_); }
    label_view labels() const { return labels_; }
    /// The same network for rows first .. first + count - 1.
    conditioned<inner&, Backend> rows(index_t first, index_t count) const {
        return {network(), labels_.rows(first, count), labels_are_checked{}};
    }

    // T comes from y alone, so that views of mutable memory and tensors are taken for x and t.
    template <class T>
    requires requires(inner& net, view<T const, Backend> x, label_view l, view<T, Backend> y) { net(x, x, l, y); }
    void operator()(input<T> x, input<T> t, view<T, Backend> y) const { network()(x, t, labels_, y); }
    template <class T>
    requires requires(inner& net, view<T const, Backend> x, label_view l, view<T, Backend> y) { net(x, x, x, l, y); }
    void operator()(input<T> x, input<T> t, input<T> s, view<T, Backend> y) const { network()(x, t, s, labels_, y); }
    template <class T>
    requires requires(inner& net, view<T const, Backend> x, label_view l, view<T, Backend> y) { net.forward(x, x, l, y); }
    void forward(input<T> x, input<T> t, view<T, Backend> y) { network().forward(x, t, labels_, y); }
    template <class T>
    requires requires(inner& net, view<T const, Backend> x, label_view l, view<T, Backend> y) { net.forward(x, x, x, l, y); }
    void forward(input<T> x, input<T> t, input<T> s, view<T, Backend> y) { network().forward(x, t, s, labels_, y); }
    template <class T>
    requires requires(inner& net, view<T, Backend> dy) { net.backward(dy); }
    void backward(view<T, Backend> dy) { network().backward(dy); }
    template <class T>
    requires requires(inner& net, view<T const, Backend> x, label_view l, view<T, Backend> y) { net.jvp(x, x, x, x, l, y, y); }
    void jvp(input<T> x, input<T> vx, input<T> t, input<T> vt, view<T, Backend> y, view<T, Backend> vy) const {
        network().jvp(x, vx, t, vt, labels_, y, vy);
    }
    template <class T>
    requires requires(inner& net, view<T const, Backend> x, label_view l, view<T, Backend> y) { net.jvp(x, x, x, x, x, x, l, y, y); }
    void jvp(input<T> x, input<T> vx, input<T> t, input<T> vt, input<T> s, input<T> vs, view<T, Backend> y, view<T, Backend> vy) const {
        network().jvp(x, vx, t, vt, s, vs, labels_, y, vy);
    }
    template <class T>
    requires requires(inner& net, view<T const, Backend> x, label_view l, view<T, Backend> y) { net.forward_jvp(x, x, x, x, l, y, y); }
    void forward_jvp(input<T> x, input<T> vx, input<T> t, input<T> vt, view<T, Backend> y, view<T, Backend> vy) {
        network().forward_jvp(x, vx, t, vt, labels_, y, vy);
    }
    template <class T>
    requires requires(inner& net, view<T const, Backend> x, label_view l, view<T, Backend> y) {
        net.forward_jvp(x, x, x, x, x, x, l, y, y);
    }
    void forward_jvp(input<T> x, input<T> vx, input<T> t, input<T> vt, input<T> s, input<T> vs, view<T, Backend> y, view<T, Backend> vy) {
        network().forward_jvp(x, vx, t, vt, s, vs, labels_, y, vy);
    }
    auto parameters() const requires has_parameters<inner> { return network().parameters(); }
    auto gradients() const requires has_parameters<inner> { return network().gradients(); }

private:
    Network net_;
    label_view labels_;
};

template <class Network, class Backend> conditioned(Network&&, view<std::int32_t const, Backend>) -> conditioned<Network, Backend>;
template <class Network, class Backend> conditioned(Network&&, tensor<std::int32_t, Backend> const&) -> conditioned<Network, Backend>;
template <class Network, class Backend>
conditioned(Network&&, view<std::int32_t const, Backend>, labels_are_checked) -> conditioned<Network, Backend>;

}  // namespace onestep
