// Every few-step method on the same data, network and budget. Writes results.json, a figure and a picture for each data set.
// Each method of each seed is kept as it ends: the same command goes on from there after Ctrl-C.
// quick: --tiny --fresh --out study-tiny
// test toys: --quick --fresh --data mixture --check 2 --out toys --method teacher "flow matching" reflow distilled CD sCT shortcut
#include <atomic>
#include <CLI/CLI.hpp>
#include <csignal>
#include <fstream>
#include <mutex>
#include <thread>

#include "digits/digits_data.hpp"
#include "study/bars.hpp"
#include "study/report.hpp"

namespace os = onestep;
using namespace study;

namespace {

volatile std::sig_atomic_t stop_asked = 0;

struct settings {
    std::string out = "out/study";
    std::vector<std::string> only, data;
    int seeds = 3, threads = 0;
    double check = 0;
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
    p.network = {.data = {2}, .width = 256, .blocks = 1, .embedding = 64, .time = {.size = 32, .scale = 4}};  // three layers of 256
    p.flow_steps = s.tiny ? 40 : s.quick ? 2000 : 8000;
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
    p.flow_steps = s.tiny ? 30 : s.quick ? 1200 : 5000;
    p.generate = s.tiny ? 256 : 4096;
    p.sigma_data = root_mean_square(p.data.x0());
    return p;
}

std::vector<method> all_methods() {
    std::vector<method> list;
    for (auto const& family : {flows(), distilled(), consistency(), maps()}) list.insert(list.end(), family.begin(), family.end());
    return list;
}

/// One method of one seed, and where its outcome is kept.
struct job {
    problem const* task;
    int seed;
    method what;
    std::string folder, file;
};

outcome kept(std::string const& file) { return outcome_from(nlohmann::ordered_json::parse(std::ifstream(file))); }

/// Does the jobs that no other worker has taken.
void work(os::cpu& device, std::vector<job> const& jobs, std::atomic<std::size_t>& next) {
    std::optional<lab> here;
    job const* last = nullptr;
    for (std::size_t k = next++; k < jobs.size(); k = next++) {
        job const& now = jobs[k];
        if (!last || last->folder != now.folder)
            here.emplace(device, *now.task, static_cast<std::uint64_t>(now.seed), now.folder, [] { return stop_asked != 0; });
        last = &now;
        outcome const o = now.what.run(*here);
        os::write_file_atomically(now.file, to_json(o).dump(1) + "\n");
        std::string line;
        for (measurement const& r : o.rows) {
            char part[64];
            std::snprintf(part, sizeof part, "  %d: %.4f %.4f", r.steps, r.sliced_wasserstein, r.energy_distance);
            line += part;
        }
        std::printf("%-8s %d  %-28s %6.1f s %s%s\n", now.task->name.c_str(), now.seed, now.what.name.c_str(), o.seconds,
                    o.diverged ? "DIVERGED" : "", line.c_str());
        std::fflush(stdout);
    }
}

/// Does all jobs, as many at once as there are threads. The first exception ends them all and is thrown here.
void work_together(os::cpu& device, std::vector<job> const& jobs, int threads) {
    std::atomic<std::size_t> next = 0;
    std::exception_ptr first;
    std::mutex one;
    auto const worker = [&] {
        try {
            work(device, jobs, next);
        } catch (...) {
            std::lock_guard const lock(one);
            if (!first) first = std::current_exception();
            stop_asked = 1;
        }
    };
    std::vector<std::thread> others;
    for (int k = 1; k < threads; ++k) others.emplace_back(worker);
    worker();
    for (std::thread& other : others) other.join();
    if (first) std::rethrow_exception(first);
}

int run(settings const& s) {
    auto const began = std::chrono::steady_clock::now();
    os::cpu device(1);  // methods run beside each other, each on a thread of its own
    std::vector<problem> problems;
    for (auto make : {mixture, digits}) {
        problem p = make(device, s);
        if (s.data.empty() || std::count(s.data.begin(), s.data.end(), p.name)) problems.push_back(std::move(p));
    }
    std::vector<method> methods = all_methods();
    std::erase_if(methods, [&](method const& m) { return !s.only.empty() && !std::count(s.only.begin(), s.only.end(), m.name); });

    std::vector<job> all, open;
    for (problem const& p : problems)
        for (int seed = 1; seed <= s.seeds; ++seed) {
            std::string const folder = s.out + "/" + p.name + "/" + std::to_string(seed);
            if (s.fresh && s.only.empty()) std::filesystem::remove_all(folder);
            std::filesystem::create_directories(folder);
            for (method const& m : methods) {
                all.push_back({&p, seed, m, folder, folder + "/" + m.name + ".json"});
                if (s.fresh || !std::filesystem::exists(all.back().file)) open.push_back(all.back());
            }
        }
    work_together(device, open, s.threads > 0 ? s.threads : static_cast<int>(std::max(1u, std::thread::hardware_concurrency())));

    std::vector<problem_report> reports;
    for (problem const& p : problems) {
        problem_report report{&p, {}, s.out + "/" + p.name + "/1"};
        for (method const& m : methods) {
            summary entry{m, {}};
            for (job const& j : all)
                if (j.task == &p && j.what.name == m.name) entry.seeds.push_back(kept(j.file));
            report.methods.push_back(std::move(entry));
        }
        reports.push_back(std::move(report));
    }
    double const seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    os::cpu both(s.threads);
    write_report(both, s.out, reports, seconds);
    std::printf("wrote results.json and two figures a data set to %s in %.0f s\n", s.out.c_str(), seconds);
    return s.check > 0 && !hold(both, reports, s.check) ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
    settings s;
    CLI::App app{"Trains every few-step method on the same data, network and budget, and measures it."};
    app.add_option("--out", s.out, "folder for results and what is kept between runs; -quick or -tiny is added to the default");
    app.add_option("--seeds", s.seeds, "runs of each method")->capture_default_str()->check(CLI::Range(1, 100));
    app.add_option("--method", s.only, "only these methods, by name");
    app.add_option("--data", s.data, "only this data set: mixture or digits");
    app.add_option("--threads", s.threads, "methods at once; 0: one a core. The results are the same for any number")
        ->capture_default_str();
    app.add_option("--check", s.check, "exit with 1 unless few steps are as good as many, to this factor (examples/study/bars.hpp)");
    app.add_flag("--quick", s.quick, "one seed and a shorter budget: minutes");
    app.add_flag("--tiny", s.tiny, "seconds, to see that everything runs");
    app.add_flag("--fresh", s.fresh, "begin again, even where results are there");
    CLI11_PARSE(app, argc, argv);
    if ((s.quick || s.tiny) && app.count("--seeds") == 0) s.seeds = 1;
    if (app.count("--out") == 0) s.out += s.tiny ? "-tiny" : s.quick ? "-quick" : "";
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
