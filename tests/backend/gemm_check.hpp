#pragma once
/// What a matrix product must give: a triple loop in double precision, and operands to give it.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include <onestep/backend/concept.hpp>

namespace onestep::test {

/// Numbers in [-1, 1), the same in every run.
struct uniform_numbers {
    std::uint64_t state;
    std::uint64_t bits() { return (state = state * 6364136223846793005u + 1442695040888963407u) >> 33; }
    double operator()() { return static_cast<double>(bits()) / (1u << 30) - 1; }
    index_t below(index_t n) { return static_cast<index_t>(bits() % static_cast<std::uint64_t>(n)); }
};

/// Operands of C = alpha op(A) op(B) + beta C, with rows longer than needed; C begins as NaN where it must not be read,
/// and everything between its rows is `untouched`.
template <class T> struct product {
    static constexpr T untouched = T(1234.5);

    op opa, opb;
    index_t m, n, k;
    T alpha, beta;
    index_t lda, ldb, ldc;
    std::vector<T> a, b, c;

    product(op opa_, op opb_, index_t m_, index_t n_, index_t k_, T alpha_, T beta_, index_t padding, std::uint64_t seed)
        : opa(opa_), opb(opb_), m(m_), n(n_), k(k_), alpha(alpha_), beta(beta_), lda((opa == op::plain ? k : m) + padding),
          ldb((opb == op::plain ? n : k) + padding), ldc(n + padding) {
        uniform_numbers numbers{seed};
        // Exactly as long as the matrices reach: a read beyond them is one that a sanitizer sees.
        auto const fill = [&](std::vector<T>& v, index_t rows, index_t cols, index_t stride) {
            v.resize(static_cast<std::size_t>(rows > 0 ? (rows - 1) * stride + cols : 0));
            for (T& x : v) x = static_cast<T>(numbers());
        };
        fill(a, opa == op::plain ? m : k, opa == op::plain ? k : m, lda);
        fill(b, opb == op::plain ? k : n, opb == op::plain ? n : k, ldb);
        fill(c, m, n, ldc);
        for (index_t i = 0; i < static_cast<index_t>(c.size()); ++i) {
            if (i % ldc >= n) c[static_cast<std::size_t>(i)] = untouched;
            else if (beta == T(0)) c[static_cast<std::size_t>(i)] = std::numeric_limits<T>::quiet_NaN();
        }
    }

    /// multiply(opa, opb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc) on a copy of C.
    template <class Multiply> std::vector<T> run(Multiply multiply) const {
        std::vector<T> out = c;
        multiply(opa, opb, m, n, k, alpha, a.data(), lda, b.data(), ldb, beta, out.data(), ldc);
        return out;
    }

    /// Largest error of `out` against the triple loop, in units of the rounding that a sum of k terms may show.
    /// Infinite if anything between the rows has changed.
    double error(std::vector<T> const& out) const {
        double worst = 0;
        for (index_t i = 0; i < m; ++i)
            for (index_t j = 0; j < ldc && i * ldc + j < static_cast<index_t>(out.size()); ++j) {
                double const given = static_cast<double>(out[static_cast<std::size_t>(i * ldc + j)]);
                if (j >= n) {
                    if (given != static_cast<double>(untouched)) return std::numeric_limits<double>::infinity();
                    continue;
                }
                double sum = 0, size = 1;
                for (index_t l = 0; l < k; ++l) {
                    double const left = static_cast<double>(a[static_cast<std::size_t>(opa == op::plain ? i * lda + l : l * lda + i)]);
                    double const right = static_cast<double>(b[static_cast<std::size_t>(opb == op::plain ? l * ldb + j : j * ldb + l)]);
                    sum += left * right;
                    size += std::abs(left * right);
                }
                double const before =
                    beta == T(0) ? 0 : static_cast<double>(beta) * static_cast<double>(c[static_cast<std::size_t>(i * ldc + j)]);
                double const difference = std::abs(given - (static_cast<double>(alpha) * sum + before));
                double const unit = static_cast<double>(std::numeric_limits<T>::epsilon()) *
                                    (size * (1 + std::abs(static_cast<double>(alpha))) + std::abs(before));
                worst = difference <= 1e30 ? std::max(worst, difference / unit) : std::numeric_limits<double>::infinity();
            }
        return worst;
    }
};

inline constexpr op operations[] = {op::plain, op::transposed};

}  // namespace onestep::test
