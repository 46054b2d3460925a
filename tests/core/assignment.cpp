#include <onestep/core/assignment.hpp>

#include <onestep/core/random.hpp>

#include <doctest/doctest.h>

#include <limits>
#include <numeric>

#include "../counting_allocator.hpp"

namespace assignment_tests {

using onestep::index_t;
using onestep::linear_assignment;

namespace {

std::vector<double> random_costs(index_t n, std::uint64_t seed) {
    std::vector<double> costs;
    for (index_t i = 0; i < n * n; ++i) costs.push_back(onestep::uniform(onestep::random_key{seed}.at(onestep::draw::user), i) - 0.3);
    return costs;
}
double total(std::vector<double> const& costs, std::vector<std::int32_t> const& column) {
    double sum = 0;
    for (std::size_t r = 0; r < column.size(); ++r) sum += costs[r * column.size() + static_cast<std::size_t>(column[r])];
    return sum;
}
bool is_permutation(std::vector<std::int32_t> const& column) {
    std::vector<std::int32_t> sorted = column;
    std::sort(sorted.begin(), sorted.end());
    for (std::size_t i = 0; i < sorted.size(); ++i)
        if (sorted[i] != static_cast<std::int32_t>(i)) return false;
    return true;
}
double least_by_trying_all(index_t n, std::vector<double> const& costs) {
    std::vector<std::int32_t> column(static_cast<std::size_t>(n));
    std::iota(column.begin(), column.end(), 0);
    double least = HUGE_VAL;
    do least = std::min(least, total(costs, column));
    while (std::next_permutation(column.begin(), column.end()));
    return least;
}

}  // namespace

TEST_CASE("linear_assignment: no permutation of up to seven rows costs less") {
    linear_assignment assignment;
    for (index_t n = 1; n <= 7; ++n)
        for (std::uint64_t seed = 0; seed < 40; ++seed) {
            CAPTURE(n);
            CAPTURE(seed);
            std::vector<double> costs = random_costs(n, 100 * static_cast<std::uint64_t>(n) + seed);
            if (seed % 4 == 1)  // many ties
                for (double& c : costs) c = std::floor(4 * c);
            if (seed % 4 == 2)  // rank one: chains of exchanges
                for (index_t i = 0; i < n * n; ++i)
                    costs[static_cast<std::size_t>(i)] = -costs[static_cast<std::size_t>(i / n)] * costs[static_cast<std::size_t>(i % n)];
            auto const& column = assignment.solve(n, costs.data());
            CHECK(is_permutation(column));
            CHECK(total(costs, column) == doctest::Approx(least_by_trying_all(n, costs)).epsilon(1e-13));
        }
}

TEST_CASE("linear_assignment: on a line both sides are paired in order") {
    index_t const n = 200;
    onestep::random_stream const left = onestep::random_key{1}.at(onestep::draw::user),
                                 right = onestep::random_key{2}.at(onestep::draw::user);
    std::vector<double> x, z, costs;
    for (index_t i = 0; i < n; ++i) x.push_back(onestep::uniform(left, i)), z.push_back(3 * onestep::uniform(right, i) - 1);
    for (double a : x)
        for (double b : z) costs.push_back((a - b) * (a - b));
    linear_assignment assignment;
    auto const& column = assignment.solve(n, costs.data());
    REQUIRE(is_permutation(column));
    auto const rank = [](std::vector<double> const& values, double value) {
        return std::count_if(values.begin(), values.end(), [&](double other) { return other < value; });
    };
    for (std::size_t r = 0; r < x.size(); ++r) CHECK(rank(x, x[r]) == rank(z, z[static_cast<std::size_t>(column[r])]));
}

TEST_CASE("linear_assignment: no cycle of exchanges lowers the sum, at any size") {
    // That is what least means. Cycles are looked for by relaxing (Bellman, Ford): it comes to rest only if there is none.
    linear_assignment assignment;
    for (index_t n : {30, 64, 101}) {
        auto const size = static_cast<std::size_t>(n);
        std::vector<double> const costs = random_costs(n, static_cast<std::uint64_t>(n));
        auto const column = assignment.solve(n, costs.data());
        REQUIRE(is_permutation(column));
        std::vector<double> away(size);  // the length of the shortest way to each row, by giving up its column
        bool moved = true;
        int rounds = 0;
        for (; moved && rounds <= n; ++rounds) {
            moved = false;
            for (std::size_t r = 0; r < size; ++r)
                for (std::size_t q = 0; q < size; ++q) {
                    auto const own = static_cast<std::size_t>(column[q]);
                    double const through = away[r] + costs[r * size + own] - costs[q * size + own];
                    if (through < away[q] - 1e-12) away[q] = through, moved = true;
                }
        }
        CHECK_FALSE(moved);
    }
}

TEST_CASE("linear_assignment: float costs, equal costs, one row and none") {
    linear_assignment assignment;
    std::vector<float> const narrow{4, 1, 3, 2, 0, 5, 3, 2, 2};
    CHECK(assignment.solve(3, narrow.data()) == std::vector<std::int32_t>{1, 0, 2});
    std::vector<double> const equal(25, 0.5);
    auto const first = assignment.solve(5, equal.data());
    CHECK(is_permutation(first));
    CHECK(linear_assignment().solve(5, equal.data()) == first);
    CHECK(assignment.solve(1, equal.data()) == std::vector<std::int32_t>{0});
    CHECK(assignment.solve(0, equal.data()).empty());
}

TEST_CASE("linear_assignment: an answer does not depend on what was solved before, and a warm call allocates nothing") {
    linear_assignment used;
    auto const large = random_costs(80, 5), small = random_costs(31, 6);
    used.solve(80, large.data());
    CHECK(used.solve(31, small.data()) == linear_assignment().solve(31, small.data()));
    used.solve(80, large.data());
    if (!onestep::test::counts_allocations) return;
    std::size_t const before = onestep::test::allocations();
    used.solve(31, small.data());
    used.solve(80, large.data());
    CHECK(onestep::test::allocations() == before);
}

TEST_CASE("linear_assignment: refuses costs that are not finite") {
    std::vector<double> costs(9, 1);
    costs[5] = std::numeric_limits<double>::quiet_NaN();
    CHECK_THROWS_WITH_AS(linear_assignment().solve(3, costs.data()),
                         "not_finite_error: linear_assignment: the cost of row 1 and column 2 is nan, all must be finite",
                         onestep::not_finite_error);
    costs[5] = HUGE_VAL;
    CHECK_THROWS_AS(linear_assignment().solve(3, costs.data()), onestep::not_finite_error);
}

}  // namespace assignment_tests
