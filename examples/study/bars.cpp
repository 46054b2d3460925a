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
/// Rows are not sorted: progressive distillation comes from many steps to one.
std::pair<distances, distances> fewest_and_most(summary const& m) {
    auto const& rows = m.seeds.front().rows;
    auto const by_steps = [](measurement const& a, measurement const& b) { return a.steps < b.steps; };
    auto const [few, many] = std::minmax_element(rows.begin(), rows.end(), by_steps);
    return {at(m, static_cast<std::size_t>(few - rows.begin())), at(m, static_cast<std::size_t>(many - rows.begin()))};
}

bool holds(summary const& m, distances const& teacher, distances const& floor, double factor) {
    auto const [few, many] = fewest_and_most(m);
    bool const distils = m.what.claim == promise::few_steps;
    auto const ratio = [&](double distances::*d) { return few.*d / std::max(floor.*d, distils ? std::max(many.*d, teacher.*d) : many.*d); };
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
        std::printf("%s: fewest steps over most, sliced Wasserstein and energy distance\n", p.task->name.c_str());
        distances const floor = floor_of(device, *p.task), reference = fewest_and_most(*teacher).second;
        for (summary const& m : p.methods)
            if (m.what.claim != promise::none) all = holds(m, reference, floor, factor) && all;
    }
    return all;
}

}  // namespace study
