#include <onestep/objective/flow_matching.hpp>

#include <onestep/process/variance_preserving.hpp>

#include "golden.hpp"

namespace golden_flow_matching_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

double rising(double t) { return 0.5 + t * t; }

}  // namespace

TEST_CASE("flow_matching: losses and gradients are those of PyTorch") {
    golden_json const file = golden_file("flow_matching");
    auto net = golden_network(file);
    auto const x0 = golden_tensor(file["x0"]), noise = golden_tensor(file["noise"]);
    auto const labels = golden_labels(file["labels"]);
    batch<double, backend_type> const data{x0.view(), noise.view(), labels.view()};
    given_times const times{golden_numbers(file["t"])};
    model flow{net, rectified_flow{}, velocity{}};
    model by_epsilon{net, variance_preserving{}, epsilon{}};
    auto const check = [&](auto const& objective, auto& model, char const* name) {
        check_golden(accumulate(objective, model, data, {}), net, golden_case(file, name), 1e-12);
    };
    check(flow_matching(squared{}, times), flow, "squared");
    check(flow_matching(pseudo_huber{.c = 0.3}, times), flow, "pseudo_huber");
    check(flow_matching(squared{}, times, time_weight{rising}), flow, "time_weight");
    check(flow_matching(squared{}, times), by_epsilon, "epsilon on variance_preserving");
}

}  // namespace golden_flow_matching_tests
