#include <doctest/doctest.h>
#include <onestep/network/layer/residual_block.hpp>

#include "network/values.hpp"
#include "test_backend.hpp"

namespace onestep::residual_block_tests {
namespace {

using test::backend_type;
using test::device;

/// A block of one row or several with everything it reads, on the host.
template <class T> struct problem {
    index_t n = 3, w = 9, apart = 22;
    parameter_list list;
    layer::residual_block<T, backend_type> block{list, "block", w};
    std::vector<T> weights = test::normals<T>(list.size(), 1, 0.5);
    std::vector<T> h = test::normals<T>(n * w, 2), shift = test::normals<T>(n * apart, 3);
    std::vector<T> dh = test::normals<T>(n * w, 4);

    struct tensors {
        tensor<T, backend_type> h, u, z, v, h_next, u_next, h_slope, h_next_slope, weights, shift;
        /// With or without the slopes that a backward pass needs.
        typename layer::residual_block<T, backend_type>::tape tape(bool kept) {
            return {h.data(),      u.data(),      z.data(),       v.data(),
                    h_next.data(), u_next.data(), h_slope.data(), kept ? h_next_slope.data() : nullptr};
        }
    };
    /// Runs forward; tangents, where there are any, are stacked below.
    tensors forward(std::vector<T> const& all_weights, std::vector<T> const& rows, std::vector<T> const& shifts, bool stacked,
                    bool kept = false) const {
        index_t const all = stacked ? 2 * n : n;
        std::vector<T> u(rows.size()), slope(rows.size());
        for (index_t i = 0; i < n * w; ++i) {
            slope[i] = static_cast<T>(test::silu_slope_in_double(rows[i]));
            u[i] = static_cast<T>(test::silu_in_double(rows[i]));
            if (stacked) u[n * w + i] = static_cast<T>(rows[n * w + i] * test::silu_slope_in_double(rows[i]));
        }
        auto const fresh = [&] { return tensor<T, backend_type>(device(), {all, w}); };
        tensors t{{device(), {all, w}, rows},
                  {device(), {all, w}, u},
                  fresh(),
                  fresh(),
                  fresh(),
                  fresh(),
                  {device(), {all, w}, slope},
                  fresh(),
                  {device(), {list.size()}, all_weights},
                  {device(), {all, apart}, shifts}};
        if (stacked) block.template forward<true>(device(), t.weights.data(), n, t.tape(kept), t.shift.data(), apart);
        else block.template forward<false>(device(), t.weights.data(), n, t.tape(kept), t.shift.data(), apart);
        return t;
    }
};

TEST_CASE("residual_block: forward is what plain loops give") {
    problem<double> const p;
    index_t const w = p.w;
    auto const all = p.forward(p.weights, p.h, p.shift, false);
    double const *const a = p.weights.data(), *const a_bias = a + w * w, *const b = a_bias + w, *const b_bias = b + w * w;
    std::vector<double> h_next(p.h), u_next(p.h);
    for (index_t r = 0; r < p.n; ++r) {
        std::vector<double> v(w);
        for (index_t i = 0; i < w; ++i) {
            double z = a_bias[i] + p.shift[r * p.apart + i];
            for (index_t k = 0; k < w; ++k) z += a[i * w + k] * test::silu_in_double(p.h[r * w + k]);
            v[i] = test::silu_in_double(z);
        }
        for (index_t i = 0; i < w; ++i) {
            double sum = b_bias[i];
            for (index_t k = 0; k < w; ++k) sum += b[i * w + k] * v[k];
            h_next[r * w + i] += sum;
            u_next[r * w + i] = test::silu_in_double(h_next[r * w + i]);
        }
    }
    CHECK(test::relative_difference(all.h_next.to_host(), h_next) < 1e-13);
    CHECK(test::relative_difference(all.u_next.to_host(), u_next) < 1e-13);

    auto const kept = p.forward(p.weights, p.h, p.shift, false, true);
    CHECK(kept.h_next.to_host() == all.h_next.to_host());
    CHECK(kept.u_next.to_host() == all.u_next.to_host());
    auto const slope = kept.h_next_slope.to_host();
    for (std::size_t i = 0; i < slope.size(); ++i) CHECK(slope[i] == doctest::Approx(test::silu_slope_in_double(h_next[i])).epsilon(1e-12));

    problem<float> const f;
    auto const in_float = f.forward(f.weights, f.h, f.shift, false).h_next.to_host();
    CHECK(test::relative_difference(std::vector<double>(in_float.begin(), in_float.end()), h_next) < 2e-6);
}

TEST_CASE("residual_block: a new block is the identity") {
    problem<float> const p;
    tensor<float, backend_type> fresh(device(), {p.list.size()});
    p.list.initialise(fresh.view(), 5);
    CHECK(p.forward(fresh.to_host(), p.h, p.shift, false).h_next.to_host() == p.h);
}

TEST_CASE("residual_block: backward agrees with finite differences along input, shift and parameters") {
    problem<double> const p;
    auto const loss = [&](std::vector<double> const& weights, std::vector<double> const& h, std::vector<double> const& shift) {
        return test::dot(p.forward(weights, h, shift, false).h_next.to_host(), p.dh);
    };
    auto all = p.forward(p.weights, p.h, p.shift, false, true);
    auto const start = test::normals<double>(p.list.size(), 10);
    tensor<double, backend_type> g(device(), {p.list.size()}, start), dh_next(device(), {p.n, p.w}, p.dh), dh(device(), {p.n, p.w}),
        scratch(device(), {p.n, p.w}), dshift(device(), {p.n, p.apart}, std::vector<double>(p.n * p.apart, 7.0));
    p.block.backward_rows(device(), all.weights.data(), p.n, all.tape(true), dh_next.data(), dh.data(), dshift.data(), p.apart,
                          scratch.data());
    p.block.backward_parameters(device(), g.data(), p.n, all.tape(true), dh_next.data(), dshift.data(), p.apart);

    auto const along_w = test::normals<double>(p.list.size(), 11), along_h = test::normals<double>(p.n * p.w, 12);
    CHECK(test::dot(test::along(g.to_host(), -1, start), along_w) == doctest::Approx(test::slope(1e-3, [&](double e) {
                                                                         return loss(test::along(p.weights, e, along_w), p.h, p.shift);
                                                                     })).epsilon(1e-8));
    CHECK(test::dot(dh.to_host(), along_h) == doctest::Approx(test::slope(1e-3, [&](double e) {
                                                  return loss(p.weights, test::along(p.h, e, along_h), p.shift);
                                              })).epsilon(1e-8));
    auto const gradient = dshift.to_host();
    for (index_t r = 0; r < p.n; ++r)
        for (index_t c = 0; c < p.apart; ++c) {
            index_t const i = r * p.apart + c;
            if (c >= p.w) {
                CHECK(gradient[i] == 7);  // between the rows: not ours
                continue;
            }
            double const expected = test::slope(1e-3, [&](double e) {
                auto shift = p.shift;
                shift[i] += e;
                return loss(p.weights, p.h, shift);
            });
            CHECK(gradient[i] == doctest::Approx(expected).epsilon(1e-7));
        }
}

TEST_CASE("residual_block: stacked tangents agree with finite differences") {
    problem<double> const p;
    auto const vh = test::normals<double>(p.n * p.w, 12), vshift = test::normals<double>(p.n * p.apart, 13);
    auto stack = [](std::vector<double> primal, std::vector<double> const& tangent) {
        primal.insert(primal.end(), tangent.begin(), tangent.end());
        return primal;
    };
    auto const all = p.forward(p.weights, stack(p.h, vh), stack(p.shift, vshift), true);
    auto const plain = p.forward(p.weights, p.h, p.shift, false);
    auto const h_next = all.h_next.to_host(), u_next = all.u_next.to_host(), h_plain = plain.h_next.to_host();
    for (index_t i = 0; i < p.n * p.w; ++i) {
        auto const moved = [&](double e, bool activated) {
            auto const at = p.forward(p.weights, test::along(p.h, e, vh), test::along(p.shift, e, vshift), false);
            return (activated ? at.u_next : at.h_next).to_host()[i];
        };
        CHECK(h_next[i] == doctest::Approx(h_plain[i]).epsilon(1e-14));
        CHECK(h_next[p.n * p.w + i] == doctest::Approx(test::slope(1e-3, [&](double e) { return moved(e, false); })).epsilon(1e-8));
        CHECK(u_next[p.n * p.w + i] == doctest::Approx(test::slope(1e-3, [&](double e) { return moved(e, true); })).epsilon(1e-8));
    }
}

TEST_CASE("residual_block: tangents beside kept slopes are the stacked ones") {
    problem<double> const p;
    index_t const size = p.n * p.w;
    auto const vh = test::normals<double>(size, 12), vshift = test::normals<double>(p.n * p.apart, 13);
    auto const stack = [](std::vector<double> primal, std::vector<double> const& tangent) {
        primal.insert(primal.end(), tangent.begin(), tangent.end());
        return primal;
    };
    auto const both = p.forward(p.weights, stack(p.h, vh), stack(p.shift, vshift), true);
    auto kept = p.forward(p.weights, p.h, p.shift, false, true);
    std::vector<double> vu(vh);
    for (std::size_t i = 0; i < vu.size(); ++i) vu[i] *= test::silu_slope_in_double(p.h[i]);
    tensor<double, backend_type> h(device(), {p.n, p.w}, vh), u(device(), {p.n, p.w}, vu), z(device(), {p.n, p.w}),
        shift(device(), {p.n, p.apart}, vshift);
    p.block.tangent(device(), kept.weights.data(), p.n, kept.tape(true), h.data(), u.data(), z.data(), shift.data(), p.apart);
    auto const tail = [&](tensor<double, backend_type> const& all) {
        auto const values = all.to_host();
        return std::vector<double>(values.begin() + size, values.end());
    };
    CHECK(test::relative_difference(h.to_host(), tail(both.h_next)) < 1e-13);
    CHECK(test::relative_difference(u.to_host(), tail(both.u_next)) < 1e-13);
    CHECK(shift.to_host() == vshift);
}

TEST_CASE("residual_block: its elementwise passes have the same bits on every backend and compiler") {
    index_t const n = 5, w = 37;
    tensor<float, backend_type> h(device(), {2 * n, w}, test::normals<float>(2 * n * w, 1)),
        r(device(), {2 * n, w}, test::normals<float>(2 * n * w, 2)), u(device(), {2 * n, w}),
        bias(device(), {w}, test::normals<float>(w, 3)), dh(device(), {n, w}, test::normals<float>(n * w, 4));
    tensor<float, backend_type> slope(device(), {n, w});
    device().for_each_pair(n, w,
                           layer::functor::residual_silu<float, true, true>{h.data(), bias.data(), r.data(), u.data(), slope.data(), w, n});
    device().for_each_index(n * w, layer::functor::add_slope_product<float>{slope.data(), u.data(), dh.data(), dh.data()});
    CHECK(test::hash(r.to_host()) == 1468047018521826759u);
    CHECK(test::hash(u.to_host()) == 5666482201063825656u);
    CHECK(test::hash(dh.to_host()) == 11353779927013351208u);
}

}  // namespace
}  // namespace onestep::residual_block_tests
