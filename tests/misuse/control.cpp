// The control: what the other programs of this folder do wrong, done right. It must compile.
#include <onestep/onestep.hpp>

int main() {
    onestep::cpu device;
    onestep::mlp net(device, {.data = {2}});
    onestep::model flow{net, onestep::rectified_flow{}, onestep::velocity{}};
    onestep::tensor<float, onestep::cpu> const x0(device, {4, 2});
    onestep::trainer first{flow, onestep::flow_matching{}, onestep::adam{.rate = 1e-3}};
    first.run(x0, 10);

    auto const any_callable = [](onestep::view<float const, onestep::cpu>, onestep::view<float const, onestep::cpu>,
                                 onestep::view<float, onestep::cpu>) {};
    onestep::model const foreign{any_callable, onestep::rectified_flow{}, onestep::velocity{}};
    onestep::sample(foreign, onestep::euler{.steps = 4}, x0);
}
