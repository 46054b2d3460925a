// Consistency models: distilled from the teacher, tuned from its weights, and trained from nothing.
#include <onestep/model/model.hpp>
#include <onestep/objective/consistency_distillation.hpp>
#include <onestep/objective/consistency_training.hpp>
#include <onestep/objective/continuous_consistency.hpp>
#include <onestep/objective/label_dropout.hpp>
#include <onestep/time/constant_levels.hpp>
#include <onestep/time/neighbouring_times.hpp>

#include "methods.hpp"
#include "teacher.hpp"

namespace images {

namespace {

template <class Objective> void run_tuned(lab& l, std::string const& name, network& net, Objective const& objective) {
    os::consistency_model fast{net, os::rectified_flow{}, os::velocity{}};
    l.run({.name = name, .rate = 0.5, .after = {"teacher"}}, fast, os::label_dropout{objective}, by_angles{l.deviation()});
}

/// CD: one second-order step of the teacher between 17 equally spaced times.
void run_cd(lab& l) {
    network origin = teacher(l), net = origin;
    os::model const flow{origin, os::rectified_flow{}, os::velocity{}};
    run_tuned(l, "cd", net,
              os::consistency_distillation{flow, os::heun{}, os::squared{}, os::neighbouring_times{os::constant_levels{.count = 17}},
                                           os::unit_weight{}, os::constant_average{.mu = 0.95}});
}

/// ECT: a gap that shrinks in six stages.
void run_ect(lab& l) {
    network net = teacher(l);
    os::gap_schedule const gaps{.stage = std::max<index_t>(1, l.told().steps / 6)};
    run_tuned(l, "ect", net,
              os::consistency_training{os::pseudo_huber{.c = 1}, os::shrinking_gap{os::log_normal{0, 2}, gaps}, os::inverse_gap{},
                                       os::no_average{}});
}

/// In continuous time, every angle with the same weight: docs/methods.md says why in short runs. The derivative comes in over a share of
/// them.
template <class Source> auto continuous(lab const& l, Source const& source, double warmup) {
    return os::continuous_consistency{
        source,
        {.warmup = static_cast<index_t>(warmup * static_cast<double>(l.told().steps)), .sigma_data = l.deviation()},
        os::rms_tangent{.c = 1},
        os::log_normal{0, 1.6},
        os::unit_weight{}};
}

void run_scd(lab& l) {
    network origin = teacher(l), net = origin;
    os::model const flow{origin, os::rectified_flow{}, os::velocity{}};
    run_tuned(l, "scd", net, continuous(l, os::from_teacher{flow}, 0.2));
}

void run_sct(lab& l) {
    network net = l.new_network();
    os::consistency_model fast{net, os::rectified_flow{}, os::velocity{}};
    l.run({.name = "sct"}, fast, os::label_dropout{continuous(l, os::along_data{}, 1.0 / 3)}, by_angles{l.deviation()});
}

}  // namespace

std::vector<method> consistency() { return {{"cd", run_cd}, {"ect", run_ect}, {"scd", run_scd}, {"sct", run_sct}}; }

}  // namespace images
