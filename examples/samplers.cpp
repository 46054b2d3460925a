// Every sampler on one flow that is known exactly, at 1 to 64 network evaluations: where the points go and what they form.
// Prints tables of the errors; writes samplers.png and results.json to out/samplers. docs/samplers.md explains them.
// quick: --quick --out samplers-quick
#include <chrono>
#include <CLI/CLI.hpp>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <onestep/io/image.hpp>
#include <onestep/onestep.hpp>

#include "toys/light.hpp"
#include "toys/spiral.hpp"

namespace os = onestep;
using os::index_t;

namespace {

struct settings {
    std::string out = "out/samplers";
    std::uint64_t seed = 1;
    int threads = 0;
    index_t points = 3000;
    bool quick = false;
};

constexpr int budgets[] = {1, 2, 4, 8, 16, 32, 64};
constexpr index_t paths_shown = 60;
constexpr double paths_seen = 2.5, ends_seen = 1.95;  // the pictures show [-seen, seen] in both directions

/// One sampler at one number of evaluations.
struct cell {
    int steps;
    index_t evaluations;
    double flow_distance, energy_distance;
    std::vector<double> end;                ///< x and y in turn
    std::vector<std::vector<double>> path;  ///< of the first points, at every step
};
struct row {
    std::string name;
    bool stochastic;
    std::map<int, cell> cells;  ///< by budget
};

class gallery {
public:
    gallery(os::cpu& device, settings const& s)
        : settings_(s), z_(os::normal<double>(device, {s.points, 2}, s.seed)), data_(spiral.samples(device, s.points, s.seed + 1)),
          exact_(os::sample(model_, os::rk4{.steps = s.quick ? 100 : 400}, z_, os::log_snr_grid{})),
          floor_(std::sqrt(std::fabs(os::energy_distance(spiral.samples(device, s.points, s.seed + 2), data_).squared))) {}

    /// A row of the table: make(steps) is the solver, which takes `price` evaluations a step.
    void show(char const* name, bool stochastic, int price, auto const& make) {
        rows_.push_back({name, stochastic, {}});
        for (int budget : budgets)
            if (budget >= price) rows_.back().cells.emplace(budget, run(make(budget / price)));
    }
    /// A row for a solver that chooses its steps itself: of the tolerances that need no more evaluations than a column's, the tightest.
    void show_adaptive(char const* name, auto const& make) {
        rows_.push_back({name, false, {}});
        for (double tolerance = 1; tolerance > 1e-7; tolerance /= 4) {
            cell tried = run(make(tolerance));
            if (tried.evaluations > budgets[std::size(budgets) - 1]) return;
            for (int budget : budgets)
                if (tried.evaluations <= budget) {
                    rows_.back().cells.insert_or_assign(budget, std::move(tried));
                    break;
                }
        }
    }
    void print() const;
    void draw(std::string const& path) const;
    void write(std::string const& path, double seconds) const;

private:
    using process = os::variance_preserving<>;

    cell run(auto const& solver) {
        os::tensor<double, os::cpu> x(z_.backend(), z_.shape());
        x.backend().copy(z_.data(), z_.size(), x.data());  // sampling from unit noise: this process starts there
        cell made{solver.steps, 0, 0, 0, {}, std::vector<std::vector<double>>(std::min(paths_shown, settings_.points))};
        auto const remember = [&] {
            for (std::size_t r = 0; r < made.path.size(); ++r)
                made.path[r].insert(made.path[r].end(), {x.data()[2 * r], x.data()[2 * r + 1]});
        };
        os::sampling going(model_, solver, os::times_of(os::log_snr_grid{}, model_.process(), solver.steps), x.view(),
                           os::random_key{settings_.seed});
        remember();
        while (!going.done()) {
            going.advance();
            remember();
        }
        made.evaluations = going.evaluations();
        made.end = x.to_host();
        for (index_t r = 0; r < x.rows(); ++r)
            made.flow_distance += std::hypot(x.data()[2 * r] - exact_.data()[2 * r], x.data()[2 * r + 1] - exact_.data()[2 * r + 1]);
        made.flow_distance /= static_cast<double>(x.rows());
        made.energy_distance = os::energy_distance(x, data_);
        return made;
    }

    settings settings_;
    best_network<os::epsilon> net_{spiral, process{}, os::epsilon{}};
    os::model<best_network<os::epsilon>&, process, os::epsilon> model_{net_, process{}, os::epsilon{}};
    os::tensor<double, os::cpu> z_, data_, exact_;
    double floor_;
    std::vector<row> rows_;
};

void gallery::print() const {
    for (bool stochastic : {false, true}) {
        std::printf("%s\n%-28s",
                    stochastic ? "\nStochastic samplers: energy distance to the data"
                               : "ODE solvers: mean distance to where the exact flow carries the same noise",
                    "");
        for (int budget : budgets) std::printf("%9d", budget);
        std::printf("  evaluations\n");
        for (row const& r : rows_) {
            if (r.stochastic != stochastic) continue;
            std::printf("%-28s", r.name.c_str());
            for (int budget : budgets) {
                auto const found = r.cells.find(budget);
                if (found == r.cells.end()) std::printf("%9s", "");
                else std::printf("%9.2g", stochastic ? found->second.energy_distance : found->second.flow_distance);
            }
            std::printf("\n");
        }
    }
    std::printf("\n%td true samples against as many others: %.2g; less than about that cannot be told from 0\n", settings_.points, floor_);
}

void gallery::draw(std::string const& path) const {
    constexpr int side = 96, gap = 3, left = 182, top = 52, between = 10, across = 2 * side + gap + between, down = side + 8;
    int const columns = static_cast<int>(std::size(budgets)), width = left + columns * across,
              height = top + static_cast<int>(rows_.size()) * down + 4;
    os::rgb const page{10, 11, 16}, bright{236, 238, 244}, dim{140, 146, 160};
    os::picture sheet(width, height, page);
    sheet.text(12, 12, "noise to data", bright, 2);
    sheet.text(12, 36, "colour: where it began", dim);
    for (int column = 0; column < columns; ++column) {
        std::string const number = std::to_string(budgets[column]);
        sheet.text(left + column * across, 12, number, bright, 2);
        sheet.text(left + column * across + os::picture::text_width(static_cast<int>(number.size()), 2) + 8, 19,
                   budgets[column] == 1 ? "evaluation" : "evaluations", dim);
        sheet.text(left + column * across, 36, "paths", dim);
        sheet.text(left + column * across + side + gap, 36, "ends", dim);
    }
    std::vector<light::color> colors;
    for (index_t r = 0; r < z_.rows(); ++r) colors.push_back(light::hue(std::atan2(z_.data()[2 * r + 1], z_.data()[2 * r])));
    for (std::size_t i = 0; i < rows_.size(); ++i) {
        int const y = top + static_cast<int>(i) * down;
        sheet.text(12, y + side / 2 - 12, rows_[i].name, bright);
        sheet.text(12, y + side / 2 + 2, rows_[i].stochastic ? "stochastic" : "ODE", dim);
        for (int column = 0; column < columns; ++column) {
            auto const found = rows_[i].cells.find(budgets[column]);
            if (found == rows_[i].cells.end()) continue;
            light::plate paths(side, paths_seen), ends(side, ends_seen);
            // A random walk covers the plate many times: fewer and fainter lines.
            std::size_t const lines = found->second.path.size() / (rows_[i].stochastic ? 3 : 1);
            double const strength = rows_[i].stochastic ? 0.3 / std::sqrt(1 + found->second.steps / 4.0) : 0.16;
            for (std::size_t r = 0; r < lines; ++r) paths.line(found->second.path[r], colors[r], strength, 1.3);
            double const share = 1200.0 / static_cast<double>(z_.rows());
            for (std::size_t r = 0; r < colors.size(); ++r)
                ends.point(found->second.end[2 * r], found->second.end[2 * r + 1], colors[r], share);
            int const x = left + column * across;
            paths.develop(sheet, x, y);
            ends.develop(sheet, x + side + gap, y);
        }
    }
    sheet.save(path);
}

void gallery::write(std::string const& path, double seconds) const {
    nlohmann::ordered_json result;
    result["process"] = os::to_string(model_.process());
    result["grid"] = os::to_string(os::log_snr_grid{});
    result["data"] = "twelve round Gaussians on a spiral";
    result["points"] = settings_.points;
    result["seed"] = settings_.seed;
    result["energy_distance_of_true_samples"] = floor_;
    result["rows"] = nlohmann::ordered_json::array();
    for (row const& r : rows_)
        for (auto const& [budget, c] : r.cells)
            result["rows"].push_back({{"sampler", r.name},
                                      {"stochastic", r.stochastic},
                                      {"budget", budget},
                                      {"evaluations", c.evaluations},
                                      {"steps", c.steps},
                                      {"flow_distance", c.flow_distance},
                                      {"energy_distance", c.energy_distance}});
    result["seconds"] = seconds;
    os::write_file_atomically(path, result.dump(1) + "\n");
}

int run(settings const& s) {
    auto const began = std::chrono::steady_clock::now();
    os::cpu device(s.threads);
    gallery all(device, s);

    all.show("euler", false, 1, [](int n) { return os::euler{.steps = n}; });
    all.show("midpoint", false, 2, [](int n) { return os::midpoint{.steps = n}; });
    all.show("heun", false, 2, [](int n) { return os::heun{.steps = n}; });
    all.show("rk4", false, 4, [](int n) { return os::rk4{.steps = n}; });
    all.show_adaptive("rk45", [](double tolerance) { return os::rk45{.rtol = tolerance, .atol = tolerance}; });
    all.show("edm_stochastic, churn 0", false, 2, [](int n) { return os::edm_stochastic{.steps = n, .churn = 0}; });
    all.show("ddim", false, 1, [](int n) { return os::ddim{.steps = n}; });
    all.show("dpm_solver_2s", false, 2, [](int n) { return os::dpm_solver_2s{.steps = n}; });
    all.show("dpm_solver_3s", false, 3, [](int n) { return os::dpm_solver_3s{.steps = n}; });
    all.show("dpm_solver_2m", false, 1, [](int n) { return os::dpm_solver_2m{.steps = n}; });
    all.show("dpm_solver_2m, order kept", false, 1, [](int n) { return os::dpm_solver_2m{.steps = n, .lower_order_final = false}; });
    all.show("dpm_solver_3m", false, 1, [](int n) { return os::dpm_solver_3m{.steps = n}; });
    all.show("exponential_adams, 3", false, 1, [](int n) { return os::exponential_adams{.steps = n}; });
    all.show("unipc, 2", false, 1, [](int n) { return os::unipc{.steps = n}; });
    all.show("unipc, 3", false, 1, [](int n) { return os::unipc{.steps = n, .order = 3}; });
    all.show("unipc, 3, order kept", false, 1, [](int n) { return os::unipc{.steps = n, .order = 3, .lower_order_final = false}; });

    all.show("ancestral", true, 1, [](int n) { return os::ancestral{.steps = n}; });
    all.show("ddim, eta 0.5", true, 1, [](int n) { return os::ddim{.steps = n, .eta = 0.5}; });
    all.show("euler_ancestral", true, 1, [](int n) { return os::euler_ancestral{.steps = n}; });
    all.show("dpm_solver_sde", true, 1, [](int n) { return os::dpm_solver_sde{.steps = n}; });
    all.show("edm_stochastic", true, 2, [](int n) { return os::edm_stochastic{.steps = n}; });
    all.show("euler_maruyama", true, 1, [](int n) { return os::euler_maruyama{.steps = n}; });
    all.show("predictor_corrector, 0.05", true, 2, [](int n) { return os::predictor_corrector{.steps = n, .snr = 0.05}; });

    all.print();
    all.draw(s.out + "/samplers.png");
    double const seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    all.write(s.out + "/results.json", seconds);
    std::printf("wrote samplers.png and results.json to %s in %.0f s\n", s.out.c_str(), seconds);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    settings s;
    CLI::App app{"Every sampler at 1 to 64 network evaluations on data whose best network is known in closed form."};
    app.add_option("--out", s.out, "folder for the picture and the results")->capture_default_str();
    app.add_option("--points", s.points, "to carry from noise to data")->capture_default_str()->check(CLI::Range(2, 100'000));
    app.add_option("--seed", s.seed, "of noise and data")->capture_default_str();
    app.add_option("--threads", s.threads, "0: one a core; the results are the same for any number")->capture_default_str();
    app.add_flag("--quick", s.quick, "400 points: a run of seconds, to see that everything works");
    try {
        app.parse(argc, argv);
    } catch (CLI::ParseError const& e) {
        if (e.get_exit_code() == 0) return app.exit(e);  // --help
        std::fprintf(stderr, "%s\n", e.what());
        return 2;
    }
    if (s.quick) s.points = std::min<index_t>(s.points, 400);
    try {
        std::filesystem::create_directories(s.out);
        return run(s);
    } catch (std::exception const& e) {  // onestep's typed exceptions and the standard library's: one line each
        std::fprintf(stderr, "%s\n", e.what());
        return 2;
    }
}
