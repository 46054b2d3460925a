// Methods that follow a flow or a diffusion: what few steps are to replace.
#include "lab.hpp"

namespace study {

namespace {

void measure_flow(lab& l, outcome& result, std::string const& name, network& net) {
    os::model const flow{net, os::rectified_flow{}, os::velocity{}};
    for (int steps : {1, 2, 4, 8, 64}) l.measure(result, name, flow, steps, by_euler(l));
    l.measure_straightness(result, flow);
}

/// Half the budget: where the methods that need a teacher start.
outcome run_teacher(lab& l) {
    outcome result;
    network net = l.teacher(result);
    measure_flow(l, result, "teacher", net);
    return result;
}

outcome run_flow(lab& l) {
    outcome result;
    network net = l.new_network();
    os::model flow{net, os::rectified_flow{}, os::velocity{}};
    network trained = l.train(result, flow, os::flow_matching{}, {.passes = 3});
    measure_flow(l, result, "flow matching", trained);
    return result;
}

/// Noise and samples of each batch paired by optimal transport.
outcome run_optimal_transport(lab& l) {
    outcome result;
    network net = l.new_network();
    os::model flow{net, os::rectified_flow{}, os::velocity{}};
    network trained = l.train(result, flow, os::optimal_transport{os::flow_matching{}}, {.passes = 3});
    measure_flow(l, result, "OT flow matching", trained);
    return result;
}

/// Denoising diffusion: what it predicts and how its loss is weighed, sampled by DDIM.
template <class Target, class Weight> outcome run_diffusion(lab& l, std::string const& name, Target const& target, Weight const& weight) {
    outcome result;
    network net = l.new_network();
    os::variance_preserving<> const process;
    os::model diffusion{net, process, target};
    os::denoising const objective{os::network_output{}, os::squared{}, os::uniform_density{}, weight};
    network trained = l.train(result, diffusion, objective, {.passes = 3});
    os::model const final_model{trained, process, target};
    for (int steps : {1, 2, 4, 8, 64}) l.measure(result, name, final_model, steps, by_ddim(l));
    return result;
}
outcome run_epsilon(lab& l) { return run_diffusion(l, "DDPM, epsilon", os::epsilon{}, os::unit_weight{}); }
outcome run_v(lab& l) { return run_diffusion(l, "diffusion, v", os::v_prediction{}, os::unit_weight{}); }
outcome run_x0(lab& l) { return run_diffusion(l, "diffusion, x0", os::x0{}, os::truncated_snr{}); }

}  // namespace

std::vector<method> flows() {
    return {{"teacher", promise::many_steps, run_teacher},
            {"flow matching", promise::many_steps, run_flow},
            {"OT flow matching", promise::none, run_optimal_transport},
            {"DDPM, epsilon", promise::many_steps, run_epsilon},
            {"diffusion, v", promise::many_steps, run_v},
            {"diffusion, x0", promise::many_steps, run_x0}};
}

}  // namespace study
