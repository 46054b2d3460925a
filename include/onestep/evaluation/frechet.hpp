#pragma once
/// Frechet distance between two sets of features. The one header of this folder that includes Eigen, and not part of onestep.hpp for
/// that; feature_moments.hpp does without.
#include <cmath>
#include <string>
#include <vector>

#include <Eigen/Eigenvalues>

#include "feature_moments.hpp"

namespace onestep {

/// A distance and its two parts. Converts to the distance.
struct frechet_report {
    double value = 0;
    double means = 0;        ///< |mean_x - mean_y|^2
    double covariances = 0;  ///< the trace, >= 0
    index_t n = 0, m = 0;    ///< samples of x and of y

    operator double() const { return value; }
};

/// "frechet_distance = 0.75 (means = 0.25, covariances = 0.5, n = 4096, m = 1797)".
inline std::string to_string(frechet_report const& r) {
    return "frechet_distance = " + to_string(r.value) + " (means = " + to_string(r.means) + ", covariances = " + to_string(r.covariances) +
           ", n = " + std::to_string(r.n) + ", m = " + std::to_string(r.m) + ")";
}

namespace evaluation {

/// Throws unless m may be the moments of at least 2 samples.
inline void require_moments(char const* metric, char const* name, moments const& m) {
    std::size_t const d = m.mean.size();
    if (d == 0 || m.covariance.size() != d * d)
        raise<shape_error>(
            metric, std::string(name) + " has " + std::to_string(d) + " means and " + std::to_string(m.covariance.size()) + " covariances",
            "d and d^2 are needed, d >= 1");
    if (m.count < 2)
        raise<shape_error>(metric, std::string(name) + " was computed from " + std::to_string(m.count) + " samples",
                           "at least 2 are needed");
    for (auto const* values : {&m.mean, &m.covariance})
        for (double value : *values)
            if (!std::isfinite(value))
                raise<not_finite_error>(metric, "a moment of " + std::string(name) + " is " + to_string(value), "all must be finite");
}

/// tr (S_a S_b)^(1/2): the sum of the square roots of the eigenvalues of R' S_b R with R R' = S_a. R has a column
/// for each of the largest eigenvalues of S_a, at most count - 1 of them since count samples span no more. The roots of what rounding
/// leaves in place of 0 would add up otherwise: an error of 1e-16 becomes one of 1e-8.
inline double trace_of_root(moments const& a, moments const& b) {
    using matrix = Eigen::MatrixXd;
    auto const d = static_cast<Eigen::Index>(a.mean.size());
    Eigen::Map<matrix const> const of_a(a.covariance.data(), d, d), of_b(b.covariance.data(), d, d);
    double const size_a = of_a.diagonal().maxCoeff(), size_b = of_b.diagonal().maxCoeff();
    if (!(size_a > 0 && size_b > 0)) return 0;

    Eigen::Index const rank = a.count - 1 < d ? static_cast<Eigen::Index>(a.count - 1) : d;
    Eigen::SelfAdjointEigenSolver<matrix> const parts(of_a / size_a);
    matrix const root = parts.eigenvectors().rightCols(rank) * parts.eigenvalues().tail(rank).cwiseMax(0.0).cwiseSqrt().asDiagonal();
    matrix const image = (of_b / size_b) * root;
    matrix const product = root.transpose() * image;
    Eigen::VectorXd const squares = Eigen::SelfAdjointEigenSolver<matrix>(product, Eigen::EigenvaluesOnly).eigenvalues();
    double const noise = 4 * 0x1p-52 * squares.maxCoeff();
    double sum = 0;
    for (Eigen::Index i = 0; i < squares.size(); ++i)
        if (squares[i] > noise) sum += std::sqrt(squares[i]);
    return std::sqrt(size_a) * std::sqrt(size_b) * sum;
}

}  // namespace evaluation

/// Frechet distance of the normal distributions with the moments of two sets of features,
///
///     |mean_x - mean_y|^2 + tr( S_x + S_y - 2 (S_x S_y)^(1/2) ),
///
/// covariances S over n - 1, as the Frechet inception distance (FID) computes it: the square of a distance, in the square of the
/// features' unit. Values named FID have the features of one Inception network and of 50,000 samples; those of other features are not
/// comparable with them. A shift of all features by c gives |c|^2.
///
///     auto const real = onestep::feature_moments(features_of_data);    // once
///     double far = onestep::frechet_distance(real, onestep::feature_moments(features_of_samples));
///
/// Bias: the mean over sets is too large by about c / n + c' / m. Two sets of n samples of one isotropic normal distribution are
/// tr S (d + 5) / (2 n) apart while n is many times d, not 0. Compare values of equal n and m alone, with n at least ten times d, and put
/// that between two halves of the data beside it. Fewer samples than elements (n <= d) work, with that bias.
///
/// The root is that of the symmetric S_x^(1/2) S_y S_x^(1/2), from its eigenvalues, in double on the host; nothing is added to the
/// covariances. Each direction in which both sets have (nearly) no spread may add an error of 1e-8 times the largest spread.
/// Cost: two eigenvalue problems, O(d^3): half a minute or so for d = 2048. Memory: about 6 matrices of 8 d^2 bytes.
/// Throws shape_error if d differs, for fewer than 2 samples or moments of wrong sizes, not_finite_error for NaN or infinity.
/// Source: Dowson, Landau 1982, "The Frechet distance between multivariate normal distributions"; Heusel et al. 2017
/// (arXiv:1706.08500), equation 6; bias: Chong, Forsyth 2020 (arXiv:1911.07023).
inline frechet_report frechet_distance(moments const& x, moments const& y) {
    constexpr char const* name = "frechet_distance";
    evaluation::require_moments(name, "x", x);
    evaluation::require_moments(name, "y", y);
    std::size_t const d = x.mean.size();
    if (y.mean.size() != d)
        raise<shape_error>(name, "y has " + std::to_string(y.mean.size()) + " features",
                           "it is compared with x, which has " + std::to_string(d));
    double means = 0, traces = 0;
    for (std::size_t i = 0; i < d; ++i) {
        double const shift = x.mean[i] - y.mean[i];
        means += shift * shift;
        traces += x.covariance[i * d + i] + y.covariance[i * d + i];
    }
    // Of the two orders that with fewer columns of R.
    double const root = x.count <= y.count ? evaluation::trace_of_root(x, y) : evaluation::trace_of_root(y, x);
    double const covariances = std::fmax(traces - 2 * root, 0.0), value = means + covariances;
    if (!std::isfinite(value))
        raise<not_finite_error>(name, "the distance is " + to_string(value), "the moments are too large for their squares");
    return {value, means, covariances, x.count, y.count};
}

/// The same from features x [n, d] and y [m, d] (or samples [n, ...], taken as rows), each on its own backend.
template <sample_set X, sample_set Y> frechet_report frechet_distance(X const& x, Y const& y) {
    evaluation::require_comparable("frechet_distance", x, y, 2);
    return frechet_distance(feature_moments(x), feature_moments(y));
}

}  // namespace onestep
