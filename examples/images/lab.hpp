#pragma once
/// What all methods share: data, network, training with checkpoints and pictures, and measurements.
#include <onestep/io/image.hpp>
#include <onestep/network/unet.hpp>
#include <onestep/train/checkpoint.hpp>

#include <csignal>
#include <filesystem>
#include <optional>
#include <vector>

#include "costs.hpp"
#include "generate.hpp"
#include "judge.hpp"
#include "settings.hpp"

namespace images {

using network = os::unet<float, os::cpu>;

/// Set at Ctrl-C; training then ends after its step.
inline volatile std::sig_atomic_t stop_asked = 0;
/// Thrown when it has ended so.
struct interrupted {};

/// How one network is trained and looked at.
struct stage {
    std::string name;                                     ///< of its files: OUT/name.safetensors, OUT/name/
    double rate = 1;                                      ///< times the rate that was asked for
    std::vector<int> steps = {1, 2, 4};                   ///< of sampling, in the end
    int preview = 1;                                      ///< and while it trains
    std::vector<std::string> after = {};                  ///< stages that it needed
    std::optional<os::batch<float, os::cpu>> pairs = {};  ///< to train on instead of the data
};

class lab {
public:
    lab(os::cpu& device, settings const& s, image_data const& data)
        : device_(device), settings_(s), data_(data), deviation_(data.deviation()), grid_labels_(data.for_grid(10)),
          grid_noise_(os::normal<float>(device, data.train.x0().shape().with_rows(grid_labels_.rows()), s.seed + 2000)) {
        if (s.report) judge_.emplace(device, data, s.out + "/classifier.safetensors", s.generate);
        if (judge_) report_held_out();
    }

    os::cpu& device() const { return device_; }
    settings const& told() const { return settings_; }
    image_data const& data() const { return data_; }
    double deviation() const { return deviation_; }  ///< root mean square of the data
    std::string file(std::string const& name) const { return settings_.out + "/" + name; }

    /// The same for all methods: three levels, attention at a quarter of the height.
    network new_network(bool second_time = false) const {
        os::unet_options o;
        o.data = data_.extents();
        o.width = settings_.width;
        o.attention = {static_cast<int>(o.data[0]) / 4};
        o.head_channels = settings_.width;
        o.groups = std::max(1, settings_.width / 4);
        o.time.scale = 16;  // smooth enough for derivatives and differences in t
        o.classes = static_cast<int>(data_.classes);
        o.second_time = second_time;
        o.seed = settings_.seed;
        return {device_, o};
    }

    /// Trains the model's network, or goes on from where that was stopped, and leaves the averaged weights in it and in
    /// OUT/name.safetensors. Throws interrupted after Ctrl-C, with a checkpoint written.
    template <class Model, class Objective, class Draw>
    void train(stage const& s, Model& model, Objective const& objective, Draw const& draw) {
        std::string const folder = file(s.name), checkpoint = folder + "/checkpoint.safetensors";
        std::filesystem::create_directories(folder);
        index_t const steps = settings_.steps;
        os::trainer trainer{model, objective, os::adam{.rate = s.rate * settings_.rate},
                            os::trainer_options{.batch = settings_.batch, .clip = 1, .seed = settings_.seed, .progress = s.name},
                            os::cosine_rate{.steps = steps, .warmup = steps / 40, .floor = 0.02}};
        stopwatch clock(folder);
        if (settings_.resume && std::filesystem::exists(checkpoint)) os::resume(checkpoint, trainer), clock.resume();
        auto const stops = [&] { return stop_asked || trainer.step() == settings_.rehearse; };
        auto const out_of_time = [&] { return settings_.minutes > 0 && clock.seconds() >= 60 * settings_.minutes; };
        auto const keep = [&] { os::save_checkpoint(checkpoint, trainer), clock.save(trainer.step()); };
        trainer.on_step([&](os::training_report const&) {
            clock.tick();
            if (stops() || out_of_time()) trainer.stop();
        });
        trainer.every(settings_.every, [&](os::training_report const& r) {
            keep();
            picture(folder + "/after-" + std::to_string(r.step) + ".png", trainer.averaged(), draw, s.preview);
            clock.skip();
        });
        clock.skip();
        if (!out_of_time()) trainer.run(s.pairs ? *s.pairs : data_.train.all(), steps);
        keep();
        if (stops()) {
            std::printf("stopped in '%s' after step %td; the same command with --resume goes on from there\n", s.name.c_str(),
                        trainer.step());
            throw interrupted{};
        }
        auto const best = std::as_const(trainer.averaged().network()).parameters();
        device_.copy(best.data(), best.size(), model.network().parameters().data());
        os::save_parameters(folder + ".safetensors", model.network());
        std::printf("%s: %td steps in %.0f s\n", s.name.c_str(), trainer.step(), clock.seconds());
    }

    /// Draws a picture for each number of steps and, where a report is asked for, measures and adds a line for each.
    template <class Model, class Draw> void show(stage const& s, Model const& model, Draw const& draw) {
        for (int steps : s.steps) {
            picture(file(s.name) + "/" + std::to_string(steps) + (steps == 1 ? "-step.png" : "-steps.png"), model, draw, steps);
            if (!judge_) continue;
            labels const wanted = data_.wanted(settings_.generate);
            samples const z = os::normal<float>(device_, grid_noise_.shape().with_rows(settings_.generate), settings_.seed + 1000);
            stopwatch clock;
            samples const x = generate(model, draw, steps, z, wanted, settings_.seed + 1000);
            clock.tick();
            report(s, steps, judge_->measure(x, wanted), clock.seconds() / static_cast<double>(settings_.generate));
        }
    }

    /// Both, for a model that is trained once.
    template <class Model, class Objective, class Draw>
    void run(stage const& s, Model& model, Objective const& objective, Draw const& draw) {
        train(s, model, objective, draw);
        show(s, model, draw);
    }

private:
    /// Ten lines of ten images, always of the same noise.
    template <class Model, class Draw> void picture(std::string const& path, Model const& model, Draw const& draw, int steps) const {
        samples const x = generate(model, draw, steps, grid_noise_, grid_labels_, settings_.seed + 2000);
        int const height = static_cast<int>(x.shape()[1]);
        os::write_png(path, x, {.columns = 10, .scale = std::max(1, 56 / height), .gap = 2, .background = {255, 255, 255}});
    }
    void report_held_out();
    /// Prints a measurement and adds it to OUT/results.json, one line of JSON each.
    void report(stage const& s, int steps, quality const& q, double seconds_an_image) const;

    os::cpu& device_;
    settings const& settings_;
    image_data const& data_;
    double deviation_;
    labels grid_labels_;
    samples grid_noise_;
    std::optional<judge> judge_;
    quality held_out_ = {};
};

}  // namespace images
