#include <onestep/time/level_choice.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace level_choice_tests {

using namespace onestep;

namespace {

struct listed {
    std::vector<double> level;
    index_t count() const { return static_cast<index_t>(level.size()); }
    double operator()(index_t i) const { return level.at(static_cast<std::size_t>(i)); }
    index_t interval_of(double value) const {
        index_t const above = std::upper_bound(level.begin(), level.end(), value) - level.begin();
        return std::clamp<index_t>(above - 1, 0, count() - 2);
    }
};
/// n levels with equal steps of level^(1/7).
listed karras(double low, double high, int n) {
    listed levels;
    for (int i = 0; i < n; ++i)
        levels.level.push_back(std::pow(std::pow(low, 1 / 7.0) + (std::pow(high, 1 / 7.0) - std::pow(low, 1 / 7.0)) * i / (n - 1), 7));
    return levels;
}

/// The published probabilities, and the interval in which the sum of them passes u.
std::vector<double> probabilities(listed const& levels, double mean, double deviation) {
    std::vector<double> p;
    double total = 0;
    for (index_t i = 0; i + 1 < levels.count(); ++i) {
        auto const at = [&](index_t k) { return std::erf((std::log(levels(k)) - mean) / (std::sqrt(2.0) * deviation)); };
        total += p.emplace_back(at(i + 1) - at(i));
    }
    for (double& value : p) value /= total;
    return p;
}

}  // namespace

TEST_CASE("log_normal_level: a row's interval is where the sum of the published probabilities passes its uniform number") {
    auto const check = [](listed const& levels, log_normal_level const& choice) {
        auto const p = probabilities(levels, choice.mean, choice.deviation);
        random_stream const stream = random_key{3, 7}.at(draw::time);
        for (index_t row = 0; row < 3000; ++row) {
            double const u = uniform(stream, row);
            index_t const i = choice.choose(levels, stream, row);
            REQUIRE(i >= 0);
            REQUIRE(i + 1 < levels.count());
            double below = 0;
            for (index_t k = 0; k < i; ++k) below += p[static_cast<std::size_t>(k)];
            CHECK(u >= below - 1e-12);
            CHECK(u <= below + p[static_cast<std::size_t>(i)] + 1e-12);
        }
    };
    check(karras(0.002, 80, 11), {});
    check(karras(0.002, 80, 1281), {});
    check(karras(0.01, 5, 2), {});
    check(karras(0.1, 2, 40), {.mean = 3, .deviation = 1});
    check(karras(0.1, 2, 40), {.mean = -4, .deviation = 1});  // all of it above the mean
}

TEST_CASE("log_normal_level: shares of intervals are their probabilities") {
    auto const levels = karras(0.002, 80, 6);
    auto const p = probabilities(levels, -1.1, 2);
    constexpr index_t n = 40'000;
    std::vector<double> count(5);
    random_stream const stream = random_key{11}.at(draw::time);
    for (index_t row = 0; row < n; ++row) count[static_cast<std::size_t>(log_normal_level{}.choose(levels, stream, row))] += 1;
    double chi = 0;
    for (std::size_t i = 0; i < 5; ++i) chi += std::pow(count[i] - n * p[i], 2) / (n * p[i]);
    CHECK(chi < 28.5);  // 4 degrees of freedom: one seed in 100 000 fails
}

TEST_CASE("log_normal_level: far in a tail the digits are kept") {
    listed const levels{{1, std::exp(0.5), std::exp(1.0)}};
    log_normal_level const far{.mean = -20, .deviation = 2};  // 10 to 10.5 deviations away
    random_stream const stream = random_key{5}.at(draw::time);
    auto const tail = [](double z) { return std::erfc(z / std::sqrt(2.0)); };
    double const first = (tail(10) - tail(10.25)) / (tail(10) - tail(10.5));
    int low = 0;
    for (index_t row = 0; row < 20'000; ++row) low += far.choose(levels, stream, row) == 0;
    CHECK(std::fabs(low / 20'000.0 - first) < 5 * std::sqrt(first * (1 - first) / 20'000));
}

TEST_CASE("uniform_level: every interval alike, from the row's own number") {
    auto const levels = karras(0.002, 80, 9);
    random_stream const stream = random_key{11}.at(draw::time);
    std::vector<double> count(8);
    for (index_t row = 0; row < 16'000; ++row) {
        index_t const i = uniform_level{}.choose(levels, stream, row);
        REQUIRE(i >= 0);
        REQUIRE(i < 8);
        CHECK(i == static_cast<index_t>(below(stream, 8, row)));
        count[static_cast<std::size_t>(i)] += 1;
    }
    double chi = 0;
    for (double c : count) chi += std::pow(c - 2000, 2) / 2000;
    CHECK(chi < 35.5);  // 7 degrees of freedom: one seed in 100 000 fails
}

TEST_CASE("log_normal_level: refuses what has no probability, and is a spec") {
    auto const levels = karras(0.002, 80, 5);
    random_stream const stream = random_key{1}.at(draw::time);
    CHECK_THROWS_WITH_AS((log_normal_level{.deviation = 0}.choose(levels, stream, 0)),
                         "domain_error: log_normal_level: deviation is 0, it must be > 0", domain_error);
    CHECK_THROWS_WITH_AS((log_normal_level{.mean = 2000, .deviation = 1}.choose(listed{{1, 2}}, stream, 0)),
                         "domain_error: log_normal_level: mean is 2000 and deviation is 1, a level between 1 and 2 must be possible",
                         domain_error);
    CHECK(level_choice<log_normal_level, listed>);
    CHECK(to_string(log_normal_level{}) == "log_normal_level{mean = -1.1, deviation = 2}");
    CHECK(to_string(uniform_level{}) == "uniform_level{}");
}

}  // namespace level_choice_tests
