// expect: This objective trains: the network also needs forward(x, t, y), backward(dy), parameters() and gradients().
#include <onestep/backend/cpu.hpp>
#include <onestep/objective/accumulate.hpp>
#include <onestep/objective/flow_matching.hpp>
#include <onestep/process/rectified_flow.hpp>

int main() {
    onestep::cpu device;
    auto const net = [](auto, auto, auto) {};
    onestep::model flow{net, onestep::rectified_flow{}, onestep::velocity{}};
    onestep::tensor<float, onestep::cpu> x0(device, {4, 2});
    onestep::accumulate(onestep::flow_matching{}, flow, x0.view(), onestep::random_key{});
}
