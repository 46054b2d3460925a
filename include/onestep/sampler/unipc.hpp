#pragma once
#include "multistep.hpp"

namespace onestep {

/// The factor B of UniPC: h or 1 - exp(-h), up to sign. It matters where a single difference is weighed, which then takes B / 2.
enum class unipc_form { bh1, bh2 };

inline char const* to_string(unipc_form form) { return form == unipc_form::bh1 ? "bh1" : "bh2"; }

/// UniPC: a predictor of order p in half log-SNR, made one order better by a corrector that costs no evaluation, on any process. A step
/// from t to s
///
///     D  = prediction at (x, t), x being what the last predictor found
///     xc = the last step again, from its start, with the polynomial through D too               corrector, order p + 1
///     x' = the step from xc to s with the polynomial through D and p - 1 predictions before     predictor, order p
///
/// where both integrate the polynomial exactly (exponential_weights), except that a corrector of p = 1 and a predictor of p = 2 weigh
/// their one difference with B / 2 (`form`). So the forms differ for orders 1 and 2 alone; bh1 suits few steps without guidance.
///
/// The first step has order 1, the next one 2, and so on. A step that starts at alpha = 0 or ends at sigma = 0 is of first order: at
/// the data x' is D. The last prediction stays uncorrected. Towards the noise it inverts; domain_error from sigma = 0 on, and for an order
/// outside its range.
///
/// Cost: `steps` evaluations, at most order + 4 tensors of x's shape, one pass a step with two results. Order: `order` + 1, without the
/// corrector `order`, where the first steps are short or lie in the noise and, if the run ends before the data, with lower_order_final =
/// false (tests/sampler/unipc.cpp).
/// Source: Zhao et al. 2023 (arXiv:2302.04867), algorithms 1 and 2.
struct unipc {
    static constexpr char const* name = "unipc";
    static constexpr bool remembers = true;
    int steps = 10;  ///< intervals of the grid, >= 1
    int order = 2;   ///< p, 1 to 3
    unipc_form form = unipc_form::bh2;
    bool corrector = true;
    bool lower_order_final = true;  ///< p is at most the number of steps that are left

    void step(auto& run, double t, double s) const {
        if (order < 1 || order > 3) raise<domain_error>(name, "order is " + std::to_string(order), "it must be 1 to 3");
        log_snr_step const to = log_snr_step_of(name, run.process(), t, s);
        auto const here = run.predict(run.x(), t);
        if (!to.is_finite()) return run.advance(here, to.left, to.first);
        auto const keep = run.keep(t);
        multistep_history const past = history_of(run, to, order_at(run, run.index()) - 1);

        // x' = left xc + ahead[0] D + sum of ahead[k] kept(k)
        std::array<double, 4> ahead{to.first};
        if (past.count == 1) {
            double const difference = half_b(to) / past.node[1];
            ahead = {to.first - difference, difference};
        } else if (past.count == 2) {
            ahead = exponential_weights(-to.h, past.node, 3);
            for (double& w : ahead) w *= to.alpha_s * to.h;
        }
        if (!corrector) return multistep_update{to.left, ahead}.run(run, here, keep, past.count);
        if (run.remembered() == 0) return begin(run, here, keep, to.left, ahead[0]);

        // xc = again.left (xc before) + behind[0] D + sum of behind[k] kept(k)
        log_snr_step const again = log_snr_step_of(name, run.process(), run.kept_time(1), t);
        int const before = std::min(run.remembered(), order_at(run, run.index() - 1));
        std::array<double, 4> behind{half_b(again), again.first - half_b(again)};
        if (before > 1) {
            std::array<double, 4> node{1, 0};
            for (int k = 2; k <= before; ++k)
                node[static_cast<std::size_t>(k)] = (run.half_log_snr(run.kept_time(k)) - again.from) / again.h;
            behind = exponential_weights(-again.h, node, before + 1);
            for (double& w : behind) w *= again.alpha_s * again.h;
        }
        switch (std::max(past.count, before)) {
            case 1:
                return combine<1>(run, here, keep, again.left, behind, to.left, ahead);
            case 2:
                return combine<2>(run, here, keep, again.left, behind, to.left, ahead);
            default:
                return combine<3>(run, here, keep, again.left, behind, to.left, ahead);
        }
    }
    void fields(auto&& visit) const {
        visit("steps", steps);
        visit("order", order);
        visit("form", to_string(form));
        visit("corrector", corrector);
        visit("lower_order_final", lower_order_final);
    }
    friend bool operator==(unipc const&, unipc const&) = default;

private:
    template <class Run> int order_at(Run const& run, int index) const {
        return lower_order_final ? std::min(order, run.steps() - index) : order;
    }
    /// alpha_s |B| / 2.
    double half_b(log_snr_step const& step) const { return form == unipc_form::bh1 ? step.alpha_s * step.h / 2 : step.first / 2; }

    /// Nothing to correct yet: xc = x.
    template <class Run, class Prediction, class Tensor>
    void begin(Run& run, Prediction const& here, Tensor const& keep, double left, double first) const {
        data_step<typename Run::value_type, typename Run::backend_type, 0, 2> step{
            {{{run.lasting(0), 1, 0, {}}, {run.x(), left, first, {}}}}};
        step.keep = keep;
        run.advance(here, step);
    }
    /// Both xc, which is stored for the next step's corrector, and x'.
    template <int Count, class Run, class Prediction, class Tensor>
    void combine(Run& run, Prediction const& here, Tensor const& keep, double again, std::array<double, 4> const& behind, double left,
                 std::array<double, 4> const& ahead) const {
        data_step<typename Run::value_type, typename Run::backend_type, Count + 1, 2> step{};
        auto& [corrected, next] = step.outputs;
        corrected.out = run.lasting(0);
        next.out = run.x();
        corrected.data = behind[0];
        next.data = left * behind[0] + ahead[0];
        step.extra[0] = run.lasting(0);
        corrected.extra[0] = again;
        next.extra[0] = left * again;
        for (std::size_t k = 1; k <= Count; ++k) {
            step.extra[k] = run.kept(static_cast<int>(k));
            corrected.extra[k] = behind[k];
            next.extra[k] = left * behind[k] + ahead[k];
        }
        step.keep = keep;
        run.advance(here, step);
    }
};

}  // namespace onestep
