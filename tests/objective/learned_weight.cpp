#include <onestep/objective/learned_weight.hpp>

#include <onestep/objective/flow_matching.hpp>

#include "gradient.hpp"

namespace learned_weight_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

using head_type = learned_weight<double, backend_type>;

/// Everything at one time.
struct at_one_time {
    static constexpr char const* name = "at_one_time";
    double sample(process auto const&, random_stream, index_t) const { return 0.3; }
    void fields(auto&&) const {}
};

template <class Objective, class Model>
loss_value weighted_loss(Objective const& objective, Model& model, batch<double, backend_type> const& data, head_type& head) {
    return accumulate(objective, model, data, {3, 4}, accumulate_with<Model, double, backend_type>{model, &head});
}

}  // namespace

TEST_CASE("learned_weight: a linear layer on sines and cosines of time, zero at first") {
    head_type head(device(), {.size = 6, .scale = 2});
    CHECK(head.parameters().size() == 7);
    tensor<double, backend_type> const t(device(), {3}, {0.1, 0.5, 0.9});
    CHECK(to_host(head.forward(t.view())) == std::vector<double>(3));
    std::vector<double> const p{0.5, -1, 2, 0.25, 1, -0.75, 0.125};
    device().upload(p.data(), 7, head.parameters().data());
    auto const v = to_host(head.forward(t.view()));
    auto const times = t.to_host();
    for (std::size_t r = 0; r < 3; ++r) {
        double sum = p[6];
        for (std::size_t i = 0; i < 3; ++i) {
            double const angle = 2 * times[r] * std::pow(10000.0, -static_cast<double>(i) / 3);
            sum += p[i] * std::sin(angle) + p[3 + i] * std::cos(angle);
        }
        CHECK(v[r] == doctest::Approx(sum).epsilon(1e-12));
    }
}

TEST_CASE("learned_weight: loss and gradients of both are those of e^-v w distance + v") {
    tensor<double, backend_type> const x0 = normal<double>(device(), {5, 2}, 4);
    batch<double, backend_type> const data{x0.view()};
    auto net = lively_mlp<double>({.data = {2}, .width = 5, .blocks = 1, .time = {.size = 4, .scale = 3}});
    model flow{net, rectified_flow{}, velocity{}};
    auto const check = [&](auto const& objective) {
        head_type head(device(), {.size = 4, .scale = 2});
        loss_value const plain = accumulate(objective, flow, data, {3, 4}), at_zero = weighted_loss(objective, flow, data, head);
        CHECK(at_zero.weighted == doctest::Approx(plain.weighted).epsilon(1e-14));
        std::vector<double> p{0.5, -1, 0.3, 0.25, 0.1};
        device().upload(p.data(), 5, head.parameters().data());
        fill(net.gradients(), 0), fill(head.gradients(), 0);
        loss_value const loss = weighted_loss(objective, flow, data, head);
        CHECK(loss.plain == doctest::Approx(plain.plain).epsilon(1e-14));
        CHECK(std::fabs(loss.weighted - plain.weighted) > 1e-2);
        auto const of_net = to_host(net.gradients()), of_head = to_host(head.gradients());
        auto const quotient = [&](view<double, backend_type> parameters, index_t i) {
            auto all = to_host(parameters);
            double const at = all[static_cast<std::size_t>(i)], h = 1e-5;
            auto const moved = [&](double value) {
                all[static_cast<std::size_t>(i)] = value;
                device().upload(all.data(), parameters.size(), parameters.data());
                return weighted_loss(objective, flow, data, head).weighted;
            };
            double const slope = (moved(at + h) - moved(at - h)) / (2 * h);
            moved(at);
            return slope;
        };
        for (index_t i = 0; i < 5; ++i)
            CHECK(of_head[static_cast<std::size_t>(i)] == doctest::Approx(quotient(head.parameters(), i)).epsilon(1e-6));
        for (index_t i = 0; i < net.parameters().size(); i += 7)
            CHECK(std::fabs(of_net[static_cast<std::size_t>(i)] - quotient(net.parameters(), i)) < 1e-8);
    };
    check(flow_matching{});
    check(flow_matching{pseudo_huber{.c = 0.4}, uniform_density{}, time_weight{[](double t) { return 0.5 + t; }}});
}

TEST_CASE("learned_weight: rests at the logarithm of the expected loss") {
    tensor<double, backend_type> const x0 = normal<double>(device(), {9, 2}, 4);
    batch<double, backend_type> const data{x0.view()};
    auto net = lively_mlp<double>({.data = {2}, .width = 5, .blocks = 1});
    model flow{net, rectified_flow{}, velocity{}};
    flow_matching const objective{squared{}, at_one_time{}};
    double const loss = accumulate(objective, flow, data, {3, 4}).weighted;
    head_type head(device(), {.size = 2});
    std::vector<double> const p{0, 0, std::log(loss)};
    device().upload(p.data(), 3, head.parameters().data());
    CHECK(weighted_loss(objective, flow, data, head).weighted == doctest::Approx(1 + std::log(loss)).epsilon(1e-12));
    for (double g : to_host(head.gradients())) CHECK(std::fabs(g) < 1e-12);
}

TEST_CASE("learned_weight: gradients are added, and learned_weighting is its objective with a mark") {
    tensor<double, backend_type> const x0 = normal<double>(device(), {5, 2}, 4);
    batch<double, backend_type> const data{x0.view()};
    auto net = lively_mlp<double>({.data = {2}, .width = 5, .blocks = 1});
    model flow{net, rectified_flow{}, velocity{}};
    learned_weighting const marked{flow_matching{pseudo_huber{.c = 0.4}}};
    head_type head(device());
    weighted_loss(marked, flow, data, head);
    auto const once = to_host(head.gradients());
    weighted_loss(marked, flow, data, head);
    auto const twice = to_host(head.gradients());
    for (std::size_t i = 0; i < once.size(); ++i) CHECK(twice[i] == doctest::Approx(2 * once[i]).epsilon(1e-13));
    CHECK(accumulate(marked, flow, data, {3, 4}).weighted ==
          accumulate(flow_matching{pseudo_huber{.c = 0.4}}, flow, data, {3, 4}).weighted);
    CHECK(learns_weight<decltype(marked)>());
    CHECK_FALSE(learns_weight<flow_matching<>>());
    CHECK_FALSE(has_target_decay<learned_weighting<flow_matching<>>>);
    CHECK(to_string(marked) ==
          "learned_weighting{objective = flow_matching{distance = pseudo_huber{c = 0.4}, density = uniform_density{}, weight = "
          "unit_weight{}}}");
}

}  // namespace learned_weight_tests
