// What holds for every method: the same bits for any number of threads and across a resume, no allocation when warm, float and double.
#include <onestep/train/checkpoint.hpp>

#include <onestep/backend/cpu.hpp>

#include <doctest/doctest.h>

#include <map>

#include "../counting_allocator.hpp"
#include "../io/scratch.hpp"
#include "../methods.hpp"

namespace train_methods_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

/// Everything that a run consists of, after `steps` steps; stopped and resumed at `stop` where that is not 0.
template <class Model, class Objective>
std::vector<float> state_after(Model& m, Objective const& objective, dataset<float, cpu> const& data, index_t steps, index_t stop,
                               std::string const& file) {
    using run_type = trainer<std::remove_reference_t<Model>, Objective, adam>;
    trainer_options const options{.batch = 32, .ema = 0.9, .seed = 7};
    auto const start = to_host(m.network().parameters());
    auto const state = [&](run_type& run) {
        std::vector<float> all = to_host(m.network().parameters());
        auto const add = [&](auto const& more) {
            auto const host = to_host(more);
            all.insert(all.end(), host.begin(), host.end());
        };
        add(run.averaged().network().parameters());
        add(run.optimizer().second_moment());
        if constexpr (run_type::has_target) add(run.target().model().network().parameters());
        if constexpr (run_type::has_weight) add(run.weight().parameters()), add(run.weight_optimizer().second_moment());
        return all;
    };
    if (stop > 0) {
        run_type first(m, objective, adam{.rate = 1e-2}, options);
        first.run(data, stop);
        save_checkpoint(file, first);
        m.network().parameters().backend().upload(start.data(), static_cast<index_t>(start.size()), m.network().parameters().data());
        run_type second(m, objective, adam{.rate = 1e-2}, options);
        resume(file, second);
        second.run(data, steps);
        return state(second);
    }
    run_type run(m, objective, adam{.rate = 1e-2}, options);
    run.run(data, steps);
    return state(run);
}

dataset<float, cpu> pairs(cpu& device) {
    std::vector<std::int32_t> labels;
    for (int i = 0; i < 80; ++i) labels.push_back(i % 3);
    return dataset<float, cpu>(normal<float>(device, {80, 3}, 1), normal<float>(device, {80, 3}, 2))
        .labelled(class_labels(device, labels, 3), 3);
}

}  // namespace

TEST_CASE("every method: equal bits on one thread and three, and across a resume") {
    scratch_folder const folder;
    std::map<std::string, std::vector<float>> wanted;
    cpu one(1), three(3);
    auto const data_one = pairs(one), data_three = pairs(three);
    for_each_method<float>(one, [&](char const* name, auto& m, auto const& objective) {
        wanted[name] = state_after(m, objective, data_one, 6, 0, "");
        for (float value : wanted[name]) REQUIRE(std::isfinite(value));
    });
    CHECK(wanted.size() == 21);
    for_each_method<float>(three, [&](char const* name, auto& m, auto const& objective) {
        CAPTURE(name);
        CHECK(state_after(m, objective, data_three, 6, 0, "") == wanted[name]);
    });
    for_each_method<float>(one, [&](char const* name, auto& m, auto const& objective) {
        CAPTURE(name);
        CHECK(state_after(m, objective, data_one, 6, 3, folder / "run.safetensors") == wanted[name]);
    });
}

TEST_CASE("every method: a warm step allocates nothing") {
    if (!counts_allocations) return;
    cpu device(2);
    auto const data = pairs(device);
    batch<float, cpu> const part{data.x0().view().rows(0, 32), data.noise().view().rows(0, 32), data.labels().view().rows(0, 32)};
    for_each_method<float>(device, [&](char const* name, auto& m, auto const& objective) {
        CAPTURE(name);
        for (std::uint64_t k = 0; k < 4; ++k) accumulate(objective, m, part, {1, k});
        std::size_t const before = allocations();
        accumulate(objective, m, part, {1, 9});
        CHECK(allocations() - before == 0);
    });
}

TEST_CASE("every method: with labels and without, with noise and without, in double as in float") {
    cpu device(1);
    auto const data = pairs(device);
    std::vector<float> const x0 = data.x0().to_host(), z = data.noise().to_host();
    tensor<double, cpu> const wide_x0(device, {80, 3}, std::vector<double>(x0.begin(), x0.end())),
        wide_z(device, {80, 3}, std::vector<double>(z.begin(), z.end()));
    view<std::int32_t const, cpu> const labels = data.labels().view().rows(0, 32);
    std::map<std::string, loss_value> wide;
    for_each_method<double>(device, [&](char const* name, auto& m, auto const& objective) {
        wide[name] = accumulate(objective, m, batch<double, cpu>{wide_x0.view().rows(0, 32), wide_z.view().rows(0, 32), labels}, {4, 6});
    });
    for_each_method<float>(device, [&](char const* name, auto& m, auto const& objective) {
        CAPTURE(name);
        view<float const, cpu> const x = data.x0().view().rows(0, 32), noise = data.noise().view().rows(0, 32);
        loss_value const loss = accumulate(objective, m, batch<float, cpu>{x, noise, labels}, {4, 6});
        CHECK(loss.weighted == doctest::Approx(wide[name].weighted).epsilon(2e-3));
        CHECK(loss.plain == doctest::Approx(wide[name].plain).epsilon(2e-3));
    });
}

}  // namespace train_methods_tests
