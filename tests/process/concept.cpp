#include <onestep/process/concept.hpp>

#include <doctest/doctest.h>

#include <onestep/process/discrete.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>

namespace process_concept_tests {

namespace {

struct plain {
    double alpha(double) const { return 1; }
    double sigma(double t) const { return 2 * t; }
    double alpha_derivative(double) const { return 0; }
    double sigma_derivative(double) const { return 2; }
    double log_snr(double) const { return 0; }
    double time_of_log_snr(double) const { return 0; }
    double t_min() const { return 0; }
    double t_max() const { return 3; }
};
struct outspoken : plain {
    double network_time(double t) const { return 999 * t; }
    double prior_scale() const { return 7; }
    int steps() const { return 3; }
};
struct counts_in_doubles : plain {
    double steps() const { return 3; }
};

}  // namespace

static_assert(onestep::process<plain> && onestep::process<outspoken>);
static_assert(!onestep::process<double>);
static_assert(onestep::discrete_process<outspoken> && onestep::discrete_process<onestep::discrete<>>);
static_assert(!onestep::discrete_process<plain> && !onestep::discrete_process<counts_in_doubles>);
static_assert(!onestep::discrete_process<onestep::rectified_flow>);

TEST_CASE("process: what it does not say is t itself and sigma at t_max") {
    CHECK(onestep::network_time_of(plain{}, 0.25) == 0.25);
    CHECK(onestep::prior_scale_of(plain{}) == 6);
    CHECK(onestep::prior_scale_of(onestep::rectified_flow{}) == 1);
    CHECK(onestep::prior_scale_of(onestep::edm{}) == 80);
}

TEST_CASE("process: what it says goes first") {
    CHECK(onestep::network_time_of(outspoken{}, 0.25) == 249.75);
    CHECK(onestep::prior_scale_of(outspoken{}) == 7);
}

}  // namespace process_concept_tests
