#pragma once
#include "../target/matched_target.hpp"
#include "model.hpp"

namespace onestep {

/// A trained model re-expressed on another process: at each time its network is asked at the time of its own process with the
/// same signal-to-noise ratio, with x rescaled (target/matched_target.hpp). What it says about x0 stays the same.
///
///     auto straight = onestep::matched(ddpm, onestep::rectified_flow{});
///     auto x = onestep::sample(straight, onestep::heun{.steps = 8}, z);
///
/// The network is referred to and must outlive the result. The members throw domain_error at times whose signal-to-noise ratio
/// the model's own process never has.
template <denoiser Model, process Process> auto matched(Model const& model, Process const& process) {
    using network_type = std::remove_reference_t<decltype(model.network())>;
    using target_type = matched_target<typename Model::target_type, typename Model::process_type>;
    return onestep::model<network_type&, Process, target_type>(model.network(), process, target_type{model.target(), model.process()});
}

}  // namespace onestep
