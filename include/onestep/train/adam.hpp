#pragma once
/// Adam and AdamW: numbers only. The machine that runs them is `optimizer` (optimizer.hpp).
#include <cmath>

#include "../core/error.hpp"
#include "../core/shape.hpp"
#include "../core/spec.hpp"

namespace onestep {

/// What one Adam-like update needs, in double on the host.
///
///     m = beta1 m + (1 - beta1) g        v = beta2 v + (1 - beta2) g^2
///     p = shrink p - step m / (root sqrt(v) + epsilon)
struct adam_coefficients {
    double beta1, beta2, step, root, epsilon, shrink;
};

/// Adam with bias correction.  Source: Kingma, Ba 2014 (arXiv:1412.6980), algorithm 1.
struct adam {
    static constexpr char const* name = "adam";
    double rate = 1e-3;     ///< > 0
    double beta1 = 0.9;     ///< in [0, 1)
    double beta2 = 0.999;   ///< in [0, 1)
    double epsilon = 1e-8;  ///< > 0, added to the root of the corrected second moment

    /// Coefficients of update number `update`, counted from 1. Throws domain_error for a field outside its range.
    adam_coefficients coefficients(index_t update, double factor) const { return coefficients(name, update, factor); }
    adam_coefficients coefficients(char const* object, index_t update, double factor) const {
        check(object, rate > 0, "rate", rate, "it must be > 0");
        check(object, beta1 >= 0 && beta1 < 1, "beta1", beta1, "it must be in [0, 1)");
        check(object, beta2 >= 0 && beta2 < 1, "beta2", beta2, "it must be in [0, 1)");
        check(object, epsilon > 0, "epsilon", epsilon, "it must be > 0");
        double const k = static_cast<double>(update);
        return {beta1, beta2, factor * rate / (1 - std::pow(beta1, k)), 1 / std::sqrt(1 - std::pow(beta2, k)), epsilon, 1};
    }
    void fields(auto&& visit) const {
        visit("rate", rate);
        visit("beta1", beta1);
        visit("beta2", beta2);
        visit("epsilon", epsilon);
    }
    friend bool operator==(adam const&, adam const&) = default;

    static void check(char const* object, bool fits, char const* field, double value, char const* allowed) {
        if (!fits) raise<domain_error>(object, std::string(field) + " is " + to_string(value), allowed);
    }
};

/// Adam with decoupled weight decay: each update also shrinks p by 1 - factor rate decay.
/// Source: Loshchilov, Hutter 2017 (arXiv:1711.05101), algorithm 2.
struct adamw {
    static constexpr char const* name = "adamw";
    double rate = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;  ///< as adam's
    double decay = 1e-2;                                             ///< >= 0

    adam_coefficients coefficients(index_t update, double factor) const {
        adam::check(name, decay >= 0, "decay", decay, "it must not be negative");
        adam_coefficients c = adam{rate, beta1, beta2, epsilon}.coefficients(name, update, factor);
        c.shrink = 1 - factor * rate * decay;
        return c;
    }
    void fields(auto&& visit) const {
        visit("rate", rate);
        visit("beta1", beta1);
        visit("beta2", beta2);
        visit("epsilon", epsilon);
        visit("decay", decay);
    }
    friend bool operator==(adamw const&, adamw const&) = default;
};

}  // namespace onestep
