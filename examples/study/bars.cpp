#include "bars.hpp"

#include <algorithm>

namespace study {

namespace {

constexpr double catastrophe = 5;

double median_of(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}
distances at(summary const& m, std::size_t row) {
    std::vector<double> sliced, energy;
    for (outcome const& o : m.seeds) sliced.push_back(o.rows[row].sliced_wasserstein), energy.push_back(o.rows[row].energy_distance);
    return {median_of(sliced), median_of(energy)};
}
/// Distances with the fewest steps, with the most, and the smallest ones with more than the fewest. Rows are not sorted: progressive
/// distillation comes from many steps to one.
struct extremes {
    distances few, many, best;
};
extremes extremes_of(summary const& m) {
    auto const& rows = m.seeds.front().rows;
    auto const by_steps = [](measurement const& a, measurement const& b) { return a.steps < b.steps; };
    auto const [few, many] = std::minmax_element(rows.begin(), rows.end(), by_steps);
    extremes out{at(m, static_cast<std::size_t>(few - rows.begin())), at(m, static_cast<std::size_t>(many - rows.begin())), {}};
    out.best = out.many;
    for (std::size_t k = 0; k < rows.size(); ++k)
        if (rows[k].steps != few->steps) {
            distances const d = at(m, k);
            out.best.sliced_wasserstein = std::min(out.best.sliced_wasserstein, d.sliced_wasserstein);
            out.best.energy_distance = std::min(out.best.energy_distance, d.energy_distance);
        }
    return out;
}

bool holds(summary const& m, distances const& teacher, distances const& floor, double factor) {
    auto const [few, many, best] = extremes_of(m);
    bool const distils = m.what.claim == promise::few_steps;
    auto const ratio = [&](double distances::*d) { return few.*d / std::max(floor.*d, distils ? std::max(best.*d, teacher.*d) : many.*d); };
    double const sliced = ratio(&distances::sliced_wasserstein), energy = ratio(&distances::energy_distance);
    bool const good = distils ? sliced <= factor && energy <= factor : sliced >= catastrophe && energy >= catastrophe;
    std::printf("  %-28s %8.2f %8.2f   %s %.1f%s\n", m.what.name.c_str(), sliced, energy, distils ? "at most" : "at least",
                distils ? factor : catastrophe, good ? "" : "   MISSED");
    return good;
}

}  // namespace

bool hold(os::cpu& device, std::vector<problem_report> const& problems, double factor) {
    bool all = true;
    for (problem_report const& p : problems) {
        auto const teacher = std::find_if(p.methods.begin(), p.methods.end(), [](summary const& m) { return m.what.name == "teacher"; });
        if (teacher == p.methods.end())
            os::raise<os::domain_error>("study", "the teacher is not among the methods", "others are measured against it");
        std::printf("%s: fewest steps over more, sliced Wasserstein and energy distance\n", p.task->name.c_str());
        distances const floor = floor_of(device, *p.task), reference = extremes_of(*teacher).many;
        for (summary const& m : p.methods)
            if (m.what.claim != promise::none) all = holds(m, reference, floor, factor) && all;
    }
    return all;
}

}  // namespace study
