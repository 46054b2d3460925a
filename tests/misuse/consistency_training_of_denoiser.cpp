// expect: Consistency training trains a consistency_model: consistency_model{net, process}.
#include <onestep/backend/cpu.hpp>
#include <onestep/network/mlp.hpp>
#include <onestep/objective/accumulate.hpp>
#include <onestep/objective/consistency_training.hpp>
#include <onestep/process/rectified_flow.hpp>

int main() {
    onestep::cpu device;
    onestep::mlp net(device, {.data = {2}});
    onestep::model flow{net, onestep::rectified_flow{}, onestep::velocity{}};
    onestep::tensor<float, onestep::cpu> x0(device, {4, 2});
    onestep::accumulate(onestep::easy_consistency_training(), flow, x0.view(), onestep::random_key{});
}
