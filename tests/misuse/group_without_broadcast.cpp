// expect: A group of processes has rank(), size(), average(view) and broadcast(view, root)
#include <onestep/onestep.hpp>

struct half_a_group {
    int rank() const { return 0; }
    int size() const { return 1; }
    template <class View> void average(View) const {}
};

int main() {
    onestep::cpu device(1);
    onestep::mlp net(device, {.data = {2}});
    onestep::model flow{net, onestep::rectified_flow{}, onestep::velocity{}};
    half_a_group group;
    onestep::trainer run{flow, onestep::flow_matching{}, onestep::adam{}, onestep::trainer_options{}, onestep::constant_rate{}, group};
}
