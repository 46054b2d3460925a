#pragma once
/// The transforms of Winograd's short correlations F(m, 3), m = 2 and 4:
///
///     y = A' [ (G g) . (B' d) ]       y_i = sum over k of d_(i + k) g_k, i = 0 .. m - 1, with m + 2 products instead of 3 m
///
/// F(2) has the points 0, 1, -1 and infinity, F(4) those and 2, -2. Source: Lavin, Gray 2016 (arXiv:1509.09308).

namespace onestep::host::winograd {

/// On numbers or vectors of them. `input` is B', `weights` G, `output` A'; the transposed ones serve gradients.
template <int M> struct transform;
template <> struct transform<2> {
    template <class V> static void input(V const (&d)[4], V (&o)[4]) {
        o[0] = d[0] - d[2], o[1] = d[1] + d[2], o[2] = d[2] - d[1], o[3] = d[1] - d[3];
    }
    template <class V> static void output(V const (&d)[4], V (&o)[2]) { o[0] = d[0] + d[1] + d[2], o[1] = d[1] - d[2] - d[3]; }
    template <class V> static void output_transposed(V const (&d)[2], V (&o)[4]) {
        o[0] = d[0], o[1] = d[0] + d[1], o[2] = d[0] - d[1], o[3] = -d[1];
    }
    template <class T, class V> static void weights(V const (&d)[3], V (&o)[4]) {
        V const outer = (d[0] + d[2]) * T(0.5), middle = d[1] * T(0.5);
        o[0] = d[0], o[1] = outer + middle, o[2] = outer - middle, o[3] = d[2];
    }
    template <class T, class V> static void weights_transposed(V const (&d)[4], V (&o)[3]) {
        V const sum = (d[1] + d[2]) * T(0.5);
        o[0] = d[0] + sum, o[1] = (d[1] - d[2]) * T(0.5), o[2] = sum + d[3];
    }
};
template <> struct transform<4> {
    template <class V> static void input(V const (&d)[6], V (&o)[6]) {
        V const a = d[4] - 4 * d[2], b = d[3] - 4 * d[1], c = d[4] - d[2], e = 2 * (d[3] - d[1]);
        o[0] = 4 * d[0] - 5 * d[2] + d[4], o[1] = a + b, o[2] = a - b, o[3] = c + e, o[4] = c - e, o[5] = 4 * d[1] - 5 * d[3] + d[5];
    }
    template <class V> static void output(V const (&d)[6], V (&o)[4]) {
        V const a = d[1] + d[2], b = d[1] - d[2], c = d[3] + d[4], e = d[3] - d[4];
        o[0] = d[0] + a + c, o[1] = b + 2 * e, o[2] = a + 4 * c, o[3] = b + 8 * e + d[5];
    }
    template <class V> static void output_transposed(V const (&d)[4], V (&o)[6]) {
        V const p = d[0] + d[2], q = d[1] + d[3], r = d[0] + 4 * d[2], t = 2 * d[1] + 8 * d[3];
        o[0] = d[0], o[1] = p + q, o[2] = p - q, o[3] = r + t, o[4] = r - t, o[5] = d[3];
    }
    template <class T, class V> static void weights(V const (&d)[3], V (&o)[6]) {
        V const s = (d[0] + d[2]) * T(-1.0 / 6), m = d[1] * T(1.0 / 6), u = d[0] * T(1.0 / 24) + d[2] * T(1.0 / 6), h = d[1] * T(1.0 / 12);
        o[0] = d[0] * T(0.25), o[1] = s - m, o[2] = s + m, o[3] = u + h, o[4] = u - h, o[5] = d[2];
    }
    template <class T, class V> static void weights_transposed(V const (&d)[6], V (&o)[3]) {
        V const a = (d[1] + d[2]) * T(-1.0 / 6), b = (d[2] - d[1]) * T(1.0 / 6), c = d[3] + d[4], e = d[3] - d[4];
        o[0] = d[0] * T(0.25) + a + c * T(1.0 / 24), o[1] = b + e * T(1.0 / 12), o[2] = a + c * T(1.0 / 6) + d[5];
    }
};

/// A one-dimensional transform of both dimensions of a square: apply(d, o) makes Out values of In. get(i, j) reads row i and column j,
/// put(i, j, value) takes the result.
template <int In, int Out, class V, class Get, class Apply, class Put>
inline void both_ways(Get const& get, Apply const& apply, Put const& put) {
    V half[Out][In];
#pragma GCC unroll 6
    for (int j = 0; j < In; ++j) {
        V d[In], o[Out];
#pragma GCC unroll 6
        for (int i = 0; i < In; ++i) d[i] = get(i, j);
        apply(d, o);
#pragma GCC unroll 6
        for (int i = 0; i < Out; ++i) half[i][j] = o[i];
    }
#pragma GCC unroll 6
    for (int i = 0; i < Out; ++i) {
        V o[Out];
        apply(half[i], o);
#pragma GCC unroll 6
        for (int j = 0; j < Out; ++j) put(i, j, o[j]);
    }
}

}  // namespace onestep::host::winograd
