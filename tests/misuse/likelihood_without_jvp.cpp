// expect: The likelihood needs the network's derivative: jvp(x, vx, t, vt, y, vy).
#include <onestep/backend/cpu.hpp>
#include <onestep/evaluation/likelihood.hpp>
#include <onestep/process/rectified_flow.hpp>

int main() {
    onestep::cpu device;
    auto const net = [](onestep::view<float const, onestep::cpu>, onestep::view<float const, onestep::cpu>,
                        onestep::view<float, onestep::cpu>) {};
    onestep::model const flow{net, onestep::rectified_flow{}, onestep::velocity{}};
    onestep::tensor<float, onestep::cpu> const x(device, {4, 2});
    onestep::likelihood(flow, x);
}
