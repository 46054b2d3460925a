#pragma once
/// What a flow map's network says where it is told the same time twice: it carries x nowhere then, and its answer is that of a denoiser.
#include "flow_map_model.hpp"

namespace onestep {

/// The rule tells the target that F(x, t, t) is.
template <class R>
concept tells_local_target = map_rule<R> && requires(R const& rule) {
    requires target<std::remove_cvref_t<decltype(rule.local_target())>>;
};

/// That target: the rule's, and of an average velocity the velocity.
template <map_rule R> auto local_target_of(R const& rule) requires(tells_local_target<R> || std::same_as<R, average_velocity>) {
    if constexpr (tells_local_target<R>) return rule.local_target();
    else return velocity{};
}

template <class R>
concept has_local_target = requires(R const& rule) {
    local_target_of(rule);
};

}  // namespace onestep
