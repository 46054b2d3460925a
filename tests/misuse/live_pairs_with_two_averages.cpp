// expect: This objective moves an average of its own for its targets: make its pairs by `online_pairs` or before training.
#include <onestep/objective/flow_matching.hpp>
#include <onestep/objective/live_pairs.hpp>
#include <onestep/sampler/euler.hpp>

struct moves_an_average : onestep::flow_matching<> {
    moves_an_average() = default;
    double target_decay(onestep::index_t) const { return 0.5; }
};

int main() { onestep::live_pairs objective{onestep::euler{.steps = 8}, moves_an_average{}}; }
