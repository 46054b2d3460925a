#include <onestep/objective/mean_flow.hpp>
#include <onestep/process/cosine_flow.hpp>

#include "golden.hpp"

namespace golden_mean_flow_tests {

using namespace onestep;
using namespace onestep::test;

TEST_CASE("mean_flow: losses and gradients are those of PyTorch") {
    golden_json const file = golden_file("mean_flow");
    auto net = golden_network(file);
    auto const x0 = golden_tensor(file["x0"]), noise = golden_tensor(file["noise"]);
    auto const labels = golden_labels(file["labels"]);
    batch<double, backend_type> const data{x0.view(), noise.view(), labels.view()};
    given_pairs const pairs{golden_numbers(file["t"]), golden_numbers(file["s"])};
    auto const check = [&](auto const& process, auto const& distance, char const* name, mean_flow_options options) {
        options.label_dropout = 0;
        flow_map_model fast{net, process};
        check_golden(accumulate(mean_flow{distance, pairs, by_jvp{}, options}, fast, data, {}), net, golden_case(file, name));
    };
    rectified_flow const straight;
    check(straight, adaptive_squared{}, "imagenet", {.flow_matching_fraction = 0.75});
    check(straight, adaptive_squared{.power = 0.75, .c = 1e-3}, "cifar10", {.flow_matching_fraction = 0.25});
    check(straight, adaptive_squared{}, "guided", {.flow_matching_fraction = 0.5, .kappa = 0.5});
    check(straight, squared{}, "squared", {.flow_matching_fraction = 0, .omega = 2, .kappa = 0.25});
    check(cosine_flow{}, squared{}, "cosine", {.flow_matching_fraction = 0});
}

}  // namespace golden_mean_flow_tests
