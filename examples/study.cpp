// Every few-step method on the same data, network and budget. Writes results.json, a figure and a picture for each data set.
// Each method of each seed is kept as it ends: the same command goes on from there after Ctrl-C.
// quick: --quick --tiny --out study-quick
#include <CLI/CLI.hpp>
#include <csignal>
#include <fstream>

#include "digits/digits_data.hpp"
#include "study/report.hpp"

namespace os = onestep;
using namespace study;

namespace {

volatile std::sig_atomic_t stop_asked = 0;

struct settings {
    std::string out = "out/study";
    std::vector<std::string> only, data;
    int seeds = 3, threads = 0;
    bool quick = false, tiny = false, fresh = false;
};

double root_mean_square(samples const& x) {
    double sum = 0;
    for (float v : x.to_host()) sum += static_cast<double>(v) * static_cast<double>(v);
    return std::sqrt(sum / static_cast<double>(x.size()));
}

/// Eight clusters on a ring, the heavier the further round.
samples ring(os::cpu& device, index_t n, std::uint64_t seed) {
    os::random_stream const numbers = os::random_key{seed}.at(os::draw::user);
    std::vector<float> points;
    for (index_t r = 0; r < n; ++r) {
        int k = 0;  // cluster k has weight (k + 1) / 36
        for (double left = os::uniform(numbers, r, 0) * 36; k < 7 && left >= k + 1; ++k) left -= k + 1;
        double const angle = 0.7853981633974483 * k;
        points.push_back(static_cast<float>(1.5 * std::cos(angle) + 0.15 * static_cast<double>(os::normal_deviate(numbers, r, 1))));
        points.push_back(static_cast<float>(1.5 * std::sin(angle) + 0.15 * static_cast<double>(os::normal_deviate(numbers, r, 2))));
    }
    return {device, {n, 2}, points};
}

problem mixture(os::cpu& device, settings const& s) {
    problem p{.name = "mixture", .data = os::dataset<float, os::cpu>(ring(device, 20'000, 1))};
    p.network = {.data = {2}, .width = 128, .blocks = 3, .embedding = 64, .time = {.size = 32, .scale = 16}};
    p.flow_steps = s.tiny ? 40 : s.quick ? 1200 : 4000;
    p.generate = s.tiny ? 256 : 4096;
    p.sigma_data = root_mean_square(p.data.x0());
    return p;
}

problem digits(os::cpu& device, settings const& s) {
    std::vector<float> pixels;
    std::vector<std::int32_t> labels;
    for (char const* line : digits_data::lines) {
        labels.push_back(*line - '0');
        for (char const* p = line + 1; *p; ++p) pixels.push_back(static_cast<float>(*p - 'A') / 8 - 1);
    }
    auto const n = static_cast<index_t>(labels.size());
    os::dataset<float, os::cpu> images(os::tensor<float, os::cpu>(device, {n, 8, 8, 1}, pixels));
    problem p{.name = "digits", .data = std::move(images).labelled(os::class_labels(device, labels, 10), 10), .classes = 10};
    p.network = {
        .data = {8, 8, 1}, .width = s.tiny ? 32 : 256, .blocks = 3, .embedding = 64, .time = {.size = 32, .scale = 16}, .classes = 10};
    p.flow_steps = s.tiny ? 30 : s.quick ? 1000 : 5000;
    p.generate = s.tiny ? 256 : 4096;
    p.sigma_data = root_mean_square(p.data.x0());
    return p;
}

std::vector<method> all_methods() {
    std::vector<method> list;
    for (auto const& family : {flows(), distilled(), consistency(), maps()}) list.insert(list.end(), family.begin(), family.end());
    return list;
}

/// One method of one seed: from its file if it has ended before, else run.
outcome outcome_of(method const& m, lab& l, std::string const& file, bool fresh) {
    if (!fresh && std::filesystem::exists(file)) return outcome_from(nlohmann::ordered_json::parse(std::ifstream(file)));
    outcome const result = m.run(l);
    os::write_file_atomically(file, to_json(result).dump(1) + "\n");
    return result;
}

int run(settings const& s) {
    auto const began = std::chrono::steady_clock::now();
    os::cpu device(s.threads);
    std::vector<problem> problems;
    for (auto make : {mixture, digits}) {
        problem p = make(device, s);
        if (s.data.empty() || std::count(s.data.begin(), s.data.end(), p.name)) problems.push_back(std::move(p));
    }
    std::vector<problem_report> reports;
    for (problem const& p : problems) {
        problem_report report{&p, {}, s.out + "/" + p.name + "/1"};
        for (method const& m : all_methods())
            if (s.only.empty() || std::count(s.only.begin(), s.only.end(), m.name)) report.methods.push_back({m.name, {}});
        for (int seed = 1; seed <= s.seeds; ++seed) {
            std::string const folder = s.out + "/" + p.name + "/" + std::to_string(seed);
            lab l(device, p, static_cast<std::uint64_t>(seed), folder, [] { return stop_asked != 0; });
            for (method const& m : all_methods()) {
                auto const entry =
                    std::find_if(report.methods.begin(), report.methods.end(), [&](summary const& r) { return r.name == m.name; });
                if (entry == report.methods.end()) continue;
                outcome const o = outcome_of(m, l, folder + "/" + m.name + ".json", s.fresh);
                std::printf("%-8s %d  %-28s %6.1f s %s", p.name.c_str(), seed, m.name.c_str(), o.seconds, o.diverged ? "DIVERGED" : "");
                for (measurement const& r : o.rows) std::printf("  %d: %.4f %.4f", r.steps, r.sliced_wasserstein, r.energy_distance);
                std::printf("\n");
                std::fflush(stdout);
                entry->seeds.push_back(o);
            }
        }
        reports.push_back(std::move(report));
    }
    double const seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    write_report(device, s.out, reports, seconds);
    std::printf("wrote results.json and two figures a data set to %s in %.0f s\n", s.out.c_str(), seconds);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    settings s;
    CLI::App app{"Trains every few-step method on the same data, network and budget, and measures it."};
    app.add_option("--out", s.out, "folder for results and what is kept between runs")->capture_default_str();
    app.add_option("--seeds", s.seeds, "runs of each method")->capture_default_str()->check(CLI::Range(1, 100));
    app.add_option("--method", s.only, "only these methods, by name");
    app.add_option("--data", s.data, "only this data set: mixture or digits");
    app.add_option("--threads", s.threads, "0: one a core; the results are the same for any number")->capture_default_str();
    app.add_flag("--quick", s.quick, "one seed and a shorter budget: minutes");
    app.add_flag("--tiny", s.tiny, "seconds, to see that everything runs");
    app.add_flag("--fresh", s.fresh, "begin again, even where results are there");
    CLI11_PARSE(app, argc, argv);
    if ((s.quick || s.tiny) && app.count("--seeds") == 0) s.seeds = 1;
    std::signal(SIGINT, [](int) { stop_asked = 1; });
    std::signal(SIGTERM, [](int) { stop_asked = 1; });
    try {
        std::filesystem::create_directories(s.out);
        return run(s);
    } catch (interrupted const&) {
        std::printf("stopped; the same command goes on from there\n");
        return 130;
    } catch (std::exception const& e) {
        std::fprintf(stderr, "%s\n", e.what());
        return 2;
    }
}
