#include <doctest/doctest.h>
#include <onestep/model/model.hpp>
#include <onestep/network/mlp.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/target/epsilon.hpp>

#include "network/networks.hpp"

namespace onestep::model_tests {
namespace {

struct owner {  // labelled, and counts
    int calls = 0;
    void operator()(view<float const, cpu>, view<float const, cpu>, view<float, cpu>) { ++calls; }
    void operator()(view<float const, cpu>, view<float const, cpu>, view<std::int32_t const, cpu>, view<float, cpu>) { calls += 10; }
};

TEST_CASE("model: velocity and clean sample from each target, as the formulas of rectified flow say") {
    // x_t = (1 - t) x0 + t e, dx/dt = e - x0
    double const x0_value = 0.7, noise = -1.3;
    owner net;
    model const from_velocity{net, rectified_flow{}, velocity{}};
    model const from_x0{net, rectified_flow{}, x0{}};
    model const from_epsilon{net, rectified_flow{}, epsilon{}};
    for (double t : {0.05, 0.3, 0.5, 0.95}) {
        double const x = (1 - t) * x0_value + t * noise, v = noise - x0_value;
        auto const value = [&](conversion c, double output) { return c.x * x + c.output * output; };
        CHECK(value(from_velocity.velocity_at(t), v) == doctest::Approx(v));
        CHECK(value(from_velocity.x0_at(t), v) == doctest::Approx(x0_value));
        CHECK(value(from_x0.velocity_at(t), x0_value) == doctest::Approx(v));
        CHECK(value(from_x0.x0_at(t), x0_value) == doctest::Approx(x0_value));
        CHECK(value(from_epsilon.velocity_at(t), noise) == doctest::Approx(v));
        CHECK(value(from_epsilon.x0_at(t), noise) == doctest::Approx(x0_value));
    }
    CHECK(from_velocity.velocity_at(0.3).x == 0);
    CHECK(from_velocity.velocity_at(0.3).output == 1);
    CHECK_THROWS_AS(from_epsilon.x0_at(1), domain_error);  // pure noise says nothing about x0
    static_assert(denoiser<decltype(from_velocity)> && denoiser<decltype(from_epsilon)>);
    static_assert(!denoiser<owner>);
}

TEST_CASE("model: an lvalue network is referred to, an rvalue is owned") {
    owner net;
    model by_reference{net, rectified_flow{}, velocity{}};
    static_assert(std::same_as<decltype(by_reference), model<owner&, rectified_flow, velocity>>);
    static_assert(std::same_as<decltype(by_reference)::network_type, owner>);
    CHECK(&by_reference.network() == &net);
    auto const& constant = by_reference;
    static_assert(std::same_as<decltype(constant.network()), owner&>);
    CHECK(&constant.network() == &net);

    model owned{owner{.calls = 5}, rectified_flow{}, velocity{}};
    static_assert(std::same_as<decltype(owned), model<owner, rectified_flow, velocity>>);
    static_assert(std::same_as<decltype(std::as_const(owned).network()), owner const&>);
    auto copy = owned;
    copy.network().calls = 6;
    CHECK(owned.network().calls == 5);
}

TEST_CASE("model: given labels, and the rows of a batch with theirs") {
    cpu device;
    owner net;
    model const flow{net, rectified_flow{}, velocity{}};
    auto const labels = class_labels(device, {4, 5, 6}, 7);
    auto const labelled = flow.given(labels);
    tensor<float, cpu> x(device, {3, 1}), t(device, {3}), y(device, {3, 1});
    labelled.network()(x, t, y.view());
    CHECK(net.calls == 10);
    CHECK(labelled.velocity_at(0.4).output == 1);

    auto const part = labelled.rows(1, 2);
    CHECK(to_host(part.network().labels()) == std::vector<std::int32_t>{5, 6});
    part.network()(x, t, y.view());
    CHECK(net.calls == 20);
    flow.rows(0, 2).network()(x, t, y);
    CHECK(net.calls == 21);

    mlp<float, cpu> real(device, {.data = {1}, .width = 4, .classes = 5});
    model const typed{real, rectified_flow{}, velocity{}};
    CHECK_THROWS_WITH_AS(typed.given(labels), "label_error: conditioned: label 1 is 5, labels are 0 to 4", label_error);
    CHECK(typed.given(labels.view(), labels_are_checked{}).network().labels().size() == 3);
    static_assert(denoiser<decltype(labelled)> && trainable_network<std::remove_cvref_t<decltype(typed.given(labels).network())>>);
}

}  // namespace
}  // namespace onestep::model_tests
