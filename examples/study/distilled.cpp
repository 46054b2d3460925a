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

/// Distillation into one step, without reflow and after it.
template <bool Straightened> outcome run_distillation(lab& l) {
    outcome result;
    network origin = l.teacher(result), net = origin;
    auto const pairs = l.pairs(result, os::model{origin, os::rectified_flow{}, os::velocity{}}, pair_count(l), pair_steps);
    if (Straightened) {
        os::model flow{net, os::rectified_flow{}, os::velocity{}};
        net.parameters().backend().copy(
            l.train(result, flow, os::flow_matching{}, {.passes = 3, .share = 0.125, .rate = 0.5, .data = pairs.all()}).parameters().data(),
            net.parameters().size(), net.parameters().data());
    }
    os::model flow{net, os::rectified_flow{}, os::velocity{}};
    double const c = 0.0125 * std::sqrt(static_cast<double>(pairs.x0().cols()));
    network trained = l.train(result, flow, os::one_step_distillation{os::pseudo_huber{.c = c}},
                              {.passes = 3, .share = Straightened ? 0.25 : 0.375, .rate = 0.5, .data = pairs.all()});
    l.measure(result, Straightened ? "reflow, distilled" : "distilled", os::model{trained, os::rectified_flow{}, os::velocity{}}, 1,
              by_euler(l));
    return result;
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
    return {{"reflow", true, run_reflow},
            {"distilled", true, run_distillation<false>},
            {"reflow, distilled", true, run_distillation<true>},
            {"progressive", true, run_progressive}};
}

}  // namespace study
