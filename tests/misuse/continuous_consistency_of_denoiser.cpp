// expect: Continuous consistency trains a consistency_model: see model/consistency_model.hpp.
#include <onestep/backend/cpu.hpp>
#include <onestep/network/mlp.hpp>
#include <onestep/objective/accumulate.hpp>
#include <onestep/objective/continuous_consistency.hpp>
#include <onestep/process/rectified_flow.hpp>

using namespace onestep;

int main() {
    cpu device;
    mlp net(device, {.data = {2}});
    model flow{net, rectified_flow{}, velocity{}};
    tensor<float, cpu> x0(device, {4, 2});
    accumulate(continuous_consistency{}, flow, x0.view(), random_key{});
}
