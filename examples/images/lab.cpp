#include "lab.hpp"

#include <fstream>
#include <nlohmann/json.hpp>

namespace images {

cost cost_in(std::string const& folder) {
    std::ifstream file(folder + "/cost.json");
    if (!file) return {};
    auto const kept = nlohmann::json::parse(file);
    return {kept.at("seconds").get<double>(), kept.at("steps").get<std::ptrdiff_t>()};
}
void stopwatch::save(std::ptrdiff_t steps) const {
    os::write_file_atomically(folder_ + "/cost.json", nlohmann::json{{"seconds", seconds_}, {"steps", steps}}.dump() + "\n");
}
void stopwatch::resume() { seconds_ = cost_in(folder_).seconds; }

void lab::report_held_out() {
    held_out_ = judge_->of_held_out_images();
    std::printf("the classifier reads %.2f %% of the held-out images right\n", 100 * held_out_.accuracy);
    std::printf("%-18s %6s %10s %10s %8s %10s\n", "method", "steps", "frechet", "precision", "recall", "accuracy");
    std::printf("%-18s %6s %10.3f %10.3f %8.3f %8.2f %%\n", "held-out images", "", held_out_.frechet, held_out_.precision, held_out_.recall,
                100 * held_out_.accuracy);
}

void lab::report(stage const& s, int steps, quality const& q, double seconds_an_image) const {
    std::printf("%-18s %6d %10.3f %10.3f %8.3f %8.2f %%\n", s.name.c_str(), steps, q.frechet, q.precision, q.recall, 100 * q.accuracy);
    std::fflush(stdout);
    double before = 0;
    for (std::string const& needed : s.after) before += cost_in(file(needed)).seconds;
    cost const own = cost_in(file(s.name));
    nlohmann::ordered_json const line{{"method", s.name},
                                      {"data", data_.name},
                                      {"steps", steps},
                                      {"frechet", q.frechet},
                                      {"precision", q.precision},
                                      {"recall", q.recall},
                                      {"accuracy", q.accuracy},
                                      {"held_out",
                                       {{"frechet", held_out_.frechet},
                                        {"precision", held_out_.precision},
                                        {"recall", held_out_.recall},
                                        {"accuracy", held_out_.accuracy}}},
                                      {"training_seconds", own.seconds},
                                      {"seconds_before", before},
                                      {"sampling_seconds", seconds_an_image},
                                      {"generated", settings_.generate},
                                      {"training_steps", own.steps},
                                      {"width", settings_.width},
                                      {"batch", settings_.batch},
                                      {"seed", settings_.seed}};
    std::ofstream results(file("results.json"), std::ios::app);
    results << line.dump() << '\n';
    if (!results.flush()) os::raise<os::file_error>(file("results.json"), "it cannot be written", "");
}

}  // namespace images
