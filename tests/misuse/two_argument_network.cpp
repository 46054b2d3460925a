// expect: A network is called as net(x, t, y): it reads x [n, ...] and t [n] and writes y, shaped like x.
#include <onestep/backend/cpu.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/sampler/euler.hpp>
#include <onestep/sampler/sample.hpp>

int main() {
    onestep::cpu device;
    auto const forgets_time = [](onestep::view<float const, onestep::cpu>, onestep::view<float, onestep::cpu>) {};
    onestep::model const flow{forgets_time, onestep::rectified_flow{}, onestep::velocity{}};
    onestep::tensor<float, onestep::cpu> const z(device, {4, 2});
    onestep::sample(flow, onestep::euler{.steps = 4}, z);
}
