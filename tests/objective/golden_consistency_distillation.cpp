/// consistency_distillation beside PyTorch's autograd: tests/golden/objective/consistency_distillation.py.
#include <onestep/model/consistency_model.hpp>
#include <onestep/objective/consistency_distillation.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/target/edm_preconditioned.hpp>

#include "golden.hpp"

namespace golden_consistency_distillation_tests {

using namespace onestep;
using namespace onestep::test;

TEST_CASE("consistency_distillation: losses and gradients are those of a recording by PyTorch") {
    golden_json const file = golden_file("consistency_distillation");
    auto net = golden_network(file), old = golden_network(file, "older"), teacher_net = golden_network(file, "teacher");
    auto const x0 = golden_tensor(file["x0"]), noise = golden_tensor(file["noise"]);
    auto const labels = golden_labels(file["labels"]);
    batch<double, backend_type> const data{x0.view(), noise.view(), labels.view()};
    given_pairs const on_edm{golden_numbers(file["t"]), golden_numbers(file["s"])},
        on_flow{golden_numbers(file["rf_t"]), golden_numbers(file["rf_s"])};

    model const karras{teacher_net, edm{}, edm_preconditioned{.sigma_data = 0.5}};
    consistency_model fast{net, edm{}}, older{old, edm{}};
    check_golden(accumulate(consistency_distillation(karras, euler{}, squared{}, on_edm), fast, older, data, {}), net,
                 golden_case(file, "edm_euler"));
    check_golden(accumulate(consistency_distillation(karras, ddim{}, squared{}, on_edm), fast, older, data, {}), net,
                 golden_case(file, "edm_euler"));  // the same step on EDM
    check_golden(accumulate(consistency_distillation(karras, heun{}, squared{}, on_edm), fast, older, data, {}), net,
                 golden_case(file, "edm_heun"));
    check_golden(accumulate(consistency_distillation(karras, heun{}, squared{}, on_edm, inverse_gap{}, no_average{}, {.guidance = 2.5}),
                            fast, older, data, {}),
                 net, golden_case(file, "edm_heun_guided"));

    model const flow{teacher_net, rectified_flow{}, velocity{}};
    consistency_model straight{net, rectified_flow{}}, older_straight{old, rectified_flow{}};
    check_golden(accumulate(consistency_distillation(flow, euler{}, squared{}, on_flow), straight, older_straight, data, {}), net,
                 golden_case(file, "flow_euler"));
    check_golden(accumulate(consistency_distillation(flow, heun{}, squared{}, on_flow), straight, older_straight, data, {}), net,
                 golden_case(file, "flow_heun"));
}

}  // namespace golden_consistency_distillation_tests
