/// consistency_training beside PyTorch's autograd: tests/golden/objective/consistency_training.py.
#include <onestep/model/consistency_model.hpp>
#include <onestep/objective/consistency_training.hpp>
#include <onestep/objective/snr_weighting.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/target/edm_preconditioned.hpp>

#include "golden.hpp"

namespace golden_consistency_training_tests {

using namespace onestep;
using namespace onestep::test;

TEST_CASE("consistency_training: losses and gradients are those of a recording by PyTorch") {
    golden_json const file = golden_file("consistency_training");
    auto net = golden_network(file), old = golden_network(file, "older");
    auto const x0 = golden_tensor(file["x0"]), noise = golden_tensor(file["noise"]);
    auto const labels = golden_labels(file["labels"]);
    batch<double, backend_type> const pairs{x0.view(), noise.view()}, labelled{x0.view(), noise.view(), labels.view()};
    auto const at = [&](std::string const& name) {
        return given_pairs{golden_numbers(file[name + "_t"]), golden_numbers(file[name + "_s"])};
    };
    consistency_model fast{net, edm{}}, older{old, edm{}};
    check_golden(accumulate(consistency_training(squared{}, at("ct"), unit_weight{}, no_average{}), fast, older, labelled, {}), net,
                 golden_case(file, "ct"));
    pseudo_huber const whole{.c = improved_consistency_training({.elements = 3}).distance().c};
    check_golden(accumulate(consistency_training(whole, at("ict"), inverse_gap{}, no_average{}), fast, pairs, {}), net,
                 golden_case(file, "ict"));
    consistency_model tuned{net, edm{}, edm_preconditioned{.sigma_data = 0.5}};
    pseudo_huber const norm = easy_consistency_training().distance();
    check_golden(accumulate(consistency_training(norm, at("ect"), inverse_gap{}, no_average{}), tuned, pairs, {}), net,
                 golden_case(file, "ect"));
    check_golden(accumulate(consistency_training(norm, at("ect"), edm_weight{.sigma_data = 0.5}, no_average{}), tuned, pairs, {}), net,
                 golden_case(file, "ect_edm_weight"));
    consistency_model straight{net, rectified_flow{}}, older_straight{old, rectified_flow{}};
    check_golden(accumulate(consistency_training(squared{}, at("rf"), unit_weight{}, no_average{}), straight, older_straight, labelled, {}),
                 net, golden_case(file, "rectified_flow"));
}

TEST_CASE("consistency_training: levels and gaps are those of the recording") {
    golden_json const file = golden_file("consistency_training");
    std::vector<double> const t = golden_numbers(file["ict_t"]), s = golden_numbers(file["ict_s"]), ect_t = golden_numbers(file["ect_t"]),
                              ect_s = golden_numbers(file["ect_s"]);
    rising_levels const levels(karras_grid{}, edm{}, 41);
    index_t const i[] = {2, 9, 17, 25, 38};
    for (std::size_t k = 0; k < 5; ++k) {
        CHECK(levels.time(edm{}, i[k]) == doctest::Approx(s[k]).epsilon(1e-12));
        CHECK(levels.time(edm{}, i[k] + 1) == doctest::Approx(t[k]).epsilon(1e-12));
        CHECK(gap_schedule{.stage = 10}.level_before(ect_t[k], 10) == doctest::Approx(ect_s[k]).epsilon(1e-12));
    }
}

}  // namespace golden_consistency_training_tests
