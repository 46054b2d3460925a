#include <onestep/sampler/data_step.hpp>

#include <onestep/backend/cpu.hpp>
#include <onestep/target/convert.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

namespace data_step_tests {

using namespace onestep;

namespace {

template <class T> tensor<T, cpu> some(cpu& device, std::uint64_t seed, index_t rows = 5, index_t cols = 3) {
    tensor<T, cpu> x(device, {rows, cols});
    fill_normal(x.view(), random_key{seed}.at(draw::user));
    return x;
}

/// What a bound does, in a plain loop.
template <class T> T bounded_by(functor::unbounded, index_t, T data) { return data; }
template <class T> T bounded_by(functor::bounded<T> b, index_t, T data) { return std::fmin(std::fmax(data, b.low), b.high); }
template <class T> T bounded_by(functor::bounded_rows<T> b, index_t row, T data) {
    return std::fmin(std::fmax(data, -b.s[row]), b.s[row]) / b.s[row];
}

/// One combination against a plain loop in double.
template <class T, int Extras, int Outputs, class Bound> void check(Bound const& bound, bool keep, double noise) {
    CAPTURE(Extras);
    CAPTURE(Outputs);
    CAPTURE(keep);
    CAPTURE(noise);
    cpu device(1);
    tensor<T, cpu> const x = some<T>(device, 1), f = some<T>(device, 2);
    std::vector<tensor<T, cpu>> extras, outs;
    for (int j = 0; j < Extras; ++j) extras.push_back(some<T>(device, 10 + static_cast<std::uint64_t>(j)));
    for (int k = 0; k < Outputs; ++k) outs.push_back(some<T>(device, 20 + static_cast<std::uint64_t>(k)));
    tensor<T, cpu> kept = some<T>(device, 30), z = some<T>(device, 31);
    random_stream const stream = random_key{7, 3, 11}.at(draw::solver, 2);
    fill_normal(z.view(), stream);

    data_step<T, cpu, Extras, Outputs> step{};
    for (int k = 0; k < Outputs; ++k) {
        auto& out = step.outputs[static_cast<std::size_t>(k)];
        out.out = outs[static_cast<std::size_t>(k)].view();
        out.x = 0.3 + k;
        out.data = -0.7 - k;
        for (int j = 0; j < Extras; ++j) out.extra[static_cast<std::size_t>(j)] = 0.25 * (j + 1) - k;
    }
    for (int j = 0; j < Extras; ++j) step.extra[static_cast<std::size_t>(j)] = std::as_const(extras[static_cast<std::size_t>(j)]).view();
    step.noise = noise;
    step.stream = stream;
    if (keep) step.keep = kept.view();
    step.keep_x = 0.5;
    step.keep_data = -2;
    std::vector<T> const kept_before = kept.to_host();
    conversion const to_data{0.9, -1.3};
    step.run(x, f, to_data, bound);

    double const tolerance = sizeof(T) == 4 ? 2e-6 : 1e-14;
    for (index_t i = 0; i < x.size(); ++i) {
        CAPTURE(i);
        auto const at = static_cast<std::size_t>(i);
        double const here = static_cast<double>(x.data()[i]);
        double const data =
            static_cast<double>(bounded_by(bound, i / 3, static_cast<T>(0.9 * here - 1.3 * static_cast<double>(f.data()[i]))));
        if (keep) CHECK(static_cast<double>(kept.data()[i]) == doctest::Approx(0.5 * here - 2 * data).epsilon(tolerance));
        else CHECK(kept.data()[i] == kept_before[at]);
        for (int k = 0; k < Outputs; ++k) {
            double expected = (0.3 + k) * here + (-0.7 - k) * data;
            for (int j = 0; j < Extras; ++j)
                expected += (0.25 * (j + 1) - k) * static_cast<double>(extras[static_cast<std::size_t>(j)].data()[i]);
            if (k + 1 == Outputs) expected += noise * static_cast<double>(z.data()[i]);
            CHECK(static_cast<double>(outs[static_cast<std::size_t>(k)].data()[i]) == doctest::Approx(expected).epsilon(tolerance));
        }
    }
}
template <class T, int Extras, int Outputs> void check_bounds() {
    T const s[5] = {T(1), T(1.5), T(0.75), T(2), T(1.25)};
    for (bool keep : {false, true})
        for (double noise : {0.0, 0.6}) {
            check<T, Extras, Outputs>(functor::unbounded{}, keep, noise);
            check<T, Extras, Outputs>(functor::bounded<T>{T(-0.5), T(1)}, keep, noise);
            check<T, Extras, Outputs>(functor::bounded_rows<T>{s}, keep, noise);
        }
}
template <class T> void check_all() {
    check_bounds<T, 0, 1>();
    check_bounds<T, 1, 1>();
    check_bounds<T, 2, 1>();
    check_bounds<T, 3, 1>();
    check_bounds<T, 0, 2>();
    check_bounds<T, 1, 2>();
    check_bounds<T, 2, 2>();
    check_bounds<T, 3, 2>();
}

}  // namespace

TEST_CASE("data_step: every combination of inputs, outputs, bounds, memory and noise agrees with a plain loop") {
    check_all<float>();
    check_all<double>();
}

TEST_CASE("data_step: out and keep may be any of the inputs") {
    cpu device(1);
    tensor<double, cpu> const x = some<double>(device, 1), f = some<double>(device, 2), e = some<double>(device, 3);
    auto const run = [&](view<double, cpu> first, view<double, cpu> second, view<double, cpu> keep, tensor<double, cpu> const& at,
                         tensor<double, cpu> const& answer, tensor<double, cpu> const& extra) {
        data_step<double, cpu, 1, 2> step{};
        step.outputs = {{{first, 0.4, 0.6, {-0.2}}, {second, 0.1, 2, {0.3}}}};
        step.extra = {extra.view()};
        step.keep = keep;
        step.noise = 0.5;
        step.stream = random_key{9}.at(draw::solver);
        step.run(at, answer, {1.5, -0.5}, functor::bounded<double>{-1, 1});
    };
    tensor<double, cpu> a(device, x.shape()), b(device, x.shape()), k(device, x.shape());
    run(a.view(), b.view(), k.view(), x, f, e);
    // each of the three inputs is overwritten by each of the three results once
    for (int turn = 0; turn < 3; ++turn) {
        tensor<double, cpu> in[3] = {x, f, e};
        view<double, cpu> const to[3] = {in[turn].view(), in[(turn + 1) % 3].view(), in[(turn + 2) % 3].view()};
        run(to[0], to[1], to[2], in[0], in[1], in[2]);
        CHECK(to_host(to[0]) == a.to_host());
        CHECK(to_host(to[1]) == b.to_host());
        CHECK(to_host(to[2]) == k.to_host());
    }
}

TEST_CASE("data_step: what is not a number stays so, and bounds hold exactly") {
    cpu device(1);
    double const nan = std::numeric_limits<double>::quiet_NaN(), inf = HUGE_VAL;
    tensor<double, cpu> const f(device, {1, 5}, {nan, inf, -inf, 0.5, 7});
    tensor<double, cpu> x(device, {1, 5}, std::vector<double>(5, 0.0)), out(device, {1, 5});
    data_step<double, cpu> step{};
    step.outputs[0] = {out.view(), 0, 1, {}};
    step.run(x, f, {0, 1}, functor::bounded<double>{-1, 2});
    CHECK(std::isnan(out.data()[0]));
    CHECK(std::vector<double>(out.data() + 1, out.data() + 5) == std::vector<double>{2, -1, 0.5, 2});
}

TEST_CASE("data_step: rows of noise are samples, and the same for any number of threads") {
    std::vector<float> before;
    for (int threads : {1, 2, 3}) {
        cpu device(threads);
        tensor<float, cpu> const x = some<float>(device, 1, 64, 300), f = some<float>(device, 2, 64, 300);
        tensor<float, cpu> all(device, x.shape()), part(device, {7, 300});
        std::vector<float> const bounds(64, 1.5f);
        random_key const key{5, 2};
        auto const run = [&](view<float, cpu> to, index_t first, index_t count, float const* rows) {
            data_step<float, cpu> step{};
            step.outputs[0] = {to, 0.5, 0.25, {}};
            step.noise = 0.3;
            step.stream = key.from_row(first).at(draw::solver);
            step.run(x.view().rows(first, count), f.view().rows(first, count), {1, -1}, functor::bounded_rows<float>{rows + first});
        };
        run(all.view(), 0, 64, bounds.data());
        run(part.view(), 40, 7, bounds.data());
        CHECK(part.to_host() == to_host(all.view().rows(40, 7)));
        if (threads > 1) CHECK(all.to_host() == before);
        before = all.to_host();
    }
}

}  // namespace data_step_tests
