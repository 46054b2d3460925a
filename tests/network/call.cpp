#include <doctest/doctest.h>
#include <onestep/network/call.hpp>
#include <onestep/network/mlp.hpp>

#include <string>

#include "network/values.hpp"
#include "test_backend.hpp"

namespace onestep::call_tests {
namespace {

using test::backend_type;
using test::device;
using input = view<double const, backend_type>;
using output = view<double, backend_type>;
using label_view = view<std::int32_t const, backend_type>;

/// Writes down how it is called.
struct scribe {
    std::string heard;
    void hear(char const* what, input x, output y) {
        heard += std::string(what) + to_string(x.shape()) + " ";
        fill(y, static_cast<double>(heard.size()));
    }
};
struct of_one_time : scribe {
    void operator()(input x, input, output y) { hear("net(x, t)", x, y); }
    void forward(input x, input, output y) { hear("forward(x, t)", x, y); }
    void jvp(input x, input, input, input, output y, output) { hear("jvp(x, t)", x, y); }
};
struct of_labels : scribe {
    void operator()(input x, input, label_view, output y) { hear("net(x, t, labels)", x, y); }
    void forward(input x, input, label_view, output y) { hear("forward(x, t, labels)", x, y); }
    void jvp(input x, input, input, input, label_view, output y, output) { hear("jvp(x, t, labels)", x, y); }
    void forward_jvp(input x, input vx, input, input, label_view, output y, output) {
        hear(vx.rows() == x.rows() ? "forward_jvp(x, t, labels)" : "forward_jvp(x, t, labels), fewer", x, y);
    }
};
struct of_two_times : scribe {
    void operator()(input x, input, input, output y) { hear("net(x, t, s)", x, y); }
    void operator()(input x, input, input, label_view, output y) { hear("net(x, t, s, labels)", x, y); }
    void forward(input x, input, input, output y) { hear("forward(x, t, s)", x, y); }
    void forward(input x, input, input, label_view, output y) { hear("forward(x, t, s, labels)", x, y); }
    void jvp(input x, input, input, input, input, input vs, output y, output) {
        hear(vs.data() == nullptr ? "jvp(x, t, s), vs empty" : "jvp(x, t, s)", x, y);
    }
    void jvp(input x, input, input, input, input, input, label_view labels, output y, output) {
        CHECK(labels.rows() == x.rows());
        hear("jvp(x, t, s, labels)", x, y);
    }
};
/// Understands everything at once, as a generic network does.
struct generic {
    int arguments = 0;
    void operator()(auto const&... all) { arguments = sizeof...(all); }
};

/// A call of four rows with all that there may be.
struct whole_call {
    tensor<double, backend_type> x{device(), {4, 3}, test::normals<double>(12, 1)}, vx{device(), {4, 3}, test::normals<double>(12, 2)},
        t{device(), {4}, {0.2, 0.4, 0.6, 0.8}}, vt{device(), {4}, {1.0, -2.0, 0.5, 0.25}}, s{device(), {4}, {0.1, 0.4, 0.2, 0.0}},
        vs{device(), {4}, {0.5, 1.0, 0.0, -1.0}}, y{device(), {4, 3}}, vy{device(), {4, 3}};
    tensor<std::int32_t, backend_type> labels{device(), {4}, {0, 1, 2, 1}};

    network_call<double, backend_type> call(bool two_times, bool labelled) const {
        network_call<double, backend_type> c{x.view(), t.view()};
        if (two_times) c.s = s.view();
        if (labelled) c.labels = labels.view();
        return c;
    }
    call_tangent<double, backend_type> tangent(bool two_times, index_t rows = 4) const {
        call_tangent<double, backend_type> v{vx.view().rows(0, rows), vt.view().rows(0, rows)};
        if (two_times) v.s = vs.view().rows(0, rows);
        return v;
    }
};

TEST_CASE("call: each form of arguments reaches the member that takes it") {
    whole_call at;
    of_one_time one;
    evaluate<false>(one, at.call(false, false), at.y.view());
    forward<false>(one, at.call(false, false), at.y.view());
    jvp<false>(one, at.call(false, false), at.tangent(false), at.y.view(), at.vy.view());
    CHECK(one.heard == "net(x, t)[4, 3] forward(x, t)[4, 3] jvp(x, t)[4, 3] ");
    of_labels labelled;
    evaluate<false>(labelled, at.call(false, true), at.y.view());
    forward<false>(labelled, at.call(false, true), at.y.view());
    jvp<false>(labelled, at.call(false, true), at.tangent(false), at.y.view(), at.vy.view());
    CHECK(labelled.heard == "net(x, t, labels)[4, 3] forward(x, t, labels)[4, 3] jvp(x, t, labels)[4, 3] ");
    of_two_times two;
    for (bool with_labels : {false, true}) {
        evaluate<true>(two, at.call(true, with_labels), at.y.view());
        forward<true>(two, at.call(true, with_labels), at.y.view());
        jvp<true>(two, at.call(true, with_labels), at.tangent(true), at.y.view(), at.vy.view());
    }
    CHECK(two.heard ==
          "net(x, t, s)[4, 3] forward(x, t, s)[4, 3] jvp(x, t, s)[4, 3] "
          "net(x, t, s, labels)[4, 3] forward(x, t, s, labels)[4, 3] jvp(x, t, s, labels)[4, 3] ");
    two.heard.clear();
    jvp<true>(two, at.call(true, false), at.tangent(false), at.y.view(), at.vy.view());
    CHECK(two.heard == "jvp(x, t, s), vs empty[4, 3] ");
    generic any;
    evaluate<false>(any, at.call(false, false), at.y.view());
    CHECK(any.arguments == 3);
    evaluate<false>(any, at.call(false, true), at.y.view());
    CHECK(any.arguments == 4);
    evaluate<true>(any, at.call(true, true), at.y.view());
    CHECK(any.arguments == 5);
}

TEST_CASE("call: labels that a network does not take, or misses, are refused") {
    whole_call at;
    of_one_time one;
    of_labels labelled;
    CHECK_THROWS_WITH_AS(evaluate<false>(one, at.call(false, true), at.y.view()),
                         "shape_error: network: the batch has labels, this network takes none: it has no net(x, t, labels, ...)",
                         shape_error);
    CHECK_THROWS_WITH_AS(forward<false>(one, at.call(false, true), at.y.view()),
                         "shape_error: network: the batch has labels, this network takes none: it has no forward(x, t, labels, ...)",
                         shape_error);
    CHECK_THROWS_WITH_AS(jvp<false>(one, at.call(false, true), at.tangent(false), at.y.view(), at.vy.view()),
                         "shape_error: network: the batch has labels, this network takes none: it has no jvp(x, t, labels, ...)",
                         shape_error);
    CHECK_THROWS_WITH_AS(forward<false>(labelled, at.call(false, false), at.y.view()),
                         "shape_error: network: the batch has no labels, this network takes some: it has no forward(x, t, ...)",
                         shape_error);
    struct without_labels : scribe {
        void operator()(input x, input, input, output y) { hear("net(x, t, s)", x, y); }
    } two;
    CHECK_THROWS_WITH_AS(evaluate<true>(two, at.call(true, true), at.y.view()),
                         "shape_error: network: the batch has labels, this network takes none: it has no net(x, t, s, labels, ...)",
                         shape_error);
    CHECK(one.heard.empty());
    CHECK(two.heard.empty());
}

TEST_CASE("call: the first rows of a call") {
    whole_call at;
    auto const part = at.call(true, true).first(3);
    CHECK(part.x.shape() == shape{3, 3});
    CHECK(part.t.shape() == shape{3});
    CHECK(part.s.shape() == shape{3});
    CHECK(part.labels.shape() == shape{3});
    CHECK(part.x.data() == at.x.data());
    auto const plain = at.call(false, false).first(2);
    CHECK(plain.s.data() == nullptr);
    CHECK(plain.labels.data() == nullptr);
}

TEST_CASE("call: forward_jvp is the network's own, else jvp of the first rows and forward of all, in this order") {
    whole_call at;
    of_labels own;
    forward_jvp<false>(own, at.call(false, true), at.tangent(false), at.y.view(), at.vy.view());
    forward_jvp<false>(own, at.call(false, true), at.tangent(false, 2), at.y.view(), at.vy.view());
    forward_jvp<false>(own, at.call(false, true), at.tangent(false, 0), at.y.view(), at.vy.view());
    CHECK(own.heard == "forward_jvp(x, t, labels)[4, 3] forward_jvp(x, t, labels), fewer[4, 3] forward(x, t, labels)[4, 3] ");
    of_two_times composed;
    forward_jvp<true>(composed, at.call(true, true), at.tangent(true, 3), at.y.view(), at.vy.view());
    forward_jvp<true>(composed, at.call(true, false), at.tangent(false), at.y.view(), at.vy.view());
    forward_jvp<true>(composed, at.call(true, true), at.tangent(true, 0), at.y.view(), at.vy.view());
    CHECK(composed.heard ==
          "jvp(x, t, s, labels)[3, 3] forward(x, t, s, labels)[4, 3] "
          "jvp(x, t, s), vs empty[4, 3] forward(x, t, s)[4, 3] forward(x, t, s, labels)[4, 3] ");
}

TEST_CASE("call: an mlp in all its forms") {
    whole_call at;
    for (bool two_times : {false, true})
        for (bool labelled : {false, true}) {
            CAPTURE(two_times);
            CAPTURE(labelled);
            mlp<double, backend_type> net(device(), {.data = {3},
                                                     .width = 7,
                                                     .blocks = 1,
                                                     .time = {.size = 6, .scale = 3},
                                                     .classes = labelled ? 3 : 0,
                                                     .second_time = two_times});
            auto const lively = test::normals<double>(net.parameters().size(), 5, 0.4);
            device().upload(lively.data(), net.parameters().size(), net.parameters().data());
            tensor<double, backend_type> y(device(), {4, 3}), vy(device(), {4, 3});
            std::vector<double> plain, kept, both;
            auto const run = [&](auto two) {
                constexpr bool two_of_them = decltype(two)::value;
                auto const c = at.call(two_of_them, labelled);
                auto const v = at.tangent(two_of_them);
                evaluate<two_of_them>(net, c, y.view());
                plain = y.to_host();
                forward<two_of_them>(net, c, y.view());
                kept = y.to_host();
                jvp<two_of_them>(net, c, v, y.view(), vy.view());
                both = y.to_host();
                auto const tangent = vy.to_host();
                forward_jvp<two_of_them>(net, c, v, y.view(), vy.view());
                CHECK(y.to_host() == kept);
                CHECK(test::relative_difference(vy.to_host(), tangent) < 1e-13);
            };
            if (two_times) run(std::true_type{});
            else run(std::false_type{});
            CHECK(test::relative_difference(plain, kept) < 1e-14);
            CHECK(test::relative_difference(both, kept) < 1e-13);
            CHECK(test::dot(plain, plain) > 1e-3);
            net.backward(y.view());  // of the last forward_jvp
            CHECK(test::dot(to_host(net.gradients()), to_host(net.gradients())) > 0);
        }
}

}  // namespace
}  // namespace onestep::call_tests
