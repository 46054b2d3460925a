#pragma once
/// Objectives for benchmarks, each with a model of points in the plane over the reference network.
#include <vector>

#include <onestep/objective/optimal_transport.hpp>
#include <onestep/objective/progressive_distillation.hpp>
#include <onestep/onestep.hpp>

namespace objective_cases {

namespace os = onestep;
using os::index_t;
using network = os::mlp<float, os::cpu>;

/// How large a case is.
struct extent {
    index_t batch, blocks;
};
inline constexpr extent usual{1024, 3};
inline constexpr extent toy{256, 1};  ///< three layers of 256 and the batch of examples/study on points in the plane

/// The embedding is small, so that nearly all arithmetic is in the blocks. Methods that differentiate in time want a network that is smooth
/// in it.
inline os::mlp_options reference_network(bool two_times, index_t blocks) {
    return {.data = {2}, .width = 256, .blocks = static_cast<int>(blocks), .embedding = 64, .time = {.scale = 1}, .second_time = two_times};
}

// A case is made of the network that is trained and one that may be its teacher. Where the network is told one time, times(stream, row) is
// what the objective draws for a row: t, or t and s.

struct flow_matching {
    static constexpr char const* name = "flow_matching";
    static constexpr bool two_times = false;
    os::model<network&, os::rectified_flow, os::velocity> student;
    os::flow_matching<> objective;

    flow_matching(network& net, network&) : student(net, {}, {}) {}
    double times(os::random_stream stream, index_t row) const { return os::uniform_density{}.sample(student.process(), stream, row); }
};

/// Most of it is the assignment, on one thread of the host.
struct optimal_transport {
    static constexpr char const* name = "optimal_transport";
    static constexpr bool two_times = false;
    os::model<network&, os::rectified_flow, os::velocity> student;
    os::optimal_transport<os::flow_matching<>> objective{os::flow_matching{}};

    optimal_transport(network& net, network&) : student(net, {}, {}) {}
};

struct consistency_training {
    static constexpr char const* name = "consistency_training";
    static constexpr bool two_times = false;
    os::consistency_model<network&, os::edm, os::consistency_preconditioned> student;
    decltype(os::improved_consistency_training()) objective = os::improved_consistency_training({.elements = 2});

    consistency_training(network& net, network&) : student(net, {}) {}
    os::time_pair times(os::random_stream stream, index_t row) const { return objective.pairs().sample(student.process(), stream, row, 0); }
};

struct consistency_distillation {
    static constexpr char const* name = "consistency_distillation";
    static constexpr bool two_times = false;
    using teacher_type = os::model<network&, os::edm, os::edm_preconditioned>;
    teacher_type teacher;
    os::consistency_model<network&, os::edm, os::consistency_preconditioned> student;
    os::consistency_distillation<teacher_type> objective;

    consistency_distillation(network& net, network& taught) : teacher(taught, {}, {}), student(net, {}), objective(teacher) {}
    os::time_pair times(os::random_stream stream, index_t row) const { return objective.pairs().sample(student.process(), stream, row, 0); }
};

struct continuous_consistency_training {
    static constexpr char const* name = "continuous_consistency_training";
    static constexpr bool two_times = false;
    os::consistency_model<network&, os::trigonometric_flow, os::trig_velocity> student;
    os::continuous_consistency<> objective{os::along_data{}, {.warmup = 0}};

    continuous_consistency_training(network& net, network&) : student(net, {}) {}
    double times(os::random_stream stream, index_t row) const {
        return os::log_normal{.mean = -1, .deviation = 1.4}.sample(student.process(), stream, row);
    }
};

struct continuous_consistency_distillation {
    static constexpr char const* name = "continuous_consistency_distillation";
    static constexpr bool two_times = false;
    using teacher_type = os::model<network&, os::trigonometric_flow, os::trig_velocity>;
    teacher_type teacher;
    os::consistency_model<network&, os::trigonometric_flow, os::trig_velocity> student;
    os::continuous_consistency<os::from_teacher<teacher_type>> objective;

    continuous_consistency_distillation(network& net, network& taught)
        : teacher(taught, {}, {}), student(net, {}), objective(teacher, {.warmup = 0}) {}
    double times(os::random_stream stream, index_t row) const {
        return os::log_normal{.mean = -1, .deviation = 1.4}.sample(student.process(), stream, row);
    }
};

/// For networks without jvp.
struct continuous_consistency_by_differences {
    static constexpr char const* name = "continuous_consistency_by_differences";
    static constexpr bool two_times = false;
    os::consistency_model<network&, os::trigonometric_flow, os::trig_velocity> student;
    os::continuous_consistency<os::by_differences> objective{os::by_differences{}, {.warmup = 0}};

    continuous_consistency_by_differences(network& net, network&) : student(net, {}) {}
};

struct shortcut_training {
    static constexpr char const* name = "shortcut_training";
    static constexpr bool two_times = true;
    os::flow_map_model<network&, os::rectified_flow, os::average_velocity> student;
    os::shortcut_training objective;

    shortcut_training(network& net, network&) : student(net) {}
};

/// A quarter of the rows needs a derivative, as published for latents of ImageNet.
struct mean_flow {
    static constexpr char const* name = "mean_flow";
    static constexpr bool two_times = true;
    os::flow_map_model<network&, os::rectified_flow, os::average_velocity> student;
    os::mean_flow<> objective;

    mean_flow(network& net, network&) : student(net) {}
};

/// All rows need it: the dearest case.
struct mean_flow_every_row {
    static constexpr char const* name = "mean_flow_every_row";
    static constexpr bool two_times = true;
    os::flow_map_model<network&, os::rectified_flow, os::average_velocity> student;
    os::mean_flow<> objective{{.flow_matching_fraction = 0}};

    mean_flow_every_row(network& net, network&) : student(net) {}
};

struct progressive_distillation {
    static constexpr char const* name = "progressive_distillation";
    static constexpr bool two_times = false;
    using teacher_type = os::model<network&, os::cosine_flow, os::v_prediction>;
    teacher_type teacher, student;
    os::progressive_distillation<teacher_type> objective;

    progressive_distillation(network& net, network& taught) : teacher(taught, {}, {}), student(net, {}, {}), objective(teacher) {}
    os::time_pair times(os::random_stream stream, index_t row) const {
        double const t = 1 - static_cast<double>(os::below(stream, 4, row)) / 4;
        return {t, t - 0.25};
    }
};

/// A case at work. Weights are random and everywhere other than zero. Where the objective takes its targets from an average, it is the
/// one that samples are made with.
template <class Case> class objective_run {
    using student_type = decltype(Case::student);

public:
    objective_run(os::cpu& device, extent const& size)
        : net_(device, reference_network(Case::two_times, size.blocks)), taught_(device, reference_network(Case::two_times, size.blocks)),
          case_(net_, taught_), data_(os::normal<float>(device, {65'536, 2}, 1)), adam_(os::adam{.rate = 1e-3}, net_),
          ema_(os::average_options{.decay = 0.999, .ramp = false}, case_.student), source_({data_.view()}, size.batch, 1) {
        os::fill_normal(net_.parameters(), os::random_key{7}.at(os::draw::user), 0.05);
        os::fill_normal(taught_.parameters(), os::random_key{9}.at(os::draw::user), 0.05);
        ema_.update(0);
    }

    index_t batch() const { return source_.size(); }
    network& net() { return net_; }
    network& taught() { return taught_; }

    os::loss_value accumulate(os::batch<float, os::cpu> const& data, os::random_key key) {
        if constexpr (os::has_target_decay<decltype(Case::objective)>)
            return os::accumulate(case_.objective, case_.student, ema_.model(), data, key);
        else return os::accumulate(case_.objective, case_.student, data, key);
    }
    /// Build, forward and backward on rows that stand there.
    os::loss_value accumulate() { return accumulate({data_.view().rows(0, batch())}, os::random_key{1, step_++}); }
    /// A whole training step: batch, loss and gradient, Adam, average.
    void step() {
        accumulate(source_.at(static_cast<index_t>(step_)), os::random_key{1, step_});
        ++step_;
        update();
    }
    void update() { adam_.step(1, ema_); }

    /// t and s of each row of a batch in its first step; s is empty where there is none.
    struct times {
        std::vector<float> t, s;
    };
    times times_of(os::batch<float, os::cpu> const& data, os::random_key key) {
        if constexpr (Case::two_times) {
            auto const memory = data.x0.backend().scratch();
            auto const call = build(data, key, *memory).call;
            return {os::to_host(call.t), os::to_host(call.s)};
        } else {
            times out;
            for (index_t r = 0; r < data.x0.rows(); ++r) {
                auto const at = case_.times(key.at(os::draw::time), r);
                if constexpr (std::same_as<decltype(at), os::time_pair const>)
                    out.t.push_back(static_cast<float>(at.t)), out.s.push_back(static_cast<float>(at.s));
                else out.t.push_back(static_cast<float>(at));
            }
            return out;
        }
    }

private:
    auto build(os::batch<float, os::cpu> const& data, os::random_key key, os::arena<os::cpu>& memory) {
        if constexpr (os::has_target_decay<decltype(Case::objective)>)
            return case_.objective.build(case_.student, ema_.model(), data, key, memory);
        else return case_.objective.build(case_.student, data, key, memory);
    }

    network net_, taught_;
    Case case_;
    os::tensor<float, os::cpu> data_;
    os::optimizer<os::adam, network> adam_;
    os::average<student_type> ema_;
    os::batch_source<float, os::cpu> source_;
    std::uint64_t step_ = 0;
};

/// One evaluation of the network: the unit in which the others are counted.
class forward_run {
public:
    forward_run(os::cpu& device, extent const& size)
        : net_(device, reference_network(false, size.blocks)), x_(os::normal<float>(device, {size.batch, 2}, 1)),
          y_(device, {size.batch, 2}), t_(device, {size.batch}) {
        os::fill_normal(net_.parameters(), os::random_key{7}.at(os::draw::user), 0.05);
        os::fill(t_.view(), 0.5);
    }
    void run() { net_(x_.view(), t_.view(), y_.view()); }

private:
    network net_;
    os::tensor<float, os::cpu> x_, y_, t_;
};

}  // namespace objective_cases
