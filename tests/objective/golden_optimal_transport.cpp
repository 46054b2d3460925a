/// optimal_transport beside SciPy's assignment and PyTorch's autograd: tests/golden/objective/optimal_transport.py.
#include <onestep/objective/optimal_transport.hpp>

#include <onestep/objective/flow_matching.hpp>

#include "golden.hpp"

namespace golden_optimal_transport_tests {

using namespace onestep;
using namespace onestep::test;

TEST_CASE("linear_assignment: the answer is SciPy's") {
    golden_json const file = golden_file("optimal_transport");
    auto const costs = golden_tensor(file["costs"]).to_host();
    CHECK(linear_assignment().solve(50, costs.data()) == file["column"].get<std::vector<std::int32_t>>());
}

TEST_CASE("optimal_transport: losses and gradients are those of a recording by SciPy and PyTorch") {
    golden_json const file = golden_file("optimal_transport");
    auto net = golden_network(file);
    auto const x0 = golden_tensor(file["x0"]), noise = golden_tensor(file["noise"]);
    auto const labels = golden_labels(file["labels"]);
    given_times const times{golden_numbers(file["t"])};
    model flow{net, rectified_flow{}, velocity{}};
    auto const check = [&](batch<double, backend_type> const& data, std::string const& within) {
        check_golden(accumulate(optimal_transport{flow_matching(squared{}, times)}, flow, data, {}), net,
                     golden_case(file, "squared" + within));
        check_golden(accumulate(optimal_transport{flow_matching(pseudo_huber{.c = 0.3}, times)}, flow, data, {}), net,
                     golden_case(file, "pseudo_huber" + within));
    };
    check({x0.view(), noise.view()}, "");
    check({x0.view(), noise.view(), labels.view()}, " within labels");
}

}  // namespace golden_optimal_transport_tests
