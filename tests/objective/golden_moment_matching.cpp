#include <onestep/objective/moment_matching.hpp>

#include "golden.hpp"
#include "triples.hpp"

namespace golden_moment_matching_tests {

using namespace onestep;
using namespace onestep::test;
using namespace onestep::test::two_times;
using namespace onestep::test::triples;

TEST_CASE("moment_matching: losses and gradients are those of PyTorch") {
    using pairing = moment_matching_options::pairing;
    golden_json const file = golden_file("moment_matching");
    auto net = golden_network(file), older_net = golden_network(file, "older");
    auto const x0 = golden_tensor(file["x0"]), noise = golden_tensor(file["noise"]);
    auto const labels = golden_labels(file["labels"]);
    batch<double, backend_type> const data{x0.view(), noise.view(), labels.view()};
    auto const check = [&](auto const& rule, matching_weight const& weight, moment_matching_options const& options, char const* name) {
        auto const repeated = [&](std::size_t which) {
            numbers out;
            for (double time : golden_numbers(file["times"][which])) out.insert(out.end(), static_cast<std::size_t>(options.group), time);
            return out;
        };
        flow_map_model fast{net, rectified_flow{}, rule}, older{older_net, rectified_flow{}, rule};
        moment_matching const objective(listed_triples{repeated(2), repeated(1), repeated(0)}, weight, options);
        accumulate(objective, fast, older, data, {});
        check_golden(objective.measure(fast, older, data, {}), net, golden_case(file, name));
    };
    ddim_rule const scaled{scaled_velocity{}};
    check(scaled, {}, {}, "all pairs");
    check(scaled, {2, 5}, {.pairs = pairing::distinct_pairs}, "distinct pairs");
    check(average_velocity{}, {}, {.group = 2}, "average velocity");
}

}  // namespace golden_moment_matching_tests
