#include <onestep/objective/trigonometric_view.hpp>

#include <onestep/core/random.hpp>
#include <onestep/model/consistency_model.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/target/v_prediction.hpp>

#include <doctest/doctest.h>

namespace trigonometric_view_tests {

using namespace onestep;

namespace {

struct no_network {
    void operator()(auto...) const {}
};

/// edm_preconditioned under another name, so that its derivatives are taken by differences.
struct own_target {
    static constexpr char const* name = "own_target";
    double sigma_data = 0.5;
    edm_preconditioned same() const { return {sigma_data}; }
    target_weights weights(marginal const& m) const { return same().weights(m); }
    double input_scale(marginal const& m) const { return same().input_scale(m); }
    double network_time(marginal const& m) const { return same().network_time(m); }
    void fields(auto&&) const {}
};

double const levels[] = {1e-4, 0.003, 0.02, 0.2, 0.5, 1.7, 9, 79.9, 80};

template <class Model> trigonometric_view slope_at(Model const& model, double sd, double level) {
    return trigonometric_slope_of(model, sd, time_of_noise_to_signal(model.process(), level));
}
template <class Model> trigonometric_view view_at(Model const& model, double sd, double level) {
    return trigonometric_view_of(model, sd, time_of_noise_to_signal(model.process(), level));
}
/// |a - b| against `tolerance`, relative to values above 1.
void check_close(double a, double b, double tolerance) { CHECK(std::fabs(a - b) <= tolerance * std::fmax(1, std::fabs(b))); }

}  // namespace

TEST_CASE("trigonometric_view: trig_velocity on its own flow is F itself") {
    consistency_model const circle{no_network{}, trigonometric_flow{.sigma_data = 0.7}};
    for (double level : levels) {
        double const a = std::atan(level / 0.7);
        trigonometric_view const v = view_at(circle, 0.7, level), slope = slope_at(circle, 0.7, level);
        CHECK(v.x == 0);
        CHECK(v.output == 1);
        check_close(v.scale, 1 / 0.7, 1e-15);
        check_close(v.time, a, 1e-15);
        CHECK(slope.x == 0);
        CHECK(slope.output == 0);
        CHECK(slope.scale == 0);
        check_close(slope.time, std::sin(a) * std::cos(a), 1e-15);
    }
}

TEST_CASE("trigonometric_view: what any target says of the clean sample, it says there") {
    random_stream const numbers = random_key{7}.at(draw::user);
    auto const check = [&](auto const& m, double sd) {
        using model_type = std::remove_cvref_t<decltype(m)>;
        std::string const target = model_type::target_type::name;
        CAPTURE(target);
        index_t k = 0;
        for (double level : levels) {
            if (level <= m.boundary_level()) continue;  // there a model's f is x itself
            double const t = time_of_noise_to_signal(m.process(), level), f = 2 * uniform(numbers, k) - 1,
                         x = 2 * uniform(numbers, k + 1) - 1;
            k += 2;
            double const a = std::atan(level / sd), alpha = m.process().alpha(t), state = x * alpha / std::cos(a);
            trigonometric_view const v = trigonometric_view_of(m, sd, t);
            conversion const map = m.map_at(t);
            check_close(v.scale * x, m.input_at(t).scale * state, 1e-13);
            check_close(v.time, m.input_at(t).time, 1e-13);
            check_close(std::cos(a) * x - sd * std::sin(a) * (v.x * x + v.output * f), map.x * state + map.output * f, 1e-12);
        }
    };
    check(consistency_model{no_network{}, edm{}, edm_preconditioned{.sigma_data = 0.7}}, 0.7);
    check(consistency_model{no_network{}, edm{}, edm_preconditioned{.sigma_data = 0.7}}, 1.3);
    check(consistency_model{no_network{}, rectified_flow{}}, 0.5);
    check(consistency_model{no_network{}, variance_preserving{}, v_prediction{}}, 1);
    check(consistency_model{no_network{}, edm{}, consistency_preconditioned{.sigma_data = 0.5, .sigma_min = 5e-5}}, 0.5);
    check(consistency_model{no_network{}, trigonometric_flow{}, trig_velocity{}}, 2);
}

TEST_CASE("trigonometric_view: derivatives by differences are those in closed form") {
    consistency_model const closed{no_network{}, edm{}, edm_preconditioned{.sigma_data = 0.7}};
    consistency_model const song{no_network{}, edm{}, consistency_preconditioned{.sigma_data = 0.7, .sigma_min = 0}};
    consistency_model const open{no_network{}, edm{}, own_target{0.7}};
    consistency_model const straight{no_network{}, rectified_flow{}};
    for (double level : levels) {  // the last one is the process's end
        CAPTURE(level);
        for (auto const& slope : {slope_at(closed, 0.7, level), slope_at(song, 0.7, level)}) {
            CHECK(slope.x == 0);
            CHECK(slope.output == 0);
            CHECK(slope.scale == 0);
            CHECK(slope.time == 0.25);
        }
        trigonometric_view const by_differences = slope_at(open, 0.7, level);
        check_close(by_differences.x, 0, 1e-11);
        check_close(by_differences.output, 0, 1e-11);
        check_close(by_differences.scale, 0, 1e-11);
        check_close(by_differences.time, 0.25, 1e-11);

        // Velocity on the straight path in units of another sigma_data: with l = sigma / alpha, w = sqrt(l^2 + sd^2),
        //   q = w / (sd (1 + l)),   p = (sd - l / sd) / (sd (1 + l)),   scale = w / (sd (1 + l)),   time = l / (1 + l)
        double const sd = 0.7, l = level, w = std::hypot(l, sd), one = 1 + l;
        trigonometric_view const v = view_at(straight, sd, level), slope = slope_at(straight, sd, level);
        check_close(v.output, w / (sd * one), 1e-13);
        check_close(v.x, (sd - l / sd) / (sd * one), 1e-13);
        check_close(v.scale, w / (sd * one), 1e-13);
        check_close(v.time, l / one, 1e-13);
        double const q_slope = l * (l / w / one - w / (one * one)) / sd;
        check_close(slope.output, q_slope, 1e-11);
        check_close(slope.x, l * (-1 / sd / one - (sd - l / sd) / (one * one)) / sd, 1e-11);
        check_close(slope.scale, q_slope, 1e-11);
        check_close(slope.time, l / (one * one), 1e-11);
    }
}

TEST_CASE("trigonometric_view: derivatives are right up to a boundary above noise 0, below which the target is not defined") {
    double const sd = 0.5, least = 0.002;
    consistency_model const song{no_network{}, edm{}, consistency_preconditioned{.sigma_data = sd, .sigma_min = least}};
    for (double level : {0.002001, 0.00201, 0.0021, 0.01, 0.5, 20.0, 80.0}) {
        CAPTURE(level);
        // f = c_skip x_e + c_out F and f = cos x - sd sin F_trig with x = x_e cos, cos = sd / w, sin = l / w:
        //   q = -c_out w / (sd l) = -(l - least) / l         c_out = sd (l - least) / w
        trigonometric_view const v = view_at(song, sd, level), slope = slope_at(song, sd, level);
        check_close(v.output, -(level - least) / level, 1e-12);
        check_close(slope.output, -least / level, 1e-9);
        check_close(slope.scale, 0, 1e-11);
        check_close(slope.time, 0.25, 1e-11);
        auto const p = [&](double l) {
            double const w = std::hypot(l, sd), skip = sd * sd / ((l - least) * (l - least) + sd * sd);
            return (sd / w - skip * w / sd) * w / (sd * l);
        };
        check_close(v.x, p(level), 1e-10);
        double const h = 1e-4 * (level - least) / level;
        check_close(slope.x, (p(level * std::exp(h)) - p(level * std::exp(-h))) / (2 * h), 1e-5);
    }
}

TEST_CASE("trigonometric_view: errors where the target says nothing") {
    consistency_model const by_noise{no_network{}, edm{}, own_target{0}};
    CHECK_THROWS_AS(trigonometric_view_of(by_noise, 0.5, 1), domain_error);
}

}  // namespace trigonometric_view_tests
