// expect: This objective does not fit this model: see objective/concept.hpp.
#include <onestep/backend/cpu.hpp>
#include <onestep/network/mlp.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/train/adam.hpp>
#include <onestep/train/trainer.hpp>

struct no_objective {
    int weight = 1;
};

int main() {
    onestep::cpu device;
    onestep::mlp net(device, {.data = {2}});
    onestep::model flow{net, onestep::rectified_flow{}, onestep::velocity{}};
    onestep::tensor<float, onestep::cpu> const x0(device, {4, 2});
    onestep::trainer first{flow, no_objective{}, onestep::adam{.rate = 1e-3}};
    first.run(x0, 10);
}
