// Flows made straight, and distilled.
#include "lab.hpp"

namespace study {

namespace {

constexpr int pair_steps = 8;  // of Heun, for each pair
/// Pairs cost a quarter of what is left after the teacher.
index_t pair_count(lab const& l) {
    return static_cast<index_t>(0.125 * l.budget() * static_cast<double>(l.task().batch) / (2 * pair_steps));
}

/// Reflow: the teacher's weights, trained on the pairs that the teacher makes.
outcome run_reflow(lab& l) {
    outcome result;
    network origin = l.teacher(result), net = origin;
    auto const pairs = l.pairs(result, os::model{origin, os::rectified_flow{}, os::velocity{}}, pair_count(l), pair_steps);
    os::model flow{net, os::rectified_flow{}, os::velocity{}};
    network trained = l.train(result, flow, os::flow_matching{}, {.passes = 3, .share = 0.375, .rate = 0.5, .data = pairs.all()});
    os::model const straight{trained, os::rectified_flow{}, os::velocity{}};
    for (int steps : {1, 2, 4, 8, 64}) l.measure(result, "reflow", straight, steps, by_euler(l));
    l.measure_straightness(result, straight);
    return result;
}

/// Reflow without stored pairs: the teacher makes each batch's.
outcome run_online_reflow(lab& l) {
    constexpr int solver_steps = 4;
    outcome result;
    network origin = l.teacher(result), net = origin;
    os::model const teacher{origin, os::rectified_flow{}, os::velocity{}};
    os::model flow{net, os::rectified_flow{}, os::velocity{}};
    os::online_pairs const objective{teacher, os::heun{.steps = solver_steps}, os::flow_matching{}};
    network trained = l.train(result, flow, objective, {.passes = 3 + 2 * solver_steps, .share = 0.5, .rate = 0.5});
    os::model const straight{trained, os::rectified_flow{}, os::velocity{}};
    for (int steps : {1, 2, 4, 8, 64}) l.measure(result, "online reflow", straight, steps, by_euler(l));
    l.measure_straightness(result, straight);
    return result;
}

/// Distillation of the teacher's pairs, into the numbers of steps that are measured; straightened by reflow before where that has a share
/// of the budget.
template <class Objective>
outcome distill(lab& l, std::string const& name, Objective const& objective, double reflow_share, std::initializer_list<int> steps) {
    outcome result;
    network origin = l.teacher(result), net = origin;
    auto const pairs = l.pairs(result, os::model{origin, os::rectified_flow{}, os::velocity{}}, pair_count(l), pair_steps);
    os::model flow{net, os::rectified_flow{}, os::velocity{}};
    if (reflow_share > 0) {
        network straight =
            l.train(result, flow, os::flow_matching{}, {.passes = 3, .share = reflow_share, .rate = 0.5, .data = pairs.all()});
        net.parameters().backend().copy(straight.parameters().data(), net.parameters().size(), net.parameters().data());
    }
    network trained = l.train(result, flow, objective, {.passes = 3, .share = 0.375 - reflow_share, .rate = 0.5, .data = pairs.all()});
    for (int n : steps) l.measure(result, name, os::model{trained, os::rectified_flow{}, os::velocity{}}, n, by_euler(l));
    return result;
}
os::pseudo_huber pair_distance(lab const& l) { return {.c = 0.0125 * std::sqrt(static_cast<double>(l.task().data.x0().cols()))}; }

outcome run_distilled(lab& l) { return distill(l, "distilled", os::one_step_distillation{pair_distance(l)}, 0, {1}); }
outcome run_reflow_distilled(lab& l) { return distill(l, "reflow, distilled", os::one_step_distillation{pair_distance(l)}, 0.125, {1}); }
/// Into four steps, after reflow. From each of the four times the sample is to follow at once, so 2 and 1 work too.
outcome run_four_steps(lab& l) {
    return distill(l, "reflow, distilled for 4", os::k_step_distillation{{.steps = 4}, pair_distance(l)}, 0.125, {1, 2, 4});
}

/// Progressive distillation: 64 steps, 32, and so on to one; each number of steps is sampled by its own student.
outcome run_progressive(lab& l) {
    constexpr int stages = 6;
    outcome result;
    network net = l.teacher(result);
    lab::stage const each{.passes = 5, .share = 0.5 / stages, .rate = 0.5, .floor = 0};
    for (int steps = 32; steps >= 1; steps /= 2) {
        network before = net;
        os::model const teacher{before, os::rectified_flow{}, os::velocity{}};
        os::model student{net, os::rectified_flow{}, os::velocity{}};
        network trained = l.train(result, student, os::progressive_distillation{teacher, {.steps = steps}}, each);
        net.parameters().backend().copy(trained.parameters().data(), net.parameters().size(), net.parameters().data());
        if (steps <= 8) l.measure(result, "progressive", os::model{net, os::rectified_flow{}, os::velocity{}}, steps, by_ddim(l));
    }
    return result;
}

}  // namespace

std::vector<method> distilled() {
    return {{"reflow", promise::few_steps, run_reflow},
            {"online reflow", promise::few_steps, run_online_reflow},
            {"distilled", promise::few_steps, run_distilled},
            {"reflow, distilled", promise::few_steps, run_reflow_distilled},
            {"reflow, distilled for 4", promise::few_steps, run_four_steps},
            {"progressive", promise::few_steps, run_progressive}};
}

}  // namespace study
