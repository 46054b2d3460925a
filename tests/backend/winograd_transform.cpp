#include <doctest/doctest.h>
#include <onestep/backend/winograd_transform.hpp>

#include <random>

namespace onestep::winograd_transform_tests {
namespace {

using namespace host::winograd;

std::mt19937 source(3);
template <int N> void draw(double (&x)[N]) {
    for (double& value : x) value = std::uniform_real_distribution<double>(-1, 1)(source);
}

template <int M> void check_correlation() {
    double d[M + 2], g[3], v[M + 2], u[M + 2], product[M + 2], y[M];
    draw(d), draw(g);
    transform<M>::input(d, v);
    transform<M>::template weights<double>(g, u);
    for (int i = 0; i < M + 2; ++i) product[i] = u[i] * v[i];
    transform<M>::output(product, y);
    for (int i = 0; i < M; ++i) CHECK(y[i] == doctest::Approx(d[i] * g[0] + d[i + 1] * g[1] + d[i + 2] * g[2]).epsilon(1e-12));
}
template <int M> void check_transposes() {
    double m[M + 2], y[M], dy[M], dm[M + 2], g[3], u[M + 2], du[M + 2], dg[3];
    draw(m), draw(dy), draw(g), draw(du);
    transform<M>::output(m, y);
    transform<M>::output_transposed(dy, dm);
    transform<M>::template weights<double>(g, u);
    transform<M>::template weights_transposed<double>(du, dg);
    double forward = 0, back = 0;
    for (int i = 0; i < M; ++i) forward += y[i] * dy[i];
    for (int i = 0; i < M + 2; ++i) back += m[i] * dm[i];
    CHECK(forward == doctest::Approx(back).epsilon(1e-12));
    forward = back = 0;
    for (int i = 0; i < M + 2; ++i) forward += u[i] * du[i];
    for (int i = 0; i < 3; ++i) back += g[i] * dg[i];
    CHECK(forward == doctest::Approx(back).epsilon(1e-12));
}

TEST_CASE("winograd: transforms and products give the correlation") {
    for (int i = 0; i < 20; ++i) check_correlation<2>(), check_correlation<4>();
}

TEST_CASE("winograd: transposed transforms are the transposes") {
    for (int i = 0; i < 20; ++i) check_transposes<2>(), check_transposes<4>();
}

TEST_CASE("winograd: both dimensions of a square, rows and columns in their places") {
    double const x[2][2] = {{1, 2}, {3, 5}};
    double y[3][3];
    // (a, b) -> (a, b, a + 10 b)
    both_ways<2, 3, double>([&](int i, int j) { return x[i][j]; },
                            [](auto const& d, auto& o) { o[0] = d[0], o[1] = d[1], o[2] = d[0] + 10 * d[1]; },
                            [&](int i, int j, double v) { y[i][j] = v; });
    double const expected[3][3] = {{1, 2, 21}, {3, 5, 53}, {31, 52, 551}};
    for (int i = 0; i < 3; ++i)
        for (int j = 0; j < 3; ++j) CHECK(y[i][j] == expected[i][j]);
}

}  // namespace
}  // namespace onestep::winograd_transform_tests
