// expect: Continuous consistency differentiates the network: it needs jvp(x, vx, t, vt, y, vy), or choose by_differences.
#include <onestep/backend/cpu.hpp>
#include <onestep/model/consistency_model.hpp>
#include <onestep/objective/accumulate.hpp>
#include <onestep/objective/continuous_consistency.hpp>

using namespace onestep;

struct forward_only {
    tensor<float, cpu> p, g;
    void operator()(view<float const, cpu>, view<float const, cpu>, view<float, cpu>) const {}
    void forward(view<float const, cpu>, view<float const, cpu>, view<float, cpu>) {}
    void backward(view<float const, cpu>) {}
    view<float, cpu> parameters() { return p.view(); }
    view<float, cpu> gradients() { return g.view(); }
};

int main() {
    cpu device;
    forward_only net{{device, {1}}, {device, {1}}};
    consistency_model student{net, trigonometric_flow{}};
    tensor<float, cpu> x0(device, {4, 2});
    accumulate(continuous_consistency{}, student, x0.view(), random_key{});
}
