// Your own process, target and sampler, used together and checked against a closed form. docs/extending.md explains the parts.
// quick: quick
#include <cstdio>
#include <onestep/onestep.hpp>

namespace os = onestep;

// [process]
/// x_t = (1 - t)^p x0 + t^p epsilon.
struct power_flow {
    static constexpr char const* name = "power_flow";
    double p = 2;  ///< > 0

    double alpha(double t) const { return std::pow(1 - t, p); }
    double sigma(double t) const { return std::pow(t, p); }
    double alpha_derivative(double t) const { return -p * std::pow(1 - t, p - 1); }
    double sigma_derivative(double t) const { return p * std::pow(t, p - 1); }
    double log_snr(double t) const { return 2 * p * (std::log1p(-t) - std::log(t)); }
    double time_of_log_snr(double value) const { return 1 / (1 + std::exp(value / (2 * p))); }
    double t_min() const { return 0; }
    double t_max() const { return 1; }

    void fields(auto&& visit) const { visit("p", p); }
    friend bool operator==(power_flow const&, power_flow const&) = default;
};
static_assert(os::process<power_flow>);
// [process]

// [target]
/// The network predicts F = x0 - epsilon, whatever the process.
struct difference {
    static constexpr char const* name = "difference";
    os::target_weights weights(os::marginal const&) const { return {.x0 = 1, .epsilon = -1}; }
    void fields(auto&&) const {}
    friend bool operator==(difference const&, difference const&) = default;
};
static_assert(os::target<difference>);
// [target]

// [sampler]
/// Adams and Bashforth's method with two velocities:  x' = x + h ((1 + r/2) u - r/2 u_before),  r = h / h_before.
struct adams_bashforth {
    static constexpr char const* name = "adams_bashforth";
    static constexpr int order = 2;
    static constexpr bool remembers = true;
    int steps = 20;

    template <class Run> void step(Run& run, double t, double s) const {
        using number = typename Run::value_type;
        using device = typename Run::backend_type;
        auto const here = run.predict(run.x(), t);  // one evaluation of the network
        auto const u = os::convert(os::x0{}, os::velocity{}, os::marginal_at(run.process(), t));
        auto const kept = run.keep(t);  // this step's velocity goes there, for the next step
        double const h = s - t, r = run.remembered() > 0 ? h / (t - run.kept_time(1)) : 0, c = h * (1 + r / 2);
        os::data_step<number, device, 1> pass{{{{run.x(), 1 + c * u.x, c * u.output, {-h * r / 2}}}}};
        pass.extra = {run.remembered() > 0 ? run.kept(1) : run.x()};  // with r = 0 it counts for nothing
        pass.keep = kept, pass.keep_x = u.x, pass.keep_data = u.output;
        run.advance(here, pass);  // reads x, F and the earlier velocity once; writes x and u once
    }
    void fields(auto&& visit) const { visit("steps", steps); }
    friend bool operator==(adams_bashforth const&, adams_bashforth const&) = default;
};
// [sampler]

int main() {
    // Data N(0, 0.5^2) have a closed form: the best network, and where the flow carries each point.
    power_flow const path;
    double const deviation = 0.5;
    auto const variance = [&](double t) { return std::pow(path.alpha(t) * deviation, 2) + std::pow(path.sigma(t), 2); };
    auto const best = [&](auto x, auto t, auto y) {
        for (os::index_t r = 0; r < x.rows(); ++r) {
            double const at = t.data()[r], share = (path.alpha(at) * deviation * deviation - path.sigma(at)) / variance(at);
            for (os::index_t i = r * x.cols(); i < (r + 1) * x.cols(); ++i) y.data()[i] = share * x.data()[i];
        }
    };
    os::cpu device;
    os::model model{best, path, difference{}};
    auto const z = os::normal<double>(device, {64, 2}, 1);

    double before = 0, order = 0;
    for (int steps : {40, 80, 160, 320}) {
        auto const x = os::sample(model, adams_bashforth{.steps = steps}, z);
        double error = 0;
        for (os::index_t i = 0; i < x.size(); ++i) error = std::fmax(error, std::fabs(x.data()[i] - deviation * z.data()[i]));
        order = std::log2(before / error);
        std::printf("%s: error %.2e", os::to_string(adams_bashforth{.steps = steps}).c_str(), error);
        if (before > 0) std::printf(", order %.2f", order);
        std::printf("\n");
        before = error;
    }
    return std::fabs(order - adams_bashforth::order) < 0.15 ? 0 : 1;
}
