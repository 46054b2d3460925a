#pragma once
/// Runs of public samplers (tests/golden/sampler/README.md) and ours beside them, state by state.
///
///     for (auto const& run : golden::named("DDIMScheduler"))
///         if (run.fault.empty() && run.draws.empty()) golden::check<double>(run, ddim{});
///
/// The file is read in golden.cpp, once.
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <onestep/backend/cpu.hpp>
#include <onestep/model/model.hpp>
#include <onestep/sampler/limits.hpp>
#include <onestep/sampler/sample.hpp>
#include <onestep/target/edm_preconditioned.hpp>

namespace onestep::test::golden {

/// Units of x: alpha^2 + sigma^2 = 1, alpha = 1, alpha = 1 - sigma, or alpha = cos t with sigma = sigma_data sin t.
enum class frame { vp, edm, linear, trig };

/// The process of a run, with the time that its frame is usually solved in: the angle for vp and trig, else sigma.
struct path {
    static constexpr char const* name = "path";
    frame units = frame::edm;
    double sigma_data = 1;     ///< of trig
    double from = 80, to = 0;  ///< sigma / alpha at both ends, HUGE_VAL where alpha = 0

    static constexpr double quarter_turn = 1.5707963267948966;
    bool turns() const { return units == frame::vp || units == frame::trig; }
    /// The time of a sigma / alpha.
    double time_of(double level) const {
        if (turns()) return level == HUGE_VAL ? quarter_turn : std::atan(level / sigma_data);
        return units == frame::edm ? level : level == HUGE_VAL ? 1 : level / (1 + level);
    }
    double alpha(double t) const {
        if (turns()) return t >= quarter_turn ? 0 : std::cos(t);
        return units == frame::edm ? 1 : 1 - t;
    }
    double sigma(double t) const { return turns() ? sigma_data * std::sin(t) : t; }
    double alpha_derivative(double t) const { return turns() ? -std::sin(t) : units == frame::edm ? 0 : -1; }
    double sigma_derivative(double t) const { return turns() ? sigma_data * alpha(t) : 1; }
    double log_snr(double t) const { return 2 * (std::log(alpha(t)) - std::log(sigma(t))); }
    double time_of_log_snr(double value) const { return time_of(std::exp(-value / 2)); }
    double t_min() const { return time_of(to); }
    double t_max() const { return time_of(from); }
    void fields(auto&&) const {}
};

/// What the network of a run returns.
struct output {
    static constexpr char const* name = "output";
    enum class kind { epsilon, x0, v, velocity, edm, minus_edm, trig } meaning = kind::x0;
    double sigma_data = 0.5;  ///< of edm, minus_edm and trig

    target_weights weights(marginal const& m) const {
        double const length = std::hypot(m.alpha, m.sigma);
        switch (meaning) {
            case kind::epsilon:
                return {0, 1};
            case kind::x0:
                return {1, 0};
            case kind::v:
                return {-m.sigma / length, m.alpha / length};
            case kind::velocity:
                return {-1, 1};
            case kind::trig:
                return {-m.sigma / sigma_data, m.alpha * sigma_data};
            case kind::edm:
                return edm_preconditioned{sigma_data}.weights(m);
            case kind::minus_edm:
                break;
        }
        target_weights const w = edm_preconditioned{sigma_data}.weights(m);
        return {-w.x0, -w.epsilon};
    }
    void fields(auto&&) const {}
};

/// The exact network: each coordinate of the data is from 0.5 N(-1, 0.25^2) + 0.5 N(0.6, 0.35^2).
struct network {
    path process;
    output target;

    /// E[x0 | x].
    static double clean(double x, double alpha, double sigma) {
        double const means[] = {-1, 0.6}, deviations[] = {0.25, 0.35};
        double exponent[2], mean[2];
        for (int k = 0; k < 2; ++k) {
            double const square = deviations[k] * deviations[k], variance = alpha * alpha * square + sigma * sigma;
            double const centred = x - alpha * means[k];
            exponent[k] = -0.5 * std::log(variance) - 0.5 * centred * centred / variance;
            mean[k] = means[k] + alpha * square * centred / variance;
        }
        double const share = 1 / (1 + std::exp(exponent[1] - exponent[0]));
        return share * mean[0] + (1 - share) * mean[1];
    }
    double value(double x, double t) const {
        marginal const m = marginal_at(process, t);
        target_weights const w = target.weights(m);
        double const data = clean(x, m.alpha, m.sigma);
        return w.x0 * data + w.epsilon * ((x - m.alpha * data) / m.sigma);
    }
    template <class T> void operator()(view<T const, cpu> x, view<T const, cpu> t, view<T, cpu> y) const {
        for (index_t i = 0; i < x.size(); ++i)
            y.data()[i] = static_cast<T>(value(static_cast<double>(x.data()[i]), static_cast<double>(t.data()[i / x.cols()])));
    }
    /// The time in double, whatever T is.
    template <class T> void evaluate(view<T const, cpu> x, view<T const, cpu>, double t, view<T, cpu> y) const {
        for (index_t i = 0; i < x.size(); ++i) y.data()[i] = static_cast<T>(value(static_cast<double>(x.data()[i]), t));
    }
};

/// Arguments of a peer, as text: true, false, or what JSON writes; strings without quotes.
struct settings {
    std::map<std::string, std::string> values;
    bool has(char const* key) const { return values.count(key) != 0; }
    std::string text(char const* key, char const* otherwise = "") const { return has(key) ? values.at(key) : otherwise; }
    double number(char const* key, double otherwise = 0) const { return has(key) ? std::stod(values.at(key)) : otherwise; }
    bool flag(char const* key, bool otherwise = false) const { return has(key) ? values.at(key) == "true" : otherwise; }
};

/// A run of the file; README.md there says what the members mean. What a run lacks is empty.
struct recording {
    std::string package, name, target, fault, precision;
    settings config, step, set_timesteps;
    int steps = 0;  ///< 0: a list of levels was given
    frame units = frame::vp;
    std::vector<double> start, time, level, ode_end;  ///< a level is HUGE_VAL where alpha = 0
    std::vector<int> call, to_time, whole, orders, draws;
    std::vector<std::vector<double>> x, corrected;
    double end = 0, spread = 0;

    path process() const { return {units, units == frame::trig ? config.number("sigma_data", 0.5) : 1, level.front(), end}; }
    golden::output output() const;
    auto model() const { return onestep::model{network{process(), output()}, process(), output()}; }
    std::string text() const;  ///< for messages
};

/// All of them, and those of a scheduler or function.
std::vector<recording> const& recordings();
std::vector<recording> named(std::string const& name);
/// The file's noise: 32 rows of 4; draw k is row k mod 32.
std::vector<std::vector<double>> const& noise();

/// Where our steps of a run begin and end, and which state of the file each ends at (-1: not kept).
struct plan {
    std::vector<double> times;
    std::vector<int> state;
    bool shorter = false;  ///< a last step was left out
};
/// Steps between the levels of the file, or between given ones, of which each call of the file made one step. A last step of
/// no length, which some peers make, is left out.
plan plan_of(recording const& run, std::vector<double> const& levels = {});

namespace detail {
template <class T> double tolerance(recording const& run) {
    if (sizeof(T) == 8) return std::fmax(1e-10, 100 * run.spread);
    // a float's rounding of epsilon is sigma / alpha times as large in x0
    bool const grows = run.target == "epsilon" && run.level.front() < HUGE_VAL;
    return std::fmax(1e-5, grows ? 0x1p-23 * run.level.front() : 0);
}

/// Largest |a - b|, relative to the largest |b| or 1.
template <class T> double difference(T const* a, std::vector<double> const& b) {
    double worst = 0, size = 1;
    for (std::size_t i = 0; i < b.size(); ++i) {
        double const distance = std::fabs(static_cast<double>(a[i]) - b[i]);
        if (!(distance <= worst)) worst = distance;  // NaN stays
        size = std::fmax(size, std::fabs(b[i]));
    }
    return worst / size;
}
template <class T> tensor<T, cpu> state(cpu& device, std::vector<double> const& values) {
    tensor<T, cpu> x(device, {1, static_cast<index_t>(values.size())});
    for (std::size_t i = 0; i < values.size(); ++i) x.data()[i] = static_cast<T>(values[i]);
    return x;
}
template <class T> void assign(tensor<T, cpu>& x, std::vector<double> const& values) {
    for (std::size_t i = 0; i < values.size(); ++i) x.data()[i] = static_cast<T>(values[i]);
}
/// Our unit noise number `draw` of a step.
template <class T> tensor<T, cpu> our_noise(cpu& device, random_key key, int step, std::uint64_t draw = 0) {
    tensor<T, cpu> z(device, {1, 4});
    fill_normal(z.view(), key.at_step(static_cast<std::uint64_t>(step)).at(draw::solver, draw));
    return z;
}
inline std::vector<double> const& file_noise(int draw) { return noise().at(static_cast<std::size_t>(draw) % noise().size()); }

template <class Use, class... Limits> void with_model(recording const& run, Use const& use, Limits const&... limits) {
    auto const plain = run.model();
    if constexpr (sizeof...(Limits) == 0) use(plain);
    else use(limited{plain, limits...});
}
}  // namespace detail

/// Our run from the file's start: every state that the file kept must agree, to 1e-10 (or 100 times what rounding does to
/// the peer) in double and to 1e-5 in float (more where a network's epsilon stands for x0 at high noise). `limits`: clip or
/// dynamic_threshold.
template <class T, class Solver, class... Limits>
void check(recording const& run, Solver const& solver, std::vector<double> const& levels = {}, Limits const&... limits) {
    std::string const of = run.text();
    CAPTURE(of);
    cpu device(1);
    plan const steps = plan_of(run, levels);
    detail::with_model(
        run,
        [&](auto const& model) {
            tensor<T, cpu> x = detail::state<T>(device, run.start);
            sampling ours(model, solver, steps.times, x.view());
            int compared = 0;
            for (int i = 0; i < static_cast<int>(steps.state.size()); ++i) {
                ours.advance();
                int const kept = steps.state[static_cast<std::size_t>(i)];
                if (kept < 0) continue;
                CAPTURE(i);
                CHECK(detail::difference(x.data(), run.x[static_cast<std::size_t>(kept)]) <= detail::tolerance<T>(run));
                ++compared;
            }
            CHECK(compared > 0);
        },
        limits...);
}

/// The same for solvers that add noise d z at the end of a step: each step starts from the file's state before it. d is
/// measured, from two runs of different seeds, and the file's noise is put in the place of ours. Returns the d of each step.
template <class T, class Solver, class... Limits>
std::vector<double> check_with_noise(recording const& run, Solver const& solver, Limits const&... limits) {
    std::string const of = run.text();
    CAPTURE(of);
    cpu device(1);
    plan const steps = plan_of(run);
    std::vector<double> found;
    detail::with_model(
        run,
        [&](auto const& model) {
            random_key const keys[] = {{11}, {12}};
            tensor<T, cpu> x = detail::state<T>(device, run.start), y = x;
            sampling first(model, solver, steps.times, x.view(), keys[0]), second(model, solver, steps.times, y.view(), keys[1]);
            int drawn = 0;
            std::vector<double> const* before = &run.start;
            for (int i = 0; i < static_cast<int>(steps.state.size()); ++i) {
                CAPTURE(i);
                auto const kept = static_cast<std::size_t>(steps.state[static_cast<std::size_t>(i)]);
                detail::assign(x, *before);
                detail::assign(y, *before);
                first.advance();
                second.advance();
                tensor<T, cpu> const z = detail::our_noise<T>(device, keys[0], i), w = detail::our_noise<T>(device, keys[1], i);
                double product = 0, square = 0;
                for (int k = 0; k < 4; ++k) {
                    double const apart = static_cast<double>(z.data()[k]) - static_cast<double>(w.data()[k]);
                    product += apart * (static_cast<double>(x.data()[k]) - static_cast<double>(y.data()[k]));
                    square += apart * apart;
                }
                double const d = product / square;
                int const now = run.draws.empty() ? 0 : run.draws[kept];
                CHECK(now - drawn <= 1);
                std::vector<double> theirs(4, 0.0);
                if (now > drawn) theirs = detail::file_noise(now - 1);
                drawn = now;
                double exchanged[4];
                for (std::size_t k = 0; k < 4; ++k)
                    exchanged[k] = static_cast<double>(x.data()[k]) + d * (theirs[k] - static_cast<double>(z.data()[k]));
                CHECK(detail::difference(exchanged, run.x[kept]) <= detail::tolerance<T>(run));
                found.push_back(d);
                before = &run.x[kept];
            }
        },
        limits...);
    return found;
}

/// The same for solvers that add noise d z before they evaluate the model, with d = noise(t, s) of the step from t to s.
template <class T, class Solver, class Noise> void check_with_noise_first(recording const& run, Solver const& solver, Noise const& noise) {
    std::string const of = run.text();
    CAPTURE(of);
    cpu device(1);
    plan const steps = plan_of(run);
    auto const model = run.model();
    random_key const key{11};
    tensor<T, cpu> x = detail::state<T>(device, run.start);
    sampling ours(model, solver, steps.times, x.view(), key);
    std::vector<double> const* before = &run.start;
    for (int i = 0; i < static_cast<int>(steps.state.size()); ++i) {
        CAPTURE(i);
        auto const at = static_cast<std::size_t>(i), kept = static_cast<std::size_t>(steps.state[at]);
        tensor<T, cpu> const z = detail::our_noise<T>(device, key, i);
        std::vector<double> const& theirs = detail::file_noise(run.draws[kept] - 1);
        double const d = noise(steps.times[at], steps.times[at + 1]);
        for (std::size_t k = 0; k < 4; ++k) x.data()[k] = static_cast<T>((*before)[k] + d * (theirs[k] - static_cast<double>(z.data()[k])));
        ours.advance();
        CHECK(detail::difference(x.data(), run.x[kept]) <= detail::tolerance<T>(run));
        before = &run.x[kept];
    }
}

}  // namespace onestep::test::golden
