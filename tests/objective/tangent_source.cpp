#include <onestep/objective/continuous_consistency.hpp>

#include <onestep/model/consistency_model.hpp>
#include <onestep/objective/label_dropout.hpp>
#include <onestep/process/edm.hpp>

#include "../test_backend.hpp"
#include "gradient.hpp"

namespace tangent_source_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

using data_type = batch<double, backend_type>;
using numbers = std::vector<double>;
using input = view<double const, backend_type>;
using output = view<double, backend_type>;
using names = view<std::int32_t const, backend_type>;

continuous_consistency_options const at_once{.warmup = 0};

/// The target of a batch in host memory.
template <class Objective, class Model>
[[gnu::noinline]] numbers target_of(Objective const& objective, Model& model, data_type const& data, random_key key = {8, 21}) {
    auto const memory = device().scratch();
    auto const p = objective.build(model, data, key, *memory);
    numbers target(static_cast<std::size_t>(data.x0.size()));
    device().download(p.target, data.x0.size(), target.data());
    return target;
}

/// A guided answer, made by hand from two of an mlp.
struct guided_by_hand {
    mlp<double, backend_type>* net;
    double scale;
    void operator()(input x, input t, names labels, output y) const {
        tensor<double, backend_type> none(device(), y.shape());
        (*net)(x, t, labels, y);
        (*net)(x, t, none.view());
        numbers const c = to_host(y), u = none.to_host();
        numbers both(c.size());
        for (std::size_t i = 0; i < c.size(); ++i) both[i] = u[i] + scale * (c[i] - u[i]);
        device().upload(both.data(), y.size(), y.data());
    }
    void operator()(input x, input t, output y) const { (*net)(x, t, y); }
};

/// Answers with the time that it is told.
struct clock_face {
    void operator()(input, input t, output y) const {
        numbers const times = to_host(t);
        numbers all;
        for (index_t i = 0; i < y.size(); ++i) all.push_back(times[static_cast<std::size_t>(i / y.cols())]);
        device().upload(all.data(), y.size(), y.data());
    }
};
/// A density of one level.
struct at_level {
    static constexpr char const* name = "at_level";
    double level = 1;
    double sample(process auto const& p, random_stream, index_t) const { return time_of_noise_to_signal(p, level); }
    void fields(auto&& visit) const { visit("level", level); }
};

mlp<double, backend_type> small_network(int classes, std::uint64_t seed) {
    mlp<double, backend_type> net(device(), {.data = {2}, .width = 6, .blocks = 1, .time = {.size = 4, .scale = 2}, .classes = classes});
    fill_normal(net.parameters().reshaped({1, net.parameters().size()}), random_key{seed}.at(draw::user), 0.3);
    return net;
}

/// Which rows of two targets differ.
std::vector<bool> changed(numbers const& a, numbers const& b) {
    std::vector<bool> rows;
    for (std::size_t i = 0; i < a.size(); i += 2) rows.push_back(a[i] != b[i] || a[i + 1] != b[i + 1]);
    return rows;
}

}  // namespace

TEST_CASE("tangent_source: a row's label reaches student and teacher") {
    auto net = small_network(3, 3), old = small_network(3, 5), blind = small_network(0, 5);
    consistency_model student{net, trigonometric_flow{}};
    tensor<double, backend_type> const x0 = normal<double>(device(), {4, 2}, 4);
    auto const labels = class_labels(device(), {0, 1, 2, 0}, 3), other = class_labels(device(), {0, 1, 1, 0}, 3);
    auto const compare = [&](auto const& objective, auto& taught) {
        numbers const some = target_of(objective, taught, {x0.view(), {}, labels.view()});
        CHECK(changed(some, target_of(objective, taught, {x0.view(), {}, other.view()})) == std::vector<bool>{false, false, true, false});
        CHECK(changed(some, target_of(objective, taught, {x0.view()})) == std::vector<bool>(4, true));
    };
    compare(continuous_consistency(along_data{}, at_once), student);
    compare(continuous_consistency(by_differences{}, at_once), student);
    model teacher{old, edm{}, edm_preconditioned{}};
    compare(continuous_consistency{teacher, at_once}, student);

    // A student that does not look at labels shows what reaches the teacher.
    struct deaf {
        mlp<double, backend_type>* net;
        void operator()(input x, input t, output y) const { (*net)(x, t, y); }
        void operator()(input x, input t, names, output y) const { (*net)(x, t, y); }
        void forward(input x, input t, names, output y) { net->forward(x, t, y); }
        void forward(input x, input t, output y) { net->forward(x, t, y); }
        void jvp(input x, input vx, input t, input vt, names, output y, output vy) const { net->jvp(x, vx, t, vt, y, vy); }
        void jvp(input x, input vx, input t, input vt, output y, output vy) const { net->jvp(x, vx, t, vt, y, vy); }
    };
    consistency_model hears_nothing{deaf{&blind}, trigonometric_flow{}};
    compare(continuous_consistency{teacher, at_once}, hears_nothing);

    model teacher_without_labels{blind, edm{}, edm_preconditioned{}};
    CHECK_THROWS_WITH_AS(target_of(continuous_consistency{teacher_without_labels}, student, {x0.view(), {}, labels.view()}),
                         "shape_error: mlp: labels were given, this network was made with classes = 0", shape_error);
}

TEST_CASE("tangent_source: labels are withheld from student and teacher at the wanted share") {
    auto net = small_network(3, 3), old = small_network(3, 5);
    consistency_model student{net, trigonometric_flow{}};
    model teacher{old, edm{}, edm_preconditioned{}};
    index_t const n = 2000;
    tensor<double, backend_type> const x0 = normal<double>(device(), {n, 2}, 4);
    auto const labels = class_labels(device(), std::vector<std::int32_t>(static_cast<std::size_t>(n), 1), 3);
    continuous_consistency const objective{teacher, at_once};
    label_dropout const dropped{objective, 0.3};
    auto const hidden =
        changed(target_of(objective, student, {x0.view(), {}, labels.view()}), target_of(dropped, student, {x0.view(), {}, labels.view()}));
    double share = 0;
    for (bool row : hidden) share += row / static_cast<double>(n);
    CHECK(std::fabs(share - 0.3) < 4 * std::sqrt(0.3 * 0.7 / static_cast<double>(n)));
}

TEST_CASE("tangent_source: guidance is the teacher's answer away from the one without labels") {
    auto net = small_network(3, 3), old = small_network(3, 5);
    consistency_model student{net, trigonometric_flow{}};
    model teacher{old, edm{}, edm_preconditioned{}};
    tensor<double, backend_type> const x0 = normal<double>(device(), {6, 2}, 4);
    auto const labels = class_labels(device(), {0, 1, 2, 0, 1, 2}, 3);
    data_type const data{x0.view(), {}, labels.view()};
    numbers const plain = target_of(continuous_consistency{teacher, at_once}, student, data);
    for (double scale : {0.0, 1.0, 2.5}) {
        CAPTURE(scale);
        model by_hand{guided_by_hand{&old, scale}, edm{}, edm_preconditioned{}};
        numbers const ours = target_of(continuous_consistency{teacher, {.warmup = 0, .guidance = scale}}, student, data);
        CHECK(relative_difference(ours, target_of(continuous_consistency{by_hand, at_once}, student, data)) < 1e-12);
        CHECK((ours == plain) == (scale == 1));
    }
}

TEST_CASE("tangent_source: a teacher is asked at its own time of equal noise, or the nearest that it has") {
    auto net = small_network(0, 3);
    consistency_model student{net, rectified_flow{}};
    tensor<double, backend_type> const x0 = normal<double>(device(), {1, 2}, 4), noise = normal<double>(device(), {1, 2}, 5);
    double const sd = 0.5;
    model teacher{clock_face{}, edm{.sigma_min = 0.002, .sigma_max = 10}, edm_preconditioned{.sigma_data = sd}};
    // Without the derivative g = -cos^2 (sd F - dx/da), and dx/da = sd F_trig = -sd log(level) / 4.
    auto const velocity = [&](double level) {
        auto const memory = device().scratch();
        continuous_consistency const objective{teacher, {.sigma_data = sd}, plain_tangent{}, at_level{level}};
        auto const p = objective.build(student, data_type{x0.view(), noise.view()}, {8, 0}, *memory);
        numbers x = to_host(p.call.x), f(2), target(2);
        std::vector<regression_row<double>> row(1);
        device().download(p.output, 2, f.data());
        device().download(p.target, 2, target.data());
        device().download(p.rows, 1, row.data());
        double const flow = row[0].a * x[0] + row[0].b * f[0], cosine = std::cos(std::atan(level / sd));
        return (target[0] - flow) / (cosine * cosine) + sd * flow;
    };
    for (double level : {0.01, 0.3, 4.0, 10.0}) CHECK(velocity(level) == doctest::Approx(-sd * std::log(level) / 4).epsilon(1e-9));
    CHECK(velocity(30) == doctest::Approx(-sd * std::log(10.0) / 4).epsilon(1e-9));
}

TEST_CASE("tangent_source: a network without jvp learns by differences") {
    struct forward_only {
        mlp<double, backend_type>* net;
        void operator()(input x, input t, output y) const { (*net)(x, t, y); }
        void forward(input x, input t, output y) { net->forward(x, t, y); }
        void backward(input dy) { net->backward(dy); }
        output parameters() { return net->parameters(); }
        output gradients() { return net->gradients(); }
    };
    auto net = small_network(0, 3);
    consistency_model bare{forward_only{&net}, trigonometric_flow{}};
    consistency_model full{net, trigonometric_flow{}};
    tensor<double, backend_type> const x0 = normal<double>(device(), {20, 2}, 4);
    static_assert(!calling::takes_any_jvp<forward_only, double, backend_type>());
    static_assert(calling::takes_any_jvp<mlp<double, backend_type>, double, backend_type>());
    auto const gradient = [&](auto const& objective, auto& student) {
        fill(net.gradients(), 0);
        accumulate(objective, student, x0.view(), {8, 21});
        return to_host(net.gradients());
    };
    numbers const ours = gradient(continuous_consistency(by_differences{.step = 1e-3}, at_once), bare);
    CHECK(relative_difference(ours, gradient(continuous_consistency(by_differences{.step = 1e-3}, at_once), full)) == 0);
    CHECK(relative_difference(ours, gradient(continuous_consistency(along_data{}, at_once), full)) < 1e-4);
}

TEST_CASE("tangent_source: all say what they are") {
    CHECK(to_string(along_data{}) == "along_data{}");
    CHECK(to_string(by_differences{}) == "by_differences{step = 0.01}");
    model teacher{clock_face{}, edm{}, edm_preconditioned{}};
    CHECK(to_string(from_teacher<decltype(teacher)>(teacher)) ==
          "teacher{process = edm{sigma_min = 0.002, sigma_max = 80}, target = edm_preconditioned{sigma_data = 0.5}}");
    static_assert(!std::constructible_from<from_teacher<decltype(teacher)>, decltype(teacher)>);  // it would dangle
}

}  // namespace tangent_source_tests
