#include "golden.hpp"

#include <fstream>

#include <nlohmann/json.hpp>

#include <onestep/sampler/ddim.hpp>
#include <onestep/sampler/rk4.hpp>

#include "../exact_models.hpp"

namespace onestep::test::golden {

namespace {

using json = nlohmann::json;

json const& file() {
    static json const content = json::parse(std::ifstream(ONESTEP_TEST_DATA "/sampler/schedulers.json"));
    return content;
}

settings settings_of(json const& run, char const* key) {
    settings read;
    if (run.contains(key))
        for (auto const& [name, value] : run[key].items()) read.values[name] = value.is_string() ? value.get<std::string>() : value.dump();
    return read;
}
double level_of(json const& value) { return value.is_null() ? HUGE_VAL : value.get<double>(); }

recording recording_of(json const& run) {
    recording read;
    read.package = run.at("package");
    read.name = run.at("class");
    read.target = run.at("target");
    read.fault = run.value("fault", "");
    read.precision = run.at("precision");
    read.config = settings_of(run, "config");
    read.step = settings_of(run, "step");
    read.set_timesteps = settings_of(run, "set_timesteps");
    read.steps = run.at("steps").is_null() ? 0 : run.at("steps").get<int>();
    std::map<std::string, frame> const frames{{"vp", frame::vp}, {"edm", frame::edm}, {"linear", frame::linear}, {"trig", frame::trig}};
    read.units = frames.at(run.at("frame"));
    read.start = run.at("start").get<std::vector<double>>();
    read.time = run.value("time", std::vector<double>());
    for (json const& level : run.at("level")) read.level.push_back(level_of(level));
    read.ode_end = run.value("ode_end", std::vector<double>());
    read.call = run.at("call").get<std::vector<int>>();
    for (auto const& [key, list] :
         {std::pair{"to_time", &read.to_time}, {"whole", &read.whole}, {"orders", &read.orders}, {"draws", &read.draws}})
        *list = run.value(key, std::vector<int>());
    read.x = run.at("x").get<std::vector<std::vector<double>>>();
    read.corrected = run.value("corrected", std::vector<std::vector<double>>());
    read.end = level_of(run.at("end"));
    read.spread = run.at("spread");
    return read;
}

}  // namespace

std::vector<recording> const& recordings() {
    static std::vector<recording> const all = [] {
        std::vector<recording> list;
        for (json const& run : file().at("runs")) list.push_back(recording_of(run));
        return list;
    }();
    return all;
}

std::vector<recording> named(std::string const& name) {
    std::vector<recording> found;
    for (recording const& run : recordings())
        if (run.name == name) found.push_back(run);
    return found;
}

std::vector<std::vector<double>> const& noise() {
    static auto const rows = file().at("noise").get<std::vector<std::vector<double>>>();
    return rows;
}

output recording::output() const {
    using kind = golden::output::kind;
    std::map<std::string, kind> const kinds{{"epsilon", kind::epsilon},   {"x0", kind::x0},   {"v", kind::v},
                                            {"velocity", kind::velocity}, {"edm", kind::edm}, {"minus_edm", kind::minus_edm},
                                            {"trig", kind::trig}};
    return {kinds.at(target), config.number("sigma_data", 0.5)};
}

std::string recording::text() const {
    std::string words = package + " " + name + " " + target + " steps = " + std::to_string(steps);
    for (settings const* part : {&config, &step, &set_timesteps})
        for (auto const& [key, value] : part->values) words += " " + key + " = " + value;
    return words;
}

plan plan_of(recording const& run, std::vector<double> const& levels) {
    path const process = run.process();
    plan made;
    if (!levels.empty()) {
        for (double level : levels) made.times.push_back(process.time_of(level));
        made.state.assign(levels.size() - 1, -1);
        for (std::size_t k = 0; k < run.call.size(); ++k) made.state.at(static_cast<std::size_t>(run.call[k] - 1)) = static_cast<int>(k);
        return made;
    }
    REQUIRE_MESSAGE(static_cast<std::size_t>(run.call.back()) == run.call.size(), "the file kept some states only: levels are needed");
    bool begins = true;
    for (std::size_t k = 0; k < run.call.size(); ++k) {
        if (begins) made.times.push_back(process.time_of(run.level[k]));
        begins = run.whole.empty() || run.whole[k] == 1;
        if (begins) made.state.push_back(static_cast<int>(k));
    }
    double const end = process.time_of(run.end);
    if (made.times.size() > 1 && std::fabs(made.times.back() - end) <= 1e-12 * end) {
        made.times.pop_back();
        made.state.pop_back();
        made.shorter = true;
    }
    made.times.push_back(end);
    return made;
}

}  // namespace onestep::test::golden

namespace golden_tests {

using namespace onestep;
using namespace onestep::test;

TEST_CASE("golden: the file's runs are found, with their marginals") {
    CHECK(golden::recordings().size() == 220);
    CHECK(golden::noise().size() == 32);
    CHECK(golden::named("DDIMScheduler").size() == 33);
    int without_signal = 0;
    for (golden::recording const& run : golden::recordings()) {
        CHECK(run.precision == "double");
        golden::path const process = run.process();
        for (double level : run.level) {
            double const t = process.time_of(level), alpha = process.alpha(t), sigma = process.sigma(t);
            if (level == HUGE_VAL) {
                ++without_signal;
                CHECK(alpha == 0);
                CHECK(sigma == 1);
                continue;
            }
            CHECK(sigma / alpha == doctest::Approx(level).epsilon(1e-12));
            CHECK(std::exp(-process.log_snr(t) / 2) == doctest::Approx(level).epsilon(1e-12));
        }
    }
    CHECK(without_signal > 0);
}

TEST_CASE("golden: the exact flow of the network is the file's") {
    cpu device(1);
    int compared = 0;
    for (golden::recording const& run : golden::recordings()) {
        if (run.ode_end.empty() || run.steps > 3 || run.level.front() == HUGE_VAL) continue;
        std::string const of = run.text();
        CAPTURE(of);
        tensor<double, cpu> x = golden::detail::state<double>(device, run.start);
        golden::path const process = run.process();
        // equal steps in the angle of sigma / alpha, and the last one, which needs x0 at sigma = 0, by DDIM's rule
        std::vector<double> times;
        double const last = std::fmax(run.end, 1e-7);
        for (double t : equal_times(std::atan(std::sqrt(run.level.front())), std::atan(std::sqrt(last)), 1500))
            times.push_back(process.time_of(std::tan(t) * std::tan(t)));
        times.back() = process.time_of(last);
        solve(run.model(), rk4{}, times, x.view());
        if (run.end < last) solve(run.model(), ddim{}, {process.time_of(last), process.time_of(run.end)}, x.view());
        CHECK(golden::detail::difference(x.data(), run.ode_end) < 1e-7);
        ++compared;
    }
    CHECK(compared >= 20);
}

TEST_CASE("golden: ddim passes through the states of its peer") {
    for (golden::recording const& run : golden::named("DDIMScheduler")) {
        if (!run.fault.empty() || run.steps > 50 || run.config.flag("thresholding") || run.config.flag("clip_sample", true)) continue;
        if (run.draws.empty()) {
            golden::check<double>(run, ddim{});
            golden::check<float>(run, ddim{});
        } else {
            golden::check_with_noise<double>(run, ddim{.eta = run.step.number("eta")});
        }
    }
}

}  // namespace golden_tests
