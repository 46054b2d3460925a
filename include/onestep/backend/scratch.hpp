#pragma once
/// Arenas for calls that may run at the same time.
#include "arena.hpp"
#include "lender.hpp"

namespace onestep {

/// Lends an arena to each call in progress: `auto memory = device.scratch(); memory->take<float>(n)`. As many arenas
/// exist as calls ever ran at once; a warm call allocates nothing. Base class of every backend, which is `Backend`.
template <class Backend> class scratch_owner {
public:
    /// An empty arena for the life of the returned value. Safe to call from several threads.
    auto scratch() { return arenas_.lend(static_cast<Backend&>(*this)); }

protected:
    ~scratch_owner() = default;
    /// Frees all arenas; for backends whose memory must go before something else of theirs does.
    void drop_scratch() { arenas_.drop(); }

private:
    lender<arena<Backend>> arenas_;
};

}  // namespace onestep
