// expect: Trajectory consistency trains a flow map: flow_map_model{net, process, rule}.
#include <onestep/backend/cpu.hpp>
#include <onestep/objective/trajectory_consistency.hpp>

int main() {
    onestep::cpu device;
    auto const net = [](onestep::view<float const, onestep::cpu>, onestep::view<float const, onestep::cpu>,
                        onestep::view<float, onestep::cpu>) {};
    onestep::model flow{net, onestep::rectified_flow{}, onestep::velocity{}};
    onestep::tensor<float, onestep::cpu> const x0(device, {4, 2});
    auto const memory = device.scratch();
    onestep::trajectory_consistency{}.build(flow, flow, onestep::batch<float, onestep::cpu>{x0.view()}, onestep::random_key{}, *memory);
}
