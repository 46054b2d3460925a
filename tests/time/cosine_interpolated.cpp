#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/time/cosine_interpolated.hpp>

#include <string>

#include "densities.hpp"

namespace cosine_interpolated_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

/// The log-SNR at time u of the shifted cosine path as its paper writes it, u = 1 at the noise.
double shifted(double u, double image, double noise, double least, double most) {
    double const shift = 2 * std::log(noise / image), first = std::atan(std::exp(-(most - shift) / 2)),
                 last = std::atan(std::exp(-(least - shift) / 2));
    return -2 * std::log(std::tan(first + u * (last - first))) + shift;
}

}  // namespace

TEST_CASE("cosine_interpolated: is the published map of a uniform number") {
    auto const stream = random_key{9}.at(draw::time);
    cosine_interpolated const density{.image = 256, .noise_low = 32, .noise_high = 128, .sigma_data = 0.5, .low = 0.002, .high = 70};
    double const least = -2 * std::log(70 / 0.5), most = -2 * std::log(0.002 / 0.5);
    for (index_t r = 0; r < 200; ++r) {
        double const u = 1 - uniform(stream, r);
        double const log_snr = u * shifted(u, 256, 32, least, most) + (1 - u) * shifted(u, 256, 128, least, most);
        CHECK(density.sample(edm{}, stream, r) == doctest::Approx(0.5 * std::exp(-log_snr / 2)).epsilon(1e-11));
    }
    check_rows(density, edm{});
}

TEST_CASE("cosine_interpolated: without a shift the angle is uniform, and larger images see more noise") {
    cosine_interpolated const plain{.image = 64, .noise_low = 64, .noise_high = 64};
    double const low = std::atan(1e-3), high = std::atan(1e3);
    check_distribution(plain, rectified_flow{}, [&](double t) { return (std::atan2(t, 1 - t) - low) / (high - low); });
    auto const small = sorted_times(plain, variance_preserving{}, 1000, 4),
               large = sorted_times(cosine_interpolated{.image = 256}, variance_preserving{}, 1000, 4);
    CHECK(small[500] < large[500]);
    CHECK(large.front() >= 1e-3);
    CHECK(large.back() <= 1);
}

TEST_CASE("cosine_interpolated: refuses numbers outside their range, and is a spec") {
    auto const stream = random_key{1}.at(draw::time);
    CHECK_THROWS_WITH_AS(
        (cosine_interpolated{.image = 0}.sample(edm{}, stream, 0)),
        "domain_error: cosine_interpolated: image is 0, noise_low is 32, noise_high is 64 and sigma_data is 1, all must be > 0",
        domain_error);
    CHECK_THROWS_WITH_AS((cosine_interpolated{.low = 0}.sample(edm{}, stream, 0)),
                         "domain_error: cosine_interpolated: low is 0 and high is 1000, 0 < low < high, both finite, is needed",
                         domain_error);
    CHECK(time_density<cosine_interpolated, edm>);
    CHECK(to_string(cosine_interpolated{}) ==
          "cosine_interpolated{image = 64, noise_low = 32, noise_high = 64, sigma_data = 1, low = 0.001, high = 1000}");
    CHECK_FALSE(cosine_interpolated{} == cosine_interpolated{.image = 128});
}

}  // namespace cosine_interpolated_tests
