#include "report.hpp"

#include <algorithm>
#include <onestep/io/curve.hpp>
#include <onestep/io/image.hpp>
#include <onestep/io/npy.hpp>

namespace study {

using json = nlohmann::ordered_json;

namespace {

json number(double value) { return std::isfinite(value) ? json(value) : json(); }
double number(json const& value) { return value.is_null() ? std::nan("") : value.get<double>(); }

/// Median, least and greatest over seeds; null where a seed gave no number.
json spread(std::vector<double> values) {
    for (double v : values)
        if (!std::isfinite(v)) return nullptr;
    std::sort(values.begin(), values.end());
    return {{"median", values[values.size() / 2]}, {"least", values.front()}, {"greatest", values.back()}};
}

template <class Pick> json over_seeds(summary const& m, Pick const& pick) {
    std::vector<double> values;
    for (outcome const& o : m.seeds) values.push_back(pick(o));
    return spread(values);
}

json method_json(summary const& m) {
    json result{{"name", m.what.name}, {"seeds", m.seeds.size()}};
    result["diverged"] = std::count_if(m.seeds.begin(), m.seeds.end(), [](outcome const& o) { return o.diverged; });
    result["training_evaluations"] = m.seeds.front().evaluations;
    result["seconds"] = over_seeds(m, [](outcome const& o) { return o.seconds; });
    result["straightness"] =
        m.seeds.front().straightness ? over_seeds(m, [](outcome const& o) { return o.straightness.value_or(std::nan("")); }) : json();
    result["rows"] = json::array();
    for (std::size_t k = 0; k < m.seeds.front().rows.size(); ++k)
        result["rows"].push_back({{"steps", m.seeds.front().rows[k].steps},
                                  {"sliced_wasserstein", over_seeds(m, [&](outcome const& o) { return o.rows[k].sliced_wasserstein; })},
                                  {"energy_distance", over_seeds(m, [&](outcome const& o) { return o.rows[k].energy_distance; })},
                                  {"class_accuracy", over_seeds(m, [&](outcome const& o) { return o.rows[k].class_accuracy; })}});
    return result;
}

double median_of(json const& spread) { return spread.is_null() ? std::nan("") : spread["median"].get<double>(); }

void draw_curves(std::string const& path, problem const& task, json const& methods) {
    std::vector<os::curve_series> lines;
    for (json const& m : methods) {
        os::curve_series line{m["name"], {}, {}};
        for (json const& row : m["rows"]) {
            double const value = median_of(row["sliced_wasserstein"]);
            if (std::isfinite(value)) line.x.push_back(row["steps"]), line.y.push_back(value);
        }
        if (!line.x.empty()) lines.push_back(line);
    }
    os::write_curve_svg(path, lines,
                        {.title = task.name + ": distance to the data, median of the seeds",
                         .x_label = "steps (network evaluations)",
                         .y_label = "sliced Wasserstein",
                         .log_x = true,
                         .log_y = true,
                         .width = 900,
                         .height = 620});
}

std::string sample_file(problem_report const& p, std::string const& name, int steps) {
    return p.samples + "/" + name + ", " + std::to_string(steps) + ".npy";
}

/// A line of images for each method, the same noise down each column: the teacher's at all its steps, the others' at their fewest.
void draw_images(os::cpu& device, std::string const& path, problem_report const& p) {
    constexpr index_t columns = 20;
    auto const extents = p.task->data.x0().shape();
    os::png_grid const grid{.columns = columns, .scale = 4, .gap = 2, .background = {255, 255, 255}};
    auto const size = os::grid_size(extents.with_rows(columns), grid);
    constexpr int left = 230, space = 5;
    std::vector<std::pair<std::string, std::string>> lines;
    for (summary const& m : p.methods)
        for (measurement const& row : m.seeds.front().rows)
            if (row.steps == 1 || m.what.name == "teacher")
                lines.emplace_back(m.what.name + (row.steps == 1 ? ", 1 step" : ", " + std::to_string(row.steps) + " steps"),
                                   sample_file(p, m.what.name, row.steps));
    os::picture page(left + size.width + 8, 8 + static_cast<int>(lines.size()) * (size.height + space));
    int y = 8;
    for (auto const& [title, file] : lines) {
        auto const array = os::read_npy<float>(file);
        os::tensor<float, os::cpu> const images(device, extents.with_rows(columns),
                                                std::vector<float>(array.values.begin(), array.values.begin() + columns * extents.cols()));
        page.text(8, y + size.height / 2 - 4, title);
        page.draw_grid(left, y, images, grid);
        y += size.height + space;
    }
    page.save(path);
}

/// A panel of points for each method.
void draw_points(std::string const& path, problem_report const& p) {
    constexpr int side = 200, gap = 8, title = 18, across = 6;
    std::vector<std::pair<std::string, std::vector<float>>> panels{{"data", p.task->data.x0().to_host()}};
    for (summary const& m : p.methods)
        for (measurement const& row : m.seeds.front().rows)
            if (row.steps == 1 || (m.what.name == "teacher" && row.steps == 64))
                panels.emplace_back(m.what.name + ", " + std::to_string(row.steps),
                                    os::read_npy<float>(sample_file(p, m.what.name, row.steps)).values);
    int const down = (static_cast<int>(panels.size()) + across - 1) / across;
    os::picture page(gap + across * (side + gap), gap + down * (side + title + gap));
    for (std::size_t k = 0; k < panels.size(); ++k) {
        int const left = gap + static_cast<int>(k) % across * (side + gap), top = gap + static_cast<int>(k) / across * (side + title + gap);
        page.text(left, top + 4, panels[k].first);
        std::vector<double> count(side * side, 0);
        auto const& points = panels[k].second;
        double most = 1;
        for (std::size_t i = 0; i + 1 < std::min<std::size_t>(points.size(), 8192); i += 2) {
            int const x = static_cast<int>((static_cast<double>(points[i]) + 2.5) / 5 * side),
                      y = static_cast<int>((2.5 - static_cast<double>(points[i + 1])) / 5 * side);
            if (x < 0 || y < 0 || x >= side || y >= side) continue;
            most = std::max(most, count[static_cast<std::size_t>(y * side + x)] += 1);
        }
        for (int y = 0; y < side; ++y)
            for (int x = 0; x < side; ++x) {
                double const ink = std::sqrt(count[static_cast<std::size_t>(y * side + x)] / most);
                auto const level = [&](double dark) { return static_cast<std::uint8_t>(245 - (245 - dark) * std::min(1.0, 1.6 * ink)); };
                page.set(left + x, top + title + y, {level(20), level(60), level(140)});
            }
    }
    page.save(path);
}

}  // namespace

distances floor_of(os::cpu& device, problem const& task) {
    auto const& x = task.data.x0();
    index_t const n = x.rows(), d = x.cols();
    std::vector<float> const all = x.to_host();
    std::vector<float> half[2];
    for (index_t i = 0; i < n; ++i) half[i % 2].insert(half[i % 2].end(), all.begin() + i * d, all.begin() + (i + 1) * d);
    samples const a(device, x.shape().with_rows(n - n / 2), half[0]), b(device, x.shape().with_rows(n / 2), half[1]);
    return {os::sliced_wasserstein(a, b), os::energy_distance(a, b)};
}

nlohmann::ordered_json to_json(outcome const& o) {
    json rows = json::array();
    for (measurement const& m : o.rows)
        rows.push_back({{"steps", m.steps},
                        {"sliced_wasserstein", number(m.sliced_wasserstein)},
                        {"energy_distance", number(m.energy_distance)},
                        {"class_accuracy", number(m.class_accuracy)}});
    return {{"rows", rows},
            {"straightness", o.straightness ? json(*o.straightness) : json()},
            {"training_evaluations", o.evaluations},
            {"seconds", o.seconds},
            {"diverged", o.diverged}};
}

outcome outcome_from(nlohmann::ordered_json const& stored) {
    outcome o;
    for (auto const& row : stored["rows"])
        o.rows.push_back({row["steps"], number(row["sliced_wasserstein"]), number(row["energy_distance"]), number(row["class_accuracy"])});
    if (!stored["straightness"].is_null()) o.straightness = stored["straightness"].get<double>();
    o.evaluations = stored["training_evaluations"];
    o.seconds = stored["seconds"];
    o.diverged = stored["diverged"];
    return o;
}

void write_report(os::cpu& device, std::string const& folder, std::vector<problem_report> const& problems, double seconds) {
    json result{{"seconds", seconds}, {"problems", json::array()}};
    for (problem_report const& p : problems) {
        json methods = json::array();
        for (summary const& m : p.methods) methods.push_back(method_json(m));
        draw_curves(folder + "/" + p.task->name + ".svg", *p.task, methods);
        if (p.task->data.x0().shape().rank() == 4) draw_images(device, folder + "/" + p.task->name + ".png", p);
        else draw_points(folder + "/" + p.task->name + ".png", p);
        distances const floor = floor_of(device, *p.task);
        result["problems"].push_back(
            {{"name", p.task->name},
             {"n_real", p.task->data.rows()},
             {"n_generated", p.task->generate},
             {"network", to_string(p.task->network)},
             {"batch", p.task->batch},
             {"flow_matching_steps", p.task->flow_steps},
             {"floor", {{"sliced_wasserstein", floor.sliced_wasserstein}, {"energy_distance", floor.energy_distance}}},
             {"methods", methods}});
    }
    os::write_file_atomically(folder + "/results.json", result.dump(1) + "\n");
}

}  // namespace study
