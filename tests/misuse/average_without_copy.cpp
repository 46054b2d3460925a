// expect: The average of a model owns a copy of its network: the network must be copy-constructible.
#include <onestep/backend/cpu.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/train/average.hpp>

struct net_without_copy {
    net_without_copy() = default;
    net_without_copy(net_without_copy const&) = delete;
    void operator()(auto, auto, auto) const {}
};

int main() {
    net_without_copy net;
    onestep::model flow{net, onestep::rectified_flow{}, onestep::velocity{}};
    onestep::average ema{0.999, flow};
}
