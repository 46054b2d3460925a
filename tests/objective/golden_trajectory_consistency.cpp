#include <onestep/objective/trajectory_consistency.hpp>

#include "golden.hpp"
#include "triples.hpp"

namespace golden_trajectory_consistency_tests {

using namespace onestep;
using namespace onestep::test;
using namespace onestep::test::two_times;
using namespace onestep::test::triples;

TEST_CASE("trajectory_consistency: losses and gradients are those of PyTorch") {
    golden_json const file = golden_file("trajectory_consistency");
    auto net = golden_network(file), older_net = golden_network(file, "older"),
         teacher_net = golden_network(file, "teacher", "teacher_network");
    auto const x0 = golden_tensor(file["x0"]), noise = golden_tensor(file["noise"]);
    auto const labels = golden_labels(file["labels"]);
    batch<double, backend_type> const data{x0.view(), noise.view(), labels.view()};
    trajectory_consistency_options const options{.denoising = 2.0 / 6, .denoising_weight = 0.7};
    auto const triples = [&](char const* process) {
        golden_json const& times = file["times"][process];
        return listed_triples{golden_numbers(times[2]), golden_numbers(times[1]), golden_numbers(times[0])};
    };
    auto const check = [&](auto const& process, auto const& rule, auto const& path, auto const& distance, listed_triples const& at,
                           char const* name) {
        flow_map_model fast{net, process, rule}, older{older_net, process, rule};
        trajectory_consistency const objective(path, distance, at, inverse_gap{}, no_average{}, options);
        check_golden(accumulate(objective, fast, older, data, {}), net, golden_case(file, name));
    };
    check(rectified_flow{}, average_velocity{}, conditional_path{}, squared{}, triples("rectified"), "average velocity");
    check(edm{}, ddim_rule{}, conditional_path{}, squared{}, triples("edm"), "trajectory");
    model const teacher{teacher_net, edm{}, edm_preconditioned{}};
    check(edm{}, ddim_rule{}, teacher_path{teacher}, squared{}, triples("edm"), "taught");
    check(edm{}, ddim_rule{}, teacher_path{teacher}, pseudo_huber{.c = 0.3}, triples("edm"), "taught, norm");
}

}  // namespace golden_trajectory_consistency_tests
