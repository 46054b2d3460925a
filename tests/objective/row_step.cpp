#include <onestep/objective/row_step.hpp>

#include <onestep/model/matched.hpp>
#include <onestep/sampler/sample.hpp>
#include <onestep/target/edm_preconditioned.hpp>
#include <onestep/target/v_prediction.hpp>

#include "../counting_allocator.hpp"
#include "consistency.hpp"

namespace row_step_tests {

using namespace onestep;
using namespace onestep::test;
using namespace onestep::test::consistency;

namespace {

using input = view<double const, backend_type>;

/// Each row one step from t to s, all in one call.
template <class Model, class Solver>
[[gnu::noinline]] numbers stepped(Model const& teacher, Solver const& solver, listed_pairs const& pairs, numbers const& x,
                                  std::vector<std::int32_t> const& labels = {}, double guidance = 1) {
    auto const n = static_cast<index_t>(pairs.t.size());
    tensor<double, backend_type> state(device(), {n, static_cast<index_t>(x.size()) / n}, x);
    tensor<std::int32_t, backend_type> const given(device(), {static_cast<index_t>(labels.size())}, labels);
    view<std::int32_t const, backend_type> names;
    if (!labels.empty()) names = given.view();
    auto const memory = device().scratch();
    row_steps(
        teacher, solver, names, guidance, [&](index_t r) { return pairs.sample(teacher.process(), {}, r, 0); }, input(state.view()),
        state.view(), *memory);
    return state.to_host();
}

/// The same by the solver itself, a row at a time.
template <class Model, class Solver>
[[gnu::noinline]] numbers solved(Model const& model, Solver const& solver, listed_pairs const& pairs, numbers const& x) {
    numbers out;
    std::size_t const d = x.size() / pairs.t.size();
    for (std::size_t r = 0; r < pairs.t.size(); ++r) {
        tensor<double, backend_type> row(
            device(), {1, static_cast<index_t>(d)},
            numbers(x.begin() + static_cast<std::ptrdiff_t>(d * r), x.begin() + static_cast<std::ptrdiff_t>(d * (r + 1))));
        solve(model, solver, {pairs.t[r], pairs.s[r]}, row.view());
        for (double value : row.to_host()) out.push_back(value);
    }
    return out;
}

template <class Model> void check_solvers(Model const& teacher, listed_pairs const& pairs) {
    std::string const process = Model::process_type::name, target = Model::target_type::name;
    CAPTURE(process);
    CAPTURE(target);
    numbers const x = normal<double>(device(), {static_cast<index_t>(pairs.t.size()), 2}, 4).to_host();
    auto const check = [&](auto const& solver) {
        CHECK(relative_difference(stepped(teacher, solver, pairs, x), solved(teacher, solver, pairs, x)) < 1e-11);
    };
    check(euler{});
    check(heun{});
    check(ddim{});
    check(dpm_solver_2s{});
    check(dpm_solver_2s{.ratio = 0.3, .form = second_order::heun});
}

/// A solver of one's own, in one's own namespace: half of Euler's step.
struct halved {
    static constexpr char const* name = "halved";
    void fields(auto&&) const {}
};
template <denoiser Model> row_step row_step_of(halved const&, Model const& model, double t, double s) {
    conversion const u = model.velocity_at(t);
    return {1 + (s - t) / 2 * u.x, (s - t) / 2 * u.output};
}

/// F = 1; counts how often it is asked, and answers NaN from the second time on.
struct once {
    int* calls;
    void operator()(input, input, view<double, backend_type> y) const { fill(y, ++*calls > 1 ? std::nan("") : 1.0); }
};

}  // namespace

TEST_CASE("row_steps: each row goes where the solver carries it, whatever the model's target and process") {
    auto net = small_mlp();
    listed_pairs const in_unit{{0.9, 0.5, 0.11, 0.98}, {0.7, 0.05, 0.1, 0.2}};
    check_solvers(model{net, rectified_flow{}, velocity{}}, in_unit);
    check_solvers(model{net, rectified_flow{}, epsilon{}}, in_unit);
    check_solvers(model{net, variance_preserving{}, v_prediction{}}, in_unit);
    check_solvers(model{net, edm{}, edm_preconditioned{.sigma_data = 0.5}}, {{80, 3, 0.1, 0.5}, {40, 2.9, 0.01, 0.05}});
    model const vp{net, variance_preserving{}, v_prediction{}};
    check_solvers(matched(vp, rectified_flow{}), {{0.9, 0.5, 0.11, 0.95}, {0.7, 0.05, 0.1, 0.2}});
}

TEST_CASE("row_steps: the last step to the data, beside steps that are not the last") {
    auto net = small_mlp();
    listed_pairs const to_data{{0.9, 0.5, 0.3}, {0, 0.4, 0}};
    check_solvers(model{net, rectified_flow{}, velocity{}}, to_data);
    check_solvers(model{net, rectified_flow{}, epsilon{}}, to_data);
    check_solvers(model{net, rectified_flow{}, x0{}}, to_data);  // no velocity at 0: Heun's step is Euler's
    check_solvers(model{net, edm{}, edm_preconditioned{.sigma_data = 0.5}}, to_data);
    // With one evaluation: x_s is the clean sample that the teacher predicts.
    numbers const x{1, 2}, f = answers(net, {1, 2}, {0.9});
    numbers const end = stepped(model{net, rectified_flow{}, epsilon{}}, ddim{}, {{0.9}, {0}}, x);
    for (std::size_t i = 0; i < 2; ++i) CHECK(end[i] == doctest::Approx((x[i] - 0.9 * f[i]) / 0.1).epsilon(1e-13));
}

TEST_CASE("row_steps: a second answer is asked for where a row wants it, and taken by no other row") {
    int calls = 0;
    model const clean{once{&calls}, rectified_flow{}, x0{}};  // no velocity at 0
    numbers const x{1, 2, 3, 4};
    numbers const all_last = stepped(clean, heun{}, {{0.5, 0.25}, {0, 0}}, x);
    CHECK(calls == 1);
    CHECK(all_last[0] == doctest::Approx(1).epsilon(1e-15));
    calls = 0;
    numbers const some = stepped(clean, heun{}, {{0.5, 0.25}, {0, 0.125}}, x);
    CHECK(calls == 2);
    CHECK(some[0] == all_last[0]);
    CHECK(some[1] == all_last[1]);
    CHECK(std::isnan(some[2]));
    calls = 0;
    CHECK(stepped(clean, ddim{}, {{0.5, 0.25}, {0.5, 0.25}}, x) == x);  // no step
    CHECK(calls == 1);
}

TEST_CASE("row_steps: labels reach the teacher, and guidance goes from none to a label") {
    auto net = small_mlp(3, 3);
    model const teacher{net, rectified_flow{}, velocity{}};
    listed_pairs const pairs{{0.9, 0.5, 0.3, 0.7}, {0.7, 0.4, 0.1, 0.2}};
    std::vector<std::int32_t> const labels{0, 1, 2, 3};  // 3: none
    numbers const x = normal<double>(device(), {4, 2}, 4).to_host();
    tensor<std::int32_t, backend_type> const given(device(), {4}, labels);
    auto const by_hand = [&](double scale) {
        numbers const told = answers(net, x, pairs.t, labels), none = answers(net, x, pairs.t);
        numbers out;
        for (std::size_t i = 0; i < 8; ++i)
            out.push_back(x[i] + (pairs.s[i / 2] - pairs.t[i / 2]) * (none[i] + scale * (told[i] - none[i])));
        return out;
    };
    for (double scale : {1.0, 2.5, 0.0})
        CHECK(relative_difference(stepped(teacher, euler{}, pairs, x, labels, scale), by_hand(scale)) < 1e-14);
    CHECK(relative_difference(by_hand(1), by_hand(2.5)) > 1e-3);
    // Two evaluations of both kinds, as the sampler's guidance has them.
    numbers const ours = stepped(teacher, heun{}, pairs, x, labels, 2.5);
    for (index_t r = 0; r < 3; ++r) {  // a sampler takes no label for none
        auto const row = static_cast<std::size_t>(r);
        auto const guided = teacher.guided(given.view().rows(r, 1), {.scale = 2.5});
        numbers const theirs = solved(guided, heun{}, {{pairs.t[row]}, {pairs.s[row]}}, {x[2 * row], x[2 * row + 1]});
        for (std::size_t i = 0; i < 2; ++i) CHECK(ours[2 * row + i] == doctest::Approx(theirs[i]).epsilon(1e-13));
    }
}

TEST_CASE("row_steps: a row's step does not depend on the batch around it") {
    auto net = small_mlp();
    model const teacher{net, edm{}, edm_preconditioned{.sigma_data = 0.5}};
    listed_pairs const all = random_pairs(edm{}, 200, 0.01, 50);
    numbers const x = normal<double>(device(), {200, 2}, 4).to_host(), whole = stepped(teacher, heun{}, all, x);
    listed_pairs part;
    for (std::size_t r = 90; r < 110; ++r) part.t.push_back(all.t[r]), part.s.push_back(all.s[r]);
    numbers const some = stepped(teacher, heun{}, part, numbers(x.begin() + 180, x.begin() + 220));
    for (std::size_t i = 0; i < 40; ++i) CHECK(some[i] == doctest::Approx(whole[180 + i]).epsilon(1e-13));
}

TEST_CASE("row_steps: a solver of one's own takes part by row_step_of, others are refused") {
    auto net = small_mlp();
    model const teacher{net, rectified_flow{}, velocity{}};
    numbers const x{1, 2}, f = answers(net, x, {0.8});
    numbers const half = stepped(teacher, halved{}, {{0.8}, {0.2}}, x);
    for (std::size_t i = 0; i < 2; ++i) CHECK(half[i] == doctest::Approx(x[i] - 0.3 * f[i]).epsilon(1e-14));
    using teacher_type = std::remove_const_t<decltype(teacher)>;
    CHECK(row_solver<halved, teacher_type>);
    CHECK(row_solver<dpm_solver_2s, teacher_type>);
    CHECK_FALSE(row_solver<edm, teacher_type>);
    CHECK_THROWS_WITH_AS(stepped(teacher, ddim{.eta = 0.5}, {{0.8}, {0.2}}, x),
                         "domain_error: ddim: eta is 0.5, a teacher's step draws no noise: eta = 0", domain_error);
    CHECK_THROWS_WITH_AS(stepped(teacher, dpm_solver_2s{.ratio = 0}, {{0.8}, {0.2}}, x),
                         "domain_error: dpm_solver_2s: ratio is 0, it must be in (0, 1]", domain_error);
    CHECK_THROWS_WITH_AS(stepped(teacher, euler{}, {{0.8}, {0.2}}, x, {}, 2),
                         "domain_error: row_steps: guidance is 2 and the batch has no labels, without labels it must be 1", domain_error);
    CHECK_THROWS_AS(stepped(model{net, rectified_flow{}, epsilon{}}, euler{}, {{1}, {0.2}}, x), domain_error);
}

#if !defined(ONESTEP_TEST_BACKEND_GPU)
TEST_CASE("row_steps: a warm call allocates nothing") {
    if (!counts_allocations) return;
    auto net = small_mlp(3, 3);
    model const teacher{net, edm{}, edm_preconditioned{.sigma_data = 0.5}};
    given_data const given(100);
    tensor<double, backend_type> x_s(device(), {100, 2});
    auto const step = [&] {
        auto const memory = device().scratch();
        std::size_t const before = allocations();
        row_steps(
            teacher, heun{}, view<std::int32_t const, backend_type>(given.labels.view()), 2.0,
            [](index_t r) {
                return time_pair{2.0 + static_cast<double>(r), 1};
            },
            input(given.x0.view()), x_s.view(), *memory);
        return allocations() - before;
    };
    for (int k = 0; k < 3; ++k) step();
    CHECK(step() == 0);
}
#endif

}  // namespace row_step_tests
