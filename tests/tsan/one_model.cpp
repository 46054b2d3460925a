// One model, one solver and one backend serve many threads at once: each gets what it would get alone, and ThreadSanitizer,
// with which this is compiled, sees no two of them at one place. With the argument `race` it runs into one on purpose, to
// show that races are seen.
#include <onestep/backend/cpu.hpp>
#include <onestep/evaluation/likelihood.hpp>
#include <onestep/network/mlp.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/sampler/ddim.hpp>
#include <onestep/sampler/heun.hpp>
#include <onestep/sampler/limits.hpp>
#include <onestep/sampler/midpoint.hpp>
#include <onestep/sampler/rk4.hpp>
#include <onestep/sampler/rk45.hpp>
#include <onestep/sampler/sample.hpp>
#include <onestep/target/edm_preconditioned.hpp>
#include <onestep/time/karras_grid.hpp>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <thread>

using namespace onestep;

namespace {

constexpr int threads = 4;

/// Lets nobody through before all have come. Relaxed on purpose: it orders nothing, so it hides no race.
class gate {
public:
    void pass() {
        come_.fetch_add(1, std::memory_order_relaxed);
        while (come_.load(std::memory_order_relaxed) < threads) std::this_thread::yield();
    }

private:
    std::atomic<int> come_{0};
};

/// A network that cannot be shared: it counts its calls.
struct careless {
    gate* all;
    int* calls;
    void operator()(view<float const, cpu>, view<float const, cpu>, view<float, cpu> y) const {
        all->pass();
        ++*calls;
        fill(y, 0.0f);
    }
};

/// Runs work() alone, then in four threads at once; whether all results are equal.
template <class Work> bool same(char const* what, Work const& work) {
    auto const alone = work();
    std::vector<decltype(work())> found(threads);
    std::vector<std::thread> crew;
    gate all;
    for (auto& result : found)
        crew.emplace_back([&] {
            all.pass();
            for (int repeat = 0; repeat < 3; ++repeat) result = work();
        });
    for (std::thread& one : crew) one.join();
    bool equal = true;
    for (auto const& result : found) equal = equal && result == alone;
    std::printf("%s: %s\n", what, equal ? "equal" : "DIFFERENT");
    return equal;
}

}  // namespace

int main(int count, char** arguments) {
    cpu device;
    tensor<float, cpu> const z = normal<float>(device, {6, 4}, 9);
    if (count > 1 && std::strcmp(arguments[1], "race") == 0) {
        gate all;
        int calls = 0;
        model const flow{careless{&all, &calls}, rectified_flow{}, velocity{}};
        std::vector<std::thread> crew;
        for (int k = 0; k < threads; ++k) crew.emplace_back([&] { sample(flow, heun{.steps = 1}, z); });
        for (std::thread& one : crew) one.join();
        return 0;
    }
    mlp<float, cpu> net(device, {.data = {4}, .width = 16, .blocks = 1});
    fill_normal(net.parameters().reshaped({1, net.parameters().size()}), random_key{3}.at(draw::user), 0.2);
    model const flow{net, rectified_flow{}, velocity{}};
    model const preconditioned{net, edm{}, edm_preconditioned{}};
    limited const bounded{flow, dynamic_threshold{}};
    random_key const key{5};
    bool equal = true;
    equal &= same("heun", [&] { return sample(flow, heun{.steps = 3}, z).to_host(); });
    equal &= same("midpoint", [&] { return sample(flow, midpoint{.steps = 3}, z).to_host(); });
    equal &= same("rk4", [&] { return sample(flow, rk4{.steps = 3}, z).to_host(); });
    equal &= same("rk45", [&] { return sample(flow, rk45{.rtol = 1e-3, .atol = 1e-3}, z).to_host(); });
    equal &= same("ddim", [&] { return sample(flow, ddim{.steps = 3, .eta = 1}, z, uniform_grid{}, key).to_host(); });
    equal &= same("limited", [&] { return sample(bounded, ddim{.steps = 3, .eta = 1}, z, uniform_grid{}, key).to_host(); });
    equal &= same("preconditioned", [&] { return sample(preconditioned, heun{.steps = 3}, z, karras_grid{}).to_host(); });
    equal &= same("likelihood", [&] { return likelihood(flow, z, rademacher_probes{}, {.steps = 3}).log_density; });
    equal &= same("step by step", [&] {
        tensor<float, cpu> x = z;
        sampling run(flow, heun{.steps = 3}, times_of(uniform_grid{}, rectified_flow{}, 3), x.view());
        while (run.advance()) {
        }
        return x.to_host();
    });
    return equal ? 0 : 1;
}
