// expect: This is not a solver: see sampler/concept.hpp.
#include <onestep/backend/cpu.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/sampler/sample.hpp>

int main() {
    onestep::cpu device;
    auto const net = [](auto, auto, auto) {};
    onestep::model const flow{net, onestep::rectified_flow{}, onestep::velocity{}};
    onestep::tensor<float, onestep::cpu> const z(device, {4, 2});
    onestep::sample(flow, 10, z);
}
