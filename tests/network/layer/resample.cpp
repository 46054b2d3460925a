#include <doctest/doctest.h>
#include <onestep/network/layer/resample.hpp>

#include "network/values.hpp"
#include "test_backend.hpp"

namespace onestep::resample_tests {
namespace {

using test::backend_type;
using test::device;
using values = std::vector<double>;

/// n images of h x w pixels with c channels, and the coarse ones of (h + 1) / 2 x (w + 1) / 2.
struct extents {
    index_t n, h, w, c;
    index_t fine() const { return n * h * w * c; }
    index_t coarse_h() const { return (h + 1) / 2; }
    index_t coarse_w() const { return (w + 1) / 2; }
    index_t coarse() const { return n * coarse_h() * coarse_w() * c; }
    std::size_t at(index_t i, index_t y, index_t x, index_t k) const { return static_cast<std::size_t>(((i * h + y) * w + x) * c + k); }
    std::size_t cell(index_t i, index_t y, index_t x, index_t k) const {
        return static_cast<std::size_t>(((i * coarse_h() + y / 2) * coarse_w() + x / 2) * c + k);
    }
};
constexpr extents several[] = {{1, 1, 1, 1}, {2, 4, 6, 3}, {3, 7, 7, 5}, {2, 1, 5, 2}, {1, 6, 3, 17}, {2, 2, 2, 1}};

template <class Pass> values apply(extents const& e, values const& from, index_t size, Pass const& pass) {
    tensor<double, backend_type> in(device(), {1, static_cast<index_t>(from.size())}, from),
        out(device(), {1, size}, values(static_cast<std::size_t>(size), 99.0));
    pass(layer::resample<double, backend_type>(e.h, e.w, e.c), in.data(), out.data());
    return out.to_host();
}
values down(extents const& e, values const& fine) {
    return apply(e, fine, e.coarse(), [&](auto const& layer, double const* x, double* y) { layer.down(device(), e.n, x, y); });
}
values up(extents const& e, values const& coarse) {
    return apply(e, coarse, e.fine(), [&](auto const& layer, double const* x, double* y) { layer.up(device(), e.n, x, y); });
}
values down_backward(extents const& e, values const& dcoarse) {
    return apply(e, dcoarse, e.fine(), [&](auto const& layer, double const* x, double* y) { layer.down_backward(device(), e.n, x, y); });
}
values up_backward(extents const& e, values const& dfine) {
    return apply(e, dfine, e.coarse(), [&](auto const& layer, double const* x, double* y) { layer.up_backward(device(), e.n, x, y); });
}

template <class F> void for_each_pixel(extents const& e, F const& f) {
    for (index_t i = 0; i < e.n; ++i)
        for (index_t y = 0; y < e.h; ++y)
            for (index_t x = 0; x < e.w; ++x)
                for (index_t k = 0; k < e.c; ++k) f(e.at(i, y, x, k), e.cell(i, y, x, k));
}

TEST_CASE("resample: down is the mean over cells of 2 x 2, up their value, also at odd edges") {
    for (extents const& e : several) {
        CAPTURE(e.h);
        CAPTURE(e.w);
        layer::resample<double, backend_type> const layer(e.h, e.w, e.c);
        CHECK(layer.coarse_height() == e.coarse_h());
        CHECK(layer.coarse_width() == e.coarse_w());
        auto const fine = test::normals<double>(e.fine(), 1), coarse = test::normals<double>(e.coarse(), 2);
        values sum(coarse.size()), count(coarse.size()), copied(fine.size());
        for_each_pixel(e, [&](std::size_t at, std::size_t cell) {
            sum[cell] += fine[at];
            count[cell] += 1;
            copied[at] = coarse[cell];
        });
        for (std::size_t k = 0; k < sum.size(); ++k) sum[k] /= count[k];
        CHECK(test::relative_difference(down(e, fine), sum) < 1e-15);
        CHECK(up(e, coarse) == copied);
    }
}

TEST_CASE("resample: down leads back from up") {
    for (extents const& e : several) {
        auto const coarse = test::normals<double>(e.coarse(), 3);
        CHECK(test::relative_difference(down(e, up(e, coarse)), coarse) < 1e-15);
    }
}

TEST_CASE("resample: backward is the transpose") {
    for (extents const& e : several) {
        auto const fine = test::normals<double>(e.fine(), 4), coarse = test::normals<double>(e.coarse(), 5);
        CHECK(test::dot(down(e, fine), coarse) == doctest::Approx(test::dot(fine, down_backward(e, coarse))).epsilon(1e-12));
        CHECK(test::dot(up(e, coarse), fine) == doctest::Approx(test::dot(coarse, up_backward(e, fine))).epsilon(1e-12));
    }
}

TEST_CASE("resample: single precision, and no images") {
    layer::resample<float, backend_type> const layer(3, 3, 1);
    tensor<float, backend_type> x(device(), {1, 9}, {1, 3, 5, 5, 7, 9, 2, 4, 8}), y(device(), {1, 4});
    layer.down(device(), 1, x.data(), y.data());
    CHECK(y.to_host() == std::vector<float>{4, 7, 3, 8});
    layer.down(device(), 0, x.data(), y.data());
    CHECK(y.to_host() == std::vector<float>{4, 7, 3, 8});
}

}  // namespace
}  // namespace onestep::resample_tests
