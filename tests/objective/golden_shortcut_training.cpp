#include <onestep/objective/shortcut_training.hpp>
#include <onestep/process/trigonometric_flow.hpp>

#include "golden.hpp"

namespace golden_shortcut_training_tests {

using namespace onestep;
using namespace onestep::test;

TEST_CASE("shortcut_training: losses and gradients are those of PyTorch") {
    golden_json const file = golden_file("shortcut_training");
    auto net = golden_network(file), older_net = golden_network(file, "older");
    auto const x0 = golden_tensor(file["x0"]), noise = golden_tensor(file["noise"]);
    auto const labels = golden_labels(file["labels"]);
    batch<double, backend_type> const data{x0.view(), noise.view(), labels.view()};
    random_key const key{8, 21};
    auto const check = [&](auto const& process, char const* name, shortcut_training objective) {
        objective.levels = 2;
        objective.label_dropout = 0;
        flow_map_model fast{net, process}, older{older_net, process};
        check_golden(accumulate(objective, fast, older, data, key), net, golden_case(file, name));
    };
    check(rectified_flow{}, "plain", {.self_consistency = 0.5});
    check(rectified_flow{}, "clip", {.self_consistency = 0.5, .clip = 0.4});
    check(rectified_flow{}, "guidance", {.self_consistency = 0.5, .guidance = 1.5});
    check(trigonometric_flow{.sigma_data = 0.5}, "trigonometric", {.self_consistency = 0.5});
    check(rectified_flow{}, "flow matching", {.self_consistency = 0});

    flow_map_model fast{net};
    auto const memory = device().scratch();
    auto const p = shortcut_training{.self_consistency = 0.5, .levels = 2}.build(fast, fast, data, key, *memory);
    CHECK(to_host(p.call.t) == golden_numbers(file["t"]));
    CHECK(to_host(p.call.s) == golden_numbers(file["s"]));
}

}  // namespace golden_shortcut_training_tests
