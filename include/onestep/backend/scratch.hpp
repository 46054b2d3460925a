#pragma once
/// Arenas for calls that may run at the same time.
#include <atomic>
#include <memory>

#include "arena.hpp"

namespace onestep {

/// Lends an arena to each call in progress: `auto memory = device.scratch(); memory->take<float>(n)`. As many arenas
/// exist as calls ever ran at once; a warm call allocates nothing. Base class of every backend, which is `Backend`.
template <class Backend> class scratch_owner {
    struct node {
        explicit node(Backend& device) : memory(device) {}
        arena<Backend> memory;
        std::unique_ptr<node> next;
    };

public:
    scratch_owner() = default;
    /// Copies of a backend start without scratch of their own.
    scratch_owner(scratch_owner const&) {}
    scratch_owner& operator=(scratch_owner const&) { return *this; }

    /// Gives its arena back when it goes.
    class loan {
    public:
        loan(loan const&) = delete;
        loan& operator=(loan const&) = delete;
        ~loan() { owner_.give(std::move(node_)); }
        arena<Backend>& operator*() const { return node_->memory; }
        arena<Backend>* operator->() const { return &node_->memory; }

    private:
        friend class scratch_owner;
        explicit loan(scratch_owner& owner) : owner_(owner), node_(owner.take()) { node_->memory.reset(); }
        scratch_owner& owner_;
        std::unique_ptr<node> node_;
    };

    /// An empty arena for the life of the returned value. Safe to call from several threads.
    loan scratch() { return loan(*this); }

protected:
    ~scratch_owner() {
        while (free_) free_ = std::unique_ptr<node>(std::move(free_)->next.release());
    }
    /// Frees all arenas; for backends whose memory must go before something else of theirs does.
    void drop_scratch() { free_.reset(); }

private:
    /// Held for a few instructions only.
    struct guard {
        explicit guard(std::atomic_flag& f) : flag(f) {
            while (flag.test_and_set(std::memory_order_acquire)) {
            }
        }
        guard(guard const&) = delete;
        guard& operator=(guard const&) = delete;
        ~guard() { flag.clear(std::memory_order_release); }
        std::atomic_flag& flag;
    };
    std::unique_ptr<node> take() {
        {
            guard const lock(busy_);
            if (free_) {
                std::unique_ptr<node> first = std::move(free_);
                free_ = std::move(first->next);
                return first;
            }
        }
        return std::make_unique<node>(static_cast<Backend&>(*this));
    }
    void give(std::unique_ptr<node> returned) {
        guard const lock(busy_);
        returned->next = std::move(free_);
        free_ = std::move(returned);
    }

    std::unique_ptr<node> free_;
    std::atomic_flag busy_ = ATOMIC_FLAG_INIT;
};

}  // namespace onestep
