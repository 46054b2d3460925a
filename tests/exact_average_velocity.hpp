#pragma once
/// The exact average velocity of Gaussian data on rectified flow, as a network of two times with derivatives. On host memory.
#include <cmath>

#include <onestep/backend/cpu.hpp>
#include <onestep/core/dual.hpp>
#include <onestep/core/view.hpp>

namespace onestep::test {

/// Data N(mean, deviation^2), each element for itself. The flow carries x_t = (1 - t) mean + S(t) z along with z fixed, S the spread of
/// x_t, so that
///
///     u(x; t, s) = (x - (1 - t) mean) (S(t) - S(s)) / ((t - s) S(t)) - mean
///
/// written without the difference: (S(t)^2 - S(s)^2) / (t - s) is a polynomial. `error` adds error x t, which breaks every identity.
struct exact_average_velocity {
    double mean = 0.4, deviation = 0.7, error = 0;

    template <class S> S value(S x, S t, S s) const {
        double const v = deviation * deviation;
        auto const spread = [&](S const& at) {
            using std::sqrt;
            return sqrt(v * (1 - at) * (1 - at) + at * at);
        };
        S const here = spread(t);
        return (x - (1 - t) * mean) * (v * (t + s - 2) + (t + s)) / ((here + spread(s)) * here) - mean + error * x * t;
    }
    /// Where the flow carries x.
    double flow(double x, double t, double s) const { return x - (t - s) * exact_average_velocity{mean, deviation}.value(x, t, s); }

    using input = view<double const, cpu>;
    using output = view<double, cpu>;
    void operator()(input x, input t, input s, output y) const {
        for (index_t i = 0; i < x.size(); ++i) y.data()[i] = value(x.data()[i], t.data()[i / x.cols()], s.data()[i / x.cols()]);
    }
    void forward(input x, input t, input s, output y) const { (*this)(x, t, s, y); }
    void jvp(input x, input vx, input t, input vt, input s, input vs, output y, output vy) const {
        for (index_t i = 0; i < x.size(); ++i) {
            index_t const r = i / x.cols();
            dual const u = value(dual(x.data()[i], vx.data()[i]), dual(t.data()[r], vt.data()[r]), dual(s.data()[r], vs.data()[r]));
            y.data()[i] = u.value;
            vy.data()[i] = u.derivative;
        }
    }
};

}  // namespace onestep::test
