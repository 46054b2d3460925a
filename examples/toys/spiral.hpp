#pragma once
/// Data in the plane for which the best possible network is known in closed form.
#include <array>
#include <cmath>
#include <onestep/onestep.hpp>
#include <vector>

/// Twelve round Gaussians of equal weight along a spiral, tight inside and wide outside.
struct gaussians_on_a_spiral {
    static constexpr int count = 12;
    struct component {
        double x, y, variance;
    };
    std::array<component, count> parts;

    gaussians_on_a_spiral() {
        for (int k = 0; k < count; ++k) {
            double const angle = 0.62 * k + 0.4, radius = 0.22 + 0.115 * k, deviation = 0.045 + 0.009 * k;
            parts[static_cast<std::size_t>(k)] = {radius * std::cos(angle), radius * std::sin(angle), deviation * deviation};
        }
    }
    /// n samples, [n, 2].
    onestep::tensor<double, onestep::cpu> samples(onestep::cpu& device, onestep::index_t n, std::uint64_t seed) const {
        onestep::random_stream const numbers = onestep::random_key{seed}.at(onestep::draw::user);
        std::vector<double> values;
        for (onestep::index_t r = 0; r < n; ++r) {
            component const& c = parts[onestep::below(numbers, count, r, 0)];
            double const deviation = std::sqrt(c.variance);
            values.push_back(c.x + deviation * static_cast<double>(onestep::normal_deviate(numbers, r, 1)));
            values.push_back(c.y + deviation * static_cast<double>(onestep::normal_deviate(numbers, r, 2)));
        }
        return {device, {n, 2}, values};
    }
    /// The mean of x0 given x = alpha x0 + sigma epsilon: each Gaussian's own, weighted by its share in x.
    std::array<double, 2> mean_given(double x, double y, double alpha, double sigma) const {
        double exponent[count], most = -HUGE_VAL, total = 0, sum_x = 0, sum_y = 0;
        for (int k = 0; k < count; ++k) {
            component const& c = parts[static_cast<std::size_t>(k)];
            double const variance = alpha * alpha * c.variance + sigma * sigma, dx = x - alpha * c.x, dy = y - alpha * c.y;
            exponent[k] = -(dx * dx + dy * dy) / (2 * variance) - std::log(variance);
            most = std::fmax(most, exponent[k]);
        }
        for (int k = 0; k < count; ++k) {
            component const& c = parts[static_cast<std::size_t>(k)];
            double const share = std::exp(exponent[k] - most), pull = alpha * c.variance / (alpha * alpha * c.variance + sigma * sigma);
            total += share;
            sum_x += share * (c.x + pull * (x - alpha * c.x));
            sum_y += share * (c.y + pull * (y - alpha * c.y));
        }
        return {sum_x / total, sum_y / total};
    }
};

inline gaussians_on_a_spiral const spiral;

/// What a perfectly trained network would say, for any target on any variance preserving process.
template <class Target, class Process = onestep::variance_preserving<>> struct best_network {
    gaussians_on_a_spiral data;
    Process process;
    Target target;

    struct one_row {
        static constexpr onestep::index_t elements = 512;  // exponentials weigh more than additions
        best_network const* net;
        double const *x, *t;
        double* y;
        void operator()(onestep::index_t r) const {
            onestep::marginal const m = marginal_at(net->process, t[r]);
            auto const weights = net->target.weights(m);
            auto const clean = net->data.mean_given(x[2 * r], x[2 * r + 1], m.alpha, m.sigma);
            for (onestep::index_t k = 0; k < 2; ++k) {
                double const x0 = clean[static_cast<std::size_t>(k)], epsilon = (x[2 * r + k] - m.alpha * x0) / m.sigma;
                y[2 * r + k] = weights.x0 * x0 + weights.epsilon * epsilon;
            }
        }
    };
    void operator()(auto x, auto t, auto y) const { x.backend().for_each_index(x.rows(), one_row{this, x.data(), t.data(), y.data()}); }
};
