// expect: `jump` asks for a flow map, consistency_model or flow_map_model; a denoiser is asked by a solver.
#include <onestep/backend/cpu.hpp>
#include <onestep/sampler/jump.hpp>

int main() {
    onestep::cpu device;
    auto const net = [](onestep::view<float const, onestep::cpu>, onestep::view<float const, onestep::cpu>,
                        onestep::view<float, onestep::cpu>) {};
    onestep::model const flow{net, onestep::rectified_flow{}, onestep::velocity{}};
    onestep::sample(flow, onestep::jump{}, onestep::normal<float>(device, {4, 2}, 1));
}
