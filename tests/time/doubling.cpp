#include <onestep/time/doubling.hpp>

#include <doctest/doctest.h>

#include <limits>

namespace doubling_tests {

using namespace onestep;

TEST_CASE("doubling: the published curriculum, 11 to 1281 levels in eight parts of 50000 steps") {
    doubling const published{};
    index_t intervals = 10;
    for (index_t part = 0; part < 8; ++part, intervals *= 2) {
        CHECK(published.levels(50'000 * part) == intervals + 1);
        CHECK(published.levels(50'000 * part + 49'999) == intervals + 1);
    }
    CHECK(published.levels(400'000) == 1281);
    CHECK(published.levels(std::numeric_limits<index_t>::max()) == 1281);
}

TEST_CASE("doubling: parts are floor(steps / (log2 floor(to / from) + 1)) steps long, and the last doubling is cut") {
    doubling const uneven{.from = 3, .to = 20, .steps = 1000};  // log2 6 + 1 = 3.585, parts of 278
    CHECK(uneven.levels(277) == 4);
    CHECK(uneven.levels(278) == 7);
    CHECK(uneven.levels(2 * 278) == 13);
    CHECK(uneven.levels(3 * 278 - 1) == 13);
    CHECK(uneven.levels(3 * 278) == 21);
    CHECK(uneven.levels(999) == 21);
    doubling const none{.from = 5, .to = 5, .steps = 10};
    for (index_t k : {0, 9, 10, 1000}) CHECK(none.levels(k) == 6);
    index_t const large = index_t{1} << 61;
    CHECK(doubling{.from = 3, .to = large, .steps = 10'000}.levels(9'999'999) == large + 1);
}

TEST_CASE("doubling: refuses ranges that fall and too few steps, and is a spec") {
    CHECK_THROWS_WITH_AS((doubling{.from = 10, .to = 5}.levels(0)),
                         "domain_error: doubling: from is 10 and to is 5, 1 <= from <= to is needed", domain_error);
    CHECK_THROWS_AS((doubling{.from = 0}.levels(0)), domain_error);
    CHECK_THROWS_WITH_AS((doubling{.steps = 7}.levels(0)),
                         "domain_error: doubling: steps is 7, there must be at least one for each number of levels", domain_error);
    CHECK(doubling{.steps = 8}.levels(7) == 1281);
    CHECK(to_string(doubling{}) == "doubling{from = 10, to = 1280, steps = 400000}");
    CHECK_FALSE(doubling{} == doubling{.steps = 8});
}

}  // namespace doubling_tests
