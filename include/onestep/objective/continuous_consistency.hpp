#pragma once
#include <algorithm>

#include "../backend/random_fill.hpp"
#include "../time/log_normal.hpp"
#include "inverse_noise_level.hpp"
#include "regression_rows.hpp"
#include "tangent_norm.hpp"
#include "tangent_source.hpp"

namespace onestep {

/// Numbers of continuous consistency.
struct continuous_consistency_options {
    static constexpr char const* name = "continuous_consistency_options";
    index_t warmup = 10'000;  ///< steps over which the derivative comes in, >= 0; 0: it is there from the first step
    double sigma_data = 0;    ///< deviation of the data, > 0; 0: the target's own
    double guidance = 1;      ///< s in F_u + s (F_c - F_u) of the teacher; needs labels unless 1

    void fields(auto&& visit) const {
        visit("warmup", warmup);
        visit("sigma_data", sigma_data);
        visit("guidance", guidance);
    }
    friend bool operator==(continuous_consistency_options const&, continuous_consistency_options const&) = default;
};

namespace functor {
/// g . (x, dx/da, F, tangent) for one row; lives in backend memory.
template <class T> struct tangent_pull { T x, velocity, output, tangent; };

/// g at one element.
template <class T, class Norm> struct tangent_value {
    tangent_pull<T> const* rows;
    T const *x, *velocity, *output, *tangent;
    Norm norm;
    ONESTEP_HD T operator()(index_t r, index_t i) const {
        tangent_pull<T> const row = rows[r];
        return norm.element(math::fma(row.x, x[i], row.velocity * velocity[i]) +
                            math::fma(row.output, output[i], row.tangent * tangent[i]));
    }
};
/// Keeps g and adds up its square.
template <class T, class Norm> struct tangent_square {
    tangent_value<T, Norm> value;
    T* g;
    index_t cols;
    ONESTEP_HD double operator()(index_t r, index_t c) const {
        T const now = value(r, r * cols + c);
        g[r * cols + c] = now;
        return static_cast<double>(now) * static_cast<double>(now);
    }
};
template <class T, class Norm> struct tangent_factor {
    T* factors;
    Norm norm;
    index_t cols;
    ONESTEP_HD void operator()(index_t r, double square) const { factors[r] = static_cast<T>(norm.factor(square, cols)); }
};
/// target = a x + b F + factor g.
template <class T> struct normed_tangent_target {
    regression_row<T> const* rows;
    T const *x, *output, *g, *factors;
    T* target;
    index_t cols;
    ONESTEP_HD void operator()(index_t r, index_t c) const {
        index_t const i = r * cols + c;
        target[i] = math::fma(factors[r], g[i], math::fma(rows[r].a, x[i], rows[r].b * output[i]));
    }
};
/// The same with factor 1; may take the velocity's place.
template <class T, class Norm> struct tangent_target {
    regression_row<T> const* rows;
    tangent_value<T, Norm> value;
    T* target;
    index_t cols;
    ONESTEP_HD void operator()(index_t r, index_t c) const {
        index_t const i = r * cols + c;
        target[i] = value(r, i) + math::fma(rows[r].a, value.x[i], rows[r].b * value.output[i]);
    }
};
}  // namespace functor

/// Consistency in continuous time: the limit of consistency training and distillation as neighbouring times fall together, so that no
/// grid of times is left.
///
/// In trigonometric flow, x = cos(a) x0 + sin(a) sd epsilon, the model is f = cos(a) x - sin(a) sd F. Along a path f should not change:
///
///     g = cos(a) df/da = -cos^2(a) (sd F - dx/da) - r cos(a) sin(a) (x + sd dF/da),    r = min(1, step / warmup)
///     loss = w mean |F - stop(F) - norm(g)|^2
///
/// F moves along norm(g): the loss's gradient with respect to it is -2 w norm(g) / d. At r = 0 that is velocity matching, weighted.
///
///     continuous_consistency{}                            sCT: dx/da is the pair's
///     continuous_consistency{teacher}                     sCD: dx/da is the flow of a trained model
///     continuous_consistency{by_differences{}}            sCT for a network without jvp
///     continuous_consistency{teacher, {.warmup = 1000, .guidance = 2}, norm_tangent{}, log_normal{-0.8, 1.6}, unit_weight{}}
///
/// The student is a consistency_model of any process and any target that ends in the data (trig_velocity, velocity on rectified flow,
/// edm_preconditioned, v_prediction, consistency_preconditioned): everything happens at the angle of equal signal-to-noise ratio,
/// tan a = sigma / (sd alpha), with what its network says re-expressed there (trigonometric_view.hpp). So a student may start from the
/// weights of a flow or EDM model as they are. Where its boundary lies above noise 0 (consistency_preconditioned's sigma_min), the flow is
/// followed down to there; rows drawn at or below it weigh nothing.
///
/// Choices, by position: the source of the derivative (tangent_source.hpp), numbers, how g is normalised (tangent_norm.hpp), where times
/// are drawn, and the prior weight w, 1 / (sd tan a) by default. Wrap it in learned_weighting for the published loss, whose weight is
/// learned on top. Some training in velocity matching should come before, or a warm-up.
///
/// The network is differentiated along the path with its tangents scaled by cos(a) sin(a), which stays bounded towards pure noise. Its F
/// and its derivative come from one forward_jvp. Times come from stream (key, time), noise from (key, noise) unless the batch brings some.
/// Throws domain_error for numbers outside their range, if no sigma_data is known, with guidance but without a teacher or labels, and at
/// times where alpha = 0 or a network has no clock; shape_error for noise not shaped like x0.
/// Cost: see the sources; besides networks, 5 tensors of x's shape, one pass for the inputs, and for g one (two with a norm).
/// Source: Lu, Song 2024 (arXiv:2410.11081), sections 3 and 4 and algorithm 1.
template <tangent_source Source = along_data, tangent_norm Norm = rms_tangent, spec Density = log_normal,
          weighting Weighting = inverse_noise_level>
class continuous_consistency {
public:
    static constexpr char const* name = "continuous_consistency";

    explicit continuous_consistency(Source const& source = {}, continuous_consistency_options const& options = {}, Norm const& norm = {},
                                    Density const& density = default_density(), Weighting const& weight = {})
        : source_(source), options_(options), norm_(norm), density_(density), weight_(weight) {
        if (options.warmup < 0) raise<domain_error>(name, "warmup is " + std::to_string(options.warmup), "it must not be negative");
        if (!(options.sigma_data >= 0 && options.sigma_data < HUGE_VAL))
            raise<domain_error>(name, "sigma_data is " + to_string(options.sigma_data), "it must be > 0, or 0 for the target's own");
        if (!std::isfinite(options.guidance)) raise<domain_error>(name, "guidance is " + to_string(options.guidance), "it must be finite");
        if (options.guidance != 1 && !source.guided())
            raise<domain_error>(name, "guidance is " + to_string(options.guidance) + " and there is no teacher",
                                "without one it must be 1");
        source.check();
        norm.check();
    }

    squared distance() const { return {}; }
    Source const& source() const { return source_; }

    template <class Model, class T, class Backend>
    regression<T, Backend> build(Model& model, batch<T, Backend> const& data, random_key key, arena<Backend>& memory) const {
        using process_type = std::remove_cvref_t<decltype(model.process())>;
        using network_type = std::remove_cvref_t<decltype(model.network())>;
        static_assert(consistency_map<Model>, "Continuous consistency trains a consistency_model: see model/consistency_model.hpp.");
        static_assert(!Source::asks_derivative || calling::takes_any_jvp<network_type, T, Backend>(),
                      "Continuous consistency differentiates the network: it needs jvp(x, vx, t, vt, y, vy), or choose by_differences.");
        static_assert(time_density<Density, process_type>, "This density draws no times for the model's process: see time/density.hpp.");
        if (!data.noise.empty()) require_shape(name, "noise", data.noise, data.x0.shape());
        if (options_.guidance != 1 && data.labels.data() == nullptr)
            raise<domain_error>(name, "guidance is " + to_string(options_.guidance) + " and the batch has no labels",
                                "without labels it must be 1");
        Backend& device = data.x0.backend();
        index_t const n = data.x0.rows(), d = data.x0.cols();
        auto* const regression_rows = memory.template take<regression_row<T>>(n);
        auto* const rows = memory.template take<tangent_row<T>>(n);
        auto* const pulls = memory.template take<functor::tangent_pull<T>>(n);
        T* const t = memory.template take<T>(n);
        tangent_work<T, Backend> work{{}, rows, {}, {memory.template take<T>(n), memory.template take<T>(n)}, nullptr, nullptr};
        for (int k = 0; k < std::max(Source::inputs, 3); ++k) work.inputs[k] = memory.template take<T>(n * d);
        work.output = memory.template take<T>(n * d);
        work.tangent = memory.template take<T>(n * d);
        work.call = {{device, work.inputs[0], data.x0.shape()}, {device, t, {n}}, {}, data.labels};

        upload(device, model, key, n, t, work, rows, pulls, regression_rows);
        if (data.noise.empty())
            for_each_normal(device, key.at(draw::noise), n, d,
                            functor::blend_noise<T, Source::inputs>{
                                rows, data.x0.data(), {work.inputs[0], work.inputs[1], work.inputs[2], work.inputs[3]}});
        else
            device.for_each_pair(
                n, d,
                functor::blend_pair<T, Source::inputs>{
                    rows, data.x0.data(), data.noise.data(), {work.inputs[0], work.inputs[1], work.inputs[2], work.inputs[3]}, d});
        source_.run(model, work, options_.guidance, memory);

        T* const target = work.inputs[1];
        functor::tangent_value<T, Norm> const value{pulls, work.inputs[0], work.inputs[1], work.output, work.tangent, norm_};
        if constexpr (Norm::needs_norm) {
            T *const g = work.inputs[2], *const factors = memory.template take<T>(n);
            device.template reduce_rows<double>(n, d, functor::tangent_square<T, Norm>{value, g, d},
                                                functor::tangent_factor<T, Norm>{factors, norm_, d});
            device.for_each_pair(n, d,
                                 functor::normed_tangent_target<T>{regression_rows, work.inputs[0], work.output, g, factors, target, d});
        } else {
            device.for_each_pair(n, d, functor::tangent_target<T, Norm>{regression_rows, value, target, d});
        }
        return {work.call, target, regression_rows, work.output};
    }

    void fields(auto&& visit) const {
        visit("source", source_);
        visit("numbers", options_);
        visit("norm", norm_);
        visit("density", density_);
        visit("weight", weight_);
    }

private:
    static Density default_density() {
        if constexpr (std::same_as<Density, log_normal>) return log_normal{.mean = -1.0, .deviation = 1.4};
        else return Density{};
    }
    template <class Model> double sigma_data(Model const& model) const {
        double const own = options_.sigma_data > 0 ? options_.sigma_data : sigma_data_of(model.target());
        if (!(own > 0)) raise<domain_error>(name, "the model's target tells no sigma_data", "give the data's deviation as .sigma_data");
        return own;
    }

    /// Works out all rows, a part at a time, and sends them.
    template <class Model, class T, class Backend>
    void upload(Backend& device, Model const& model, random_key key, index_t n, T* t, tangent_work<T, Backend> const& work,
                tangent_row<T>* rows, functor::tangent_pull<T>* pulls, regression_row<T>* regression_rows) const {
        double const sd = sigma_data(model), boundary = model.boundary(),
                     r = options_.warmup == 0 ? 1.0 : std::fmin(1.0, static_cast<double>(key.step) / static_cast<double>(options_.warmup));
        random_stream const times = key.at(draw::time);
        constexpr index_t part = 64;
        T told[part], clock[2][part];
        tangent_row<T> row[part];
        functor::tangent_pull<T> pull[part];
        regression_row<T> regressed[part];
        for (index_t first = 0; first < n; first += part) {
            index_t const count = std::min(part, n - first);
            for (index_t i = 0; i < count; ++i) {
                double const time = density_.sample(model.process(), times, first + i);
                described const now = describe(model, sd, r, time, time > boundary);
                told[i] = static_cast<T>(now.clock);
                for (int k = 0; k < 2; ++k) clock[k][i] = static_cast<T>(now.clocks[k]);
                for (int k = 0; k < 4; ++k) {
                    row[i].x0[k] = static_cast<T>(now.row.x0[k]);
                    row[i].noise[k] = static_cast<T>(now.row.noise[k]);
                    row[i].part[k] = static_cast<T>(now.row.part[k]);
                }
                pull[i] = {static_cast<T>(now.pull.x), static_cast<T>(now.pull.velocity), static_cast<T>(now.pull.output),
                           static_cast<T>(now.pull.tangent)};
                regressed[i] = {};
                regressed[i].a = static_cast<T>(now.a);
                regressed[i].b = static_cast<T>(now.b);
                regressed[i].weight = static_cast<T>(now.weight);
            }
            device.upload(told, count, t + first);
            for (int k = 0; k < 2; ++k) device.upload(clock[k], count, work.clocks[k] + first);
            device.upload(row, count, rows + first);
            device.upload(pull, count, pulls + first);
            device.upload(regressed, count, regression_rows + first);
        }
    }

    struct described {
        tangent_row<double> row;
        functor::tangent_pull<double> pull{0, 0, 0, 0};
        double clock = 0, clocks[2] = {0, 0}, a = 0, b = 0, weight = 0;
    };
    template <class Model> described describe(Model const& model, double sd, double r, double t, bool moves) const {
        marginal const m = marginal_at(model.process(), t);
        if (m.alpha == 0) raise<domain_error>(name, "t is " + to_string(t) + " with alpha = 0", "draw times before this one");
        flow_angle const angle = flow_angle_of(m, sd);
        trigonometric_view v;
        if (moves) {
            v = trigonometric_view_of(model, sd, t);
        } else {
            network_input const ask = model.input_at(t);
            v = {0, 0, ask.scale * std::hypot(m.sigma, sd * m.alpha) / sd, ask.time};
        }
        described out;
        out.clock = v.time;
        out.clocks[0] = out.clocks[1] = v.time;
        out.row.set_input(0, v.scale, angle.cosine, sd * angle.sine);
        source_.describe(model, sd, t, angle, v, moves, out.row, out.clocks);
        if (!moves) return out;
        double const square = angle.cosine * angle.cosine, both = angle.cosine * angle.sine, pull = r * sd;
        out.pull = {-(square * sd * v.x + r * both) / v.scale - pull * out.row.total[0], square - pull * out.row.total[1],
                    -square * sd * v.output - pull * out.row.total[2], -pull * out.row.total[3]};
        out.a = v.x / v.scale;
        out.b = v.output;
        out.weight = weight_in(weight_, trig_velocity{sd}, m);
        return out;
    }

    Source source_;
    continuous_consistency_options options_;
    Norm norm_;
    Density density_;
    Weighting weight_;
};

template <denoiser Teacher> continuous_consistency(Teacher const&) -> continuous_consistency<from_teacher<Teacher>>;
template <denoiser Teacher>
continuous_consistency(Teacher const&, continuous_consistency_options) -> continuous_consistency<from_teacher<Teacher>>;
template <denoiser Teacher, tangent_norm Norm>
continuous_consistency(Teacher const&, continuous_consistency_options, Norm) -> continuous_consistency<from_teacher<Teacher>, Norm>;
template <denoiser Teacher, tangent_norm Norm, spec Density>
continuous_consistency(Teacher const&, continuous_consistency_options, Norm, Density)
    -> continuous_consistency<from_teacher<Teacher>, Norm, Density>;
template <denoiser Teacher, tangent_norm Norm, spec Density, weighting Weighting>
continuous_consistency(Teacher const&, continuous_consistency_options, Norm, Density, Weighting)
    -> continuous_consistency<from_teacher<Teacher>, Norm, Density, Weighting>;

}  // namespace onestep
