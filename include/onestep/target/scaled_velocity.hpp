#pragma once
#include "velocity.hpp"

namespace onestep {

/// The velocity for a network of unit variance in and out: it reads x_t / h and answers in units of sigma_data (sd),
///
///     dx/dt = sd F(x / h, t),    h = sqrt(sigma^2 + sd^2 alpha^2)
///
/// On rectified flow ddim_rule{scaled_velocity{}} is the "Euler-FM" map of inductive moment matching: x_s = x_t - (t - s) sd F.
/// `weights` and `input_scale` throw domain_error unless sigma_data > 0.
/// Source: Zhou, Ermon, Song 2025 (arXiv:2503.07565), section 4.2 and appendix C.5.
struct scaled_velocity {
    static constexpr char const* name = "scaled_velocity";
    double sigma_data = 1;  ///< > 0

    target_weights weights(marginal const& m) const {
        require_fields();
        return {m.alpha_derivative / sigma_data, m.sigma_derivative / sigma_data};
    }
    /// 1 / h.
    double input_scale(marginal const& m) const {
        require_fields();
        return 1 / std::hypot(m.sigma, sigma_data * m.alpha);
    }

    void fields(auto&& visit) const { visit("sigma_data", sigma_data); }
    friend bool operator==(scaled_velocity const&, scaled_velocity const&) = default;

private:
    void require_fields() const {
        if (!(sigma_data > 0)) raise<domain_error>(name, "sigma_data is " + to_string(sigma_data), "it must be > 0");
    }
};

static_assert(target<scaled_velocity> && scales_input<scaled_velocity>);

}  // namespace onestep
