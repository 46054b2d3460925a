#include <onestep/objective/denoising.hpp>
#include <onestep/objective/likelihood_weight.hpp>
#include <onestep/objective/snr_weighting.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/target/edm_preconditioned.hpp>
#include <onestep/target/score.hpp>
#include <onestep/target/v_prediction.hpp>

#include "golden.hpp"

namespace golden_denoising_tests {

using namespace onestep;
using namespace onestep::test;

TEST_CASE("denoising: losses and gradients are those of PyTorch, each as its source writes it") {
    golden_json const file = golden_file("denoising");
    auto net = golden_network(file);
    auto const x0 = golden_tensor(file["x0"]), noise = golden_tensor(file["noise"]);
    batch<double, backend_type> const data{x0.view(), noise.view()};
    given_times const times{golden_numbers(file["t"])}, levels{golden_numbers(file["level"])};
    auto const check = [&](auto const& objective, auto const& target, char const* name) {
        model denoiser{net, variance_preserving{}, target};
        check_golden(accumulate(objective, denoiser, data, {}), net, golden_case(file, name), 1e-11);
    };
    check(denoising(network_output{}, squared{}, times), epsilon{}, "noise");
    check(denoising(epsilon{}, squared{}, times), score{}, "score matching");
    check(denoising(score{}, squared{}, times, snr_weight{}), score{}, "score matching");  // the space does not matter
    check(denoising(network_output{}, squared{}, times, likelihood_weight{}), score{}, "likelihood");
    check(denoising(onestep::x0{}, pseudo_huber{.c = 0.5}, times), epsilon{}, "x0 huber");
    check(denoising(onestep::x0{}, squared{}, times, truncated_snr{}), epsilon{}, "truncated snr");
    check(denoising(v_prediction{}, squared{}, times, min_snr{}), v_prediction{}, "min snr");
    check(denoising(epsilon{}, squared{}, times, p2_weight{}), epsilon{}, "p2");

    model preconditioned{net, edm{}, edm_preconditioned{}};
    check_golden(accumulate(denoising(network_output{}, squared{}, levels), preconditioned, data, {}), net, golden_case(file, "edm"),
                 1e-11);
    check_golden(accumulate(denoising(onestep::x0{}, squared{}, levels, edm_weight{}), preconditioned, data, {}), net,
                 golden_case(file, "edm"), 1e-11);
    check_golden(accumulate(denoising(onestep::x0{}, squared{}, levels, soft_min_snr{}), preconditioned, data, {}), net,
                 golden_case(file, "soft min snr"), 1e-11);
}

}  // namespace golden_denoising_tests
