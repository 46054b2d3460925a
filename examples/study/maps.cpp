// Flow maps of two times: shortcut models and mean flow.
#include <onestep/network/second_time.hpp>
#include <onestep/objective/mean_flow.hpp>
#include <onestep/objective/shortcut_training.hpp>

#include "lab.hpp"

namespace study {

namespace {

void measure_map(lab& l, outcome& result, std::string const& name, network& net) {
    os::flow_map_model const map{net};
    auto const by_jumps = [&](auto const& model, int steps) { return os::sample(model, os::jump{.steps = steps}, l.noise()); };
    for (int steps : {1, 2, 4, 8, 64}) l.measure(result, name, map, steps, by_jumps);
}

outcome run_shortcut(lab& l) {
    outcome result;
    network net = l.new_network(true);
    os::flow_map_model map{net};
    os::shortcut_training const objective{.levels = 6, .label_dropout = 0, .decay = 0.99};
    network trained = l.train(result, map, objective, {.passes = 3.5});
    measure_map(l, result, "shortcut", trained);
    return result;
}

/// The same from the teacher's weights.
outcome run_shortcut_tuned(lab& l) {
    outcome result;
    network origin = l.teacher(result), net = os::with_second_time(origin);
    os::flow_map_model map{net};
    os::shortcut_training const objective{.levels = 6, .label_dropout = 0, .decay = 0.99};
    network trained = l.train(result, map, objective, {.passes = 3.5, .share = 0.5, .rate = 0.5});
    measure_map(l, result, "shortcut, tuned", trained);
    return result;
}

outcome run_mean_flow(lab& l) {
    outcome result;
    network net = l.new_network(true);
    os::flow_map_model map{net};
    os::mean_flow const objective{os::squared{}, os::sorted_pair{os::uniform_density{}}, os::by_jvp{},
                                  os::mean_flow_options{.flow_matching_fraction = 0.5, .label_dropout = 0}};
    network trained = l.train(result, map, objective, {.passes = 3.5});
    measure_map(l, result, "mean flow", trained);
    return result;
}

}  // namespace

std::vector<method> maps() {
    return {{"shortcut", false, run_shortcut}, {"shortcut, tuned", true, run_shortcut_tuned}, {"mean flow", false, run_mean_flow}};
}

}  // namespace study
