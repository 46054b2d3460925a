// Consistency models: in discrete and in continuous time, trained from scratch and distilled.
#include "lab.hpp"

namespace study {

namespace {

constexpr double most_noise = 80;  // sigma / alpha where sampling starts at the latest

/// Times at equal angles, tan(angle) = sigma / (sigma_data alpha): what `jump` needs to spread its steps on any process.
template <class Process> os::explicit_grid equal_angles(Process const& process, double sigma_data, int steps) {
    double const level = std::fmin(os::noise_to_signal(process, process.t_max()), most_noise), widest = std::atan(level / sigma_data);
    os::explicit_grid grid;
    for (int i = 0; i < steps; ++i)
        grid.times.push_back(os::time_of_noise_to_signal(process, sigma_data * std::tan(widest * (steps - i) / steps)));
    grid.times.push_back(process.t_min());
    return grid;
}

template <class Process, class Target>
void measure_consistency(lab& l, outcome& result, std::string const& name, network& net, Process const& process, Target const& target) {
    os::consistency_model const fast{net, process, target};
    auto const by_jumps = [&](auto const& model, int steps) {
        return os::sample(model, os::jump{.steps = steps}, l.noise(), equal_angles(process, l.task().sigma_data, steps), {l.seed() + 5});
    };
    for (int steps : {1, 2, 4, 8}) l.measure(result, name, fast, steps, by_jumps);
}

/// sCT: from scratch, the first part of training as velocity matching.
outcome run_sct(lab& l) {
    outcome result;
    network net = l.new_network();
    os::trigonometric_flow const process{.sigma_data = l.task().sigma_data};
    os::trig_velocity const target{l.task().sigma_data};
    os::consistency_model fast{net, process, target};
    lab::stage const s{.passes = 4};
    os::continuous_consistency const objective{
        os::along_data{}, {.warmup = l.steps_of(s) / 3}, os::rms_tangent{.c = 1}, os::log_normal{-0.4, 1.6}};
    network trained = l.train(result, fast, os::learned_weighting{objective}, s);
    measure_consistency(l, result, "sCT", trained, process, target);
    return result;
}

/// sCD: the teacher's weights, the teacher's flow.
outcome run_scd(lab& l) {
    outcome result;
    network origin = l.teacher(result), net = origin;
    os::model const teacher{origin, os::rectified_flow{}, os::velocity{}};
    os::consistency_model fast{net, os::rectified_flow{}, os::velocity{}};
    lab::stage const s{.passes = 5, .share = 0.5, .rate = 0.5};
    os::continuous_consistency const objective{os::from_teacher{teacher}, {.warmup = l.steps_of(s) / 5, .sigma_data = l.task().sigma_data}};
    network trained = l.train(result, fast, os::learned_weighting{objective}, s);
    measure_consistency(l, result, "sCD", trained, os::rectified_flow{}, os::velocity{});
    return result;
}

/// CD: the teacher's weights, one second-order step of the teacher between 17 equally spaced times.
outcome run_cd(lab& l) {
    outcome result;
    network origin = l.teacher(result), net = origin;
    os::model const teacher{origin, os::rectified_flow{}, os::velocity{}};
    os::consistency_model fast{net, os::rectified_flow{}, os::velocity{}};
    os::consistency_distillation const objective{teacher,           os::heun{},
                                                 os::squared{},     os::neighbouring_times{os::constant_levels{.count = 17}},
                                                 os::unit_weight{}, os::constant_average{.mu = 0.95}};
    network trained = l.train(result, fast, objective, {.passes = 6, .share = 0.5, .rate = 0.5});
    measure_consistency(l, result, "CD", trained, os::rectified_flow{}, os::velocity{});
    return result;
}

template <class Objective> outcome run_from_scratch(lab& l, std::string const& name, Objective const& objective) {
    outcome result;
    network net = l.new_network();
    os::edm const process{.sigma_max = most_noise};
    os::consistency_preconditioned const target{l.task().sigma_data};
    os::consistency_model fast{net, process, target};
    network trained = l.train(result, fast, objective, {.passes = 4});
    measure_consistency(l, result, name, trained, process, target);
    return result;
}

/// CT as first published.
outcome run_ct(lab& l) { return run_from_scratch(l, "CT", os::first_consistency_training({.to = 18, .steps = l.steps_of({.passes = 4})})); }

/// CT with the later improvements. Its distance is nearly a norm, which finds a median: with few elements to a sample that is not the
/// mean (docs/methods.md), so the constant below which it is a square is as large as the data.
outcome run_ict(lab& l) {
    index_t const steps = l.steps_of({.passes = 4});
    return run_from_scratch(
        l, "iCT",
        os::consistency_training{os::pseudo_huber{.c = 1},
                                 os::neighbouring_levels{os::doubling{.to = 160, .steps = steps}, os::log_normal_level{-0.6, 1.6}},
                                 os::inverse_gap{}, os::no_average{}});
}

/// ECT: the teacher's weights, a gap that shrinks.
outcome run_ect(lab& l) {
    outcome result;
    network net = l.teacher(result);
    os::consistency_model fast{net, os::rectified_flow{}, os::velocity{}};
    lab::stage const s{.passes = 4, .share = 0.5, .rate = 0.5};
    os::consistency_training const objective{
        os::pseudo_huber{.c = 1},
        os::shrinking_gap{os::log_normal{-0.6, 1.6}, os::gap_schedule{.stage = std::max<index_t>(1, l.steps_of(s) / 6)}}, os::inverse_gap{},
        os::no_average{}};
    network trained = l.train(result, fast, objective, s);
    measure_consistency(l, result, "ECT", trained, os::rectified_flow{}, os::velocity{});
    return result;
}

}  // namespace

std::vector<method> consistency() {
    return {{"CD", true, run_cd},   {"CT", false, run_ct},  {"iCT", false, run_ict},
            {"ECT", true, run_ect}, {"sCD", true, run_scd}, {"sCT", false, run_sct}};
}

}  // namespace study
