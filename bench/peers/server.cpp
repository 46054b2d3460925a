// The onestep side of the comparison with a peer: reads one request a line, answers with one line of JSON (docs/benchmarks.md).
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <onestep/onestep.hpp>
#include <sstream>

#include "../standing_output.hpp"
#include "work.hpp"

namespace os = onestep;
using os::index_t;

namespace {

#if defined(__AVX512F__)
constexpr char const* instructions = "AVX-512";
#elif defined(__AVX2__)
constexpr char const* instructions = "AVX2";
#else
constexpr char const* instructions = "baseline";
#endif

/// A training step of flow matching on points in the plane.
class mlp_training : public work {
public:
    mlp_training(os::cpu& device, int width, index_t batch)
        : device_(device), batch_(batch), data_(os::normal<float>(device, {65'536, 2}, 1)),
          net_(device, {.data = {2}, .width = width, .blocks = 2, .time = {.size = 128, .scale = 1000}}),
          adam_(os::adam{.rate = 1e-3}, net_), ema_(os::average_options{.decay = 0.999, .ramp = false}, flow_),
          source_({data_.view()}, batch, 1) {}

    void run() override {
        os::accumulate(objective_, flow_, source_.at(step_), os::random_key{1, static_cast<std::uint64_t>(step_)});
        adam_.step(1, ema_);
        ++step_;
    }
    std::vector<double> exported(std::string const& folder) override {
        auto const x0 = os::normal<float>(device_, {batch_, 2}, 5), z = os::normal<float>(device_, {batch_, 2}, 6);
        os::fill_normal(net_.parameters(), os::random_key{7}.at(os::draw::user),
                        0.05);  // the last layers start at zero: give them something to do
        os::random_key const key{8};
        std::vector<float> t;
        for (index_t r = 0; r < batch_; ++r) t.push_back(static_cast<float>(os::uniform(key.at(os::draw::time), r)));
        write_numbers(folder + "/x0.bin", x0.to_host());
        write_numbers(folder + "/z.bin", z.to_host());
        write_numbers(folder + "/t.bin", t);
        write_numbers(folder + "/parameters.bin", in_export_order());
        std::vector<double> losses;
        for (int i = 0; i < 10; ++i) {
            losses.push_back(os::accumulate(objective_, flow_, os::batch<float, os::cpu>{x0.view(), z.view()}, key).plain);
            adam_.step();
        }
        return losses;
    }

private:
    /// The order that docs/benchmarks.md names: the blocks' projections lie in one matrix here, between their layers there.
    std::vector<float> in_export_order() {
        auto const flat = os::to_host(net_.parameters());
        std::map<std::string, std::vector<float>> by_name;
        for (auto const& p : net_.names()) by_name[p.name] = {flat.begin() + p.offset, flat.begin() + p.offset + p.extents.size()};
        std::vector<float> out;
        auto const add = [&](std::vector<float> const& part) { out.insert(out.end(), part.begin(), part.end()); };
        auto const layer = [&](std::string const& name) { add(by_name.at(name + ".weight")), add(by_name.at(name + ".bias")); };
        for (char const* name : {"time.first", "time.second", "in"}) layer(name);
        auto const& projections = by_name.at("condition.weight");
        index_t const part = static_cast<index_t>(projections.size()) / 2;
        for (int k = 0; k < 2; ++k) {
            layer("blocks." + std::to_string(k) + ".first");
            add({projections.begin() + k * part, projections.begin() + (k + 1) * part});
            layer("blocks." + std::to_string(k) + ".second");
        }
        layer("out");
        return out;
    }

    os::cpu& device_;
    index_t batch_;
    os::tensor<float, os::cpu> data_;
    os::mlp<float, os::cpu> net_;
    os::model<os::mlp<float, os::cpu>&, os::rectified_flow, os::velocity> flow_{net_, os::rectified_flow{}, os::velocity{}};
    os::flow_matching<> objective_;
    os::optimizer<os::adam, os::mlp<float, os::cpu>> adam_;
    os::average<decltype(flow_)> ema_;
    os::batch_source<float, os::cpu> source_;
    index_t step_ = 0;
};

/// x' = a x + b F (+ d z), in place.
class sampler_step : public work {
public:
    sampler_step(os::cpu& device, os::shape const& shape, bool noise)
        : x_(os::normal<float>(device, shape, 1)), f_(os::normal<float>(device, shape, 2)), noise_(noise) {}
    void run() override {
        os::affine_step step(x_.view());
        step.add(0.95, x_.view()).add(-0.15, f_.view());
        if (noise_) step.run(0.1, os::random_key{3, draw_++}.at(os::draw::noise));
        else step.run();
    }

private:
    os::tensor<float, os::cpu> x_, f_;
    bool noise_;
    std::uint64_t draw_ = 0;
};

/// Normal numbers into memory that is there.
class normals : public work {
public:
    normals(os::cpu& device, index_t count) : z_(device, {1, count}) {}
    void run() override { os::fill_normal(z_.view(), os::random_key{3, draw_++}.at(os::draw::noise)); }

private:
    os::tensor<float, os::cpu> z_;
    std::uint64_t draw_ = 0;
};

/// One step of a solver inside a run of 50, which begins anew from the same noise when it has ended.
template <class Process, class Target, class Grid, class Solver> class solver_step : public work {
public:
    solver_step(os::cpu& device, os::shape const& shape, Process const& process, Target const& target, Grid const& grid,
                Solver const& solver)
        : z_(os::normal<float>(device, shape, 1)), x_(device, shape), net_(device, shape), model_(net_, process, target),
          run_(model_, solver, os::times_of(grid, process, 50), x_.view(), os::random_key{3}) {
        restart();
    }
    void prepare() override {
        if (run_.done()) restart();
    }
    void run() override { run_.advance(); }

private:
    void restart() {
        x_.backend().copy(z_.data(), z_.size(), x_.data());
        run_.begin();
    }

    os::tensor<float, os::cpu> z_, x_;
    standing_output<float> net_;
    os::model<standing_output<float>&, Process, Target> model_;
    os::sampling<decltype(model_), Solver, float, os::cpu> run_;
};

/// step_NAME_SIZE for both sizes.
template <class Process, class Target, class Grid, class Solver>
void add_steps(std::map<std::string, maker>& works, std::string const& name, Process const& process, Target const& target, Grid const& grid,
               Solver const& solver) {
    for (index_t side : {32, 256}) {
        std::string const size = std::to_string(side);
        works["step_" + name + "_64x3x" + size + "x" + size] = [=](os::cpu& device) {
            os::shape const shape{64, side, side, 3};
            return std::make_unique<solver_step<Process, Target, Grid, Solver>>(device, shape, process, target, grid, solver);
        };
    }
}

class server {
public:
    server() {
        os::discrete const images{os::scaled_linear_schedule{}};     // Stable Diffusion's
        os::edm const levels{.sigma_min = 0.03, .sigma_max = 14.6};  // the same levels, as k-diffusion sees them
        os::epsilon const noise;
        os::leading_grid const multistep{.multistep = true};
        add_steps(works_, "ddim", images, noise, os::leading_grid{}, os::ddim{});
        add_steps(works_, "ddim_eta1", images, noise, os::leading_grid{}, os::ddim{.eta = 1});
        add_steps(works_, "ancestral", images, noise, os::leading_grid{}, os::ancestral{});
        add_steps(works_, "dpm_solver_2m", images, noise, multistep, os::dpm_solver_2m{});
        add_steps(works_, "dpm_solver_3m", images, noise, multistep, os::dpm_solver_3m{});
        add_steps(works_, "dpm_solver_sde", images, noise, multistep, os::dpm_solver_sde{});
        add_steps(works_, "unipc", images, noise, multistep, os::unipc{});
        add_steps(works_, "euler_ancestral", levels, noise, os::karras_grid{}, os::euler_ancestral{});
        add_steps(works_, "euler", levels, noise, os::karras_grid{}, os::euler{});
        add_steps(works_, "heun", levels, noise, os::karras_grid{}, os::heun{});
        add_steps(works_, "flow_match_euler", os::rectified_flow{}, os::velocity{}, os::uniform_grid{}, os::euler{});
        add_objectives(works_);
        add_unets(works_);
    }
    std::string answer(std::string const& line) {
        std::istringstream words(line);
        std::string name, folder;
        words >> name;
        if (name == "list") return list();
        if (name == "threads") {
            int threads = 0;
            words >> threads;
            work_.reset(), current_.clear();
            device_ = std::make_unique<os::cpu>(threads);
            return "{\"threads\": " + std::to_string(device_->threads()) + "}";
        }
        if (name == "export") {
            words >> name >> folder;
            choose(name);
            std::string const losses = numbers(work_->exported(folder));
            current_.clear();
            return "{\"name\": \"" + name + "\", \"losses\": " + losses + "}";
        }
        int runs = 1;
        words >> runs;
        if (name == memory) return "{\"name\": \"" + name + "\", \"mebibytes\": " + numbers(memory_of_training(runs)) + "}";
        return "{\"name\": \"" + name + "\", \"seconds\": " + numbers(timed(name, runs)) + "}";
    }

private:
    void choose(std::string const& name) {
        if (!works_.contains(name)) throw std::runtime_error("there is no work named " + name);
        if (current_ == name) return;
        work_.reset();
        work_ = works_.at(name)(*device_);
        current_ = name;
    }
    /// Seconds of each run, after 30 ms of warm-up.
    std::vector<double> timed(std::string const& name, int runs) {
        auto const now = [] { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); };
        choose(name);
        for (double const begin = now(); now() - begin < 0.03;) {
            work_->prepare();
            work_->run();
        }
        std::vector<double> seconds;
        for (int i = 0; i < runs; ++i) {
            work_->prepare();
            double const begin = now();
            work_->run();
            seconds.push_back(now() - begin);
        }
        return seconds;
    }
    /// What fresh processes say of themselves, without the allocator that suits timings.
    std::vector<double> memory_of_training(int runs) const {
        std::string const command = "env -u MALLOC_MMAP_MAX_ -u MALLOC_TRIM_THRESHOLD_ -u MALLOC_TOP_PAD_ '" +
                                    std::filesystem::read_symlink("/proc/self/exe").string() + "' memory " +
                                    std::to_string(device_->threads());
        std::vector<double> mebibytes;
        for (int i = 0; i < runs; ++i) {
            std::unique_ptr<FILE, int (*)(FILE*)> const other(popen(command.c_str(), "r"), pclose);
            double value = 0;
            if (!other || std::fscanf(other.get(), "%lf", &value) != 1) throw std::runtime_error("no answer from " + command);
            mebibytes.push_back(value);
        }
        return mebibytes;
    }
    std::string list() const {
        std::string names = '"' + std::string(memory) + '"';
        for (auto const& [name, make] : works_) names += ", \"" + name + "\"";
        return "{\"names\": [" + names + "], \"build\": \"onestep, " + instructions + ", " __VERSION__ "\"}";
    }
    static std::string numbers(std::vector<double> const& values) {
        std::string text = "[";
        for (double v : values) text += (text.size() > 1 ? ", " : "") + os::to_string(v);
        return text + "]";
    }

    static constexpr char const* memory = "unet_train_memory";
    static constexpr index_t large_count = 1 << 24;
    std::unique_ptr<os::cpu> device_ = std::make_unique<os::cpu>();
    std::string current_;
    std::unique_ptr<work> work_;
    std::map<std::string, maker> works_{
        {"mlp_train_256x1024", [](os::cpu& d) { return std::make_unique<mlp_training>(d, 256, 1024); }},
        {"mlp_train_128x256", [](os::cpu& d) { return std::make_unique<mlp_training>(d, 128, 256); }},
        {"sampler_step_64x3x32x32",
         [](os::cpu& d) {
             return std::make_unique<sampler_step>(d, os::shape{64, 32, 32, 3}, true);
         }},
        {"sampler_step_64x3x256x256",
         [](os::cpu& d) {
             return std::make_unique<sampler_step>(d, os::shape{64, 256, 256, 3}, true);
         }},
        {"sampler_step_64x3x32x32_deterministic",
         [](os::cpu& d) {
             return std::make_unique<sampler_step>(d, os::shape{64, 32, 32, 3}, false);
         }},
        {"sampler_step_64x3x256x256_deterministic",
         [](os::cpu& d) {
             return std::make_unique<sampler_step>(d, os::shape{64, 256, 256, 3}, false);
         }},
        {"normals", [](os::cpu& d) { return std::make_unique<normals>(d, large_count); }},
    };
};

}  // namespace

int main(int argc, char** argv) {
    if (argc == 3 && std::string(argv[1]) == "memory") {
        std::cout << unet_training_mebibytes(std::stoi(argv[2])) << '\n';
        return 0;
    }
    server running;
    for (std::string line; std::getline(std::cin, line);) {
        try {
            std::cout << running.answer(line) << std::endl;
        } catch (std::exception const& e) {
            std::cout << "{\"error\": \"" << e.what() << "\"}" << std::endl;
        }
    }
}
