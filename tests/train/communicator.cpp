#include <onestep/train/communicator.hpp>

#include <onestep/backend/cpu.hpp>
#include <onestep/network/mlp.hpp>
#include <onestep/objective/flow_matching.hpp>
#include <onestep/objective/label_dropout.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/train/trainer.hpp>

#include <doctest/doctest.h>

#include <barrier>
#include <thread>

namespace communicator_tests {

using namespace onestep;

namespace {

/// Threads in place of processes: each leaves its numbers where the others see them.
struct table {
    explicit table(int ranks) : size(ranks), meeting(ranks), given(static_cast<std::size_t>(ranks)) {}
    int size;
    std::barrier<> meeting;
    std::vector<std::vector<double>> given;
};
struct seat {
    table* at;
    int place;
    int rank() const { return place; }
    int size() const { return at->size; }
    template <class T> std::vector<std::vector<double>> all(view<T, cpu> v) {
        at->given[static_cast<std::size_t>(place)].assign(v.data(), v.data() + v.size());
        at->meeting.arrive_and_wait();
        auto const copy = at->given;
        at->meeting.arrive_and_wait();
        return copy;
    }
    template <class T> void average(view<T, cpu> v) {
        auto const from = all(v);
        for (index_t i = 0; i < v.size(); ++i) {
            double sum = 0;
            for (auto const& each : from) sum += each[static_cast<std::size_t>(i)];
            v.data()[i] = static_cast<T>(sum / at->size);
        }
    }
    template <class T> void broadcast(view<T, cpu> v, int root) {
        auto const from = all(v)[static_cast<std::size_t>(root)];
        for (index_t i = 0; i < v.size(); ++i) v.data()[i] = static_cast<T>(from[static_cast<std::size_t>(i)]);
    }
};
static_assert(communicator<seat, float, cpu>);
static_assert(communicator<single_process, float, cpu>);

mlp_options options(std::uint64_t seed) { return {.data = {2}, .width = 16, .blocks = 1, .time = {.size = 8}, .classes = 3, .seed = seed}; }

struct outcome {
    std::vector<double> parameters, averaged, losses;
    index_t steps = 0;
};

/// Ten steps of rank `place`; each rank makes weights of its own.
template <class Group> outcome trained(Group& group, bool stops = false) {
    cpu device(1);
    auto x0 = normal<double>(device, {40, 2}, 1);
    std::vector<std::int32_t> kinds;
    for (int i = 0; i < 40; ++i) kinds.push_back(i % 3);
    tensor<std::int32_t, cpu> const labels(device, {40}, kinds);
    mlp<double, cpu> net(device, options(static_cast<std::uint64_t>(group.rank())));
    model flow{net, rectified_flow{}, velocity{}};
    trainer run{flow, label_dropout{flow_matching{}}, adam{.rate = 1e-2}, {.batch = 12, .clip = 0.1, .seed = 3}, constant_rate{}, group};
    outcome result;
    run.on_step([&](training_report const& r) {
        result.losses.push_back(r.loss.weighted);
        if (stops && group.rank() == group.size() - 1 && r.step == 4) run.stop();
    });
    run.run(batch<double, cpu>{x0.view(), {}, labels.view()}, 10);
    result.parameters = to_host(net.parameters());
    result.averaged = to_host(run.averaged().network().parameters());
    result.steps = run.step();
    return result;
}
std::vector<outcome> in_threads(int ranks, bool stops = false) {
    table shared(ranks);
    std::vector<outcome> results(static_cast<std::size_t>(ranks));
    std::vector<std::thread> threads;
    for (int r = 0; r < ranks; ++r)
        threads.emplace_back([&, r] {
            seat mine{&shared, r};
            results[static_cast<std::size_t>(r)] = trained(mine, stops);
        });
    for (auto& thread : threads) thread.join();
    return results;
}
double farthest(std::vector<double> const& a, std::vector<double> const& b) {
    REQUIRE(a.size() == b.size());
    double most = 0;
    for (std::size_t i = 0; i < a.size(); ++i) most = std::max(most, std::fabs(a[i] - b[i]));
    return most;
}

}  // namespace

TEST_CASE("communicator: several processes take the steps that one would") {
    single_process nobody;
    outcome const one = trained(nobody);
    for (int ranks : {1, 2, 3, 4}) {
        CAPTURE(ranks);
        auto const many = in_threads(ranks);
        for (outcome const& each : many) {
            CHECK(farthest(each.parameters, one.parameters) < 1e-12);
            CHECK(farthest(each.averaged, one.averaged) < 1e-12);
            CHECK(farthest(each.losses, one.losses) < 1e-12);
            CHECK(each.parameters == many[0].parameters);
            CHECK(each.averaged == many[0].averaged);
            CHECK(each.losses == many[0].losses);
        }
    }
}

TEST_CASE("communicator: one process that stops stops all after the same step") {
    for (outcome const& each : in_threads(3, true)) CHECK(each.steps == 4);
}

TEST_CASE("communicator: shares are whole") {
    struct {
        int rank() const { return 2; }
        int size() const { return 3; }
    } const last;
    CHECK(share_of(last, 12).first == 8);
    CHECK(share_of(last, 12).count == 4);
    CHECK_THROWS_WITH_AS(share_of(last, 10), "domain_error: trainer: batch is 10 for 3 processes, it must be a multiple of their number",
                         domain_error);
}

TEST_CASE("communicator: shares of a batch are its rows") {
    cpu device(1);
    auto const x0 = normal<float>(device, {11, 2}, 1);
    batch_source<float, cpu> whole({x0.view()}, 6, 5), part({x0.view()}, 6, 5, {2, 3});
    for (index_t k : {0, 1, 2, 7}) {
        auto const all = to_host(whole.at(k).x0), some = to_host(part.at(k).x0);
        CHECK(some == std::vector<float>(all.begin() + 4, all.begin() + 10));
    }
    CHECK_THROWS_WITH_AS((batch_source<float, cpu>({x0.view()}, 6, 5, {4, 3})),
                         "domain_error: batches: the share is 3 rows from row 4 on, a batch has 6", domain_error);
}

}  // namespace communicator_tests
