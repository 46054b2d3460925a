#include <doctest/doctest.h>
#include <onestep/backend/arena.hpp>
#include <onestep/network/layer/self_attention.hpp>

#include <algorithm>
#include <cmath>
#include <string>

#include "network/values.hpp"
#include "test_backend.hpp"

namespace onestep::self_attention_tests {
namespace {

using test::backend_type;
using test::device;
using values = std::vector<double>;

struct extents {
    index_t n, tokens, channels, heads;
    index_t in() const { return n * tokens * 3 * channels; }
    index_t out() const { return n * tokens * channels; }
};
constexpr extents several[] = {{1, 1, 1, 1}, {2, 1, 6, 2}, {3, 5, 4, 1}, {2, 7, 12, 3}, {1, 49, 8, 8}, {4, 4, 10, 2}, {2, 20, 18, 1}};

/// The definition, a sum at a time: for each image, head and token a softmax over all tokens.
values by_definition(extents const& e, values const& qkv) {
    index_t const d = e.channels / e.heads;
    auto const at = [&](index_t image, index_t token, index_t part, index_t head, index_t j) {
        return qkv[static_cast<std::size_t>(((image * e.tokens + token) * 3 + part) * e.channels + head * d + j)];
    };
    values o(static_cast<std::size_t>(e.out()));
    for (index_t i = 0; i < e.n; ++i)
        for (index_t h = 0; h < e.heads; ++h)
            for (index_t r = 0; r < e.tokens; ++r) {
                values weights;
                double most = -HUGE_VAL, sum = 0;
                for (index_t c = 0; c < e.tokens; ++c) {
                    double score = 0;
                    for (index_t j = 0; j < d; ++j) score += at(i, r, 0, h, j) * at(i, c, 1, h, j);
                    weights.push_back(score / std::sqrt(static_cast<double>(d)));
                    most = std::fmax(most, weights.back());
                }
                for (double& w : weights) sum += w = std::exp(w - most);
                for (index_t c = 0; c < e.tokens; ++c)
                    for (index_t j = 0; j < d; ++j)
                        o[static_cast<std::size_t>((i * e.tokens + r) * e.channels + h * d + j)] +=
                            weights[static_cast<std::size_t>(c)] / sum * at(i, c, 2, h, j);
            }
    return o;
}

template <class T> std::vector<T> forward(extents const& e, std::vector<T> const& qkv) {
    arena<backend_type> memory(device());
    tensor<T, backend_type> const in(device(), {1, e.in()}, qkv);
    tensor<T, backend_type> o(device(), {1, e.out()}, std::vector<T>(static_cast<std::size_t>(e.out()), T(99)));
    layer::self_attention<T, backend_type>(e.channels, e.heads).forward(device(), memory, e.n, e.tokens, in.data(), o.data());
    return o.to_host();
}
template <class T> std::vector<T> jvp(extents const& e, std::vector<T> const& qkv, std::vector<T> const& vqkv) {
    arena<backend_type> memory(device());
    tensor<T, backend_type> const in(device(), {1, e.in()}, qkv), direction(device(), {1, e.in()}, vqkv);
    tensor<T, backend_type> vo(device(), {1, e.out()}, std::vector<T>(static_cast<std::size_t>(e.out()), T(99)));
    layer::self_attention<T, backend_type>(e.channels, e.heads)
        .jvp(device(), memory, e.n, e.tokens, in.data(), direction.data(), vo.data());
    return vo.to_host();
}
template <class T> std::vector<T> backward(extents const& e, std::vector<T> const& qkv, std::vector<T> const& d_o) {
    arena<backend_type> memory(device());
    tensor<T, backend_type> const in(device(), {1, e.in()}, qkv), upstream(device(), {1, e.out()}, d_o);
    tensor<T, backend_type> dqkv(device(), {1, e.in()}, std::vector<T>(static_cast<std::size_t>(e.in()), T(99)));
    layer::self_attention<T, backend_type>(e.channels, e.heads)
        .backward(device(), memory, e.n, e.tokens, in.data(), upstream.data(), dqkv.data());
    return dqkv.to_host();
}

template <class T> std::vector<T> rows(std::vector<T> const& x, index_t n, index_t image, index_t count) {
    auto const each = static_cast<std::ptrdiff_t>(x.size()) / n;
    return {x.begin() + image * each, x.begin() + (image + count) * each};
}
values wide(std::vector<float> const& x) { return {x.begin(), x.end()}; }

/// Equal bits on a host; cuBLAS may choose another kernel for another number of images.
template <class T> bool same(std::vector<T> const& a, std::vector<T> const& b) {
#if defined(__CUDACC__)
    return test::relative_difference(a, b) < 1e-5;
#else
    return a == b;
#endif
}

TEST_CASE("self_attention: each token is the average of all values under the softmax of its scores") {
    for (extents const& e : several) {
        CAPTURE(e.tokens);
        CAPTURE(e.channels);
        auto const qkv = test::normals<double>(e.in(), 1, 1.5);
        CHECK(test::relative_difference(forward(e, qkv), by_definition(e, qkv)) < 1e-14);
    }
}

TEST_CASE("self_attention: one token is its own value, equal keys are averaged") {
    extents const one{3, 1, 4, 2};
    auto const qkv = test::normals<double>(one.in(), 2);
    auto const o = forward(one, qkv);
    for (std::size_t i = 0; i < 3; ++i)
        for (std::size_t c = 0; c < 4; ++c) CHECK(o[i * 4 + c] == qkv[i * 12 + 8 + c]);
    extents const two{1, 2, 1, 1};
    CHECK(forward(two, values{5, 3, 10, -7, 3, 20}) == values{15, 15});
    // scores 0 and log 3, so weights 1/4 and 3/4
    auto const quarter = forward(two, values{1, 0, 4, 0, std::log(3.0), 8});
    CHECK(quarter[0] == doctest::Approx(7).epsilon(1e-14));
    CHECK(quarter[1] == 6);
}

TEST_CASE("self_attention: the JVP is the derivative in a direction") {
    for (extents const& e : several) {
        CAPTURE(e.tokens);
        CAPTURE(e.channels);
        auto const qkv = test::normals<double>(e.in(), 3), v = test::normals<double>(e.in(), 4);
        auto const vo = jvp(e, qkv, v);
        auto const weights = test::normals<double>(e.out(), 5);
        double const measured = test::slope(1e-3, [&](double h) { return test::dot(weights, by_definition(e, test::along(qkv, h, v))); });
        CHECK(test::dot(weights, vo) == doctest::Approx(measured).epsilon(1e-9).scale(1));
        // and in each element of o, by itself
        auto const ahead = by_definition(e, test::along(qkv, 1e-5, v)), behind = by_definition(e, test::along(qkv, -1e-5, v));
        values differences;
        for (std::size_t i = 0; i < ahead.size(); ++i) differences.push_back((ahead[i] - behind[i]) / 2e-5);
        CHECK(test::relative_difference(vo, differences) < 1e-8);
    }
}

TEST_CASE("self_attention: the gradient is that of differences in every element of q, k and v") {
    for (extents const& e : several) {
        if (e.in() > 400) continue;
        CAPTURE(e.tokens);
        CAPTURE(e.channels);
        auto const qkv = test::normals<double>(e.in(), 6), d_o = test::normals<double>(e.out(), 7);
        values measured;
        for (std::size_t i = 0; i < qkv.size(); ++i)
            measured.push_back(test::slope(1e-3, [&](double h) {
                auto moved = qkv;
                moved[i] += h;
                return test::dot(d_o, by_definition(e, moved));
            }));
        CHECK(test::relative_difference(backward(e, qkv, d_o), measured) < 1e-9);
    }
}

TEST_CASE("self_attention: backward is the transpose of the JVP") {
    for (extents const& e : several) {
        auto const qkv = test::normals<double>(e.in(), 8, 2), u = test::normals<double>(e.in(), 9), v = test::normals<double>(e.out(), 10);
        CHECK(test::dot(v, jvp(e, qkv, u)) == doctest::Approx(test::dot(backward(e, qkv, v), u)).epsilon(1e-12).scale(1));
    }
}

TEST_CASE("self_attention: single precision is close to double at 49 tokens and 128 channels") {
    extents const e{3, 49, 128, 4};
    auto const qkv = test::normals<float>(e.in(), 11), v = test::normals<float>(e.in(), 12), d_o = test::normals<float>(e.out(), 13);
    CHECK(test::relative_difference(wide(forward(e, qkv)), by_definition(e, wide(qkv))) < 1e-6);
    CHECK(test::relative_difference(wide(jvp(e, qkv, v)), jvp(e, wide(qkv), wide(v))) < 1e-6);
    CHECK(test::relative_difference(wide(backward(e, qkv, d_o)), backward(e, wide(qkv), wide(d_o))) < 1e-6);
}

TEST_CASE_TEMPLATE("self_attention: huge scores choose one token and overflow nowhere", T, float, double) {
    // Token r asks for key r: score +-1e4 there and around 0 or of the other sign elsewhere.
    for (double sign : {1.0, -1.0}) {
        extents const e{2, 8, 8, 1};
        values qkv(static_cast<std::size_t>(e.in()));
        for (std::size_t token = 0; token < 16; ++token)
            for (std::size_t c = 0; c < 8; ++c) {
                qkv[token * 24 + c] = c == token % 8 ? 1e4 * std::sqrt(8.0) : 0;
                qkv[token * 24 + 8 + c] = c == token % 8 ? sign : 0;
                qkv[token * 24 + 16 + c] = static_cast<double>(token * 10 + c + 1);
            }
        std::vector<T> const in(qkv.begin(), qkv.end());
        auto const o = forward(e, in);
        if (sign > 0)
            for (std::size_t token = 0; token < 16; ++token)
                for (std::size_t c = 0; c < 8; ++c) CHECK(o[token * 8 + c] == static_cast<T>(token * 10 + c + 1));
        CHECK(test::relative_difference(values(o.begin(), o.end()), by_definition(e, qkv)) < 1e-6);
        auto const direction = test::normals<T>(e.in(), 14), upstream = test::normals<T>(e.out(), 15);
        for (T x : jvp(e, in, direction)) CHECK(std::isfinite(x));
        for (T x : backward(e, in, upstream)) CHECK(std::isfinite(x));
    }
}

TEST_CASE("self_attention: an image gives the same alone, in a batch, and in a batch that is taken in parts") {
    for (extents const& e : {extents{5, 49, 16, 2}, extents{7, 200, 4, 2}, extents{3, 520, 2, 1}}) {
        CAPTURE(e.tokens);
        auto const qkv = test::normals<float>(e.in(), 16), v = test::normals<float>(e.in(), 17), d_o = test::normals<float>(e.out(), 18);
        auto const o = forward(e, qkv), vo = jvp(e, qkv, v), dqkv = backward(e, qkv, d_o);
        for (auto [first, count] : {std::pair<index_t, index_t>{0, 1}, {e.n - 1, 1}, {1, 2}}) {
            extents const part{count, e.tokens, e.channels, e.heads};
            auto const in = rows(qkv, e.n, first, count);
            CHECK(same(forward(part, in), rows(o, e.n, first, count)));
            CHECK(same(jvp(part, in, rows(v, e.n, first, count)), rows(vo, e.n, first, count)));
            CHECK(same(backward(part, in, rows(d_o, e.n, first, count)), rows(dqkv, e.n, first, count)));
        }
        auto const expected = by_definition(e, wide(qkv));
        CHECK(test::relative_difference(wide(o), expected) < 1e-5);
    }
}

/// Notes what is asked for.
struct counting_memory {
    arena<backend_type>& memory;
    index_t elements = 0;
    template <class T> T* take(index_t count) {
        elements += count;
        return memory.take<T>(count);
    }
};

TEST_CASE("self_attention: memory holds the scores of one head, twice for derivatives") {
    extents const e{3, 49, 16, 4};
    arena<backend_type> room(device());
    tensor<float, backend_type> const qkv(device(), {1, e.in()}, test::normals<float>(e.in(), 19));
    tensor<float, backend_type> o(device(), {1, e.out()}, test::normals<float>(e.out(), 20)), dqkv(device(), {1, e.in()});
    layer::self_attention<float, backend_type> const layer(e.channels, e.heads);
    index_t const scores = 3 * 49 * 49, rows = 3 * 49;
    counting_memory first{room}, second{room}, third{room};
    layer.backward(device(), first, e.n, e.tokens, qkv.data(), o.data(), dqkv.data());
    CHECK(first.elements == 2 * scores + 3 * rows);
    layer.jvp(device(), second, e.n, e.tokens, qkv.data(), qkv.data(), o.data());
    CHECK(second.elements == 2 * scores + 3 * rows);
    layer.forward(device(), third, e.n, e.tokens, qkv.data(), o.data());
    CHECK(third.elements == scores + 2 * rows);
}

TEST_CASE("self_attention: no images and no tokens are nothing to do") {
    arena<backend_type> room(device());
    counting_memory memory{room};
    layer::self_attention<float, backend_type> const layer(4, 2);
    for (auto [n, tokens] : {std::pair<index_t, index_t>{0, 5}, {5, 0}}) {
        layer.forward(device(), memory, n, tokens, nullptr, nullptr);
        layer.jvp(device(), memory, n, tokens, nullptr, nullptr, nullptr);
        layer.backward(device(), memory, n, tokens, nullptr, nullptr, nullptr);
    }
    CHECK(memory.elements == 0);
}

TEST_CASE("self_attention: heads divide channels") {
    using attention = layer::self_attention<float, backend_type>;
    CHECK(attention(12, 3).heads() == 3);
    CHECK(attention(12, 3).channels() == 12);
    CHECK_THROWS_WITH_AS(attention(12, 5),
                         "domain_error: self_attention: 5 heads share 12 channels, heads must be at least 1 and divide the channels",
                         domain_error);
    CHECK_THROWS_AS(attention(12, 0), domain_error);
    CHECK_THROWS_AS(attention(12, -3), domain_error);
    CHECK_THROWS_AS(attention(0, 1), domain_error);
}

}  // namespace
}  // namespace onestep::self_attention_tests
