#include <onestep/sampler/affine_step.hpp>

#include <onestep/backend/cpu.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

namespace affine_step_tests {

using namespace onestep;

namespace {

std::vector<double> some(index_t size, std::uint64_t seed) {
    std::vector<double> values;
    for (index_t i = 0; i < size; ++i) values.push_back(4 * uniform(random_key{seed}.at(draw::user), i) - 2);
    return values;
}

}  // namespace

TEST_CASE("affine_step: sums one to eight terms in order") {
    cpu device(1);
    std::vector<tensor<double, cpu>> in;
    for (std::uint64_t k = 0; k < 8; ++k) in.emplace_back(device, shape{3, 5}, some(15, k));
    double const c[] = {1, -0.5, 0.25, 3, -2, 0.125, 7, -1.5};
    for (std::size_t count = 1; count <= 8; ++count) {
        CAPTURE(count);
        tensor<double, cpu> out(device, {3, 5}, some(15, 99));
        affine_step step(out.view());
        for (std::size_t k = 0; k < count; ++k) step.add(c[k], in[k].view());
        step.run();
        for (index_t i = 0; i < 15; ++i) {
            double expected = c[0] * in[0].data()[i];
            for (std::size_t k = 1; k < count; ++k) expected = std::fma(c[k], in[k].data()[i], expected);
            CHECK(out.data()[i] == expected);
        }
    }
}

TEST_CASE("affine_step: a ninth input is refused and out stays as it was") {
    cpu device(1);
    std::vector<tensor<float, cpu>> in;
    for (int k = 0; k < 9; ++k) in.emplace_back(device, shape{1, 2}, std::vector<float>{1, 2});
    tensor<float, cpu> out(device, {1, 2}, {5, 6});
    affine_step step(out.view());
    for (std::size_t k = 0; k < 8; ++k) step.add(1, in[k].view());
    CHECK_THROWS_WITH_AS(step.add(1, in[8].view()), "domain_error: affine_step: a ninth input was added, a step combines at most 8",
                         domain_error);
    CHECK(out.to_host() == std::vector<float>{5, 6});
    CHECK_NOTHROW(step.add(0, in[8].view()));
    CHECK_NOTHROW(step.add(1, in[0].view()));  // not a new one
    step.run();
    CHECK(out.to_host() == std::vector<float>{9, 18});
}

TEST_CASE("affine_step: an input that enters twice is read once") {
    cpu device(1);
    tensor<float, cpu> const x(device, {1, 3}, {1, -2, 3}), y(device, {1, 3}, {10, 20, 30});
    tensor<float, cpu> out(device, {1, 3});
    affine_step(out.view()).add(1, x).add(2, y).add(0.5, x).add(-1, y).run();
    CHECK(out.to_host() == std::vector<float>{11.5f, 17, 34.5f});
    // in double before it is rounded: 1e8 + 1 - 1e8 would be 0 in float
    affine_step(out.view()).add(1e8, x).add(1, x).add(-1e8, x).run();
    CHECK(out.to_host() == std::vector<float>{1, -2, 3});
}

TEST_CASE("affine_step: out may be one of the inputs") {
    cpu device(1);
    tensor<float, cpu> x(device, {1, 3}, {1, -2, 3});
    tensor<float, cpu> const y(device, {1, 3}, {10, 20, 30});
    affine_step(x.view()).add(2, x.view()).add(-1, y).run();
    CHECK(x.to_host() == std::vector<float>{-8, -24, -24});
    affine_step(x.view()).add(1, y).add(0.5, x.view()).run();
    CHECK(x.to_host() == std::vector<float>{6, 8, 18});
}

TEST_CASE("affine_step: what has coefficient 0 is never read") {
    cpu device(1);
    float const nan = std::numeric_limits<float>::quiet_NaN();
    tensor<float, cpu> const x(device, {1, 2}, {1, 2}), bad(device, {1, 2}, {nan, nan});
    tensor<float, cpu> out(device, {1, 2}, {nan, nan});
    affine_step(out.view()).add(0, bad).add(3, x).add(0, view<float const, cpu>(device, nullptr, {1, 2})).run();
    CHECK(out.to_host() == std::vector<float>{3, 6});
    affine_step(out.view()).add(1, bad).add(3, x).add(-1, bad).run();  // two that cancel
    CHECK(out.to_host() == std::vector<float>{3, 6});
    affine_step(out.view()).add(1, bad).add(3, x).add(2, out.view()).add(-1, bad).add(1, x).run();  // the others keep their order
    CHECK(out.to_host() == std::vector<float>{10, 20});
}

TEST_CASE("affine_step: no term gives zero, whatever was there") {
    cpu device(1);
    float const nan = std::numeric_limits<float>::quiet_NaN();
    tensor<float, cpu> out(device, {1, 2}, {nan, 3});
    affine_step(out.view()).run();
    CHECK(out.to_host() == std::vector<float>{0, 0});
}

TEST_CASE("affine_step: its noise is fill_normal's, bit for bit") {
    cpu device(1);
    random_stream const stream = random_key{5, 3, 17}.at(draw::noise);
    for (index_t cols : {1, 2, 3, 5, 64, 67}) {
        CAPTURE(cols);
        tensor<float, cpu> z(device, {9, cols}), out(device, {9, cols}), x(device, {9, cols});
        fill_normal(z.view(), stream);
        fill_normal(x.view(), random_key{6}.at(draw::user));
        affine_step(out.view()).run(1, stream);
        CHECK(out.to_host() == z.to_host());
        affine_step(out.view()).add(0.75, std::as_const(x).view()).run(0.3, stream);
        bool same = true;
        for (index_t i = 0; i < out.size(); ++i) same = same && out.data()[i] == std::fma(0.3f, z.data()[i], 0.75f * x.data()[i]);
        CHECK(same);
    }
}

TEST_CASE("affine_step: rows of noise are samples of the stream, and d = 0 draws none") {
    cpu device(1);
    random_key const key{5, 3};
    tensor<float, cpu> all(device, {6, 3}), part(device, {2, 3});
    affine_step(all.view()).run(2, key.at(draw::noise));
    affine_step(part.view()).run(2, key.from_row(4).at(draw::noise));
    CHECK(part.to_host() == to_host(all.view().rows(4, 2)));
    tensor<float, cpu> const x(device, {2, 3}, {1, 2, 3, 4, 5, 6});
    affine_step(part.view()).add(1, x).run(0, key.at(draw::noise));
    CHECK(part.to_host() == x.to_host());
}

TEST_CASE("affine_step: the same bits for any number of threads") {
    std::vector<float> before;
    for (int threads : {1, 2, 3}) {
        cpu device(threads);
        tensor<float, cpu> x(device, {64, 300}), out(device, {64, 300});
        fill_normal(x.view(), random_key{6}.at(draw::user));
        affine_step(out.view()).add(0.7, std::as_const(x).view()).run(0.3, random_key{7}.at(draw::noise));
        if (threads > 1) CHECK(out.to_host() == before);
        before = out.to_host();
    }
}

}  // namespace affine_step_tests
