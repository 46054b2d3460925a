// From real digits to one-step samples: a rectified flow, reflow, one-step distillation, class-conditional.
// Writes digits.png, loss.svg and results.json, and prints a table. Stops cleanly at Ctrl-C and goes on when run again.
// quick: --quick --out digits-quick
#include <CLI/CLI.hpp>
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <onestep/io/curve.hpp>
#include <onestep/io/idx.hpp>
#include <onestep/io/image.hpp>
#include <onestep/onestep.hpp>
#include <onestep/train/checkpoint.hpp>

#include "digits/classifier.hpp"
#include "digits/digits_data.hpp"

namespace os = onestep;
using os::index_t;

namespace {

volatile std::sig_atomic_t interrupted = 0;

struct settings {
    std::string data, labels, out = "out/digits";
    double largest = 255;
    std::uint64_t seed = 1;
    int threads = 0, generate = 4096;
    bool quick = false, fresh = false;
};

/// Lengths and sizes of the three stages.
struct recipe {
    int width = 320, blocks = 3, embedding = 64;
    index_t flow = 5200, reflow = 3000, distil = 6200, batch = 256, pairs = 40'000;
};

/// Real images in [-1, 1] with their labels, if there are any.
struct real_data {
    std::string name;
    os::dataset<float, os::cpu> images;
    index_t classes;
    os::batch<float, os::cpu> all() const { return images.all(); }
};

real_data embedded(os::cpu& device) {
    std::vector<float> pixels;
    std::vector<std::int32_t> labels;
    for (char const* line : digits_data::lines) {
        labels.push_back(*line - '0');
        for (char const* p = line + 1; *p; ++p) pixels.push_back(static_cast<float>(*p - 'A') / 8 - 1);
    }
    auto const n = static_cast<index_t>(labels.size());
    os::dataset<float, os::cpu> images(os::tensor<float, os::cpu>(device, {n, 8, 8, 1}, pixels));
    return {"UCI optical digits 8x8", std::move(images).labelled(os::class_labels(device, labels, 10), 10), 10};
}

real_data from_files(os::cpu& device, settings const& s) {
    auto pixels = os::read_idx<float>(device, s.data, {.largest = s.largest});
    if (pixels.shape().rank() != 4)
        os::raise<os::shape_error>(s.data, "it holds " + to_string(pixels.shape()), "images [n, h, w] or [n, h, w, c] are needed");
    os::dataset<float, os::cpu> images(std::move(pixels));
    if (s.labels.empty()) return {s.data, std::move(images), 0};
    auto const labels = os::read_idx_labels(s.labels);
    index_t const classes = labels.empty() ? 0 : *std::max_element(labels.begin(), labels.end()) + 1;
    return {s.data, std::move(images).labelled(os::class_labels(device, labels, classes), classes), classes};
}

/// Labels for n generated images, in the proportions of the real ones; zeros where there are none.
os::tensor<std::int32_t, os::cpu> wanted_labels(os::cpu& device, real_data const& real, index_t n) {
    std::vector<std::int32_t> labels(static_cast<std::size_t>(n), 0);
    if (real.classes > 0) {
        auto const all = real.images.labels().to_host();
        for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = all[i % all.size()];
    }
    return {device, {n}, labels};
}

struct row {
    std::string method;
    int steps;
    double sliced_wasserstein, energy_distance, class_accuracy;
};

/// One run of the program: what the stages share.
class story {
public:
    story(os::cpu& device, settings const& s, recipe const& r, real_data const& real)
        : device_(device), settings_(s), recipe_(r), real_(real),
          judge_(real.classes > 0 ? std::optional(train_classifier(real.all(), real.classes, s.seed)) : std::nullopt),
          noise_(os::normal<float>(device, real.images.x0().shape().with_rows(s.generate), s.seed + 1000)),
          labels_(wanted_labels(device, real, s.generate)) {}

    /// Trains one stage, or what is left of it, keeping a checkpoint. Returns false if it was interrupted.
    template <class Trainer, class Data> bool train(char const* name, Trainer& trainer, Data const& data, index_t steps) {
        std::string const path = settings_.out + "/" + name + ".safetensors";
        if (!settings_.fresh && std::filesystem::exists(path)) os::resume(path, trainer);
        curves_.push_back({name, {}, {}});
        trainer.on_step([&](os::training_report const& r) {
            if (r.step % 20 == 0) curves_.back().x.push_back(static_cast<double>(r.step)), curves_.back().y.push_back(r.smoothed);
            if (interrupted) trainer.stop();
        });
        trainer.every(1000, [&](os::training_report const&) { os::save_checkpoint(path, trainer); });
        bool const before = trainer.step() >= steps, done = trainer.run(data, steps);
        if (!before) os::save_checkpoint(path, trainer);
        if (!done) std::printf("stopped in stage '%s' after step %td; the same command goes on from there\n", name, trainer.step());
        return done;
    }

    /// Pairs of fresh noise and what the model makes of it.
    template <class Model> os::dataset<float, os::cpu> pairs(Model const& model, int steps) {
        auto z = os::normal<float>(device_, noise_.shape().with_rows(recipe_.pairs), settings_.seed + 2);
        if (real_.classes == 0) return os::reflow_pairs(model, os::heun{.steps = steps}, std::move(z));
        return os::reflow_pairs(model, os::heun{.steps = steps}, std::move(z), wanted_labels(device_, real_, recipe_.pairs), real_.classes);
    }

    /// Generates with a number of Euler steps and measures; the first columns of the same noise go into the picture.
    template <class Model> void measure(char const* method, Model const& model, int steps) {
        auto const x = real_.classes > 0 ? os::sample(model.given(labels_), os::euler{.steps = steps}, noise_)
                                         : os::sample(model, os::euler{.steps = steps}, noise_);
        double const share = judge_ ? accuracy(*judge_, {x.view(), {}, labels_.view()}) : std::nan("");
        rows_.push_back({method, steps, os::sliced_wasserstein(x, real_.images.x0()), os::energy_distance(x, real_.images.x0()), share});
        pictures_.emplace_back(std::string(method) + (steps == 1 ? ", 1 step" : ", " + std::to_string(steps) + " steps"), shown(x));
        row const& r = rows_.back();
        std::printf("%-10s %6d %12.4f %12.4f %12.1f %%\n", method, steps, r.sliced_wasserstein, r.energy_distance, 100 * r.class_accuracy);
        std::fflush(stdout);
    }

    void print_header() const { std::printf("%-10s %6s %12s %12s %14s\n", "method", "steps", "sliced W2", "energy", "class accuracy"); }
    void write(double seconds);

private:
    static constexpr index_t columns = 20;

    /// The images that go into the picture: for labelled data two of each of the first ten classes.
    os::tensor<float, os::cpu> shown(os::tensor<float, os::cpu> const& x) const { return picked(x, labels_.to_host()); }
    os::tensor<float, os::cpu> picked(os::tensor<float, os::cpu> const& x, std::vector<std::int32_t> const& labels) const {
        index_t const d = x.cols();
        std::vector<float> const all = x.to_host();
        std::vector<float> chosen;
        std::size_t from = 0;
        for (index_t c = 0; c < columns; ++c) {
            std::size_t at = static_cast<std::size_t>(c);
            if (real_.classes > 0) {
                for (at = from; at + 1 < labels.size() && labels[at] != c % std::min<index_t>(10, real_.classes); ++at) {
                }
                from = (at + 1) % labels.size();
            }
            at %= static_cast<std::size_t>(x.rows());
            chosen.insert(chosen.end(), all.begin() + static_cast<index_t>(at) * d, all.begin() + (static_cast<index_t>(at) + 1) * d);
        }
        return {device_, x.shape().with_rows(columns), chosen};
    }
    void write_picture() const;
    nlohmann::ordered_json floor() const;

    os::cpu& device_;
    settings const& settings_;
    recipe const& recipe_;
    real_data const& real_;
    std::optional<classifier<os::cpu>> judge_;
    os::tensor<float, os::cpu> noise_;
    os::tensor<std::int32_t, os::cpu> labels_;
    std::vector<row> rows_;
    std::vector<os::curve_series> curves_;
    std::vector<std::pair<std::string, os::tensor<float, os::cpu>>> pictures_;
};

/// A line of the picture for real images, then one for each measurement: the same noise down each column.
void story::write_picture() const {
    auto const real = picked(real_.images.x0(), real_.classes > 0 ? real_.images.labels().to_host() : std::vector<std::int32_t>{});
    int const size = static_cast<int>(std::max<index_t>(real.shape()[1], real.shape()[2]));
    os::png_grid const grid{.columns = columns, .scale = std::max(1, 40 / size), .gap = 2, .background = {255, 255, 255}};
    auto const line = os::grid_size(real.shape(), grid);
    constexpr int left = 150, space = 6;
    os::picture page(left + line.width + 8, 8 + (static_cast<int>(pictures_.size()) + 1) * (line.height + space) + space);
    int y = 8;
    auto const add = [&](std::string const& title, os::tensor<float, os::cpu> const& images) {
        page.text(10, y + line.height / 2 - 4, title);
        page.draw_grid(left, y, images, grid);
        y += line.height + space;
    };
    add("real", real);
    y += space;
    for (auto const& [title, images] : pictures_) add(title, images);
    page.save(settings_.out + "/digits.png");
}

/// The same distances between two halves of the real data: what a perfect generator would reach.
nlohmann::ordered_json story::floor() const {
    auto const& x = real_.images.x0();
    index_t const n = x.rows(), d = x.cols();
    std::vector<float> const all = x.to_host();
    std::vector<float> half[2];
    for (index_t i = 0; i < n; ++i) half[i % 2].insert(half[i % 2].end(), all.begin() + i * d, all.begin() + (i + 1) * d);
    os::tensor<float, os::cpu> const a(device_, x.shape().with_rows(n - n / 2), half[0]), b(device_, x.shape().with_rows(n / 2), half[1]);
    auto const energy = os::energy_distance(a, b);
    return {{"sliced_wasserstein", static_cast<double>(os::sliced_wasserstein(a, b))},
            {"energy_distance", static_cast<double>(energy)},
            {"energy_distance_squared", energy.squared}};
}

void story::write(double seconds) {
    write_picture();
    std::vector<os::curve_series> curves;
    for (auto const& c : curves_)
        if (!c.x.empty()) curves.push_back(c);
    if (!curves.empty())
        os::write_curve_svg(settings_.out + "/loss.svg", curves,
                            {.title = "Training loss", .x_label = "step", .y_label = "smoothed loss", .log_y = true});
    nlohmann::ordered_json result{{"dataset", real_.name},
                                  {"n_real", real_.images.rows()},
                                  {"n_generated", settings_.generate},
                                  {"seed", settings_.seed},
                                  {"seconds", seconds}};
    result["rows"] = nlohmann::ordered_json::array();
    for (row const& r : rows_)
        result["rows"].push_back({{"method", r.method},
                                  {"steps", r.steps},
                                  {"network_evaluations", r.steps},
                                  {"sliced_wasserstein", r.sliced_wasserstein},
                                  {"energy_distance", r.energy_distance},
                                  {"class_accuracy", judge_ ? nlohmann::ordered_json(r.class_accuracy) : nlohmann::ordered_json()}});
    result["floor"] = floor();
    std::string const text = result.dump(2) + "\n";
    os::write_file_atomically(settings_.out + "/results.json", text);
    std::printf("floor: two halves of the real data lie %.4f and %.4f apart\n", result["floor"]["sliced_wasserstein"].get<double>(),
                result["floor"]["energy_distance"].get<double>());
    std::printf("wrote digits.png, loss.svg and results.json to %s in %.0f s\n", settings_.out.c_str(), seconds);
}

int run(settings const& s) {
    auto const began = std::chrono::steady_clock::now();
    os::cpu device(s.threads);
    recipe r;
    if (s.quick) r = {.width = 32, .blocks = 1, .embedding = 16, .flow = 60, .reflow = 40, .distil = 40, .batch = 32, .pairs = 256};
    real_data const real = s.data.empty() ? embedded(device) : from_files(device, s);
    story tale(device, s, r, real);

    auto const& extents = real.images.x0().shape();
    os::mlp net(device, {.data = {extents[1], extents[2], extents[3]},
                         .width = r.width,
                         .blocks = r.blocks,
                         .embedding = r.embedding,
                         .time = {.size = 64, .scale = 100},
                         .classes = static_cast<int>(real.classes),
                         .seed = s.seed});
    os::model flow{net, os::rectified_flow{}, os::velocity{}};

    // 1. Rectified flow: data and noise meet at random.
    os::trainer first{flow,
                      os::flow_matching{},
                      os::adam{.rate = 2e-3},
                      {.batch = r.batch, .clip = 1, .seed = s.seed, .progress = "flow     "},
                      os::cosine_rate{.steps = r.flow, .warmup = r.flow / 40, .floor = 0.02}};
    if (!tale.train("flow", first, real.images, r.flow)) return 130;
    tale.print_header();
    for (int steps : {1, 2, 4, 8, 64}) tale.measure("flow", first.averaged(), steps);

    // 2. Reflow: the same objective, on the pairs that the flow itself has made.
    auto const pairs = tale.pairs(first.averaged(), 8);
    os::mlp straight = first.averaged().network();
    os::model reflowed{straight, os::rectified_flow{}, os::velocity{}};
    os::trainer second{reflowed,
                       os::flow_matching{},
                       os::adam{.rate = 1e-3},
                       {.batch = r.batch, .clip = 1, .seed = s.seed + 1, .progress = "reflow   "},
                       os::cosine_rate{.steps = r.reflow, .warmup = r.reflow / 40, .floor = 0.02}};
    if (!tale.train("reflow", second, pairs, r.reflow)) return 130;
    for (int steps : {1, 2, 4}) tale.measure("reflow", second.averaged(), steps);

    // 3. One step: the straightened network learns where each path of the flow ends.
    os::mlp direct = second.averaged().network();
    os::model one_step{direct, os::rectified_flow{}, os::velocity{}};
    os::trainer last{one_step,
                     os::one_step_distillation{os::pseudo_huber{.c = 0.1}},
                     os::adam{.rate = 1e-3},
                     {.batch = r.batch, .clip = 1, .seed = s.seed + 2, .progress = "distilled"},
                     os::cosine_rate{.steps = r.distil, .warmup = r.distil / 40, .floor = 0.02}};
    if (!tale.train("distilled", last, pairs, r.distil)) return 130;
    tale.measure("distilled", last.averaged(), 1);

    tale.write(std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    settings s;
    CLI::App app{"Trains a class-conditional generator of small images that needs one step, and measures it."};
    app.add_option("--data", s.data, "IDX file of images, raw or .gz; by default the 1,797 digits inside this program");
    app.add_option("--labels", s.labels, "IDX file of labels that go with --data")->needs("--data");
    app.add_option("--largest", s.largest, "value of a white pixel in --data")->capture_default_str();
    app.add_option("--out", s.out, "folder for pictures, results and checkpoints")->capture_default_str();
    app.add_option("--seed", s.seed, "of weights, batches and noise")->capture_default_str();
    app.add_option("--threads", s.threads, "0: one a core; the results are the same for any number")->capture_default_str();
    app.add_option("--generate", s.generate, "images to generate for each measurement")
        ->capture_default_str()
        ->check(CLI::Range(2, 1'000'000));
    app.add_flag("--quick", s.quick, "a run of seconds, to see that everything works");
    app.add_flag("--fresh", s.fresh, "begin again, even if there are checkpoints");
    CLI11_PARSE(app, argc, argv);
    std::signal(SIGINT, [](int) { interrupted = 1; });
    std::signal(SIGTERM, [](int) { interrupted = 1; });
    try {
        std::filesystem::create_directories(s.out);
        return run(s);
    } catch (std::exception const& e) {  // onestep's typed exceptions and the standard library's: one line each
        std::fprintf(stderr, "%s\n", e.what());
        return 2;
    }
}
