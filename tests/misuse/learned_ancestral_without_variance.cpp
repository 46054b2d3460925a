// expect: A learned variance asks for a network that writes it too: net(x, t, y, v), v shaped like x.
#include <onestep/backend/cpu.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/sampler/ancestral.hpp>
#include <onestep/sampler/sample.hpp>
using namespace onestep;
int main() {
    cpu device;
    auto net = [](view<float const, cpu>, view<float const, cpu>, view<float, cpu>) {};
    tensor<float, cpu> z(device, {1, 2});
    sample(model{net, rectified_flow{}, velocity{}}, learned_ancestral{}, z);
}
