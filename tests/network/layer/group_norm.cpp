#include <doctest/doctest.h>
#include <onestep/backend/arena.hpp>
#include <onestep/network/layer/group_norm.hpp>

#include <limits>

#include "network/values.hpp"
#include "test_backend.hpp"

namespace onestep::group_norm_tests {
namespace {

using test::backend_type;
using test::device;

struct extents {
    index_t n, pixels, channels, groups;
};
/// 7 x 7, one pixel, one channel a group, everything in one group, groups of several sizes, more than one block of columns.
constexpr extents several[] = {{2, 49, 6, 3}, {3, 1, 8, 2}, {2, 9, 5, 5}, {2, 7, 17, 1}, {1, 4, 12, 4}, {2, 3, 96, 8}, {1, 1, 2, 2}};

/// A layer with all that it reads, on the host. Images lie in one tensor if `seam` is the number of channels.
template <class T> struct problem {
    using layer_type = layer::group_norm<T, backend_type>;
    using values = std::vector<T>;
    using numbers = tensor<T, backend_type>;

    problem(extents const& extents_, bool activated_, bool conditioned_)
        : e(extents_), activated(activated_), conditioned(conditioned_), norm(list, "norm", e.channels, e.groups, activated) {
        for (index_t i = 0; i < size(); ++i)
            x[i] += static_cast<T>(0.3 * static_cast<double>(i % e.channels) - static_cast<double>(i / (e.pixels * e.channels)));
    }

    extents e;
    bool activated, conditioned;
    parameter_list list;
    layer_type norm;
    index_t apart = 2 * e.channels + 3;  // from one row of the condition to the next
    values weights = test::normals<T>(list.size(), 1), x = test::normals<T>(size(), 2), condition = test::normals<T>(e.n * apart, 3, 0.5);
    values dy = test::normals<T>(size(), 4), vx = test::normals<T>(size(), 5), vcondition = test::normals<T>(e.n * apart, 6),
           vweights = test::normals<T>(list.size(), 7);

    index_t size() const { return e.n * e.pixels * e.channels; }
    numbers put(values const& from) const { return {device(), {static_cast<index_t>(from.size())}, from}; }

    /// Images on the device, split at a seam, and whole again.
    struct images {
        images(extents const& e_, index_t seam_, values const& whole) : e(e_), seam(seam_) {
            values first, second;
            for (std::size_t i = 0; i < whole.size(); ++i)
                (static_cast<index_t>(i) % e.channels < seam ? first : second).push_back(whole[i]);
            a = numbers(device(), {static_cast<index_t>(first.size())}, first);
            if (seam < e.channels) b = numbers(device(), {static_cast<index_t>(second.size())}, second);
        }
        values whole() const {
            values const first = a.to_host(), second = b.to_host();
            values all;
            for (index_t r = 0; r < e.n * e.pixels; ++r) {
                all.insert(all.end(), first.begin() + r * seam, first.begin() + (r + 1) * seam);
                if (seam < e.channels)
                    all.insert(all.end(), second.begin() + r * (e.channels - seam), second.begin() + (r + 1) * (e.channels - seam));
            }
            return all;
        }
        layer::joined<T const> in() const { return {a.data(), seam, b.data()}; }
        layer::joined<T> out() { return {a.data(), seam, b.data()}; }
        extents e;
        index_t seam;
        numbers a, b;
    };
    layer::scale_shift<T const> rows(numbers const& on_device) const {
        return conditioned ? layer::scale_shift<T const>{on_device.data(), apart} : layer::scale_shift<T const>{};
    }

    struct forward_result {
        values y;
        numbers statistics;
    };
    forward_result forward(index_t seam, values const& at_x, values const& at_weights, values const& at_condition) const {
        arena<backend_type> memory(device());
        images const source(e, seam, at_x);
        numbers const w = put(at_weights), c = put(at_condition);
        numbers y(device(), {size()}), statistics(device(), {norm.statistics_size(e.n)});
        norm.forward(device(), memory, w.data(), e.n, e.pixels, source.in(), rows(c), statistics.data(), y.data());
        return {y.to_host(), statistics};
    }
    values forward() const { return forward(e.channels, x, weights, condition).y; }
    /// The derivative of y along vx and, if the condition moves, vcondition.
    values tangent(index_t seam, bool moving) const {
        arena<backend_type> memory(device());
        images const source(e, seam, x), along(e, seam, vx);
        numbers const w = put(weights), c = put(condition), vc = put(vcondition),
                      statistics = forward(seam, x, weights, condition).statistics;
        numbers vy(device(), {size()});
        norm.tangent(device(), memory, w.data(), e.n, e.pixels, source.in(), rows(c), statistics.data(), along.in(),
                     moving ? rows(vc) : layer::scale_shift<T const>{}, vy.data());
        return vy.to_host();
    }
    struct backward_result {
        values y, dx, dcondition, dweights;
    };
    /// Every output starts at `before`.
    backward_result backward(index_t seam, bool with_y, bool add, T before = 0) const {
        arena<backend_type> memory(device());
        images const source(e, seam, x);
        images dx(e, seam, values(x.size(), before));
        numbers const w = put(weights), c = put(condition), statistics = forward(seam, x, weights, condition).statistics;
        numbers used = put(dy), y = put(values(x.size(), before)), dc = put(values(condition.size(), before)),
                dw = put(values(weights.size(), before));
        norm.backward(device(), memory, w.data(), dw.data(), e.n, e.pixels, source.in(), rows(c), statistics.data(), used.data(),
                      with_y ? y.data() : nullptr, dx.out(),
                      conditioned ? layer::scale_shift<T>{dc.data(), apart} : layer::scale_shift<T>{}, add);
        return {y.to_host(), dx.whole(), dc.to_host(), dw.to_host()};
    }

    /// y by plain loops in double.
    std::vector<double> expected() const {
        std::vector<double> y(x.size());
        index_t const group_channels = e.channels / e.groups;
        for (index_t i = 0; i < e.n; ++i)
            for (index_t g = 0; g < e.groups; ++g) {
                auto const for_each = [&](auto const& f) {
                    for (index_t p = 0; p < e.pixels; ++p)
                        for (index_t c = g * group_channels; c < (g + 1) * group_channels; ++c)
                            f(static_cast<std::size_t>((i * e.pixels + p) * e.channels + c), c);
                };
                double const count = static_cast<double>(e.pixels * group_channels);
                double mean = 0, variance = 0;
                for_each([&](std::size_t k, index_t) { mean += static_cast<double>(x[k]) / count; });
                for_each([&](std::size_t k, index_t) { variance += std::pow(static_cast<double>(x[k]) - mean, 2) / count; });
                for_each([&](std::size_t k, index_t c) {
                    double value = (static_cast<double>(x[k]) - mean) / std::sqrt(variance + 1e-5) * static_cast<double>(weights[c]) +
                                   static_cast<double>(weights[e.channels + c]);
                    if (conditioned)
                        value = value * (1 + static_cast<double>(condition[i * apart + c])) +
                                static_cast<double>(condition[i * apart + e.channels + c]);
                    y[k] = activated ? test::silu_in_double(value) : value;
                });
            }
        return y;
    }
};

template <class T, class F> void for_each_problem(F const& f) {
    for (extents const& e : several)
        for (bool activated : {false, true})
            for (bool conditioned : {false, true}) {
                CAPTURE(e.pixels);
                CAPTURE(e.channels);
                CAPTURE(e.groups);
                CAPTURE(activated);
                CAPTURE(conditioned);
                f(problem<T>(e, activated, conditioned));
            }
}
std::vector<double> in_double(std::vector<float> const& values) { return {values.begin(), values.end()}; }

TEST_CASE("group_count: the largest divisor that is allowed") {
    CHECK(layer::group_count(64, 32) == 32);
    CHECK(layer::group_count(48, 32) == 24);
    CHECK(layer::group_count(8, 32) == 8);
    CHECK(layer::group_count(17, 8) == 1);
    CHECK(layer::group_count(1, 1) == 1);
    CHECK_THROWS_WITH_AS(layer::group_count(8, 0), "domain_error: group_count: 8 channels in at most 0 groups, both must be >= 1",
                         domain_error);
    CHECK_THROWS_AS(layer::group_count(0, 4), domain_error);
}

TEST_CASE("group_norm: parameters start at one and zero") {
    parameter_list list;
    list.add("before", {3}, 0);
    layer::group_norm<float, backend_type> const norm(list, "norm", 12, 4);
    CHECK(norm.channels() == 12);
    CHECK(norm.groups() == 4);
    CHECK(norm.statistics_size(5) == 60);
    std::vector<parameter> const entries(list.begin(), list.end());
    REQUIRE(entries.size() == 3);
    CHECK(entries[1].name == "norm.weight");
    CHECK(entries[1].extents == shape{12});
    CHECK(entries[1].deviation == 0);
    CHECK(entries[1].value == 1);
    CHECK(entries[2].name == "norm.bias");
    CHECK(entries[2].extents == shape{12});
    CHECK(entries[2].deviation == 0);
    CHECK(entries[2].value == 0);
    CHECK(list.size() == 27);
}

TEST_CASE("group_norm: what it refuses") {
    parameter_list list;
    using norm = layer::group_norm<float, backend_type>;
    CHECK_THROWS_WITH_AS(norm(list, "a.norm", 12, 5), "domain_error: group_norm: a.norm has 5 groups, their number must divide 12 channels",
                         domain_error);
    CHECK_THROWS_WITH_AS(norm(list, "n", 12, 0), "domain_error: group_norm: n has 0 groups, their number must divide 12 channels",
                         domain_error);
    CHECK_THROWS_AS(norm(list, "n", 12, -4), domain_error);
    CHECK_THROWS_WITH_AS(norm(list, "n", 12, 4, true, 0), "domain_error: group_norm: n has epsilon 0.000000, it must be > 0", domain_error);
    CHECK(list.size() == 0);
}

TEST_CASE("group_norm: forward is what plain loops give") {
    for_each_problem<double>([](auto const& p) { CHECK(test::relative_difference(p.forward(), p.expected()) < 1e-13); });
    for_each_problem<float>([](auto const& p) { CHECK(test::relative_difference(in_double(p.forward()), p.expected()) < 3e-6); });
}

TEST_CASE("group_norm: a large mean costs no digits") {
    for (double mean : {1e4, -3e4}) {
        problem<float> p({3, 196, 12, 4}, true, true);
        for (index_t i = 0; i < p.size(); ++i)
            p.x[i] = static_cast<float>(mean + 1e-2 * static_cast<double>(test::normals<float>(1, 100 + i)[0]));
        CHECK(test::relative_difference(in_double(p.forward()), p.expected()) < 2e-5);
    }
    // and where the first pixel, from which differences are taken, lies a thousand deviations off, three are left
    problem<float> p({1, 1024, 4, 4}, false, false);
    for (index_t c = 0; c < 4; ++c) p.x[c] = 1e3f;
    CHECK(test::relative_difference(in_double(p.forward()), p.expected()) < 1e-3);
}

TEST_CASE("group_norm: derivatives are difference quotients") {
    for_each_problem<double>([](auto const& p) {
        index_t const whole = p.e.channels;
        auto const along = [&](double h, bool by_x, bool by_condition, bool by_weights) {
            return p
                .forward(whole, test::along(p.x, by_x ? h : 0, p.vx), test::along(p.weights, by_weights ? h : 0, p.vweights),
                         test::along(p.condition, by_condition ? h : 0, p.vcondition))
                .y;
        };
        for (bool moving : {false, true}) {
            auto const vy = p.tangent(whole, moving);
            // every element, from four evaluations
            double const h = 1e-3;
            auto const p1 = along(h, true, moving, false), m1 = along(-h, true, moving, false), p2 = along(2 * h, true, moving, false),
                       m2 = along(-2 * h, true, moving, false);
            double worst = 0;
            for (std::size_t i = 0; i < vy.size(); ++i)
                worst = std::fmax(worst, std::fabs((8 * (p1[i] - m1[i]) - (p2[i] - m2[i])) / (12 * h) - vy[i]));
            CHECK(worst < 2e-7);
        }
        auto const gradient = p.backward(whole, false, false);
        auto const loss = [&](bool by_x, bool by_condition, bool by_weights) {
            return test::slope(1e-3, [&](double h) { return test::dot(p.dy, along(h, by_x, by_condition, by_weights)); });
        };
        CHECK(test::dot(gradient.dx, p.vx) == doctest::Approx(loss(true, false, false)).epsilon(1e-7));
        CHECK(test::dot(gradient.dweights, p.vweights) == doctest::Approx(loss(false, false, true)).epsilon(1e-7));
        if (p.conditioned) CHECK(test::dot(gradient.dcondition, p.vcondition) == doctest::Approx(loss(false, true, false)).epsilon(1e-7));
    });
}

TEST_CASE("group_norm: backward is the transpose of the tangent") {
    for_each_problem<double>([](auto const& p) {
        auto const gradient = p.backward(p.e.channels, true, false);
        double const across = test::dot(gradient.dx, p.vx) + (p.conditioned ? test::dot(gradient.dcondition, p.vcondition) : 0);
        double const forth = test::dot(p.dy, p.tangent(p.e.channels, true));
        CHECK(std::fabs(across - forth) < 1e-11 * std::fmax(1.0, std::fabs(forth)));
    });
}

TEST_CASE("group_norm: backward gives the activation again, adds where it is told and overwrites elsewhere") {
    for_each_problem<double>([](auto const& p) {
        index_t const whole = p.e.channels;
        auto const fresh = p.backward(whole, false, false), kept = p.backward(whole, true, false, 10),
                   added = p.backward(whole, true, true, 10);
        CHECK(fresh.y == std::vector<double>(p.x.size(), 0.0));
        CHECK(kept.y == p.forward());
        CHECK(added.y == kept.y);
        CHECK(kept.dx == fresh.dx);
        CHECK(added.dx == test::along(fresh.dx, 1, std::vector<double>(p.x.size(), 10.0)));
        CHECK(test::relative_difference(kept.dweights, test::along(fresh.dweights, 1, std::vector<double>(p.weights.size(), 10.0))) <
              1e-14);
        CHECK(added.dweights == kept.dweights);
        for (index_t k = 0; k < p.e.n * p.apart; ++k)
            CHECK(kept.dcondition[k] == (p.conditioned && k % p.apart < 2 * p.e.channels ? fresh.dcondition[k] : 10));
    });
}

/// Sums of columns are the same in any company on the host; on a device their order depends on how many there are.
template <class T> void check_same(std::vector<T> const& one, std::vector<T> const& two) {
#if defined(__CUDACC__)
    CHECK(test::relative_difference(two, one) < 100 * static_cast<double>(std::numeric_limits<T>::epsilon()));
#else
    CHECK(two == one);
#endif
}
TEST_CASE_TEMPLATE("group_norm: two tensors side by side give what one gives, wherever the seam is", T, float, double) {
    for_each_problem<T>([](auto const& p) {
        index_t const whole = p.e.channels;
        auto const y = p.forward(), vy = p.tangent(whole, true);
        auto const gradient = p.backward(whole, true, true, 1);
        for (index_t seam : {index_t(1), whole / 2, whole - 1}) {
            CAPTURE(seam);
            check_same(y, p.forward(seam, p.x, p.weights, p.condition).y);
            check_same(vy, p.tangent(seam, true));
            auto const two = p.backward(seam, true, true, 1);
            check_same(gradient.y, two.y);
            check_same(gradient.dx, two.dx);
            check_same(gradient.dcondition, two.dcondition);
            check_same(gradient.dweights, two.dweights);
        }
    });
}

TEST_CASE("group_norm: results may go over what was read") {
    problem<double> const p({2, 49, 6, 3}, true, true);
    arena<backend_type> memory(device());
    auto w = p.put(p.weights), c = p.put(p.condition), over = p.put(p.x), x = p.put(p.x), vx = p.put(p.vx), dy = p.put(p.dy),
         dc = p.put(p.condition), dw = p.put(std::vector<double>(p.weights.size(), 0.0)), statistics = p.put(std::vector<double>(18));
    p.norm.forward(device(), memory, w.data(), 2, 49, {over.data(), 6}, p.rows(c), statistics.data(), over.data());
    CHECK(over.to_host() == p.forward());
    memory.reset();
    p.norm.tangent(device(), memory, w.data(), 2, 49, {x.data(), 6}, p.rows(c), statistics.data(), {vx.data(), 6}, {}, vx.data());
    CHECK(vx.to_host() == p.tangent(6, false));
    memory.reset();
    p.norm.backward(device(), memory, w.data(), dw.data(), 2, 49, {x.data(), 6}, p.rows(c), statistics.data(), dy.data(), nullptr,
                    {dy.data(), 6}, {dc.data(), p.apart}, false);
    auto const apart = p.backward(6, false, false);
    CHECK(dy.to_host() == apart.dx);
    CHECK(dw.to_host() == apart.dweights);
}

TEST_CASE("group_norm: no images change nothing") {
    problem<float> const p({0, 9, 6, 3}, true, true);
    CHECK(p.norm.statistics_size(0) == 0);
    CHECK(p.forward().empty());
    CHECK(p.tangent(6, true).empty());
    auto const gradient = p.backward(4, true, true, 5);
    CHECK(gradient.dx.empty());
    CHECK(gradient.dweights == std::vector<float>(12, 5.0f));
}

}  // namespace
}  // namespace onestep::group_norm_tests
