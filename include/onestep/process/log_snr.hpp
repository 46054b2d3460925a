#pragma once
/// alpha^2 of a path with alpha^2 + sigma^2 = 1, from its log-SNR, at both ends of the range.
#include <cmath>

namespace onestep {

/// -log alpha^2 = log(1 + exp(-log_snr)) >= 0; 0 at +infinity, +infinity at -infinity.
inline double signal_loss_of_log_snr(double log_snr) {
    return log_snr > 0 ? std::log1p(std::exp(-log_snr)) : -log_snr + std::log1p(std::exp(log_snr));
}

/// Its inverse: log(alpha^2 / (1 - alpha^2)) where loss = -log alpha^2.
inline double log_snr_of_signal_loss(double loss) { return loss == HUGE_VAL ? -HUGE_VAL : -(loss + std::log(-std::expm1(-loss))); }

}  // namespace onestep
