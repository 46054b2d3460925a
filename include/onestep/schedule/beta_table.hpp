#pragma once
#include "../core/number_list.hpp"
#include "noise_table.hpp"

namespace onestep {

/// A user's own list: beta_table{{0.1, 0.2, 0.3}}. Entry i is the literature's beta_i.
/// `table` throws domain_error for an empty list and betas outside (0, 1) (the last: outside (0, 1]).
struct beta_table {
    static constexpr char const* name = "beta_table";
    std::vector<double> beta;

    noise_table table() const { return noise_table::of_betas(name, beta); }
    /// Every beta in one text: checkpoints compare it, and two lists must not look alike.
    void fields(auto&& visit) const { visit("beta", number_list(beta)); }
    friend bool operator==(beta_table const&, beta_table const&) = default;
};

static_assert(noise_schedule<beta_table>);

}  // namespace onestep
