#pragma once
/// Published weights that depend on the noise level alone: on SNR = alpha^2 / sigma^2, or on se = sigma / alpha. Each is the multiplier
/// of |predicted x0 - x0|^2 and means the same in any space (weighting.hpp). What it multiplies there:
///
///                        epsilon              x0                                   v, where alpha^2 + sigma^2 = 1
///     snr_weight         1                    SNR                                  SNR / (SNR + 1)
///     truncated_snr      max(1, 1/SNR)        max(SNR, 1)                          max(SNR, 1) / (SNR + 1)
///     snr_plus_one       (SNR + 1) / SNR      SNR + 1                              1
///     min_snr            min(SNR, g) / SNR    min(SNR, g)                          min(SNR, g) / (SNR + 1)
///     p2_weight          1 / (k + SNR)^g      SNR / (k + SNR)^g                    SNR / ((SNR + 1) (k + SNR)^g)
///     edm_weight                              (se^2 + sd^2) / (se sd)^2            1 on the F of edm_preconditioned
///     soft_min_snr                            1 / (se^2 + sd^2)                    (se sd)^2 / (se^2 + sd^2)^2 on F
///     sigma_sqrt_weight                       1 / t^4,  t = se / (1 + se)          1 / t^2 on the velocity of the straight path
///     cosmap_weight                           2 / (pi t^2 (1 - 2 t + 2 t^2))       2 / (pi (1 - 2 t + 2 t^2)) on that velocity
///
/// At the ends of a path, SNR = 0 and SNR infinite, all of them are finite on v and on F, but for sigma_sqrt_weight at the data. On
/// epsilon those with a finite limit other than 0 in x0 are infinite at SNR = 0: truncated_snr, snr_plus_one, edm_weight and the last
/// two. On x0 only min_snr, soft_min_snr and p2_weight with g >= 1 are finite at infinite SNR. Where a weight is infinite training stops
/// with a domain_error.
#include <cmath>

#include "weighting.hpp"

namespace onestep {

/// alpha^2 / sigma^2.
inline double signal_to_noise(marginal const& m) { return m.alpha / m.sigma * (m.alpha / m.sigma); }

/// SNR: 1 on the noise. The simple loss of DDPM, in whatever space it is regressed.
/// Source: Ho, Jain, Abbeel 2020 (arXiv:2006.11239), equation 14.
struct snr_weight {
    static constexpr char const* name = "snr_weight";
    double on_x0(marginal const& m) const { return signal_to_noise(m); }
    void fields(auto&&) const {}
    friend bool operator==(snr_weight const&, snr_weight const&) = default;
};

/// max(SNR, 1): the larger of the losses in x0 and in the noise, so that neither end of the path is lost.
/// Source: Salimans, Ho 2022 (arXiv:2202.00512), section 4.
struct truncated_snr {
    static constexpr char const* name = "truncated_snr";
    double on_x0(marginal const& m) const { return std::fmax(signal_to_noise(m), 1); }
    void fields(auto&&) const {}
    friend bool operator==(truncated_snr const&, truncated_snr const&) = default;
};

/// SNR + 1: 1 on v where variance is preserved.
/// Source: Salimans, Ho 2022 (arXiv:2202.00512), section 4.
struct snr_plus_one {
    static constexpr char const* name = "snr_plus_one";
    double on_x0(marginal const& m) const { return signal_to_noise(m) + 1; }
    void fields(auto&&) const {}
    friend bool operator==(snr_plus_one const&, snr_plus_one const&) = default;
};

/// min(SNR, gamma): no level counts more than gamma times in x0. At pure noise it is 0 in x0 and v and 1 in the noise, by its limits;
/// with `one_at_pure_noise` it is 1 there in every space, as in the authors' code, so that networks that start at SNR = 0 learn what
/// they say there. on_x0 throws domain_error unless gamma > 0.
/// Source: Hang et al. 2023 (arXiv:2303.09556), section 3.4.
struct min_snr {
    static constexpr char const* name = "min_snr";
    double gamma = 5;  ///< > 0
    bool one_at_pure_noise = false;

    double on_x0(marginal const& m) const {
        if (!(gamma > 0)) raise<domain_error>(name, "gamma is " + to_string(gamma), "it must be > 0");
        return std::fmin(signal_to_noise(m), gamma);
    }
    bool is_one(marginal const& m) const { return one_at_pure_noise && m.alpha == 0; }
    void fields(auto&& visit) const {
        visit("gamma", gamma);
        visit("one_at_pure_noise", one_at_pure_noise);
    }
    friend bool operator==(min_snr const&, min_snr const&) = default;
};

/// SNR / (k + SNR)^gamma: less for the levels at which only details are missing.
/// on_x0 throws domain_error unless k > 0 and 0 <= gamma <= 2.
/// Source: Choi et al. 2022 (arXiv:2204.00227), equation 8.
struct p2_weight {
    static constexpr char const* name = "p2_weight";
    double k = 1;      ///< > 0
    double gamma = 1;  ///< in [0, 2]; 0 is snr_weight

    double on_x0(marginal const& m) const {
        if (!(k > 0 && gamma >= 0 && gamma <= 2))
            raise<domain_error>(name, "k is " + to_string(k) + " and gamma is " + to_string(gamma), "k > 0 and 0 <= gamma <= 2 are needed");
        double const snr = signal_to_noise(m);
        return snr / std::pow(k + snr, gamma);
    }
    void fields(auto&& visit) const {
        visit("k", k);
        visit("gamma", gamma);
    }
    friend bool operator==(p2_weight const&, p2_weight const&) = default;
};

/// (se^2 + sd^2) / (se sd)^2: 1 on the F of edm_preconditioned with the same sigma_data (sd).
/// on_x0 throws domain_error unless sigma_data > 0.
/// Source: Karras et al. 2022 (arXiv:2206.00364), table 1.
struct edm_weight {
    static constexpr char const* name = "edm_weight";
    double sigma_data = 0.5;  ///< > 0

    double on_x0(marginal const& m) const {
        if (!(sigma_data > 0)) raise<domain_error>(name, "sigma_data is " + to_string(sigma_data), "it must be > 0");
        return signal_to_noise(m) + 1 / (sigma_data * sigma_data);
    }
    void fields(auto&& visit) const { visit("sigma_data", sigma_data); }
    friend bool operator==(edm_weight const&, edm_weight const&) = default;
};

/// 1 / (se^2 + sd^2), sd = sigma_data: min_snr with gamma = 1 / sd^2 and without the corner, SNR gamma / (SNR + gamma).
/// on_x0 throws domain_error unless sigma_data > 0.
/// Source: Crowson et al. 2024 (arXiv:2401.11605), section 4.4.
struct soft_min_snr {
    static constexpr char const* name = "soft_min_snr";
    double sigma_data = 0.5;  ///< > 0

    double on_x0(marginal const& m) const {
        if (!(sigma_data > 0)) raise<domain_error>(name, "sigma_data is " + to_string(sigma_data), "it must be > 0");
        return 1 / (1 / signal_to_noise(m) + sigma_data * sigma_data);
    }
    void fields(auto&& visit) const { visit("sigma_data", sigma_data); }
    friend bool operator==(soft_min_snr const&, soft_min_snr const&) = default;
};

/// The time t in [0, 1] at which the straight path (1 - t) x0 + t epsilon has the same signal-to-noise ratio.
inline double straight_time(marginal const& m) { return m.sigma / (m.alpha + m.sigma); }

/// 1 / t^2 on the velocity of the straight path. Infinite at the data.
/// Source: Esser et al. 2024 (arXiv:2403.03206); the weight is that of its public training code.
struct sigma_sqrt_weight {
    static constexpr char const* name = "sigma_sqrt_weight";
    double on_x0(marginal const& m) const {
        double const t = straight_time(m);
        return 1 / (t * t * t * t);
    }
    void fields(auto&&) const {}
    friend bool operator==(sigma_sqrt_weight const&, sigma_sqrt_weight const&) = default;
};

/// 2 / (pi (1 - 2 t + 2 t^2)) on the velocity of the straight path: under a uniform density of times what cosine_density does by its
/// draws.
/// Source: Esser et al. 2024 (arXiv:2403.03206), section 3.1.
struct cosmap_weight {
    static constexpr char const* name = "cosmap_weight";
    double on_x0(marginal const& m) const {
        double const t = straight_time(m);
        return 2 / (3.141592653589793 * (1 - 2 * t + 2 * t * t) * t * t);
    }
    void fields(auto&&) const {}
    friend bool operator==(cosmap_weight const&, cosmap_weight const&) = default;
};

}  // namespace onestep
