#include <doctest/doctest.h>
#include <onestep/network/layer/time_embedding.hpp>

#include "network/values.hpp"
#include "test_backend.hpp"

namespace onestep::time_embedding_tests {
namespace {

using test::backend_type;
using test::device;
using kind = time_features::kind;

template <class T> std::vector<T> features(time_features const& options, std::vector<T> const& t, std::uint64_t seed = 0) {
    layer::time_embedding<T, backend_type> const embedding(device(), options, false, seed);
    auto const n = static_cast<index_t>(t.size());
    tensor<T, backend_type> at(device(), {n}, t), y(device(), {n, embedding.size()});
    embedding.forward(device(), n, at.data(), nullptr, y.data());
    return y.to_host();
}

TEST_CASE("time_embedding: sinusoidal features are sin and cos at falling frequencies") {
    int const size = 32, half = size / 2;
    std::vector<double> const times = {0, 1e-3, 0.25, 0.5, 0.999, 1};
    for (double scale : {1.0, 1000.0}) {
        auto const y = features<double>({.size = size, .scale = scale}, times);
        auto const f = features<float>({.size = size, .scale = scale}, std::vector<float>(times.begin(), times.end()));
        for (std::size_t r = 0; r < times.size(); ++r)
            for (int i = 0; i < half; ++i) {
                double const frequency = scale * std::pow(10000.0, -static_cast<double>(i) / half);
                CHECK(y[r * size + i] == doctest::Approx(std::sin(times[r] * frequency)).epsilon(1e-11));
                CHECK(y[r * size + half + i] == doctest::Approx(std::cos(times[r] * frequency)).epsilon(1e-11));
                // In float the angle itself is rounded (twice: frequency and product); what follows is not lost.
                double const angle = static_cast<float>(times[r]) * static_cast<float>(frequency);
                CHECK(std::fabs(f[r * size + i] - std::sin(angle)) < 2e-6);
                CHECK(std::fabs(f[r * size + half + i] - std::cos(angle)) < 2e-6);
                if (scale == 1) CHECK(std::fabs(f[r * size + i] - std::sin(times[r] * frequency)) < 2e-6);
            }
    }
}

TEST_CASE("time_embedding: the same bits on every backend and compiler") {
    std::vector<float> t(64), s(64);
    for (std::size_t i = 0; i < t.size(); ++i) t[i] = static_cast<float>(i) / 64.0f, s[i] = t[i] * 0.5f;
    layer::time_embedding<float, backend_type> const embedding(device(), {.size = 34}, true, 0);
    tensor<float, backend_type> at(device(), {64}, t), to(device(), {64}, s), y(device(), {128, embedding.size()});
    embedding.jvp(device(), 64, at.data(), to.data(), to.data(), at.data(), y.data());
    CHECK(test::hash(y.to_host()) == 5575104438972060849u);
}

TEST_CASE("time_embedding: Fourier frequencies are normal with deviation 2 pi scale") {
    int const size = 4000, half = size / 2;
    double const t = 1e-3, scale = 16;
    auto const y = features<double>({.features = kind::fourier, .size = size, .scale = scale}, {t}, 3);
    double sum = 0, squares = 0, beyond = 0;
    for (int i = 0; i < half; ++i) {
        double const w = std::atan2(y[i], y[half + i]) / (2 * 3.14159265358979324 * scale * t);  // |angle| < pi for |w| < 31
        sum += w;
        squares += w * w;
        beyond += std::fabs(w) > 1.959964 ? 1 : 0;
    }
    CHECK(std::fabs(sum / half) < 4 / std::sqrt(half));
    CHECK(std::fabs(squares / half - 1) < 4 * std::sqrt(2.0 / half));
    CHECK(std::fabs(beyond / half - 0.05) < 4 * std::sqrt(0.05 * 0.95 / half));

    time_features const small{.features = kind::fourier, .size = 8, .scale = 1};
    CHECK(features<float>(small, {0.3f}, 1) == features<float>(small, {0.3f}, 1));
    CHECK(features<float>(small, {0.3f}, 1) != features<float>(small, {0.3f}, 2));
}

TEST_CASE("time_embedding: two times give the features of t beside those of t - s") {
    time_features const options{.size = 10, .scale = 50};
    std::vector<double> const t = {0.5, 0.75, 1}, s = {0.25, 0.75, 0.125};
    layer::time_embedding<double, backend_type> const embedding(device(), options, true, 0);
    CHECK(embedding.size() == 20);
    tensor<double, backend_type> at(device(), {3}, t), to(device(), {3}, s), y(device(), {3, 20});
    embedding.forward(device(), 3, at.data(), to.data(), y.data());
    auto const both = y.to_host(), first = features(options, t), distance = features<double>(options, {0.25, 0.0, 0.875});
    for (int r = 0; r < 3; ++r)
        for (int i = 0; i < 10; ++i) {
            CHECK(both[r * 20 + i] == first[r * 10 + i]);
            CHECK(both[r * 20 + 10 + i] == distance[r * 10 + i]);
        }
}

TEST_CASE("time_embedding: jvp agrees with finite differences along t and along s") {
    for (kind const which : {kind::sinusoidal, kind::fourier}) {
        layer::time_embedding<double, backend_type> const embedding(device(), {.features = which, .size = 12, .scale = 5}, true, 1);
        index_t const n = 4, across = embedding.size();
        std::vector<double> const t = {0.1, 0.4, 0.6, 0.9}, s = {0.05, 0.1, 0.6, 0.2}, vt = {1, -2, 0.5, 3}, vs = {0.25, 1, -1, 2};
        tensor<double, backend_type> at(device(), {n}, t), to(device(), {n}, s), dt(device(), {n}, vt), ds(device(), {n}, vs),
            y(device(), {2 * n, across});
        auto const value = [&](double h, double k) {
            tensor<double, backend_type> a(device(), {n}, test::along(t, h, vt)), b(device(), {n}, test::along(s, k, vs)),
                out(device(), {n, across});
            embedding.forward(device(), n, a.data(), b.data(), out.data());
            return out.to_host();
        };
        auto const check = [&](double a, double b) {
            auto const stacked = y.to_host();
            for (index_t i = 0; i < n * across; ++i) {
                CHECK(stacked[i] == value(0, 0)[i]);
                CHECK(stacked[n * across + i] ==
                      doctest::Approx(test::slope(1e-4, [&](double h) { return value(a * h, b * h)[i]; })).epsilon(1e-7));
            }
        };
        embedding.jvp(device(), n, at.data(), dt.data(), to.data(), ds.data(), y.data());
        check(1, 1);
        embedding.jvp(device(), n, at.data(), dt.data(), to.data(), nullptr, y.data());
        check(1, 0);
        embedding.jvp(device(), n, at.data(), nullptr, to.data(), ds.data(), y.data());
        check(0, 1);
    }
}

TEST_CASE("time_embedding: tangents alone are those of jvp") {
    index_t const n = 4;
    for (bool second_time : {false, true}) {
        layer::time_embedding<double, backend_type> const embedding(device(), {.size = 12, .scale = 5}, second_time, 1);
        index_t const across = embedding.size();
        tensor<double, backend_type> at(device(), {n}, {0.1, 0.4, 0.6, 0.9}), to(device(), {n}, {0.05, 0.1, 0.6, 0.2}),
            dt(device(), {n}, {1, -2, 0.5, 3}), ds(device(), {n}, {0.25, 1, -1, 2}), both(device(), {2 * n, across}),
            alone(device(), {n, across});
        double const* const s = second_time ? to.data() : nullptr;
        auto const check = [&](double const* vt, double const* vs) {
            embedding.jvp(device(), n, at.data(), vt, s, vs, both.data());
            embedding.tangent(device(), n, at.data(), vt, s, vs, alone.data());
            auto const stacked = both.to_host();
            auto const wanted = std::vector<double>(stacked.begin() + n * across, stacked.end());
            CHECK(test::relative_difference(alone.to_host(), wanted) < 1e-15);
            if (vt != nullptr || (vs != nullptr && second_time)) CHECK(test::dot(wanted, wanted) > 0.1);
        };
        check(dt.data(), second_time ? ds.data() : nullptr);
        check(dt.data(), nullptr);
        check(nullptr, second_time ? ds.data() : nullptr);
    }
}

TEST_CASE("time_embedding: refuses odd or missing sizes and scales that are not finite") {
    using embedding = layer::time_embedding<float, backend_type>;
    CHECK_THROWS_WITH_AS(embedding(device(), {.size = 7}, false, 0),
                         "domain_error: time_embedding: size is 7, it must be even and at least 2", domain_error);
    CHECK_THROWS_WITH_AS(embedding(device(), {.size = 0}, false, 0),
                         "domain_error: time_embedding: size is 0, it must be even and at least 2", domain_error);
    CHECK_THROWS_WITH_AS(embedding(device(), {.scale = HUGE_VAL}, false, 0),
                         "domain_error: time_embedding: scale is inf, it must be finite", domain_error);
    CHECK(to_string(time_features{}) == "time_features{features = sinusoidal, size = 64, scale = " + to_string(1000.0) + "}");
}

}  // namespace
}  // namespace onestep::time_embedding_tests
