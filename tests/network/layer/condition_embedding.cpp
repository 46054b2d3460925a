#include <doctest/doctest.h>
#include <onestep/network/layer/condition_embedding.hpp>

#include <algorithm>

#include "network/layer/plain.hpp"
#include "test_backend.hpp"

namespace onestep::condition_embedding_tests {
namespace {

using test::backend_type;
using test::device;
using test::on_device;
using test::rows;
using test::values;
using embedding = layer::condition_embedding<double, backend_type>;

/// Four samples at times of their own, of a network of one time or two, with classes or none.
struct problem {
    bool second_time;
    int classes;
    bool labelled;
    index_t n = 4, size = 6;
    parameter_list list = {};
    embedding embedded{device(), list, {time_features::kind::sinusoidal, 4, 3}, second_time, size, classes, 9};
    values weights = test::normals<double>(list.size(), 1, 0.7), start = test::normals<double>(list.size(), 2);
    values t = test::normals<double>(n, 3), s = test::normals<double>(n, 4), de = test::normals<double>(n * size, 5);
    values vt = test::normals<double>(n, 6), vs = test::normals<double>(n, 7);
    std::vector<std::int32_t> labels = {2, 0, 1, 2};

    /// A forward pass, and what is done with the pass, the place and the tape.
    template <class Then>
    void run(values const& all_weights, values const& times, values const& seconds, index_t tangents, Then const& then) const {
        pool<backend_type> memory(device());
        rows const w = on_device(all_weights), at_t = on_device(times), at_s = on_device(seconds);
        tensor<std::int32_t, backend_type> const classes_of(device(), {n}, labels);
        layer::condition_of<double> const at{at_t.data(), second_time ? at_s.data() : nullptr, labelled ? classes_of.data() : nullptr};
        layer::pass<double, backend_type> const of{device(), memory, w.data(), nullptr, n, tangents};
        embedding::tape kept;  // goes before the pool
        embedded.forward(of, at, kept);
        then(of, at, kept);
    }
    values forward(values const& all_weights, values const& times, values const& seconds) const {
        values e(de.size());
        run(all_weights, times, seconds, 0,
            [&](auto const&, auto const&, auto const& kept) { device().download(kept.e.data(), n * size, e.data()); });
        return e;
    }
    /// The formula, from the parameters' names.
    values plain() const {
        auto const p = test::by_name(list, weights);
        auto const apply = [&](std::string const& name, values const& x) {
            values y = p.at(name + ".bias");
            for (std::size_t i = 0; i < y.size(); ++i)
                for (std::size_t k = 0; k < x.size(); ++k) y[i] += p.at(name + ".weight")[i * x.size() + k] * x[k];
            return y;
        };
        values e;
        for (index_t r = 0; r < n; ++r) {
            values features, times = {t[r]};
            if (second_time) times.push_back(t[r] - s[r]);
            for (double const each : times)
                for (double const wave : {std::sin(3 * each), std::sin(0.03 * each), std::cos(3 * each), std::cos(0.03 * each)})
                    features.push_back(wave);
            values first = apply("time.first", features);
            for (double& z : first) z = test::silu_in_double(z);
            values second = apply("time.second", first);
            for (index_t i = 0; i < size; ++i) {
                if (classes > 0) second[i] += p.at("class.weight")[i * (classes + 1) + (labelled ? labels[r] : classes)];
                e.push_back(test::silu_in_double(second[i]));
            }
        }
        return e;
    }
};
constexpr struct {
    bool second_time;
    int classes;
    bool labelled;
} several[] = {{false, 0, false}, {true, 0, false}, {false, 3, true}, {false, 3, false}, {true, 3, true}};

TEST_CASE("condition_embedding: e is what the formula gives, of one time and two, with labels and without") {
    for (auto const& each : several) {
        CAPTURE(&each - several);
        problem const p{each.second_time, each.classes, each.labelled};
        CHECK(test::relative_difference(p.forward(p.weights, p.t, p.s), p.plain()) < 1e-14);
    }
}

TEST_CASE("condition_embedding: there is a column more than classes, for no label, and all of them start at deviation 0.02") {
    problem const p{true, 3, true};
    std::string names;
    for (parameter const& each : p.list) names += each.name + to_string(each.extents) + " ";
    CHECK(names == "time.first.weight[6, 8] time.first.bias[6] time.second.weight[6, 6] time.second.bias[6] class.weight[6, 4] ");
    CHECK((p.list.end() - 1)->deviation == doctest::Approx(0.02).epsilon(1e-15));
}

TEST_CASE("condition_embedding: the tangent of the first samples is the derivative along both times, each of which may stand still") {
    for (auto const& each : several)
        for (int const moving : {1, 2, 3})
            for (index_t const m : {1, 3, 4}) {
                CAPTURE(&each - several);
                CAPTURE(moving);
                CAPTURE(m);
                problem const p{each.second_time, each.classes, each.labelled};
                values const still(4), vt = moving & 1 ? p.vt : still, vs = moving & 2 ? p.vs : still;
                rows const along_t = on_device(p.vt), along_s = on_device(p.vs);
                rows ve = on_device(values(p.de.size(), 99.0));
                p.run(p.weights, p.t, p.s, m, [&](auto const& of, auto const& at, auto const& kept) {
                    p.embedded.tangent(of, at, moving & 1 ? along_t.data() : nullptr, moving & 2 ? along_s.data() : nullptr, kept,
                                       ve.data());
                });
                auto const found = ve.to_host();
                values seen = p.de;  // of the first m samples
                std::fill(seen.begin() + m * p.size, seen.end(), 0.0);
                double const exact = test::slope(3e-4, [&](double h) {
                    return test::dot(seen, p.forward(p.weights, test::along(p.t, h, vt), test::along(p.s, h, vs)));
                });
                CHECK(test::dot(seen, found) == doctest::Approx(exact).epsilon(1e-8));
                CHECK(std::all_of(found.begin() + m * p.size, found.end(), [](double v) { return v == 99; }));
            }
}

TEST_CASE("condition_embedding: gradients of the parameters are the derivatives, and add") {
    for (auto const& each : several) {
        CAPTURE(&each - several);
        problem const p{each.second_time, each.classes, each.labelled};
        rows gradients = on_device(p.start), de = on_device(p.de);
        p.run(p.weights, p.t, p.s, 0,
              [&](auto const& of, auto const&, auto const& kept) { p.embedded.backward(of, gradients.data(), kept, de.data()); });
        test::check_parameter_gradients(p.list, p.weights, test::along(gradients.to_host(), -1, p.start),
                                        [&](values const& weights) { return test::dot(p.de, p.forward(weights, p.t, p.s)); });
    }
}

}  // namespace
}  // namespace onestep::condition_embedding_tests
