/// progressive_distillation beside PyTorch's autograd: tests/golden/objective/progressive_distillation.py.
#include <onestep/objective/progressive_distillation.hpp>

#include <onestep/process/cosine_flow.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/target/edm_preconditioned.hpp>
#include <onestep/target/v_prediction.hpp>
#include <onestep/time/power_grid.hpp>

#include "golden.hpp"

namespace golden_progressive_distillation_tests {

using namespace onestep;
using namespace onestep::test;

TEST_CASE("progressive_distillation: losses and gradients are those of a recording by PyTorch") {
    golden_json const file = golden_file("progressive_distillation");
    auto net = golden_network(file), teacher_net = golden_network(file, "teacher");
    auto const x0 = golden_tensor(file["x0"]), noise = golden_tensor(file["noise"]);
    auto const labels = golden_labels(file["labels"]);
    batch<double, backend_type> const data{x0.view(), noise.view(), labels.view()}, unlabelled{x0.view(), noise.view()};
    random_key const key{1, 2};
    std::vector<double> const levels = golden_numbers(file["levels"]);
    for (std::size_t r = 0; r < levels.size(); ++r)
        REQUIRE(static_cast<double>(below(key.at(draw::time), 4, static_cast<index_t>(r))) == levels[r]);
    auto const check = [&](auto& student, auto const& objective, batch<double, backend_type> const& on, char const* name) {
        check_golden(accumulate(objective, student, on, key), net, golden_case(file, name), 1e-9);
    };

    model flow{net, rectified_flow{}, velocity{}};
    model const flow_teacher{teacher_net, rectified_flow{}, velocity{}};
    check(flow, progressive_distillation{flow_teacher, {.steps = 4}}, data, "straight");
    check(flow, progressive_distillation{flow_teacher, {.steps = 4, .guidance = 2.5}}, data, "straight guided");
    check(flow, progressive_distillation{flow_teacher, {.steps = 4}}, unlabelled, "straight without labels");
    check(flow, progressive_distillation{flow_teacher, {.steps = 4}, pseudo_huber{.c = 0.3}, unit_weight{}}, data, "straight unit huber");
    model turn{net, cosine_flow{}, v_prediction{}};
    model const turn_teacher{teacher_net, cosine_flow{}, v_prediction{}};
    check(turn, progressive_distillation{turn_teacher, {.steps = 4}, squared{}, snr_plus_one{}}, data, "cosine plus one");
    model karras{net, edm{}, edm_preconditioned{.sigma_data = 0.5}};
    model const karras_teacher{teacher_net, edm{}, edm_preconditioned{.sigma_data = 0.5}};
    check(karras, progressive_distillation(karras_teacher, {.steps = 4}, squared{}, truncated_snr{}, power_grid{7}), data, "karras");
}

}  // namespace golden_progressive_distillation_tests
