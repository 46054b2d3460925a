#include <onestep/objective/teacher.hpp>

#include <onestep/network/mlp.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/target/edm_preconditioned.hpp>

#include <doctest/doctest.h>

#include "../test_backend.hpp"

namespace teacher_tests {

using namespace onestep;
using namespace onestep::test;

TEST_CASE("teacher_reference: refers to its model, and its text is what the next step depends on") {
    mlp<float, backend_type> net(device(), {.data = {2}, .width = 4, .blocks = 1});
    model const teacher{net, edm{.sigma_max = 50}, edm_preconditioned{.sigma_data = 0.4}};
    teacher_reference const reference(teacher);
    CHECK(&*reference == &teacher);
    CHECK(&reference->process() == &teacher.process());
    CHECK(to_string(reference) == "teacher{network = " + to_string(net.options()) +
                                      ", process = edm{sigma_min = 0.002, sigma_max = 50}, target = edm_preconditioned{sigma_data = 0.4}}");
}

}  // namespace teacher_tests
