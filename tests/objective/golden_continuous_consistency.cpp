#include <onestep/objective/continuous_consistency.hpp>

#include <onestep/model/consistency_model.hpp>
#include <onestep/process/edm.hpp>

#include "golden.hpp"

namespace golden_continuous_consistency_tests {

using namespace onestep;
using namespace onestep::test;

TEST_CASE("continuous_consistency: losses and gradients are those of PyTorch") {
    golden_json const file = golden_file("continuous_consistency");
    auto net = golden_network(file), old = golden_network(file, "teacher");
    auto const x0 = golden_tensor(file["x0"]), noise = golden_tensor(file["noise"]);
    auto const labels = golden_labels(file["labels"]);
    batch<double, backend_type> const data{x0.view(), noise.view(), labels.view()};
    given_times const angles{golden_numbers(file["angle"])}, levels{golden_numbers(file["level"])};
    random_key const step_3{0, 3};
    consistency_model circle{net, trigonometric_flow{.sigma_data = 0.5}};
    consistency_model karras{net, edm{}, edm_preconditioned{.sigma_data = 0.5}};
    consistency_model song{net, edm{}, consistency_preconditioned{.sigma_data = 0.5, .sigma_min = 0}};
    model flow{old, trigonometric_flow{.sigma_data = 0.5}, trig_velocity{.sigma_data = 0.5}};
    model teacher{old, edm{}, edm_preconditioned{.sigma_data = 0.5}};
    continuous_consistency_options const at_once{.warmup = 0}, warming{.warmup = 10};
    auto const check = [&](auto const& objective, auto& student, char const* name) {
        check_golden(accumulate(objective, student, data, step_3), net, golden_case(file, name), 1e-10);
    };
    check(continuous_consistency(along_data{}, at_once, rms_tangent{}, angles), circle, "sCT, rms, r = 1");
    check(continuous_consistency(along_data{}, warming, rms_tangent{}, angles), circle, "sCT, rms, r = 0.3");
    check(continuous_consistency(along_data{}, warming, norm_tangent{}, angles), circle, "sCT, norm, r = 0.3");
    check(continuous_consistency(along_data{}, at_once, clamped_tangent{.limit = 0.5}, angles, unit_weight{}), circle,
          "sCT, clamped, r = 1, unit weight");
    check(continuous_consistency{flow, at_once, rms_tangent{}, angles}, circle, "sCD, rms, r = 1");
    check(continuous_consistency{flow, warming, norm_tangent{}, angles}, circle, "sCD, norm, r = 0.3");
    check(continuous_consistency{flow, {.warmup = 1, .guidance = 1.5}, plain_tangent{}, angles}, circle, "sCD, guided, none, r = 1");
    check(continuous_consistency(along_data{}, at_once, rms_tangent{}, levels), karras, "sCT on EDM");
    check(continuous_consistency(along_data{}, at_once, rms_tangent{}, levels), song, "sCT on EDM");
    check(continuous_consistency{teacher, at_once, norm_tangent{}, levels}, karras, "sCD on EDM");
}

}  // namespace golden_continuous_consistency_tests
