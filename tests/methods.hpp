#pragma once
/// Every method of the library on small networks, so that what must hold for all of them is tested on all of them.
#include <onestep/model/consistency_model.hpp>
#include <onestep/model/ddim_rule.hpp>
#include <onestep/model/flow_map_model.hpp>
#include <onestep/network/mlp.hpp>
#include <onestep/objective/accumulate.hpp>
#include <onestep/objective/consistency_distillation.hpp>
#include <onestep/objective/consistency_training.hpp>
#include <onestep/objective/continuous_consistency.hpp>
#include <onestep/objective/denoising.hpp>
#include <onestep/objective/flow_matching.hpp>
#include <onestep/objective/k_step_distillation.hpp>
#include <onestep/objective/label_dropout.hpp>
#include <onestep/objective/live_pairs.hpp>
#include <onestep/objective/mean_flow.hpp>
#include <onestep/objective/moment_matching.hpp>
#include <onestep/objective/one_step_distillation.hpp>
#include <onestep/objective/online_pairs.hpp>
#include <onestep/objective/optimal_transport.hpp>
#include <onestep/objective/progressive_distillation.hpp>
#include <onestep/objective/shortcut_training.hpp>
#include <onestep/objective/trajectory_consistency.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/target/epsilon.hpp>
#include <onestep/target/scaled_velocity.hpp>
#include <onestep/target/v_prediction.hpp>

namespace onestep::test {

inline mlp_options method_network(bool second_time) {
    return {
        .data = {3}, .width = 16, .blocks = 1, .embedding = 8, .time = {.size = 8, .scale = 4}, .classes = 3, .second_time = second_time};
}

/// Small random parameters everywhere.
template <class T, class Backend> void enliven(mlp<T, Backend>& net, std::uint64_t seed) {
    fill_normal(net.parameters().reshaped({1, net.parameters().size()}), random_key{seed}.at(draw::user), 0.3);
    fill(net.gradients(), 0);
}

/// Calls use(name, model, objective) for each method. Networks start anew each time; 32 rows of {3} elements with noise and three classes
/// suit them all.
template <class T, class Backend, class Use> void for_each_method(Backend& device, Use const& use) {
    mlp<T, Backend> net(device, method_network(false)), origin(device, method_network(false)), two(device, method_network(true));
    enliven(origin, 5);
    model const teacher{origin, rectified_flow{}, velocity{}};
    auto const with = [&](char const* name, auto const& objective, auto const& process, auto const& target) {
        enliven(net, 3);
        model m{net, process, target};
        use(name, m, objective);
    };
    auto const consistency = [&](char const* name, auto const& objective, auto const& process, auto const& target) {
        enliven(net, 3);
        consistency_model m{net, process, target};
        use(name, m, objective);
    };
    auto const ruled_map = [&](char const* name, auto const& objective, auto const& process, auto const& rule) {
        enliven(two, 3);
        flow_map_model m{two, process, rule};
        use(name, m, objective);
    };
    auto const map = [&](char const* name, auto const& objective) { ruled_map(name, objective, rectified_flow{}, average_velocity{}); };

    with("flow matching", flow_matching{}, rectified_flow{}, velocity{});
    with("denoising", denoising{network_output{}, squared{}, uniform_density{}, min_snr{}}, variance_preserving{}, v_prediction{});
    with("optimal transport", optimal_transport{flow_matching{}}, rectified_flow{}, velocity{});
    with("label dropout", label_dropout{flow_matching{}, 0.3}, rectified_flow{}, velocity{});
    with("learned weight", learned_weighting{flow_matching{}}, rectified_flow{}, velocity{});
    with("one step", one_step_distillation{pseudo_huber{.c = 0.1}}, rectified_flow{}, velocity{});
    with("four steps", k_step_distillation{{.steps = 4}}, rectified_flow{}, velocity{});
    with("online reflow", online_pairs{teacher, euler{.steps = 3}, flow_matching{}}, rectified_flow{}, velocity{});
    with("live reflow", live_pairs{euler{.steps = 3}, flow_matching{}}, rectified_flow{}, velocity{});
    with("progressive", progressive_distillation{teacher, {.steps = 4, .guidance = 2}}, rectified_flow{}, velocity{});

    edm const noisy{.sigma_max = 20};
    consistency("CD",
                consistency_distillation{teacher, heun{}, squared{},
                                         neighbouring_levels{constant_levels{}, uniform_level{}, karras_grid{.sigma_max = 20}},
                                         unit_weight{}, constant_average{.mu = 0.9}},
                rectified_flow{}, velocity{});
    consistency("CT", first_consistency_training({.steps = 100}), noisy, consistency_preconditioned{});
    consistency("iCT", improved_consistency_training({.elements = 3, .steps = 100}), noisy, consistency_preconditioned{});
    consistency("ECT", easy_consistency_training({.stage = 2}), noisy, edm_preconditioned{});
    consistency("sCT", learned_weighting{continuous_consistency{along_data{}, {.warmup = 4}}}, trigonometric_flow{}, trig_velocity{});
    consistency("sCT by differences", continuous_consistency{by_differences{}, {.warmup = 0}}, trigonometric_flow{}, trig_velocity{});
    consistency("sCD", continuous_consistency{from_teacher{teacher}, {.warmup = 0, .sigma_data = 0.5, .guidance = 1.5}}, rectified_flow{},
                velocity{});

    map("shortcut", shortcut_training{.self_consistency = 0.5, .levels = 3});
    map("mean flow", mean_flow{mean_flow_options{.flow_matching_fraction = 0.5, .omega = 1.5, .kappa = 0.25}});
    ruled_map("trajectory consistency", trajectory_consistency{}, edm{.sigma_max = 20}, ddim_rule{});
    ruled_map("moment matching", moment_matching{}, rectified_flow{}, ddim_rule{scaled_velocity{}});
}

}  // namespace onestep::test
