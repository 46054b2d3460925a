#include <onestep/time/square_root_levels.hpp>

#include <doctest/doctest.h>

#include <limits>

namespace square_root_levels_tests {

using namespace onestep;

TEST_CASE("square_root_levels: the published curriculum") {
    square_root_levels const published{};
    CHECK(published.levels(0) == 2);
    CHECK(published.levels(1'000) == 6);
    CHECK(published.levels(10'000) == 17);
    CHECK(published.levels(100'000) == 54);
    CHECK(published.levels(400'000) == 107);
    CHECK(published.levels(799'999) == 151);
    CHECK(published.levels(800'000) == 151);
    CHECK(published.levels(std::numeric_limits<index_t>::max()) == 151);
}

TEST_CASE("square_root_levels: N is the smallest whole number whose square reaches what the step asks for") {
    square_root_levels const some{.from = 3, .to = 40, .steps = 977};
    for (index_t k = 0; k <= 977; ++k) {
        // N - 1 >= r - 1 > N - 2 with r^2 steps = k ((to + 1)^2 - from^2) + from^2 steps, all whole numbers.
        index_t const n = some.levels(k), square = k * (41 * 41 - 9) + 9 * 977;
        CHECK(n * n * 977 >= square);
        CHECK((n - 1) * (n - 1) * 977 < square);
    }
    CHECK(some.levels(0) == 3);
    CHECK(some.levels(977) == 41);
}

TEST_CASE("square_root_levels: refuses ranges that fall and no steps, and is a spec") {
    CHECK_THROWS_WITH_AS((square_root_levels{.from = 1}.levels(0)),
                         "domain_error: square_root_levels: from is 1 and to is 150, 2 <= from <= to is needed", domain_error);
    CHECK_THROWS_AS((square_root_levels{.from = 20, .to = 10}.levels(0)), domain_error);
    CHECK_THROWS_WITH_AS((square_root_levels{.steps = 0}.levels(0)), "domain_error: square_root_levels: steps is 0, it must be at least 1",
                         domain_error);
    CHECK(to_string(square_root_levels{}) == "square_root_levels{from = 2, to = 150, steps = 800000}");
}

}  // namespace square_root_levels_tests
