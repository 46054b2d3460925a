// expect: has_parameters
#include <onestep/backend/cpu.hpp>
#include <onestep/train/adam.hpp>
#include <onestep/train/optimizer.hpp>

int main() {
    auto net = [](auto, auto, auto) {};
    onestep::optimizer adam{onestep::adam{.rate = 1e-3}, net};
}
