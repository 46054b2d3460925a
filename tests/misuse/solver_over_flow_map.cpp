// expect: A solver asks for a denoiser: model{net, process, target}.
#include <onestep/backend/cpu.hpp>
#include <onestep/sampler/heun.hpp>
#include <onestep/sampler/jump.hpp>

int main() {
    onestep::cpu device;
    auto const net = [](onestep::view<float const, onestep::cpu>, onestep::view<float const, onestep::cpu>,
                        onestep::view<float const, onestep::cpu>, onestep::view<float, onestep::cpu>) {};
    onestep::flow_map_model const map{net};
    onestep::sample(map, onestep::heun{.steps = 4}, onestep::normal<float>(device, {4, 2}, 1));
}
