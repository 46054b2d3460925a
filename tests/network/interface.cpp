#include <doctest/doctest.h>
#include <onestep/network/interface.hpp>

#include <string>

#include "test_backend.hpp"

namespace onestep::interface_tests {
namespace {

using test::backend_type;
using test::device;
using rows = tensor<float, backend_type>;

struct small_options {
    static constexpr char const* name = "small";
    shape data = {2, 2};
    bool second_time = false;
    int classes = 0;
};

/// Remembers the last call that it heard of, and writes nothing.
class listener : public network_interface<listener, float, backend_type> {
    using base = network_interface<listener, float, backend_type>;
    friend base;

public:
    explicit listener(small_options const& options) : options_(options) {}
    small_options const& options() const { return options_; }
    void backward(input dy, input waiting) { require_waiting(dy, waiting); }

    mutable std::string heard;
    mutable call_type call;
    mutable tangent_type tangent;
    mutable output y, vy;

private:
    void hear(char const* what, call_type const& c, tangent_type const& v, output to, output vto) const {
        heard = what, call = c, tangent = v, y = to, vy = vto;
    }
    void evaluate(call_type const& c, output to) const { hear("evaluate", c, {}, to, {}); }
    void differentiate(call_type const& c, tangent_type const& v, output to, output vto) const { hear("differentiate", c, v, to, vto); }
    void record(call_type const& c, tangent_type const& v, output to, output vto) { hear("record", c, v, to, vto); }

    small_options options_;
};

/// n samples and everything that goes with them.
struct batch {
    index_t n;
    rows x{device(), {n, 2, 2}}, vx{device(), {n, 2, 2}}, y{device(), {n, 2, 2}}, vy{device(), {n, 2, 2}};
    rows t{device(), {n}}, vt{device(), {n}}, s{device(), {n}}, vs{device(), {n}};
    tensor<std::int32_t, backend_type> labels{device(), {n}};
};

TEST_CASE("network_interface: every call arrives at its place with its arguments, absent ones empty") {
    batch b{3}, few{2};
    for (bool const two : {false, true})
        for (bool const labelled : {false, true}) {
            CAPTURE(two);
            CAPTURE(labelled);
            listener net({.second_time = two, .classes = labelled ? 4 : 0});
            CHECK(net.classes() == (labelled ? 4 : 0));
            auto const arrived = [&](char const* what, rows const* vx, rows const* vt, rows const* vs) {
                CHECK(net.heard == what);
                CHECK((net.call.x.data() == b.x.data() && net.call.t.data() == b.t.data() && net.y.data() == b.y.data()));
                CHECK(net.call.s.data() == (two ? b.s.data() : nullptr));
                CHECK(net.call.labels.data() == (labelled ? b.labels.data() : nullptr));
                CHECK(net.tangent.x.data() == (vx ? vx->data() : nullptr));
                CHECK(net.tangent.t.data() == (vt ? vt->data() : nullptr));
                CHECK(net.tangent.s.data() == (vs && two ? vs->data() : nullptr));
                CHECK(net.vy.data() == (vx ? b.vy.data() : nullptr));
            };
            auto const with_arguments = [&](auto const& use) {
                if (two && labelled) use(b.s, b.labels);
                else if (two) use(b.s);
                else if (labelled) use(b.labels);
                else use();
            };
            with_arguments([&](auto&... more) { std::as_const(net)(b.x, b.t, more..., b.y); });
            arrived("evaluate", nullptr, nullptr, nullptr);
            with_arguments([&](auto&... more) { net.forward(b.x, b.t, more..., b.y); });
            arrived("record", nullptr, nullptr, nullptr);
            if (two && labelled) std::as_const(net).jvp(b.x, b.vx, b.t, b.vt, b.s, b.vs, b.labels, b.y, b.vy);
            else if (two) std::as_const(net).jvp(b.x, b.vx, b.t, b.vt, b.s, b.vs, b.y, b.vy);
            else if (labelled) std::as_const(net).jvp(b.x, b.vx, b.t, b.vt, b.labels, b.y, b.vy);
            else std::as_const(net).jvp(b.x, b.vx, b.t, b.vt, b.y, b.vy);
            arrived("differentiate", &b.vx, &b.vt, &b.vs);
            if (two && labelled) net.forward_jvp(b.x, few.vx, b.t, few.vt, b.s, few.vs, b.labels, b.y, b.vy);
            else if (two) net.forward_jvp(b.x, few.vx, b.t, few.vt, b.s, few.vs, b.y, b.vy);
            else if (labelled) net.forward_jvp(b.x, few.vx, b.t, few.vt, b.labels, b.y, b.vy);
            else net.forward_jvp(b.x, few.vx, b.t, few.vt, b.y, b.vy);
            arrived("record", &few.vx, &few.vt, &few.vs);
            CHECK(net.tangent.x.rows() == 2);
        }
}

TEST_CASE("network_interface: what does not fit is refused before the network hears of it") {
    batch b{3}, few{2};
    listener one({}), two({.second_time = true}), labelled({.classes = 4});
    view<std::int32_t const, backend_type> const no_labels;
    auto const refused = [](auto const& call) {
        try {
            call();
        } catch (shape_error const& e) {
            return std::string(e.what());
        }
        return std::string();
    };
    auto const flat = b.x.view().reshaped({3, 4});
    CHECK(refused([&] { one(flat, b.t, b.y); }) == "shape_error: small: x is [3, 4], this network takes [n, 2, 2]");
    CHECK(refused([&] { one.forward(b.x, b.t, flat); }) == "shape_error: small: y is [3, 4], it must have x's shape [3, 2, 2]");
    CHECK(refused([&] { one(b.x, b.t, few.y); }) == "shape_error: small: y is [2, 2, 2], it must have x's shape [3, 2, 2]");
    CHECK(refused([&] { one.forward(b.x, few.t, b.y); }) == "shape_error: small: t is [2], it must be [3]");
    CHECK(refused([&] { one(b.x, b.t, b.s, b.y); }) ==
          "shape_error: small: a second time s was given, this network is called as net(x, t, y)");
    CHECK(refused([&] { two(b.x, b.t, b.y); }) ==
          "shape_error: small: no second time s was given, this network is called as net(x, t, s, y)");
    CHECK(refused([&] { two(b.x, b.t, few.s, b.y); }) == "shape_error: small: s is [2], it must be [3]");
    CHECK(refused([&] { one(b.x, b.t, b.labels, b.y); }) ==
          "shape_error: small: labels were given, this network was made with classes = 0");
    CHECK(refused([&] { labelled(b.x, b.t, few.labels, b.y); }) == "shape_error: small: labels is [2], it must be [3]");
    CHECK(refused([&] { one.jvp(b.x, few.vx, b.t, b.vt, b.y, b.vy); }) == "shape_error: small: vx is [2, 2, 2], it must be [3, 2, 2]");
    CHECK(refused([&] { one.jvp(b.x, b.vx, b.t, few.vt, b.y, b.vy); }) == "shape_error: small: vt is [2], it must be [3]");
    CHECK(refused([&] { two.jvp(b.x, b.vx, b.t, b.vt, b.s, few.vs, b.y, b.vy); }) == "shape_error: small: vs is [2], it must be [3]");
    CHECK(refused([&] { one.jvp(b.x, b.vx, b.t, b.vt, b.y, flat); }) == "shape_error: small: vy is [3, 4], it must be [3, 2, 2]");
    CHECK(refused([&] { one.forward_jvp(few.x, b.vx, few.t, b.vt, few.y, b.vy); }) ==
          "shape_error: small: vx is [3, 2, 2], there are 2 rows to differentiate");
    CHECK(refused([&] { one.forward_jvp(b.x, few.vx, b.t, b.vt, b.y, b.vy); }) == "shape_error: small: vt is [3], it must be [2]");
    for (listener const* net : {&one, &two, &labelled}) CHECK(net->heard.empty());
    // A network of labels may be asked without, and a second time stand still.
    CHECK(refused([&] { labelled(b.x, b.t, no_labels, b.y); }).empty());
    CHECK(refused([&] { two.jvp(b.x, b.vx, b.t, b.vt, b.s, {}, b.y, b.vy); }).empty());
}

TEST_CASE("network_interface: backward wants a forward of its shape") {
    batch b{3}, few{2};
    listener net({});
    CHECK_THROWS_WITH_AS(net.backward(b.y, {}), "shape_error: small: backward was given dy [3, 2, 2], no forward is waiting for it",
                         shape_error);
    CHECK_THROWS_WITH_AS(net.backward(few.y, b.x),
                         "shape_error: small: backward was given dy [2, 2, 2], the forward that waits has [3, 2, 2]", shape_error);
    CHECK_NOTHROW(net.backward(b.y, b.x));
}

}  // namespace
}  // namespace onestep::interface_tests
