// Flow maps of two times: shortcut models, mean flow, trajectory consistency and moment matching.
#include "lab.hpp"

namespace study {

namespace {

template <class Rule = os::average_velocity>
void measure_map(lab& l, outcome& result, std::string const& name, network& net, Rule const& rule = {}) {
    os::flow_map_model const map{net, os::rectified_flow{}, rule};
    auto const by_jumps = [&](auto const& model, int steps) { return os::sample(model, os::jump{.steps = steps}, l.noise()); };
    for (int steps : {1, 2, 4, 8, 64}) l.measure(result, name, map, steps, by_jumps);
}

/// More rows bootstrap than was published, and from a younger average: in a few thousand steps six levels must learn one after another.
os::shortcut_training shortcut() { return {.self_consistency = 0.75, .levels = 6, .label_dropout = 0, .decay = 0.95}; }
constexpr double shortcut_passes = 4.5;

outcome run_shortcut(lab& l) {
    outcome result;
    network net = l.new_network(true);
    os::flow_map_model map{net};
    network trained = l.train(result, map, shortcut(), {.passes = shortcut_passes});
    measure_map(l, result, "shortcut", trained);
    return result;
}

/// The same from the teacher's weights.
outcome run_shortcut_tuned(lab& l) {
    outcome result;
    network origin = l.teacher(result), net = os::with_second_time(origin);
    os::flow_map_model map{net};
    network trained = l.train(result, map, shortcut(), {.passes = shortcut_passes, .share = 0.5});
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

/// CTM without its adversarial part: the teacher leads from each of ten levels to the next.
outcome run_trajectory_consistency(lab& l) {
    outcome result;
    network origin = l.teacher(result), net = os::with_second_time(origin);
    os::model const teacher{origin, os::rectified_flow{}, os::velocity{}};
    os::flow_map_model map{net};
    os::trajectory_consistency const objective{
        os::teacher_path{teacher}, os::squared{},    os::trajectory_levels{os::constant_levels{.count = 10}, os::uniform_grid{}},
        os::unit_weight{},         os::no_average{}, {.denoising = 0.25}};
    network trained = l.train(result, map, objective, {.passes = 5.25, .share = 0.5});
    measure_map(l, result, "trajectory consistency", trained);
    return result;
}

/// IMM. A sample's pull to its own target has the same strength from any distance: with few elements that finds a median, as in sCT, and is
/// left out.
os::moment_matching<> moment_matching(lab const& l) {
    using os::moment_matching_options;
    if (!l.few_elements()) return os::moment_matching{};
    return os::moment_matching{
        os::noise_decrement{os::uniform_below{}, 160, 5}, {}, {.group = 64, .pairs = moment_matching_options::pairing::distinct_pairs}};
}

outcome run_moment_matching(lab& l) {
    outcome result;
    network net = l.new_network(true);
    os::ddim_rule const rule{os::scaled_velocity{l.task().sigma_data}};
    os::flow_map_model map{net, os::rectified_flow{}, rule};
    network trained = l.train(result, map, moment_matching(l), {.passes = 4});
    measure_map(l, result, "moment matching", trained, rule);
    return result;
}

}  // namespace

std::vector<method> maps() {
    return {{"shortcut", promise::few_steps, run_shortcut},
            {"shortcut, tuned", promise::few_steps, run_shortcut_tuned},
            {"mean flow", promise::few_steps, run_mean_flow},
            {"trajectory consistency", promise::few_steps, run_trajectory_consistency},
            {"moment matching", promise::few_steps, run_moment_matching}};
}

}  // namespace study
