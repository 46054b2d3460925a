#include <doctest/doctest.h>
#include <onestep/network/conditioned.hpp>
#include <onestep/network/mlp.hpp>

#include "network/networks.hpp"
#include "network/values.hpp"
#include "test_backend.hpp"

namespace onestep::conditioned_tests {
namespace {

using test::backend_type;
using test::device;

struct counted {  // a labelled network that is no template and can be told apart from its copies
    int calls = 0;
    void operator()(view<float const, backend_type>, view<float const, backend_type>, view<std::int32_t const, backend_type>,
                    view<float, backend_type>) {
        ++calls;
    }
};

TEST_CASE("conditioned: every mode is the network's own with labels") {
    mlp<double, backend_type> net(device(), {.data = {3}, .width = 12, .blocks = 1, .classes = 4});
    auto const parameters = test::normals<double>(net.parameters().size(), 5, 0.3);
    device().upload(parameters.data(), net.parameters().size(), net.parameters().data());
    auto const labels = class_labels(device(), {3, 0, 1, 1}, 4);
    conditioned labelled{net, labels};
    static_assert(std::same_as<decltype(labelled), conditioned<mlp<double, backend_type>&, backend_type>>);
    CHECK(&labelled.network() == &net);
    CHECK(labelled.parameters().data() == net.parameters().data());
    CHECK(labelled.gradients().data() == net.gradients().data());
    CHECK(to_host(labelled.labels()) == std::vector<std::int32_t>{3, 0, 1, 1});

    auto const fresh = [&](std::uint64_t use) { return tensor<double, backend_type>(device(), {4, 3}, test::normals<double>(12, use)); };
    auto x = fresh(1), vx = fresh(2), dy = fresh(3), a = fresh(4), b = fresh(4), va = fresh(4), vb = fresh(4);
    tensor<double, backend_type> t(device(), {4}, {0.1, 0.2, 0.3, 0.4}), vt(device(), {4}, {1, 2, 3, 4});
    labelled(x, t, a.view());
    net(x, t, labels.view(), b);
    CHECK(a.to_host() == b.to_host());
    labelled.jvp(x, vx, t, vt, a.view(), va.view());
    net.jvp(x, vx, t, vt, labels.view(), b, vb);
    CHECK(a.to_host() == b.to_host());
    CHECK(va.to_host() == vb.to_host());
    labelled.forward(x, t, a.view());
    labelled.backward(dy.view());
    auto const gradients = to_host(net.gradients());
    std::vector<double> const zero(gradients.size());
    device().upload(zero.data(), net.gradients().size(), net.gradients().data());
    net.forward(x, t, labels.view(), b);
    net.backward(dy);
    CHECK(to_host(net.gradients()) == gradients);

    // rows 1 and 2 with their labels
    auto const part = labelled.rows(1, 2);
    CHECK(to_host(part.labels()) == std::vector<std::int32_t>{0, 1});
    CHECK(&part.network() == &net);
    tensor<double, backend_type> y(device(), {2, 3});
    part(x.view().rows(1, 2), t.view().rows(1, 2), y.view());
    auto const some = y.to_host(), whole = a.to_host();
    for (int i = 0; i < 6; ++i) CHECK(some[i] == doctest::Approx(whole[3 + i]).epsilon(1e-13));
    CHECK_THROWS_AS(labelled.rows(3, 2), shape_error);
}

TEST_CASE("conditioned: two times pass through") {
    mlp<double, backend_type> net(device(), {.data = {2}, .width = 8, .blocks = 1, .classes = 2, .second_time = true});
    auto const parameters = test::normals<double>(net.parameters().size(), 5, 0.3);
    device().upload(parameters.data(), net.parameters().size(), net.parameters().data());
    auto const labels = class_labels(device(), {1, 0}, 2);
    conditioned labelled{net, labels.view()};
    tensor<double, backend_type> x(device(), {2, 2}, {1, 2, 3, 4}), t(device(), {2}, {0.5, 0.6}), s(device(), {2}, {0.1, 0.2}),
        a(device(), {2, 2}), b(device(), {2, 2}), va(device(), {2, 2}), vb(device(), {2, 2});
    labelled(x, t, s, a.view());
    net(x, t, s, labels.view(), b);
    CHECK(a.to_host() == b.to_host());
    labelled.jvp(x, x, t, s, s, t, a.view(), va.view());
    net.jvp(x, x, t, s, s, t, labels.view(), b, vb);
    CHECK(va.to_host() == vb.to_host());
    labelled.forward(x, t, s, a.view());
    labelled.backward(x.view());
    CHECK(test::dot(to_host(net.gradients()), to_host(net.gradients())) > 0);
}

TEST_CASE("conditioned: an lvalue is referred to, an rvalue is owned") {
    auto const labels = class_labels(device(), {0}, 1);
    tensor<float, backend_type> x(device(), {1, 1}), t(device(), {1}), y(device(), {1, 1});
    counted net;
    conditioned by_reference{net, labels};
    by_reference(x, t, y.view());
    CHECK(net.calls == 1);
    conditioned owned{counted{}, labels};
    owned(x, t, y.view());
    CHECK(owned.network().calls == 1);
    CHECK(net.calls == 1);
    owned.rows(0, 1)(x, t, y.view());
    CHECK(owned.network().calls == 2);
}

TEST_CASE("conditioned: labels out of range are refused with their place and value") {
    mlp<float, backend_type> net(device(), {.data = {2}, .width = 4, .classes = 3});
    CHECK_THROWS_WITH_AS(class_labels(device(), {0, 1, 3}, 3), "label_error: class_labels: label 2 is 3, labels are 0 to 2", label_error);
    CHECK_THROWS_WITH_AS(class_labels(device(), {-1}, 3), "label_error: class_labels: label 0 is -1, labels are 0 to 2", label_error);
    tensor<std::int32_t, backend_type> const wrong(device(), {2}, {2, 7});
    CHECK_THROWS_WITH_AS((conditioned{net, wrong}), "label_error: conditioned: label 1 is 7, labels are 0 to 2", label_error);
    conditioned const unchecked{net, wrong.view(), labels_are_checked{}};  // the caller's word is taken
    CHECK(unchecked.labels().size() == 2);
    std::vector<std::int32_t> many(300, 1);
    many[290] = 5;  // beyond the first part that is read back
    CHECK_THROWS_WITH_AS(class_labels(device(), many, 3), "label_error: class_labels: label 290 is 5, labels are 0 to 2", label_error);
    CHECK(class_labels(device(), {}, 3).size() == 0);
}

}  // namespace
}  // namespace onestep::conditioned_tests
