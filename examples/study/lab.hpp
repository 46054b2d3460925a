#pragma once
/// What all methods of the study share: data, network, budget, teacher, and how their samples are measured.
#include <filesystem>
#include <functional>
#include <mutex>
#include <onestep/onestep.hpp>
#include <onestep/train/checkpoint.hpp>
#include <optional>
#include <string>
#include <vector>

#include "../digits/classifier.hpp"

namespace study {

namespace os = onestep;
using os::index_t;
using network = os::mlp<float, os::cpu>;
using samples = os::tensor<float, os::cpu>;

/// Data, and the network and budget with which every method meets them.
struct problem {
    std::string name;
    os::dataset<float, os::cpu> data;
    index_t classes = 0;
    double sigma_data = 1;  ///< root mean square of the data
    os::mlp_options network = {};
    index_t batch = 256;
    index_t flow_steps = 4000;  ///< flow matching from scratch; 3 forward passes a step make it the budget of every method
    double rate = 2e-3;
    index_t generate = 4096;  ///< samples for each measurement
};

/// The samples of one method at one number of steps.
struct measurement {
    int steps;
    double sliced_wasserstein, energy_distance, class_accuracy;
};

struct outcome {
    std::vector<measurement> rows;
    std::optional<double> straightness;
    double evaluations = 0;  ///< rows that passed through the network in training, forward passes and twice as much for backward ones
    double seconds = 0;      ///< of training and what belongs to it
    bool diverged = false;
};

/// Thrown at Ctrl-C.
struct interrupted {};

/// One seed of one problem.
class lab {
public:
    /// `folder` is where the teacher and samples go; `stopped` is asked during training.
    lab(os::cpu& device, problem const& p, std::uint64_t seed, std::string folder, std::function<bool()> stopped)
        : device_(device), problem_(p), seed_(seed), folder_(std::move(folder)), stopped_(std::move(stopped)),
          noise_(os::normal<float>(device, p.data.x0().shape().with_rows(p.generate), seed + 1000)), labels_(wanted_labels(p.generate)) {
        std::filesystem::create_directories(folder_);
        if (p.classes > 0) judge_.emplace(train_classifier(p.data.all(), p.classes, 1));
    }

    os::cpu& device() const { return device_; }
    problem const& task() const { return problem_; }
    std::uint64_t seed() const { return seed_; }
    /// Forward passes of a batch that a method may spend from scratch; a method that starts from the teacher has half of it left.
    double budget() const { return 3.0 * static_cast<double>(problem_.flow_steps); }

    /// Samples of so few numbers that a mean and a median are far apart (docs/methods.md): settings differ there.
    bool few_elements() const { return problem_.data.x0().cols() < 16; }

    network new_network(bool second_time = false) const {
        os::mlp_options options = problem_.network;
        options.seed = seed_;
        options.second_time = second_time;
        return {device_, options};
    }

    /// How a stage is trained.
    struct stage {
        double passes;                                       ///< forward passes a step is worth: 3 for forward and backward
        double share = 1;                                    ///< of the budget
        double rate = 1;                                     ///< times the problem's
        std::optional<os::batch<float, os::cpu>> data = {};  ///< instead of the problem's
        double ema = 0.999;
        double floor = 0.02;  ///< of the cosine rate
    };
    /// Steps that a stage has.
    index_t steps_of(stage const& s) const { return static_cast<index_t>(std::lround(s.share * budget() / s.passes)); }

    /// Trains a model in place and returns its averaged network. A loss that is not finite ends the training and marks the outcome.
    template <class Model, class Objective> network train(outcome& result, Model& model, Objective const& objective, stage const& s) {
        index_t const steps = std::max<index_t>(steps_of(s), 1);
        auto const began = std::chrono::steady_clock::now();
        os::trainer trainer{model, objective, os::adam{.rate = s.rate * problem_.rate},
                            os::trainer_options{.batch = problem_.batch, .ema = s.ema, .clip = 1, .seed = seed_ + 17},
                            os::cosine_rate{.steps = steps, .warmup = steps / 40, .floor = s.floor}};
        trainer.on_step([&](os::training_report const&) {
            if (stopped_()) trainer.stop();
        });
        try {
            if (!trainer.run(s.data ? *s.data : problem_.data.all(), steps)) throw interrupted{};
        } catch (os::not_finite_error const&) {
            result.diverged = true;
        }
        result.seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
        result.evaluations += static_cast<double>(trainer.step()) * static_cast<double>(problem_.batch) * s.passes;
        return network(trainer.averaged().network());
    }

    /// The flow that methods start from: half the budget, trained once. Its cost is added to the outcome.
    network teacher(outcome& result) {
        static std::mutex one_at_a_time;
        std::lock_guard const lock(one_at_a_time);
        network net = new_network();
        std::string const path = folder_ + "/teacher.safetensors";
        stage const half{.passes = 3, .share = 0.5};
        if (std::filesystem::exists(path)) {
            os::load_parameters(path, net);
            result.evaluations += static_cast<double>(steps_of(half) * problem_.batch) * half.passes;
            return net;
        }
        os::model flow{net, os::rectified_flow{}, os::velocity{}};
        outcome own;
        network trained = train(own, flow, os::flow_matching{}, half);
        os::save_parameters(path, trained);
        result.evaluations += own.evaluations;
        result.seconds += own.seconds;
        return trained;
    }

    /// Pairs of noise and what the flow makes of it, with labels where there are any.
    template <class Model> os::dataset<float, os::cpu> pairs(outcome& result, Model const& flow, index_t n, int steps) {
        auto const began = std::chrono::steady_clock::now();
        auto z = os::normal<float>(device_, noise_.shape().with_rows(n), seed_ + 2);
        auto made = problem_.classes == 0
                        ? os::reflow_pairs(flow, os::heun{.steps = steps}, std::move(z))
                        : os::reflow_pairs(flow, os::heun{.steps = steps}, std::move(z), wanted_labels(n), problem_.classes);
        result.seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
        result.evaluations += static_cast<double>(n) * 2 * steps;
        return made;
    }

    /// Measures samples of a model: `draw(model, steps)` makes them from noise().
    template <class Model, class Draw>
    void measure(outcome& result, std::string const& method, Model const& model, int steps, Draw const& draw) {
        samples const x = problem_.classes > 0 ? draw(model.given(labels_), steps) : draw(model, steps);
        keep(method, steps, x);
        auto const host = x.to_host();
        bool const finite = std::all_of(host.begin(), host.end(), [](float v) { return std::isfinite(v); });
        if (!finite) {
            result.diverged = true;
            result.rows.push_back({steps, HUGE_VAL, HUGE_VAL, 0});
            return;
        }
        double const share = judge_ ? accuracy(*judge_, {x.view(), {}, labels_.view()}) : std::nan("");
        result.rows.push_back({steps, os::sliced_wasserstein(x, reference()), os::energy_distance(x, reference()), share});
    }
    samples const& noise() const { return noise_; }

    template <class Model> void measure_straightness(outcome& result, Model const& flow) const {
        index_t const n = std::min<index_t>(1024, noise_.rows());
        auto const z = noise_.view().rows(0, n);
        if (problem_.classes > 0) result.straightness = os::straightness(flow.given(labels_.view().rows(0, n)), z).normalised;
        else result.straightness = os::straightness(flow, z).normalised;
    }

private:
    samples const& reference() const { return problem_.data.x0(); }
    os::tensor<std::int32_t, os::cpu> wanted_labels(index_t n) const {
        std::vector<std::int32_t> labels(static_cast<std::size_t>(n), 0);
        if (problem_.classes > 0) {
            auto const all = problem_.data.labels().to_host();
            for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = all[i % all.size()];
        }
        return {device_, {n}, labels};
    }
    void keep(std::string const& method, int steps, samples const& x) const;

    os::cpu& device_;
    problem const& problem_;
    std::uint64_t seed_;
    std::string folder_;
    std::function<bool()> stopped_;
    samples noise_;
    os::tensor<std::int32_t, os::cpu> labels_;
    std::optional<classifier<os::cpu>> judge_;
};

/// How a denoiser's samples are drawn, for lab::measure.
inline auto by_euler(lab const& l) {
    return [&l](auto const& model, int steps) { return os::sample(model, os::euler{.steps = steps}, l.noise()); };
}
inline auto by_ddim(lab const& l) {
    return [&l](auto const& model, int steps) { return os::sample(model, os::ddim{.steps = steps}, l.noise()); };
}

/// What a method says of itself.
enum class promise {
    none,
    few_steps,   ///< one step is about as good as many
    many_steps,  ///< many steps are good, and one is not
};

/// A method of the study.
struct method {
    std::string name;
    promise claim;
    outcome (*run)(lab&);
};

std::vector<method> flows();
std::vector<method> consistency();
std::vector<method> maps();
std::vector<method> distilled();

}  // namespace study
