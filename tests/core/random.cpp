#include "test_backend.hpp"

#include <onestep/backend/random_fill.hpp>
#include <onestep/core/random.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <vector>

namespace random_tests {

using onestep::draw;
using onestep::index_t;
using onestep::quad;
using onestep::random_key;
using onestep::random_stream;
using onestep::test::backend_type;
using onestep::test::device;

namespace {

std::vector<float> deviates(random_stream stream, index_t rows, index_t cols) {
    onestep::tensor<float, backend_type> x(device(), {rows, cols});
    onestep::fill_normal(x.view(), stream);
    return x.to_host();
}

/// Element e of row r by the definition, in double: Box-Muller with the first and third word as radius, the second and
/// fourth as angle.
double by_definition(random_stream stream, index_t r, index_t e) {
    quad const v = stream.words(r, static_cast<std::uint64_t>(e / 4));
    double const radius = e % 4 < 2 ? v.x : v.z, phase = e % 4 < 2 ? v.y : v.w;
    double const size = std::sqrt(-2 * std::log((radius + 0.5) * 0x1p-32)), angle = 2 * std::acos(-1.0) * phase * 0x1p-32;
    return size * (e % 2 == 0 ? std::cos(angle) : std::sin(angle));
}

/// Quantile of the chi-square distribution at which a fair sample fails once in a million (Wilson and Hilferty).
double chi_square_bound(double freedom) {
    double const spread = 2 / (9 * freedom);
    return freedom * std::pow(1 - spread + 4.7534 * std::sqrt(spread), 3);
}

}  // namespace

TEST_CASE("random: philox4x32-10 gives the known answers of Random123") {
    CHECK(onestep::philox::words({0, 0, 0, 0}, 0, 0) == quad{0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u});
    CHECK(onestep::philox::words({~0u, ~0u, ~0u, ~0u}, ~0u, ~0u) == quad{0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu});
    CHECK(onestep::philox::words({0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u}, 0xa4093822u, 0x299f31d0u) ==
          quad{0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u});
}

TEST_CASE("random: many counters at once are the same counters") {
    onestep::philox::block<16> b;
    for (std::uint32_t i = 0; i < 16; ++i) {
        b.x[i] = i * 0x9e3779b9u;
        b.y[i] = ~i;
        b.z[i] = i << 28;
        b.w[i] = i * i;
    }
    auto const before = b;
    onestep::philox::rounds(b, 0xdeadbeefu, 0x12345678u);
    for (int i = 0; i < 16; ++i)
        CHECK(onestep::philox::words({before.x[i], before.y[i], before.z[i], before.w[i]}, 0xdeadbeefu, 0x12345678u) ==
              quad{b.x[i], b.y[i], b.z[i], b.w[i]});
}

TEST_CASE("random: deviates are Box-Muller of the words of their own quad") {
    auto const stream = random_key{3, 9, 100}.at(draw::noise, 2);
    for (index_t cols : {1, 2, 3, 4, 5, 63, 64, 65, 130}) {
        auto const z = deviates(stream, 9, cols);
        double worst = 0;
        for (index_t r = 0; r < 9; ++r)
            for (index_t e = 0; e < cols; ++e)
                worst = std::fmax(worst, std::fabs(z[static_cast<std::size_t>(r * cols + e)] - by_definition(stream, r, e)));
        CAPTURE(cols);
        CHECK(worst < 2e-6);
    }
}

namespace {
struct store_word {
    std::uint32_t* x;
    ONESTEP_HD void operator()(index_t, index_t position, std::uint32_t word) const { x[position] = word; }
};
}  // namespace

TEST_CASE("random: a pass over words meets each element with a word of its own quad, once") {
    auto const stream = random_key{3, 9, (std::uint64_t{1} << 32) - 5}.at(draw::dropout, 2);
    for (index_t rows : {0, 1, 9, 40})
        for (index_t cols : {1, 2, 3, 4, 5, 63, 64, 65, 130}) {
            CAPTURE(rows);
            CAPTURE(cols);
            std::vector<std::uint32_t> expected(static_cast<std::size_t>(rows * cols + 1), 7u);
            onestep::tensor<std::uint32_t, backend_type> x(device(), {rows * cols + 1}, expected);
            onestep::with_words<backend_type::quads_per_item, store_word> const items{{x.data()}, stream, rows, cols};
            device().for_each_index(items.items(), items);
            for (index_t r = 0; r < rows; ++r)
                for (index_t c = 0; c < cols; ++c) {
                    quad const q = stream.words(r, static_cast<std::uint64_t>(c / 4));
                    expected[static_cast<std::size_t>(r * cols + c)] = c % 4 == 0 ? q.x : c % 4 == 1 ? q.y : c % 4 == 2 ? q.z : q.w;
                }
            CHECK(x.to_host() == expected);
        }
}

TEST_CASE("random: sample numbers pass 2^32 inside a block") {
    auto const stream = random_key{3, 0, (std::uint64_t{1} << 32) - 5}.at(draw::noise);
    for (index_t cols : {1, 2, 4, 6, 64}) {
        auto const z = deviates(stream, 12, cols);
        double worst = 0;
        for (index_t r = 0; r < 12; ++r)
            for (index_t e = 0; e < cols; ++e)
                worst = std::fmax(worst, std::fabs(z[static_cast<std::size_t>(r * cols + e)] - by_definition(stream, r, e)));
        CAPTURE(cols);
        CHECK(worst < 2e-6);
    }
}

TEST_CASE("random: a row's deviates depend neither on the batch nor on the columns after them") {
    random_key const key{11, 5, 40};
    auto const stream = key.at(draw::noise);
    auto const widest = deviates(stream, 64, 3072);
    for (index_t cols : {1, 2, 3, 4, 5, 63, 64, 65, 3072}) {
        for (index_t rows : {1, 7, 64}) {
            auto const z = deviates(stream, rows, cols);
            index_t wrong = 0;
            for (index_t r = 0; r < rows; ++r)
                for (index_t e = 0; e < cols; ++e)
                    wrong += z[static_cast<std::size_t>(r * cols + e)] != widest[static_cast<std::size_t>(r * 3072 + e)];
            CAPTURE(cols);
            CAPTURE(rows);
            CHECK(wrong == 0);
        }
        auto const tail = deviates(key.from_row(57).at(draw::noise), 7, cols);
        index_t wrong = 0;
        for (index_t r = 0; r < 7; ++r)
            for (index_t e = 0; e < cols; ++e)
                wrong += tail[static_cast<std::size_t>(r * cols + e)] != widest[static_cast<std::size_t>((57 + r) * 3072 + e)];
        CHECK(wrong == 0);
    }
}

TEST_CASE("random: nothing outside the tensor is written, and every element inside is") {
    for (index_t cols : {1, 2, 3, 5, 7, 13, 63, 65})
        for (index_t rows : {1, 5, 16, 33}) {
            std::vector<float> host(static_cast<std::size_t>((rows + 2) * cols), 99.0f);
            onestep::tensor<float, backend_type> x(device(), {rows + 2, cols}, host);
            onestep::fill_normal(x.view().rows(1, rows), random_key{1}.at(draw::noise));
            auto const z = x.to_host();
            index_t untouched = 0;
            for (float value : z) untouched += value == 99.0f;
            CAPTURE(cols);
            CAPTURE(rows);
            CHECK(untouched == 2 * cols);
            CHECK(z.front() == 99.0f);
            CHECK(z.back() == 99.0f);
        }
}

TEST_CASE("random: a fill of doubles and a scaled fill hold the same deviates") {
    auto const stream = random_key{2}.at(draw::weights);
    auto const z = deviates(stream, 3, 10);
    onestep::tensor<double, backend_type> wide(device(), {3, 10});
    onestep::fill_normal(wide.view(), stream);
    onestep::tensor<float, backend_type> scaled(device(), {3, 10});
    onestep::fill_normal(scaled.view(), stream, 0.25);
    auto const d = wide.to_host();
    auto const s = scaled.to_host();
    for (std::size_t i = 0; i < z.size(); ++i) {
        CHECK(d[i] == static_cast<double>(z[i]));
        CHECK(s[i] == 0.25f * z[i]);
    }
}

TEST_CASE("random: normal_deviate is the first element of its quad") {
    auto const stream = random_key{4}.at(draw::time);
    auto const z = deviates(stream, 50, 12);
    for (index_t r = 0; r < 50; ++r)
        for (index_t q = 0; q < 3; ++q)
            CHECK(onestep::normal_deviate(stream, r, static_cast<std::uint64_t>(q)) == z[static_cast<std::size_t>(r * 12 + 4 * q)]);
}

TEST_CASE("random: 2^20 deviates have the same bits in every build") {
    CHECK(onestep::test::hash(deviates(random_key{1}.at(draw::noise), 1024, 1024)) == 0x3381e72ae393b5cdu);
    CHECK(onestep::test::hash(deviates(random_key{1, 2, 3}.at(draw::direction, 4), 9001, 3)) == 0xe8c42303d19920dbu);
    auto const z = onestep::normal<float>(device(), {1024, 1024}, 1);
    CHECK(onestep::test::hash(z.to_host()) == 0x3381e72ae393b5cdu);
}

TEST_CASE("random: deviates have the moments of a normal") {
    auto const z = deviates(random_key{6}.at(draw::noise), 1024, 1024);
    auto const n = static_cast<double>(z.size());
    double m1 = 0, m2 = 0, m3 = 0, m4 = 0, neighbours = 0, largest = 0;
    for (std::size_t i = 0; i < z.size(); ++i) {
        double const x = z[i];
        m1 += x;
        m2 += x * x;
        m3 += x * x * x;
        m4 += x * x * x * x;
        if (i > 0) neighbours += x * static_cast<double>(z[i - 1]);
        largest = std::fmax(largest, std::fabs(x));
    }
    // Five deviations of each estimate: a fair generator fails one of these checks for one seed in 300,000.
    CHECK(std::fabs(m1 / n) < 5 / std::sqrt(n));
    CHECK(std::fabs(m2 / n - 1) < 5 * std::sqrt(2 / n));
    CHECK(std::fabs(m3 / n) < 5 * std::sqrt(15 / n));
    CHECK(std::fabs(m4 / n - 3) < 5 * std::sqrt(96 / n));
    CHECK(std::fabs(neighbours / n) < 5 / std::sqrt(n));
    CHECK(largest < 6.78);
    CHECK(largest > 4.3);  // 2^20 deviates stay below this once in a million
}

TEST_CASE("random: deviates fill 64 equal bins of the normal distribution, one false alarm in a million") {
    auto const z = deviates(random_key{8}.at(draw::noise), 1 << 18, 4);
    for (int element = 0; element < 4; ++element) {
        double counts[64] = {}, total = 0, chi_square = 0;
        for (std::size_t i = static_cast<std::size_t>(element); i < z.size(); i += 4, ++total) {
            auto const bin = static_cast<int>(32 * std::erfc(-static_cast<double>(z[i]) / std::sqrt(2.0)));
            ++counts[bin < 63 ? bin : 63];
        }
        for (double count : counts) chi_square += (count - total / 64) * (count - total / 64) / (total / 64);
        CAPTURE(element);
        CHECK(chi_square < chi_square_bound(63));
    }
}

TEST_CASE("random: uniform lies inside (0, 1) and fills it, one false alarm in a million") {
    auto const stream = random_key{9}.at(draw::time);
    constexpr index_t n = 1 << 18;
    double counts[64] = {}, chi_square = 0, low = 1, high = 0;
    for (index_t r = 0; r < n; ++r) {
        double const u = onestep::uniform(stream, r);
        low = std::fmin(low, u);
        high = std::fmax(high, u);
        ++counts[static_cast<int>(64 * u)];
    }
    for (double count : counts) chi_square += (count - n / 64.0) * (count - n / 64.0) / (n / 64.0);
    CHECK(low > 0);
    CHECK(high < 1);
    CHECK(low < 1e-4);
    CHECK(high > 1 - 1e-4);
    CHECK(chi_square < chi_square_bound(63));
    quad const v = stream.words(5, 3);
    CHECK(onestep::uniform(stream, 5, 3) == doctest::Approx((v.y + v.x * 0x1p-32) * 0x1p-32).epsilon(1e-15));
}

TEST_CASE("random: below stays in its range and is uniform, one false alarm in a million") {
    auto const stream = random_key{10}.at(draw::order);
    for (std::uint64_t n : {1u, 2u, 3u, 10u, 1797u}) {
        std::vector<double> counts(n);
        constexpr index_t total = 100000;
        for (index_t r = 0; r < total; ++r) {
            auto const k = onestep::below(stream, n, r);
            REQUIRE(k < n);
            ++counts[k];
        }
        double chi_square = 0, expected = static_cast<double>(total) / static_cast<double>(n);
        for (double count : counts) chi_square += (count - expected) * (count - expected) / expected;
        CAPTURE(n);
        if (n > 1) CHECK(chi_square < chi_square_bound(static_cast<double>(n - 1)));
    }
    // floor(n u) of the 64-bit fraction whose high word is y and whose low word is x
    for (index_t r = 0; r < 1000; ++r) {
        quad const v = stream.words(r, 0);
        std::uint64_t const n = 4000000007u, high = n * v.y, carry = n * v.x >> 32;
        CHECK(onestep::below(stream, n, r) == (high + carry) >> 32);
        CHECK(onestep::below(stream, n, r) < n);
    }
}

TEST_CASE("random: every coordinate names another stream") {
    random_key const key{1, 2, 3};
    auto const stream = key.at(draw::noise);
    CHECK(stream.key == random_key{1, 2, 77}.at(draw::noise).key);  // samples are counted inside the stream
    CHECK(stream.first_sample == 3);
    CHECK(stream.key != random_key{2, 2, 3}.at(draw::noise).key);
    CHECK(stream.key != random_key{1ull << 32 | 1, 2, 3}.at(draw::noise).key);
    CHECK(stream.key != key.at_step(3).at(draw::noise).key);
    CHECK(stream.key != key.at_step(1ull << 32 | 2).at(draw::noise).key);
    CHECK(stream.key != key.at(draw::noise, 1).key);
    CHECK(key.at_step(5) == random_key{1, 5, 3});
    CHECK(key.from_row(4) == random_key{1, 2, 7});

    std::vector<std::uint64_t> keys;
    for (auto purpose :
         {draw::noise, draw::time, draw::order, draw::weights, draw::direction, draw::subset, draw::probe, draw::label, draw::user})
        for (std::uint64_t index : {0u, 1u, 2u}) keys.push_back(key.at(purpose, index).key);
    for (std::size_t i = 0; i < keys.size(); ++i)
        for (std::size_t j = 0; j < i; ++j) CHECK(keys[i] != keys[j]);

    CHECK_FALSE(stream.words(0, 0) == stream.words(1, 0));
    CHECK_FALSE(stream.words(0, 0) == stream.words(0, 1));
    CHECK_FALSE(stream.words(0, 1) == stream.words(0, std::uint64_t{1} << 32));
    CHECK(stream.words(4, 1) == random_stream{stream.key, stream.first_sample + 4}.words(0, 1));
}

}  // namespace random_tests
