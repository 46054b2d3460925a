// Flow matching; reflow and one-step distillation, which learn from pairs that the flow makes.
#include <onestep/model/model.hpp>
#include <onestep/objective/flow_matching.hpp>
#include <onestep/objective/label_dropout.hpp>
#include <onestep/objective/one_step_distillation.hpp>
#include <onestep/sampler/heun.hpp>
#include <onestep/train/pair_file.hpp>

#include "methods.hpp"
#include "teacher.hpp"

namespace images {

namespace {

stage flow_stage() { return {.name = "teacher", .steps = {1, 2, 4, 64}, .preview = 16}; }

void train_flow(lab& l, network& net) {
    os::model flow{net, os::rectified_flow{}, os::velocity{}};
    l.train(flow_stage(), flow, os::label_dropout{os::flow_matching{}}, by_euler{});
    std::filesystem::remove(l.file("pairs.npy"));  // those of an earlier teacher
}

void run_flow(lab& l) {
    network net = l.new_network();
    train_flow(l, net);
    l.show(flow_stage(), os::model{net, os::rectified_flow{}, os::velocity{}}, by_euler{});
}

/// Heun that ends at Ctrl-C.
struct interruptible_heun : os::heun {
    void step(auto& run, double t, double s) const {
        if (stop_asked) throw interrupted{};
        os::heun::step(run, t, s);
    }
};

/// The teacher's pairs, kept as OUT/pairs.npy.
os::pair_file<float> pairs(lab& l, network& origin) {
    std::string const path = l.file("pairs.npy");
    if (!std::filesystem::exists(path) || os::pair_file<float>(path).rows() != l.told().pairs) {
        std::printf("making %td pairs\n", l.told().pairs);
        std::filesystem::create_directories(l.file("pairs"));
        stopwatch clock(l.file("pairs"));
        os::model const flow{origin, os::rectified_flow{}, os::velocity{}};
        interruptible_heun solver;
        solver.steps = 8;
        os::write_pairs<float>(l.device(), path, flow, solver, l.data().train.x0().shape().with_rows(l.told().pairs),
                               l.data().wanted(l.told().pairs), l.data().classes, {.batch = 100, .seed = l.told().seed + 2});
        clock.tick();
        clock.save(0);
    }
    return os::pair_file<float>(path);
}

/// The teacher's weights, trained on the pairs that the teacher makes.
void train_reflow(lab& l, network& net, os::pair_file<float> const& made, bool show) {
    stage const s{.name = "reflow", .rate = 0.5, .after = {"teacher", "pairs"}, .pairs = made.mapped(l.device())};
    os::model flow{net, os::rectified_flow{}, os::velocity{}};
    l.train(s, flow, os::flow_matching{}, by_euler{});
    if (show) l.show(s, flow, by_euler{});
}

void run_reflow(lab& l) {
    network net = teacher(l);
    auto const made = pairs(l, net);
    train_reflow(l, net, made, true);
}

/// Reflow's weights, trained to say at once where each pair's noise ends.
void run_distilled(lab& l) {
    network net = teacher(l);
    auto const made = pairs(l, net);
    if (std::string const path = l.file("reflow.safetensors"); std::filesystem::exists(path)) os::load_parameters(path, net);
    else train_reflow(l, net, made, false);
    stage const s{
        .name = "distilled", .rate = 0.5, .steps = {1}, .after = {"teacher", "pairs", "reflow"}, .pairs = made.mapped(l.device())};
    os::model flow{net, os::rectified_flow{}, os::velocity{}};
    os::pseudo_huber const distance{.c = 0.0125 * std::sqrt(static_cast<double>(l.data().train.x0().cols()))};
    l.run(s, flow, os::one_step_distillation{distance}, by_euler{});
}

}  // namespace

network teacher(lab& l) {
    network net = l.new_network();
    bool const given = !l.told().teacher.empty();
    std::string const path = given ? l.told().teacher : l.file("teacher.safetensors");
    if (given || std::filesystem::exists(path)) os::load_parameters(path, net);
    else train_flow(l, net);
    return net;
}

std::vector<method> flows() { return {{"flow", run_flow}, {"reflow", run_reflow}, {"distilled", run_distilled}}; }

}  // namespace images
