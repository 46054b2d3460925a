#pragma once
#include "curriculum.hpp"

namespace onestep {

/// The same number of levels at every step. `levels` throws domain_error unless count >= 2.
/// Source: Song et al. 2023 (arXiv:2303.01469), table 3; 18 for distillation on CIFAR-10, 40 on ImageNet 64.
struct constant_levels {
    static constexpr char const* name = "constant_levels";
    index_t count = 18;  ///< >= 2

    index_t levels(index_t) const {
        if (count < 2) raise<domain_error>(name, "count is " + std::to_string(count), "it must be at least 2");
        return count;
    }
    void fields(auto&& visit) const { visit("count", count); }
    friend bool operator==(constant_levels const&, constant_levels const&) = default;
};

static_assert(curriculum<constant_levels>);

}  // namespace onestep
