// Consistency models: in discrete and in continuous time, trained from scratch and distilled.
#include "lab.hpp"

namespace study {

namespace {

template <class Process, class Target>
void measure_consistency(lab& l, outcome& result, std::string const& name, network& net, Process const& process, Target const& target) {
    os::consistency_model const fast{net, process, target};
    auto const by_jumps = [&](auto const& model, int steps) {
        return os::sample(model, os::jump{.steps = steps}, l.noise(), os::angle_grid{l.task().sigma_data}, {l.seed() + 5});
    };
    for (int steps : {1, 2, 4, 8, 64}) l.measure(result, name, fast, steps, by_jumps);
}

/// Continuous consistency with every angle of the same weight. The published weight under the learned one, 1 / (sd tan a), spends a short
/// run on the least noise (docs/methods.md). A tangent of unit length points to a median, which in two dimensions is not the mean.
template <class Source>
outcome continuous(lab& l, outcome result, std::string const& name, network& net, Source const& source, lab::stage const& s,
                   double warmup) {
    os::consistency_model fast{net, os::rectified_flow{}, os::velocity{}};
    auto const train = [&](auto const& norm) {
        os::continuous_consistency const objective{
            source,
            {.warmup = static_cast<index_t>(warmup * static_cast<double>(l.steps_of(s))), .sigma_data = l.task().sigma_data},
            norm,
            os::log_normal{0, 1.6},
            os::unit_weight{}};
        return l.train(result, fast, objective, s);
    };
    network trained = l.few_elements() ? train(os::plain_tangent{}) : train(os::rms_tangent{.c = 1});
    measure_consistency(l, result, name, trained, os::rectified_flow{}, os::velocity{});
    return result;
}

/// sCT: from scratch, the first part of training as velocity matching.
outcome run_sct(lab& l) {
    network net = l.new_network();
    return continuous(l, {}, "sCT", net, os::along_data{}, {.passes = 4}, 1.0 / 3);
}

/// sCD: the teacher's weights, the teacher's flow.
outcome run_scd(lab& l) {
    outcome result;
    network origin = l.teacher(result), net = origin;
    os::model const teacher{origin, os::rectified_flow{}, os::velocity{}};
    return continuous(l, result, "sCD", net, os::from_teacher{teacher}, {.passes = 5, .share = 0.5}, 0.2);
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
    os::edm const process;
    os::consistency_preconditioned const target{l.task().sigma_data};
    os::consistency_model fast{net, process, target};
    network trained = l.train(result, fast, objective, {.passes = 4});
    measure_consistency(l, result, name, trained, process, target);
    return result;
}

/// CT as first published.
outcome run_ct(lab& l) { return run_from_scratch(l, "CT", os::first_consistency_training({.to = 18, .steps = l.steps_of({.passes = 4})})); }

/// CT with the later improvements. Its distance is nearly a norm, which finds a median: with few elements to a sample that is not the
/// mean (docs/methods.md), so the constant below which it is a square is as large as the data or larger. More of the training at high noise
/// than published, and on digits 80 levels in the end instead of 1280: what is learned at the data has a few thousand steps to get there.
outcome run_ict(lab& l) {
    index_t const steps = l.steps_of({.passes = 4});
    bool const few = l.few_elements();
    os::neighbouring_levels const pairs{os::doubling{.to = few ? 1280 : 80, .steps = steps}, os::log_normal_level{0, 2}};
    return run_from_scratch(l, "iCT",
                            os::consistency_training{os::pseudo_huber{.c = few ? 3.0 : 1.0}, pairs, os::inverse_gap{}, os::no_average{}});
}

/// ECT: the teacher's weights, a gap that shrinks.
outcome run_ect(lab& l) {
    outcome result;
    network net = l.teacher(result);
    os::consistency_model fast{net, os::rectified_flow{}, os::velocity{}};
    lab::stage const s{.passes = 4, .share = 0.5};
    os::gap_schedule const gaps{.stage = std::max<index_t>(1, l.steps_of(s) / (l.few_elements() ? 12 : 6))};
    os::consistency_training const objective{os::pseudo_huber{.c = 1}, os::shrinking_gap{os::log_normal{0, 2}, gaps}, os::inverse_gap{},
                                             os::no_average{}};
    network trained = l.train(result, fast, objective, s);
    measure_consistency(l, result, "ECT", trained, os::rectified_flow{}, os::velocity{});
    return result;
}

}  // namespace

std::vector<method> consistency() {
    return {{"CD", promise::few_steps, run_cd},   {"CT", promise::few_steps, run_ct},   {"iCT", promise::few_steps, run_ict},
            {"ECT", promise::few_steps, run_ect}, {"sCD", promise::few_steps, run_scd}, {"sCT", promise::few_steps, run_sct}};
}

}  // namespace study
