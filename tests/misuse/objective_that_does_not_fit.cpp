// expect: This objective does not fit this model: see objective/concept.hpp.
#include <onestep/backend/cpu.hpp>
#include <onestep/network/mlp.hpp>
#include <onestep/objective/accumulate.hpp>
#include <onestep/process/rectified_flow.hpp>

struct no_objective {
    int weight = 1;
};

int main() {
    onestep::cpu device;
    onestep::mlp net(device, {.data = {2}});
    onestep::model flow{net, onestep::rectified_flow{}, onestep::velocity{}};
    onestep::tensor<float, onestep::cpu> x0(device, {4, 2});
    onestep::accumulate(no_objective{}, flow, x0.view(), onestep::random_key{});
}
