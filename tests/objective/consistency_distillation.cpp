#include <onestep/objective/consistency_distillation.hpp>

#include <onestep/model/matched.hpp>
#include <onestep/target/edm_preconditioned.hpp>
#include <onestep/target/v_prediction.hpp>
#include <onestep/train/adam.hpp>
#include <onestep/train/trainer.hpp>

#include "../counting_allocator.hpp"
#include "consistency.hpp"
#include "frozen.hpp"

namespace consistency_distillation_tests {

using namespace onestep;
using namespace onestep::test;
using namespace onestep::test::consistency;

namespace {

/// x_s by row_steps, which tests of their own compare with the solvers.
template <class Teacher, class Solver>
[[gnu::noinline]] numbers carried(Teacher const& teacher, Solver const& solver, listed_pairs const& pairs, numbers const& x,
                                  std::vector<std::int32_t> const& labels, double guidance) {
    auto const n = static_cast<index_t>(pairs.t.size());
    tensor<double, backend_type> const from(device(), {n, 2}, x);
    tensor<double, backend_type> to(device(), {n, 2});
    tensor<std::int32_t, backend_type> const given(device(), {static_cast<index_t>(labels.size())}, labels);
    view<std::int32_t const, backend_type> names;
    if (!labels.empty()) names = given.view();
    auto const memory = device().scratch();
    row_steps(
        teacher, solver, names, guidance, [&](index_t r) { return pairs.sample(teacher.process(), {}, r, 0); },
        view<double const, backend_type>(from.view()), to.view(), *memory);
    return to.to_host();
}

template <class Teacher, class Solver> void check_build(Teacher const& teacher, Solver const& solver, double low, double high) {
    auto const& process = teacher.process();
    std::string const of = Teacher::process_type::name;
    CAPTURE(of);
    index_t const n = 70;
    given_data const given(n);
    auto net = small_mlp(3, 3), old = small_mlp(8, 3);
    consistency_model const student{net, process};
    consistency_model older{old, process};
    listed_pairs const pairs = random_pairs(process, n, low, high);
    numbers const clean = given.x0.to_host();
    auto const check = [&](data_type const& data, random_key key, numbers const& noise, std::vector<std::int32_t> const& labels,
                           double guidance) {
        consistency_distillation const objective(teacher, solver, squared{}, pairs, inverse_gap{}, no_average{}, {.guidance = guidance});
        host_problem const p = build(objective, student, older, data, key);
        numbers const x_t = mixed(process, pairs.t, clean, noise);
        check_student(p, process, pairs.t, x_t);
        numbers const x_s = carried(teacher, solver, pairs, x_t, labels, guidance);
        CHECK(relative_difference(p.target, printed_values(process, old, x_s, pairs.s, labels)) < 1e-11);
        for (std::size_t r = 0; r < pairs.t.size(); ++r)
            CHECK(p.rows[r].weight ==
                  doctest::Approx(1 / (noise_to_signal(process, pairs.t[r]) - noise_to_signal(process, pairs.s[r]))).epsilon(1e-9));
    };
    check(given.pairs(), {}, given.noise.to_host(), {}, 1);
    check(given.labelled(), {}, given.noise.to_host(), given_data::classes(n), 1);
    check(given.labelled(), {}, given.noise.to_host(), given_data::classes(n), 2);
    random_key const key{5, 77};
    tensor<double, backend_type> drawn(device(), {n, 2});
    fill_normal(drawn.view(), key.at(draw::noise));
    check({given.x0.view()}, key, drawn.to_host(), {}, 1);
}

}  // namespace

TEST_CASE("consistency_distillation: one step of the teacher, then f of the older model, on any process") {
    auto teacher_net = small_mlp(11, 3);
    check_build(model{teacher_net, edm{}, edm_preconditioned{.sigma_data = 0.5}}, heun{}, 0.01, 50);
    check_build(model{teacher_net, rectified_flow{}, velocity{}}, euler{}, 0.01, 20);
    check_build(model{teacher_net, variance_preserving{}, v_prediction{}}, ddim{}, 0.02, 50);
    model const elsewhere{teacher_net, variance_preserving{}, v_prediction{}};
    // A teacher of another process, brought to the student's. It has no level below its own lowest.
    listed_pairs const pairs{{0.9, 0.6, 0.3, 0.1}, {0.7, 0.5, 0.1, 0.02}};
    auto const teacher = matched(elsewhere, rectified_flow{});
    given_data const given(4);
    auto net = small_mlp(3, 3);
    consistency_model student{net, rectified_flow{}};
    host_problem const p = build(consistency_distillation(teacher, dpm_solver_2s{}, squared{}, pairs), student, student, given.pairs());
    numbers const x_t = mixed(rectified_flow{}, pairs.t, given.x0.to_host(), given.noise.to_host());
    numbers const x_s = carried(teacher, dpm_solver_2s{}, pairs, x_t, {}, 1);
    CHECK(relative_difference(p.target, printed_values(rectified_flow{}, net, x_s, pairs.s)) < 1e-11);
}

TEST_CASE("consistency_distillation: pairs come from the stream of times, the same for student and teacher") {
    given_data const given(200);
    auto net = small_mlp(), teacher_net = small_mlp(11);
    consistency_model student{net, edm{}};
    model const teacher{teacher_net, edm{}, edm_preconditioned{.sigma_data = 0.5}};
    consistency_distillation const published{teacher};
    random_key const key{9, 3, 1000};
    host_problem const p = build(published, student, student, given.pairs(), key);
    listed_pairs drawn;
    for (index_t r = 0; r < 200; ++r) {
        time_pair const at = published.pairs().sample(edm{}, key.at(draw::time), r, 3);
        drawn.t.push_back(at.t), drawn.s.push_back(at.s);
        CHECK(p.rows[static_cast<std::size_t>(r)].weight == 1);
    }
    host_problem const listed = build(consistency_distillation(teacher, heun{}, squared{}, drawn), student, student, given.pairs());
    CHECK(p.x == listed.x);
    CHECK(p.target == listed.target);
}

TEST_CASE("consistency_distillation: at the boundary the target is where the teacher arrives, whatever the student says") {
    given_data const given(3);
    auto net = small_mlp(), teacher_net = small_mlp(11);
    consistency_model student{net, rectified_flow{}};
    model const teacher{teacher_net, rectified_flow{}, velocity{}};
    listed_pairs const pairs{{0.9, 0.5, 0.2}, {0, 0, 0}};
    numbers const x_t = mixed(rectified_flow{}, pairs.t, given.x0.to_host(), given.noise.to_host());
    auto const check = [&](auto const& solver) {
        host_problem const p = build(consistency_distillation(teacher, solver, squared{}, pairs), student, student, given.pairs());
        CHECK(relative_difference(p.target, carried(teacher, solver, pairs, x_t, {}, 1)) < 1e-15);
    };
    check(euler{});
    check(heun{});
    check(ddim{});
}

TEST_CASE("consistency_distillation: the gradient is that of difference quotients with the target held constant") {
    given_data const given(6);
    auto net = small_mlp(3, 3), old = small_mlp(8, 3), teacher_net = small_mlp(11, 3);
    consistency_model student{net, edm{}}, older{old, edm{}};
    model const teacher{teacher_net, edm{}, edm_preconditioned{.sigma_data = 0.5}};
    listed_pairs const pairs = random_pairs(edm{}, 6, 0.05, 5);
    check_frozen_gradient(consistency_distillation(teacher, heun{}, squared{}, pairs, unit_weight{}, constant_average{}, {.guidance = 1.5}),
                          student, older, given.labelled(), {});
    check_frozen_gradient(consistency_distillation(teacher, ddim{}, pseudo_huber{.c = 0.3}, pairs, inverse_gap{}), student, student,
                          given.pairs(), {});
}

TEST_CASE("consistency_distillation: a row's problem does not depend on the batch around it") {
    given_data const given(150);
    auto net = small_mlp(), teacher_net = small_mlp(11);
    consistency_model student{net, edm{}};
    model const teacher{teacher_net, edm{}, edm_preconditioned{.sigma_data = 0.5}};
    consistency_distillation const objective{teacher};
    random_key const key{3, 120, 0};
    host_problem const all = build(objective, student, student, {given.x0.view()}, key);
    tensor<double, backend_type> const& x0 = given.x0;
    host_problem const part = build(objective, student, student, {x0.view().rows(100, 20)}, key.from_row(100));
    for (std::size_t i = 0; i < 40; ++i) {
        CHECK(part.x[i] == all.x[200 + i]);
        CHECK(part.target[i] == doctest::Approx(all.target[200 + i]).epsilon(1e-13));
    }
}

TEST_CASE("consistency_distillation: the trainer keeps the average that it asks for") {
    given_data const given(40);
    auto net = small_mlp(3, 3), teacher_net = small_mlp(11, 3);
    consistency_model student{net, edm{}};
    model const teacher{teacher_net, edm{}, edm_preconditioned{.sigma_data = 0.5}};
    consistency_distillation const averaged(teacher, heun{}, squared{}, neighbouring_levels{}, unit_weight{}, constant_average{.mu = 0.95});
    consistency_distillation const guided(teacher, heun{}, squared{}, neighbouring_levels{}, unit_weight{}, no_average{}, {.guidance = 2});
    CHECK(averaged.target_decay(7) == 0.95);
    CHECK_FALSE(has_target_decay<std::remove_cvref_t<decltype(guided)>>);
    numbers const before = to_host(net.parameters());
    trainer t{student, averaged, adam{.rate = 0.05}, {.batch = 8}};
    t.run(given.pairs(), 1);
    numbers const after = to_host(net.parameters()), kept = to_host(t.target().model().network().parameters());
    double worst = 0;
    for (std::size_t i = 0; i < kept.size(); ++i) worst = std::fmax(worst, std::fabs(kept[i] - 0.95 * before[i] - 0.05 * after[i]));
    CHECK(worst < 1e-14);
}

#if !defined(ONESTEP_TEST_BACKEND_GPU)
TEST_CASE("consistency_distillation: a warm step allocates nothing") {
    if (!counts_allocations) return;
    given_data const given(40);
    auto net = small_mlp(3, 3), teacher_net = small_mlp(11, 3);
    consistency_model student{net, edm{}};
    model const teacher{teacher_net, edm{}, edm_preconditioned{.sigma_data = 0.5}};
    auto const warm = [&](auto const& objective, data_type const& data) {
        for (std::uint64_t k = 0; k < 3; ++k) accumulate(objective, student, data, {1, k});
        std::size_t const before = allocations();
        accumulate(objective, student, data, {1, 9});
        return allocations() - before;
    };
    CHECK(warm(consistency_distillation{teacher}, {given.x0.view()}) == 0);
    CHECK(warm(consistency_distillation(teacher, heun{}, squared{}, neighbouring_levels{}, unit_weight{}, no_average{}, {.guidance = 2}),
               given.labelled()) == 0);
}
#endif

TEST_CASE("consistency_distillation: refuses another process, guidance without labels and noise of another shape, and is a spec") {
    given_data const given(4), other(3);
    auto net = small_mlp(3, 3), teacher_net = small_mlp(11, 3);
    consistency_model student{net, edm{.sigma_max = 60}}, same{net, edm{}};
    model const teacher{teacher_net, edm{}, edm_preconditioned{.sigma_data = 0.5}};
    consistency_distillation const objective{teacher};
    CHECK_THROWS_WITH_AS(build(objective, student, student, given.pairs()),
                         "domain_error: consistency_distillation: the student's process is not the teacher's, both must have the same "
                         "numbers; `matched` brings a teacher to another process",
                         domain_error);
    consistency_distillation const guided(teacher, heun{}, squared{}, neighbouring_levels{}, unit_weight{}, no_average{}, {.guidance = 2});
    CHECK_THROWS_WITH_AS(build(guided, same, same, given.pairs()),
                         "domain_error: row_steps: guidance is 2 and the batch has no labels, without labels it must be 1", domain_error);
    CHECK_THROWS_WITH_AS(build(objective, same, same, {given.x0.view(), other.noise.view()}),
                         "shape_error: consistency_distillation: noise is [3, 2], it must be [4, 2]", shape_error);
    CHECK(to_string(objective) ==
          "consistency_distillation{teacher = " + to_string(teacher_reference(teacher)) +
              ", solver = heun{steps = 18}, distance = squared{}, pairs = "
              "neighbouring_levels{curriculum = constant_levels{count = 18}, choice = uniform_level{}, grid = karras_grid{rho = 7, "
              "sigma_min = 0, sigma_max = 0}}, weighting = unit_weight{}, average = no_average{}, guidance = 1}");
}

}  // namespace consistency_distillation_tests
