#include <onestep/sampler/euler.hpp>

#include <onestep/backend/random_fill.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/sampler/sample.hpp>
#include <onestep/target/epsilon.hpp>

#include <doctest/doctest.h>

#include "../test_backend.hpp"

namespace euler_tests {

using namespace onestep;
using onestep::test::backend_type;
using onestep::test::device;

namespace {

/// y(r, c) = values(c), whatever x and t are.
template <class T> struct store_column {
    T* y;
    T first, step;
    index_t cols;
    ONESTEP_HD void operator()(index_t r, index_t c) const { y[r * cols + c] = first + step * static_cast<T>(c); }
};
struct constant_columns {
    double first, step;
    template <class T> void operator()(view<T const, backend_type>, view<T const, backend_type>, view<T, backend_type> y) const {
        y.backend().for_each_pair(y.rows(), y.cols(), store_column<T>{y.data(), static_cast<T>(first), static_cast<T>(step), y.cols()});
    }
};

/// A velocity that bends: u = x (t - x / 2) / (1 + x^2). fma and division alone, which have the same bits everywhere.
template <class T> struct bend {
    T const *x, *t;
    T* y;
    index_t cols;
    ONESTEP_HD void operator()(index_t r, index_t c) const {
        T const v = x[r * cols + c];
        y[r * cols + c] = math::divide(math::fma(v, math::fma(v, T(-0.5), t[r]), T(0)), math::fma(v, v, T(1)));
    }
};
struct bending {
    template <class T> void operator()(view<T const, backend_type> x, view<T const, backend_type> t, view<T, backend_type> y) const {
        y.backend().for_each_pair(x.rows(), x.cols(), bend<T>{x.data(), t.data(), y.data(), x.cols()});
    }
};

}  // namespace

TEST_CASE("euler: one step is exact where the velocity is constant") {
    model const flow{constant_columns{0.5, -0.75}, rectified_flow{}, velocity{}};
    tensor<float, backend_type> const z(device(), {2, 3}, {1, -2, 3, 0.25f, 0, -4});
    CHECK(sample(flow, euler{}, z).to_host() == std::vector<float>{0.5f, -1.75f, 4, -0.25f, 0.25f, -3});
    for (int steps : {2, 4, 16}) CHECK(sample(flow, euler{.steps = steps}, z).to_host() == sample(flow, euler{}, z).to_host());
    // and back
    tensor<float, backend_type> x(device(), {1, 3}, {0.5f, -1.75f, 4});
    CHECK(solve(flow, euler{}, {0, 1}, x.view()) == 1);
    CHECK(x.to_host() == std::vector<float>{1, -2, 3});
}

TEST_CASE("euler: one step lands on the prediction of x0, whatever x was") {
    model const flow{constant_columns{0.375, 0.1}, rectified_flow{}, x0{}};
    tensor<float, backend_type> const z = normal<float>(device(), {5, 3}, 3);
    auto const x = sample(flow, euler{}, z).to_host();
    for (std::size_t i = 0; i < x.size(); ++i) CHECK(x[i] == 0.375f + 0.1f * static_cast<float>(i % 3));
    auto const many = sample(flow, euler{.steps = 7}, z).to_host();
    for (std::size_t i = 0; i < x.size(); ++i) CHECK(many[i] == x[i]);
}

TEST_CASE("euler: a step is x + h u") {
    model const flow{bending{}, rectified_flow{}, velocity{}};
    tensor<double, backend_type> x(device(), {2, 2}, {0.5, -1.25, 2, 0.1});
    std::vector<double> const before = x.to_host();
    CHECK(solve(flow, euler{}, {0.9, 0.6}, x.view()) == 1);
    std::vector<double> const after = x.to_host();
    for (std::size_t i = 0; i < 4; ++i) {
        double const v = before[i], u = v * (0.9 - v / 2) / (1 + v * v);
        CHECK(after[i] == doctest::Approx(v - 0.3 * u).epsilon(1e-15));
    }
}

TEST_CASE("euler: one evaluation a step") {
    model const flow{bending{}, rectified_flow{}, velocity{}};
    tensor<float, backend_type> x = normal<float>(device(), {3, 2}, 1);
    for (int steps : {1, 2, 9}) CHECK(solve(flow, euler{}, times_of(uniform_grid{}, rectified_flow{}, steps), x.view()) == steps);
}

TEST_CASE("euler: the same bits on every backend") {
    tensor<float, backend_type> const z = normal<float>(device(), {33, 5}, 11);
    model const by_velocity{bending{}, rectified_flow{}, velocity{}};
    CHECK(test::hash(sample(by_velocity, euler{.steps = 7}, z).to_host()) == 10930704557905616101u);
    tensor<float, backend_type> x = z;
    solve(model{bending{}, rectified_flow{}, x0{}}, euler{}, {0.9, 0.7, 0.4, 0.1}, x.view());
    CHECK(test::hash(x.to_host()) == 11803154689607367197u);
    x = z;
    solve(model{bending{}, rectified_flow{}, epsilon{}}, euler{}, {0.1, 0.4, 0.7, 0.9}, x.view());
    CHECK(test::hash(x.to_host()) == 473665213610069299u);
}

TEST_CASE("euler: converges at first order") {
    // du/dx and du/dt differ from zero all along: no higher order by accident
    model const flow{bending{}, rectified_flow{}, velocity{}};
    std::vector<double> const start{0.5, -1.25, 2, 0.7};
    auto const end = [&](int steps) {
        tensor<double, backend_type> x(device(), {2, 2}, start);
        solve(flow, euler{}, times_of(uniform_grid{}, rectified_flow{}, steps), x.view());
        return x.to_host();
    };
    std::vector<double> const exact = [&] {  // Richardson: the error of 2^14 steps is nearly that of 2^13 halved
        std::vector<double> fine = end(1 << 14);
        std::vector<double> const coarse = end(1 << 13);
        for (std::size_t i = 0; i < fine.size(); ++i) fine[i] = 2 * fine[i] - coarse[i];
        return fine;
    }();
    double before = 0;
    for (int steps : {32, 64, 128, 256, 512, 1024}) {
        std::vector<double> const x = end(steps);
        double error = 0;
        for (std::size_t i = 0; i < x.size(); ++i) error = std::fmax(error, std::fabs(x[i] - exact[i]));
        if (before > 0) CHECK(std::fabs(std::log2(before / error) - euler::order) < 0.1);
        before = error;
    }
}

TEST_CASE("euler: is a printable and comparable spec") {
    CHECK(to_string(euler{.steps = 4}) == "euler{steps = 4}");
    CHECK(euler{}.steps == 1);
    CHECK(euler{.steps = 1} == euler{});
    CHECK_FALSE(euler{.steps = 2} == euler{});
}

}  // namespace euler_tests
