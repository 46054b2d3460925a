#include <onestep/process/log_snr.hpp>

#include <doctest/doctest.h>

#include <initializer_list>

namespace log_snr_tests {

using onestep::log_snr_of_signal_loss;
using onestep::signal_loss_of_log_snr;

TEST_CASE("log_snr: the loss of signal is log(1 + exp(-log_snr))") {
    for (double v : {-30.0, -3.0, -0.1, 0.0, 0.1, 3.0, 20.0}) {
        long double const exact = std::log1p(std::exp(-static_cast<long double>(v)));
        CHECK(signal_loss_of_log_snr(v) == doctest::Approx(static_cast<double>(exact)).epsilon(1e-15));
    }
    CHECK(signal_loss_of_log_snr(700) == doctest::Approx(std::exp(-700.0)).epsilon(1e-12));  // no digit lost to 1 + tiny
    CHECK(signal_loss_of_log_snr(-5000) == 5000);                                            // no overflow
}

TEST_CASE("log_snr: both ways, over the whole range") {
    for (double v = -800; v <= 700; v += 0.37) CHECK(std::fabs(log_snr_of_signal_loss(signal_loss_of_log_snr(v)) - v) < 1e-12);
}

TEST_CASE("log_snr: the ends") {
    CHECK(signal_loss_of_log_snr(HUGE_VAL) == 0);
    CHECK(signal_loss_of_log_snr(-HUGE_VAL) == HUGE_VAL);
    CHECK(log_snr_of_signal_loss(0) == HUGE_VAL);
    CHECK(log_snr_of_signal_loss(HUGE_VAL) == -HUGE_VAL);
}

}  // namespace log_snr_tests
