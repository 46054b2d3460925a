// expect: Only a network that trains can be checked: it needs forward(x, t, y), backward(dy), parameters() and gradients().
#include <onestep/backend/cpu.hpp>
#include <onestep/network/check.hpp>

int main() {
    auto const net = [](auto, auto, auto) {};
    onestep::check_gradients(net, {.data = {2}});
}
