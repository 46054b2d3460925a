#pragma once
/// Mean and covariance of features: what a Frechet distance compares.
#include <cmath>
#include <string>
#include <vector>

#include "../backend/finite.hpp"
#include "centred.hpp"

namespace onestep {

/// The first two moments of a set of features, in host memory. Plain values, so that those of a reference set can be kept.
struct moments {
    index_t count = 0;               ///< samples they were computed from
    std::vector<double> mean;        ///< [d]
    std::vector<double> covariance;  ///< [d, d], symmetric, unbiased: the sum of (x - mean)(x - mean)' over count - 1

    friend bool operator==(moments const&, moments const&) = default;
};

/// Moments of features x [n, d] (or samples [n, ...], which are taken as rows), on the backend where they lie.
///
/// Features are centred before they are multiplied, and sums and products are formed in double whatever x is, so that a mean far from 0
/// costs no digits. On host backends the same bits for any number of threads.
///
/// Cost: two passes over x and 2 n d^2 operations. Memory: 8 d^2 bytes on the backend and on the host, and blocks of 16 MiB.
/// Throws shape_error for fewer than 2 samples or none of any size, not_finite_error for NaN or infinity, and where a covariance overflows.
template <class X> moments feature_moments(X const& x) {
    static_assert(sample_set<X>, "Moments are those of a set of samples: a tensor or view [n, ...].");
    constexpr char const* name = "feature_moments";
    if (x.size() == 0) raise<shape_error>(name, "x is empty", "at least 2 samples are needed");
    auto const features = evaluation::view_of(x);
    index_t const n = features.rows(), d = features.cols();
    if (n < 2) raise<shape_error>(name, "x is " + to_string(features.shape()), "at least 2 samples are needed");
    require_finite(name, features);

    auto& device = features.backend();
    auto const mean = evaluation::mean_of(features);
    index_t const rows = evaluation::centred_rows(n, d, 4096);
    tensor<double, typename X::backend_type> block(device, {rows, d}), covariance(device, {d, d});
    for (index_t first = 0; first < n; first += rows) {
        index_t const count = n - first < rows ? n - first : rows;
        evaluation::centre(features.rows(first, count), mean, block.data());
        device.gemm(op::transposed, op::plain, d, d, count, 1 / static_cast<double>(n - 1), block.data(), d, block.data(), d,
                    first == 0 ? 0.0 : 1.0, covariance.data(), d);
    }
    moments found{n, to_host(mean), to_host(covariance)};
    // Not every backend gives both halves of a symmetric product the same bits.
    for (index_t r = 0; r < d; ++r)
        for (index_t c = 0; c <= r; ++c) {
            double& low = found.covariance[static_cast<std::size_t>(r * d + c)];
            double& high = found.covariance[static_cast<std::size_t>(c * d + r)];
            if (!std::isfinite(low))
                raise<not_finite_error>(name, "covariance (" + std::to_string(r) + ", " + std::to_string(c) + ") is " + to_string(low),
                                        "features must be so small that their squares do not overflow");
            low = high = low / 2 + high / 2;
        }
    return found;
}

}  // namespace onestep
