// expect: This solver does not step row by row: take euler, heun, ddim or dpm_solver_2s, or write row_step_of for it.
#include <onestep/backend/cpu.hpp>
#include <onestep/model/consistency_model.hpp>
#include <onestep/network/mlp.hpp>
#include <onestep/objective/accumulate.hpp>
#include <onestep/objective/consistency_distillation.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/sampler/dpm_solver_2m.hpp>

int main() {
    onestep::cpu device;
    onestep::mlp net(device, {.data = {2}});
    onestep::model teacher{net, onestep::rectified_flow{}, onestep::velocity{}};
    onestep::consistency_model fast{net, onestep::rectified_flow{}};
    onestep::tensor<float, onestep::cpu> x0(device, {4, 2});
    onestep::accumulate(onestep::consistency_distillation{teacher, onestep::dpm_solver_2m{}}, fast, x0.view(), onestep::random_key{});
}
