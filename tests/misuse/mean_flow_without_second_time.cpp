// expect: A flow map needs a network with two times: net(x, t, s, y), s [n] being the time to arrive at.
#include <onestep/backend/cpu.hpp>
#include <onestep/objective/mean_flow.hpp>

int main() {
    onestep::cpu device;
    auto const net = [](onestep::view<float const, onestep::cpu>, onestep::view<float const, onestep::cpu>,
                        onestep::view<float, onestep::cpu>) {};
    onestep::flow_map_model map{net};
    onestep::tensor<float, onestep::cpu> const x0(device, {4, 2});
    auto const memory = device.scratch();
    onestep::mean_flow{}.build(map, onestep::batch<float, onestep::cpu>{x0.view()}, onestep::random_key{}, *memory);
}
