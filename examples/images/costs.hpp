#pragma once
/// What training has taken, kept beside its checkpoint.
#include <chrono>
#include <cstddef>
#include <string>

namespace images {

/// Adds up seconds. Those of a stage are kept in FOLDER/cost.json, so that a run that goes on counts those before.
class stopwatch {
public:
    stopwatch() = default;
    explicit stopwatch(std::string folder) : folder_(std::move(folder)) {}

    double seconds() const { return seconds_; }
    /// What passed since the last tick or skip counts.
    void tick() {
        auto const now = clock::now();
        seconds_ += std::chrono::duration<double>(now - last_).count();
        last_ = now;
    }
    /// It does not.
    void skip() { last_ = clock::now(); }
    void save(std::ptrdiff_t steps) const;
    void resume();

private:
    using clock = std::chrono::steady_clock;
    std::string folder_;
    clock::time_point last_ = clock::now();
    double seconds_ = 0;
};

/// What a folder's stage has taken; zeros where nothing is kept.
struct cost {
    double seconds = 0;
    std::ptrdiff_t steps = 0;
};
cost cost_in(std::string const& folder);

}  // namespace images
