// expect: Progressive distillation wants student and teacher on one process: bring the teacher there by `matched`.
#include <onestep/backend/cpu.hpp>
#include <onestep/network/mlp.hpp>
#include <onestep/objective/accumulate.hpp>
#include <onestep/objective/progressive_distillation.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>

int main() {
    onestep::cpu device;
    onestep::mlp net(device, {.data = {2}});
    onestep::model teacher{net, onestep::edm{}, onestep::velocity{}};
    onestep::model student{net, onestep::rectified_flow{}, onestep::velocity{}};
    onestep::tensor<float, onestep::cpu> x0(device, {4, 2});
    onestep::accumulate(onestep::progressive_distillation{teacher}, student, x0.view(), onestep::random_key{});
}
