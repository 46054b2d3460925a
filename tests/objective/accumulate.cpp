#include <onestep/objective/accumulate.hpp>

#include <onestep/backend/cpu.hpp>
#include <onestep/network/mlp.hpp>
#include <onestep/objective/flow_matching.hpp>
#include <onestep/objective/one_step_distillation.hpp>
#include <onestep/process/rectified_flow.hpp>

#include <doctest/doctest.h>

#include <limits>

#include "../counting_allocator.hpp"
#include "../exact_models.hpp"

namespace accumulate_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

template <class T> mlp<T, cpu> lively_mlp(cpu& device, mlp_options const& options) {
    mlp<T, cpu> net(device, options);
    fill_normal(net.parameters().reshaped({1, net.parameters().size()}), random_key{3}.at(draw::user), 0.2);
    return net;
}

void clear(mlp<double, cpu>& net) {
    for (index_t i = 0; i < net.gradients().size(); ++i) net.gradients().data()[i] = 0;
}

/// F = p: as many parameters as a batch has elements, so that a gradient is dL/dF itself.
struct free_network {
    tensor<double, cpu> p, g;
    int forwards = 0;
    free_network(cpu& device, std::vector<double> const& values)
        : p(device, {static_cast<index_t>(values.size())}, values),
          g(device, {static_cast<index_t>(values.size())}, std::vector<double>(values.size())) {}
    void operator()(view<double const, cpu>, view<double const, cpu>, view<double, cpu> y) const {
        p.backend().copy(p.data(), y.size(), y.data());
    }
    void forward(view<double const, cpu> x, view<double const, cpu> t, view<double, cpu> y) {
        ++forwards;
        (*this)(x, t, y);
    }
    void backward(view<double const, cpu> dy) {
        for (index_t i = 0; i < dy.size(); ++i) g.data()[i] += dy.data()[i];
    }
    view<double, cpu> parameters() { return p.view(); }
    view<double, cpu> gradients() { return g.view(); }
};

/// A regression problem of given numbers.
template <class Distance> struct given_problem {
    static constexpr char const* name = "given_problem";
    std::vector<double> x, target;
    std::vector<regression_row<double>> rows;
    Distance rho = {};

    Distance const& distance() const { return rho; }
    template <denoiser Model, class T, class Backend>
    regression<T, Backend> build(Model const&, batch<T, Backend> const& data, random_key, arena<Backend>& memory) const {
        Backend& device = data.x0.backend();
        index_t const n = data.x0.rows(), size = data.x0.size();
        T* const at = memory.template take<T>(size);
        T* const wanted = memory.template take<T>(size);
        T* const t = memory.template take<T>(n);
        auto* const row = memory.template take<regression_row<T>>(n);
        device.upload(x.data(), size, at);
        device.upload(target.data(), size, wanted);
        device.upload(rows.data(), n, row);
        for (index_t r = 0; r < n; ++r) t[r] = 0;
        return {{{device, at, data.x0.shape()}, {device, t, {n}}}, wanted, row};
    }
    void fields(auto&&) const {}
};

/// Flow matching that runs the network's forward pass while it builds, as methods with a derivative in them do.
struct runs_forward : flow_matching<> {
    static constexpr char const* name = "runs_forward";
    double more = 0;  ///< added to what it hands over, to tell whether that is what counts

    template <class Model, class T, class Backend>
    regression<T, Backend> build(Model& model, batch<T, Backend> const& data, random_key key, arena<Backend>& memory) const {
        auto problem = flow_matching<>::build(model, data, key, memory);
        problem.output = memory.template take<T>(data.x0.size());
        forward<false>(model.network(), problem.call, view<T, Backend>(data.x0.backend(), problem.output, data.x0.shape()));
        for (index_t i = 0; i < data.x0.size(); ++i) problem.output[i] += static_cast<T>(more);
        return problem;
    }
};

}  // namespace

TEST_CASE("accumulate: a builder that has run the forward pass spares another") {
    cpu device(1);
    tensor<double, cpu> const x0 = normal<double>(device, {3, 2}, 4);
    std::vector<double> const f{1, -2, 0.5, 3, 0.25, -1};
    free_network plain(device, f), spared(device, f), moved(device, f);
    auto const loss = [&](auto const& objective, free_network& net) {
        model m{net, rectified_flow{}, velocity{}};
        return accumulate(objective, m, x0.view(), random_key{1, 2});
    };
    runs_forward other;
    other.more = 0.5;
    double const expected = loss(flow_matching{}, plain).weighted;
    CHECK(loss(runs_forward(), spared).weighted == expected);
    CHECK(loss(other, moved).weighted != expected);
    CHECK(plain.forwards == 1);
    CHECK(spared.forwards == 1);
    CHECK(moved.forwards == 1);
    CHECK(spared.g.to_host() == plain.g.to_host());
    for (index_t i = 0; i < 6; ++i) CHECK(moved.g.data()[i] == doctest::Approx(plain.g.data()[i] + 0.5 / 3).epsilon(1e-12));
}

TEST_CASE("accumulate: loss and dL/dF are sums of w distance(a x + b F - target) over the rows") {
    cpu device(1);
    std::vector<double> const f{1, -2, 0.5, 3, 0.25, -1}, x{0.3, 0.6, -1, 2, 1, 0.1}, target{0.5, 0.5, -0.25, 1, 2, -2};
    std::vector<regression_row<double>> const rows{{0, 0, 0, 0, 0.5, 2, 3}, {0, 0, 0, 0, -1, 0.25, 0.5}, {0, 0, 0, 0, 0, -1, 2}};
    tensor<double, cpu> const x0(device, {3, 2});
    auto const check = [&](auto const& rho, auto const& value, auto const& slope) {
        free_network net(device, f);
        model m{net, rectified_flow{}, velocity{}};
        given_problem<std::remove_cvref_t<decltype(rho)>> const problem{x, target, rows, rho};
        loss_value const loss = accumulate(problem, m, x0.view(), random_key{});
        double weighted = 0, plain = 0;
        for (std::size_t r = 0; r < 3; ++r) {
            double const first = rows[r].a * x[2 * r] + rows[r].b * f[2 * r] - target[2 * r],
                         second = rows[r].a * x[2 * r + 1] + rows[r].b * f[2 * r + 1] - target[2 * r + 1],
                         s = first * first + second * second;
            weighted += rows[r].weight * value(s) / 3;
            plain += value(s) / 3;
            CHECK(net.g.data()[2 * r] == doctest::Approx(rows[r].weight * rows[r].b * slope(s) * first / 3).epsilon(1e-14));
            CHECK(net.g.data()[2 * r + 1] == doctest::Approx(rows[r].weight * rows[r].b * slope(s) * second / 3).epsilon(1e-14));
        }
        CHECK(loss.weighted == doctest::Approx(weighted).epsilon(1e-14));
        CHECK(loss.plain == doctest::Approx(plain).epsilon(1e-14));
        CHECK(static_cast<double>(loss) == loss.weighted);
    };
    check(
        squared{}, [](double s) { return s / 2; }, [](double) { return 1.0; });
    check(
        pseudo_huber{.c = 0.7}, [](double s) { return std::sqrt(s + 0.49) - 0.7; }, [](double s) { return 1 / std::sqrt(s + 0.49); });
}

TEST_CASE("accumulate: gradients are added to what is there") {
    cpu device(1);
    auto net = lively_mlp<double>(device, {.data = {3}, .width = 8, .blocks = 1});
    model flow{net, rectified_flow{}, velocity{}};
    tensor<double, cpu> const x0 = normal<double>(device, {10, 3}, 4);
    accumulate(flow_matching{}, flow, x0.view(), {1, 2});
    auto const first = to_host(net.gradients());
    accumulate(flow_matching{}, flow, x0.view(), {1, 3});
    auto const both = to_host(net.gradients());
    clear(net);
    accumulate(flow_matching{}, flow, x0.view(), {1, 3});
    auto const second = to_host(net.gradients());
    for (std::size_t i = 0; i < both.size(); ++i) CHECK(both[i] == doctest::Approx(first[i] + second[i]).epsilon(1e-12));
}

TEST_CASE("accumulate: a batch's gradient is the mean of its rows'") {
    cpu device(1);
    auto net = lively_mlp<double>(device, {.data = {3}, .width = 8, .blocks = 1});
    model flow{net, rectified_flow{}, velocity{}};
    tensor<double, cpu> const x0 = normal<double>(device, {64, 3}, 4);
    random_key const key{1, 2};
    double const loss = accumulate(flow_matching{pseudo_huber{.c = 0.5}}, flow, x0.view(), key);
    auto const whole = to_host(net.gradients());
    clear(net);
    double sum = 0;
    for (index_t r = 0; r < 64; ++r) sum += accumulate(flow_matching{pseudo_huber{.c = 0.5}}, flow, x0.view().rows(r, 1), key.from_row(r));
    auto rows = to_host(net.gradients());
    CHECK(sum / 64 == doctest::Approx(loss).epsilon(1e-12));
    for (double& g : rows) g /= 64;
    CHECK(relative_to(rows, whole) < 1e-12);
}

TEST_CASE("accumulate: labels reach the network") {
    cpu device(1);
    auto net = lively_mlp<double>(device, {.data = {3}, .width = 8, .blocks = 1, .classes = 4});
    model flow{net, rectified_flow{}, velocity{}};
    tensor<double, cpu> const x0 = normal<double>(device, {6, 3}, 4);
    auto const gradient = [&](batch<double, cpu> const& data) {
        clear(net);
        double const loss = accumulate(flow_matching{}, flow, data, {1, 2});
        auto out = to_host(net.gradients());
        out.push_back(loss);
        return out;
    };
    auto const some = class_labels(device, {0, 1, 2, 3, 0, 1}, 4), other = class_labels(device, {0, 1, 2, 3, 0, 2}, 4);
    auto const with = gradient({x0.view(), {}, some.view()});
    CHECK(with != gradient({x0.view(), {}, other.view()}));
    CHECK(with != gradient({x0.view()}));
    clear(net);
    auto conditioned_flow = flow.given(some);
    double const loss = accumulate(flow_matching{}, conditioned_flow, batch<double, cpu>{x0.view()}, {1, 2});
    auto same = to_host(net.gradients());
    same.push_back(loss);
    CHECK(with == same);
    // difference quotient in the table of classes
    auto const names = net.names();
    for (parameter const& p : names) {
        if (p.name != "class.weight") continue;
        for (index_t i : {p.offset, p.offset + 3, p.offset + 9}) {
            double& value = net.parameters().data()[i];
            double const at = value, h = 1e-5;
            value = at + h;
            double const above = gradient({x0.view(), {}, some.view()}).back();
            value = at - h;
            double const below = gradient({x0.view(), {}, some.view()}).back();
            value = at;
            CHECK((above - below) / (2 * h) == doctest::Approx(with[static_cast<std::size_t>(i)]).epsilon(1e-5));
        }
    }
}

TEST_CASE("accumulate: the same bits for any number of threads") {
    std::vector<float> gradients;
    loss_value loss;
    for (int threads : {1, 2, 3}) {
        cpu device(threads);
        auto net = lively_mlp<float>(device, {.data = {60}, .width = 96, .blocks = 2});
        model flow{net, rectified_flow{}, velocity{}};
        tensor<float, cpu> const x0 = normal<float>(device, {200, 60}, 4);
        loss_value const now = accumulate(flow_matching{pseudo_huber{.c = 0.5}}, flow, x0.view(), {1, 2});
        if (threads > 1) {
            CHECK(to_host(net.gradients()) == gradients);
            CHECK(now.weighted == loss.weighted);
            CHECK(now.plain == loss.plain);
        }
        gradients = to_host(net.gradients());
        loss = now;
    }
}

TEST_CASE("accumulate: refuses what does not fit, before a gradient is touched") {
    cpu device(1);
    auto net = lively_mlp<float>(device, {.data = {3}, .width = 8, .blocks = 1});
    model flow{net, rectified_flow{}, velocity{}};
    tensor<float, cpu> const wrong = normal<float>(device, {4, 2}, 1), x0 = normal<float>(device, {4, 3}, 1), none(device, {0, 3});
    auto const labels = class_labels(device, {0, 0, 0, 0}, 1);
    CHECK_THROWS_WITH_AS(accumulate(flow_matching{}, flow, wrong.view(), {}), "shape_error: mlp: x is [4, 2], this network takes [n, 3]",
                         shape_error);
    CHECK_THROWS_WITH_AS(accumulate(flow_matching{}, flow, none.view(), {}),
                         "shape_error: accumulate: x0 is [0, 3], there must be at least one sample", shape_error);
    CHECK_THROWS_WITH_AS(accumulate(flow_matching{}, flow, batch<float, cpu>{x0.view(), wrong.view()}, {}),
                         "shape_error: flow_matching: noise is [4, 2], it must be [4, 3]", shape_error);
    CHECK_THROWS_WITH_AS(accumulate(flow_matching{}, flow, batch<float, cpu>{x0.view(), {}, labels.view()}, {}),
                         "shape_error: mlp: labels were given, this network was made with classes = 0", shape_error);
    CHECK_THROWS_AS(accumulate(one_step_distillation{}, flow, x0.view(), {}), shape_error);
    free_network plain(device, std::vector<double>(12, 0.5));
    model without_labels{plain, rectified_flow{}, velocity{}};
    tensor<double, cpu> const samples = normal<double>(device, {4, 3}, 1);
    CHECK_THROWS_WITH_AS(accumulate(flow_matching{}, without_labels, batch<double, cpu>{samples.view(), {}, labels.view()}, {}),
                         "shape_error: network: the batch has labels, this network takes none: it has no forward(x, t, labels, ...)",
                         shape_error);
    CHECK(to_host(net.gradients()) == std::vector<float>(static_cast<std::size_t>(net.gradients().size())));
    CHECK(plain.g.to_host() == std::vector<double>(12));
    accumulate(flow_matching{}, without_labels, batch<double, cpu>{samples.view()}, {});  // and trains without them
    CHECK(plain.g.to_host() != std::vector<double>(12));
}

TEST_CASE("accumulate: a loss that is not finite is returned as it is") {
    cpu device(1);
    auto net = lively_mlp<float>(device, {.data = {2}, .width = 8, .blocks = 1});
    model flow{net, rectified_flow{}, velocity{}};
    tensor<float, cpu> const x0(device, {2, 2}, {1, 2, std::numeric_limits<float>::quiet_NaN(), 3});
    CHECK(std::isnan(accumulate(flow_matching{}, flow, x0.view(), {}).weighted));
}

TEST_CASE("accumulate: a warm call allocates nothing") {
    if (!counts_allocations) return;
    for (int threads : {1, 2}) {
        cpu device(threads);
        auto net = lively_mlp<float>(device, {.data = {60}, .width = 96, .blocks = 2, .classes = 3});
        model flow{net, rectified_flow{}, velocity{}};
        tensor<float, cpu> const x0 = normal<float>(device, {200, 60}, 4), noise = normal<float>(device, {200, 60}, 5);
        auto const labels = class_labels(device, std::vector<std::int32_t>(200, 1), 3);
        auto const warm = [&](auto const& objective, batch<float, cpu> const& data) {
            for (std::uint64_t k = 0; k < 3; ++k) accumulate(objective, flow, data, {1, k});
            std::size_t const before = allocations();
            accumulate(objective, flow, data, {1, 9});
            return allocations() - before;
        };
        CHECK(warm(flow_matching{}, {x0.view()}) == 0);
        CHECK(warm(flow_matching{pseudo_huber{}}, {x0.view(), noise.view(), labels.view()}) == 0);
        CHECK(warm(one_step_distillation{}, {x0.view(), noise.view()}) == 0);
    }
}

}  // namespace accumulate_tests
