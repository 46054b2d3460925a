#include <onestep/model/concept.hpp>

#include <onestep/backend/cpu.hpp>
#include <onestep/model/consistency_model.hpp>
#include <onestep/model/flow_map_model.hpp>
#include <onestep/network/mlp.hpp>

#include <doctest/doctest.h>

namespace model_concept_tests {

using namespace onestep;

namespace {

using network_type = mlp<float, cpu>;
using flow = model<network_type&, rectified_flow, velocity>;
using fast = consistency_model<network_type&, rectified_flow, velocity>;
using map = flow_map_model<network_type&, rectified_flow, average_velocity>;

struct callable {
    void operator()(auto, auto, auto) const {}
};

// A model is of one kind: what asks for another kind refuses it.
static_assert(denoiser<flow> && !flow_map<flow> && !asks_two_times<flow>());
static_assert(!denoiser<fast> && consistency_map<fast> && !two_time_map<fast> && flow_map<fast> && !asks_two_times<fast>());
static_assert(!denoiser<map> && !consistency_map<map> && two_time_map<map> && flow_map<map> && asks_two_times<map>());
static_assert(trains<flow>() && trains<fast>() && trains<map>());
static_assert(!trains<model<callable, rectified_flow, velocity>>());

}  // namespace

TEST_CASE("model kinds: another network takes a model's place with its process and target") {
    cpu device(1);
    network_type one(device, {.data = {2}, .width = 4, .blocks = 1}), other(device, {.data = {2}, .width = 8, .blocks = 1});
    fast const before{one, rectified_flow{}, velocity{}};
    auto const after = before.with_network<network_type&>(other);
    CHECK(&after.network() == &other);
    static_assert(std::same_as<std::remove_const_t<decltype(after)>, fast>);
}

}  // namespace model_concept_tests
