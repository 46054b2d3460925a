// Flow maps of two times: shortcut models and mean flow, from nothing and from the teacher's weights.
#include <onestep/model/flow_map_model.hpp>
#include <onestep/network/second_time.hpp>
#include <onestep/objective/mean_flow.hpp>
#include <onestep/objective/shortcut_training.hpp>

#include "methods.hpp"
#include "teacher.hpp"

namespace images {

namespace {

/// The teacher with a second time that it does not look at yet.
network teacher_of_two_times(lab& l) {
    network origin = teacher(l);
    return os::with_second_time(origin);
}

template <class Objective> void run_map(lab& l, stage const& s, network&& net, Objective const& objective) {
    os::flow_map_model map{net};
    l.run(s, map, objective, by_jumps{});
}

/// Steps of 1/64 and more. Many rows bootstrap, from a young average: in some thousand steps six levels must learn one after another.
os::shortcut_training shortcut() {
    return {.self_consistency = 0.75, .levels = 6, .dealing = os::shortcut_training::deal::at_random, .decay = 0.95};
}
void run_shortcut(lab& l) { run_map(l, {.name = "shortcut"}, l.new_network(true), shortcut()); }
void run_shortcut_tuned(lab& l) {
    run_map(l, {.name = "shortcut_tuned", .rate = 0.5, .after = {"teacher"}}, teacher_of_two_times(l), shortcut());
}

auto mean_flow() {
    return os::mean_flow{os::adaptive_squared{.power = 0.5, .c = 1e-3}, os::sorted_pair{os::uniform_density{}}, os::by_jvp{},
                         os::mean_flow_options{.flow_matching_fraction = 0.5}};
}
void run_mean_flow(lab& l) { run_map(l, {.name = "mean_flow"}, l.new_network(true), mean_flow()); }
void run_mean_flow_tuned(lab& l) {
    run_map(l, {.name = "mean_flow_tuned", .rate = 0.5, .after = {"teacher"}}, teacher_of_two_times(l), mean_flow());
}

}  // namespace

std::vector<method> maps() {
    return {{"shortcut", run_shortcut},
            {"shortcut_tuned", run_shortcut_tuned},
            {"mean_flow", run_mean_flow},
            {"mean_flow_tuned", run_mean_flow_tuned}};
}

}  // namespace images
