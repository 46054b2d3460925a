// expect: This objective trains: the network also needs forward(x, t, y), backward(dy), parameters() and gradients().
#include <onestep/backend/cpu.hpp>
#include <onestep/objective/flow_matching.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/train/adam.hpp>
#include <onestep/train/trainer.hpp>

int main() {
    auto const net = [](auto, auto, auto) {};
    onestep::model flow{net, onestep::rectified_flow{}, onestep::velocity{}};
    onestep::trainer first{flow, onestep::flow_matching{}, onestep::adam{.rate = 1e-3}};
}
