// expect: Inpainting changes x between steps and repeats them: the solver inside must not remember earlier steps.
#include <onestep/backend/cpu.hpp>
#include <onestep/sampler/inpainting.hpp>

struct multistep {
    static constexpr char const* name = "multistep";
    static constexpr int order = 2;
    static constexpr bool remembers = true;
    int steps = 4;
    void step(auto&, double, double) const {}
    void fields(auto&&) const {}
};

int main() {
    onestep::cpu device;
    onestep::tensor<float, onestep::cpu> const picture(device, {1, 2});
    onestep::inpainting const solver{multistep{}, picture, picture};
    return solver.steps;
}
