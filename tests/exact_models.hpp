#pragma once
/// Networks whose answers are known in closed form, for data whose distribution is known. On host memory.
#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include <onestep/backend/cpu.hpp>
#include <onestep/core/random.hpp>
#include <onestep/core/tensor.hpp>
#include <onestep/core/view.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/process/sde.hpp>
#include <onestep/target/concept.hpp>

namespace onestep::test {

/// What an exact network is asked, undone: it is told `told` of the time t and reads input_scale * x_t. The clocks known here
/// are the processes' own and the one of edm_preconditioned.
template <class Target, class Process> marginal asked_at(Process const& process, double told) {
    if constexpr (tells_network_time<Target>) return marginal_at(process, time_of_noise_to_signal(process, std::exp(4 * told)));
    else if constexpr (discrete_process<Process>) return marginal_at(process, told + 1);
    else return marginal_at(process, told);
}

/// Data N(mean, deviation^2), each element for itself, on any process. With V = alpha^2 deviation^2 + sigma^2:
///
///     E[x0 | x] = mean + alpha deviation^2 (x - alpha mean) / V       E[epsilon | x] = sigma (x - alpha mean) / V
///
/// The flow carries x_t = alpha mean + sqrt(V(t)) z along with z fixed.
template <class Target, class Process = rectified_flow> struct gaussian_data {
    double mean = 0, deviation = 1;
    Target target = {};
    Process process = {};

    template <class T> void operator()(view<T const, cpu> x, view<T const, cpu> t, view<T, cpu> y) const {
        for (index_t r = 0; r < x.rows(); ++r) {
            marginal const m = asked_at<Target>(process, static_cast<double>(t.data()[r]));
            target_weights const w = target.weights(m);
            double const variance = m.alpha * m.alpha * deviation * deviation + m.sigma * m.sigma, scale = input_scale_of(target, m);
            for (index_t c = 0; c < x.cols(); ++c) {
                double const centred = (static_cast<double>(x.data()[r * x.cols() + c]) / scale - m.alpha * mean) / variance;
                double const clean = mean + m.alpha * deviation * deviation * centred, noise = m.sigma * centred;
                y.data()[r * x.cols() + c] = static_cast<T>(w.x0 * clean + w.epsilon * noise);
            }
        }
    }
    /// sqrt(V).
    double spread(double t) const { return std::hypot(process.alpha(t) * deviation, process.sigma(t)); }
    /// Where the flow carries x from time t to time s.
    double flow(double x, double t, double s) const {
        return process.alpha(s) * mean + (x - process.alpha(t) * mean) * spread(s) / spread(t);
    }
};

/// A mixture of round Gaussians in two dimensions.
struct mixture {
    struct component {
        double weight;
        std::array<double, 2> mean;
        double deviation;
    };
    std::vector<component> components;

    /// E[x0 | x] and E[epsilon | x] at (alpha, sigma): each component's answer, weighted by its share in x.
    std::array<std::array<double, 2>, 2> posterior(std::array<double, 2> const& x, marginal const& m) const {
        std::array<std::array<double, 2>, 2> sum{};
        double largest = -HUGE_VAL, total = 0;
        auto const exponent = [&](component const& c) {
            double const variance = m.alpha * m.alpha * c.deviation * c.deviation + m.sigma * m.sigma;
            double const a = x[0] - m.alpha * c.mean[0], b = x[1] - m.alpha * c.mean[1];
            return std::log(c.weight / variance) - (a * a + b * b) / (2 * variance);
        };
        for (component const& c : components) largest = std::fmax(largest, exponent(c));
        for (component const& c : components) {
            double const share = std::exp(exponent(c) - largest),
                         variance = m.alpha * m.alpha * c.deviation * c.deviation + m.sigma * m.sigma;
            total += share;
            for (std::size_t k = 0; k < 2; ++k) {
                double const centred = (x[k] - m.alpha * c.mean[k]) / variance;
                sum[0][k] += share * (c.mean[k] + m.alpha * c.deviation * c.deviation * centred);
                sum[1][k] += share * m.sigma * centred;
            }
        }
        for (auto& half : sum)
            for (double& value : half) value /= total;
        return sum;
    }

    /// n true samples, [n, 2].
    template <class T> tensor<T, cpu> samples(cpu& device, index_t n, std::uint64_t seed) const {
        random_stream const choice = random_key{seed}.at(draw::user), place = random_key{seed}.at(draw::user, 1);
        std::vector<T> values;
        for (index_t r = 0; r < n; ++r) {
            double rest = uniform(choice, r);
            std::size_t k = 0;
            while (k + 1 < components.size() && rest >= components[k].weight) rest -= components[k++].weight;
            for (std::uint64_t c = 0; c < 2; ++c)
                values.push_back(
                    static_cast<T>(components[k].mean[c] + components[k].deviation * static_cast<double>(normal_deviate(place, r, c))));
        }
        return {device, {n, 2}, values};
    }
    std::array<double, 2> mean() const {
        std::array<double, 2> sum{};
        for (component const& c : components)
            for (std::size_t k = 0; k < 2; ++k) sum[k] += c.weight * c.mean[k];
        return sum;
    }
    /// Second moments about zero: E x^2, E y^2, E x y.
    std::array<double, 3> second_moments() const {
        std::array<double, 3> sum{};
        for (component const& c : components) {
            double const v = c.deviation * c.deviation;
            sum[0] += c.weight * (c.mean[0] * c.mean[0] + v);
            sum[1] += c.weight * (c.mean[1] * c.mean[1] + v);
            sum[2] += c.weight * c.mean[0] * c.mean[1];
        }
        return sum;
    }
};

/// Three clusters at unequal weights: no symmetry that could hide a mistake.
inline mixture three_clusters() { return {{{0.5, {1.5, 0.5}, 0.4}, {0.3, {-1, 1}, 0.5}, {0.2, {-0.5, -1.5}, 0.3}}}; }

/// The exact network of a mixture on any process.
template <class Target, class Process = rectified_flow> struct mixture_data {
    mixture data;
    Target target = {};
    Process process = {};

    template <class T> void operator()(view<T const, cpu> x, view<T const, cpu> t, view<T, cpu> y) const {
        for (index_t r = 0; r < x.rows(); ++r) {
            marginal const m = asked_at<Target>(process, static_cast<double>(t.data()[r]));
            target_weights const w = target.weights(m);
            double const scale = input_scale_of(target, m);
            auto const [clean, noise] =
                data.posterior({static_cast<double>(x.data()[2 * r]) / scale, static_cast<double>(x.data()[2 * r + 1]) / scale}, m);
            for (std::size_t k = 0; k < 2; ++k)
                y.data()[2 * r + static_cast<index_t>(k)] = static_cast<T>(w.x0 * clean[k] + w.epsilon * noise[k]);
        }
    }
};

/// The slope of log2(errors) over log2(steps) by least squares, with its sign turned: a solver's order.
inline double fitted_order(std::vector<int> const& steps, std::vector<double> const& errors) {
    double const n = static_cast<double>(steps.size());
    double x = 0, y = 0, xx = 0, xy = 0;
    for (std::size_t i = 0; i < steps.size(); ++i) {
        double const a = std::log2(static_cast<double>(steps[i])), b = std::log2(errors[i]);
        x += a, y += b, xx += a * a, xy += a * b;
    }
    return -(n * xy - x * y) / (n * xx - x * x);
}

/// Largest |a - b| over the largest |b|.
template <class T> double relative_to(std::vector<T> const& a, std::vector<T> const& b) {
    double difference = 0, size = 0;
    for (std::size_t i = 0; i < b.size(); ++i) {
        difference = std::fmax(difference, std::fabs(static_cast<double>(a.at(i)) - static_cast<double>(b[i])));
        size = std::fmax(size, std::fabs(static_cast<double>(b[i])));
    }
    return difference / size;
}

/// Equal steps between two times, both ends exact.
inline std::vector<double> equal_times(double from, double to, int steps) {
    std::vector<double> times;
    for (int i = 0; i <= steps; ++i) times.push_back(i == steps ? to : from + (to - from) * i / steps);
    return times;
}

}  // namespace onestep::test
