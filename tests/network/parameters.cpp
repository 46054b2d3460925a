#include <doctest/doctest.h>
#include <onestep/network/parameters.hpp>

#include "test_backend.hpp"

namespace onestep::parameters_tests {
namespace {

using test::backend_type;
using test::device;

TEST_CASE("parameters: each tensor lies behind the last one") {
    parameter_list list;
    CHECK(list.size() == 0);
    CHECK(list.begin() == list.end());
    CHECK(list.add("a", {3, 4}, 0.5) == 0);
    CHECK(list.add("b", {3}, 0) == 12);
    CHECK(list.add("c", {2, 2, 2}, 2) == 15);
    CHECK(list.size() == 23);
    std::string names;
    for (parameter const& p : list) names += p.name + to_string(p.extents) + "@" + std::to_string(p.offset) + " ";
    CHECK(names == "a[3, 4]@0 b[3]@12 c[2, 2, 2]@15 ");
}

TEST_CASE("parameters: initial values are normal with the deviation asked for, zero where it is zero") {
    parameter_list list;
    index_t const many = 20000;
    list.add("a", {many}, 0.5);
    list.add("b", {7}, 0);
    list.add("c", {many / 4, 4}, 3);
    tensor<double, backend_type> flat(device(), {list.size()}, std::vector<double>(static_cast<std::size_t>(list.size()), 99.0));
    list.initialise(flat.view(), 1);
    auto const all = flat.to_host();
    auto const check = [&](index_t first, double deviation) {
        double sum = 0, squares = 0;
        for (index_t i = first; i < first + many; ++i) sum += all[i], squares += all[i] * all[i];
        CHECK(std::fabs(sum / many) < 4 * deviation / std::sqrt(many));
        CHECK(std::fabs(squares / many / (deviation * deviation) - 1) < 4 * std::sqrt(2.0 / many));
    };
    check(0, 0.5);
    check(many + 7, 3);
    for (index_t i = many; i < many + 7; ++i) CHECK(all[i] == 0);
}

TEST_CASE("parameters: a tensor's values depend on the seed and its place in the list alone") {
    auto const values = [](std::uint64_t seed, index_t first, index_t second) {
        parameter_list list;
        list.add("a", {first}, 1);
        index_t const at = list.add("b", {second}, 1);
        tensor<float, backend_type> flat(device(), {list.size()});
        list.initialise(flat.view(), seed);
        auto const all = flat.to_host();
        return std::vector<float>(all.begin() + at, all.begin() + at + 8);
    };
    CHECK(values(1, 5, 8) == values(1, 50, 80));
    CHECK(values(1, 5, 8) != values(2, 5, 8));
    parameter_list list;
    list.add("a", {8}, 1);
    list.add("b", {8}, 1);
    tensor<float, backend_type> flat(device(), {16});
    list.initialise(flat.view(), 1);
    auto const all = flat.to_host();
    CHECK(std::vector<float>(all.begin(), all.begin() + 8) != std::vector<float>(all.begin() + 8, all.end()));
}

TEST_CASE("parameters: those of deviation zero start at their value, wherever they lie") {
    parameter_list list;
    list.add("a", {2}, 0, 1);
    list.add("b", {3}, 1, 5);  // has a deviation: the value is not looked at
    list.add("c", {2}, 0, -0.5);
    parameter last{"d", {2}, 77};
    CHECK(list.add(last) == 7);
    tensor<double, backend_type> flat(device(), {list.size()}, std::vector<double>(9, 99.0));
    list.initialise(flat.view(), 4);
    auto const all = flat.to_host();
    CHECK((all[0] == 1 && all[1] == 1));
    for (index_t k = 2; k < 5; ++k) CHECK(std::fabs(all[k]) < 5);
    CHECK((all[5] == -0.5 && all[6] == -0.5));
    CHECK((all[7] == 0 && all[8] == 0));
}

TEST_CASE("parameters: elements lie in the order of their axes, from the slowest to the fastest") {
    parameter const p{"w", {2, 3, 4, 5}, 7, 0, 0, {2, 3, 1, 0}};
    std::vector<std::size_t> seen;
    index_t wrong = 0;
    for_each_named(p, [&](std::size_t named, std::size_t place) {
        wrong += named != seen.size();
        std::size_t const x = named % 5, y = named / 5 % 4, in = named / 20 % 3, out = named / 60;
        wrong += place != 7 + ((y * 5 + x) * 3 + in) * 2 + out;
        seen.push_back(place);
    });
    CHECK(wrong == 0);
    CHECK(seen.size() == 120);

    // Without an order of its own, as it is named.
    for_each_named(parameter{"b", {3, 2}, 4}, [&](std::size_t named, std::size_t place) { wrong += place != 4 + named; });
    CHECK(wrong == 0);
    int calls = 0;
    for_each_named(parameter{"none", {2, 0, 3}}, [&](std::size_t, std::size_t) { ++calls; });
    CHECK(calls == 0);
    for_each_named(parameter{"number", {}, 6}, [&](std::size_t named, std::size_t place) { calls += named == 0 && place == 6; });
    CHECK(calls == 1);
}

TEST_CASE("parameters: values go into the flat buffer and come back out, and nothing else changes") {
    parameter const p{"w", {2, 3}, 1, 0, 0, {1, 0}};
    std::vector<float> flat(8, 9.0f);
    from_named(p, std::vector<double>{1, 2, 3, 4, 5, 6}, flat);
    CHECK(flat == std::vector<float>{9, 1, 4, 2, 5, 3, 6, 9});
    CHECK(to_named(p, flat) == std::vector<float>{1, 2, 3, 4, 5, 6});
}

}  // namespace
}  // namespace onestep::parameters_tests
