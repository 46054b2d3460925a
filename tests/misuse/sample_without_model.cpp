// expect: A solver asks for a denoiser: model{net, process, target}.
#include <onestep/backend/cpu.hpp>
#include <onestep/sampler/euler.hpp>
#include <onestep/sampler/sample.hpp>

int main() {
    onestep::cpu device;
    auto const network_alone = [](auto, auto, auto) {};
    onestep::tensor<float, onestep::cpu> const z(device, {4, 2});
    onestep::sample(network_alone, onestep::euler{.steps = 4}, z);
}
