#pragma once
/// Resources for calls that may run at the same time.
#include <atomic>
#include <memory>
#include <utility>

namespace onestep {

/// Lends a resource to each call in progress and takes it back at the call's end. As many exist as calls ever ran at once, so a warm
/// call makes none. Copies start empty.
template <class Resource> class lender {
    struct node {
        template <class... Arguments> explicit node(Arguments&&... arguments) : resource(std::forward<Arguments>(arguments)...) {}
        Resource resource;
        std::unique_ptr<node> next;
    };

public:
    lender() = default;
    lender(lender const&) {}
    lender& operator=(lender const&) { return *this; }
    ~lender() { drop(); }

    /// Gives the resource back when it goes.
    class loan {
    public:
        loan(loan const&) = delete;
        loan& operator=(loan const&) = delete;
        ~loan() { owner_.give(std::move(node_)); }
        Resource& operator*() const { return node_->resource; }
        Resource* operator->() const { return &node_->resource; }

    private:
        friend class lender;
        loan(lender& owner, std::unique_ptr<node> taken) : owner_(owner), node_(std::move(taken)) {}
        lender& owner_;
        std::unique_ptr<node> node_;
    };

    /// A free resource, or a new one made of the arguments, for the life of the returned value; its `reset` is called first. Safe to
    /// call from several threads.
    template <class... Arguments> loan lend(Arguments&&... arguments) {
        std::unique_ptr<node> taken = take();
        if (!taken) taken = std::make_unique<node>(std::forward<Arguments>(arguments)...);
        taken->resource.reset();
        return loan(*this, std::move(taken));
    }
    /// Destroys what is not lent.
    void drop() {
        while (free_) free_ = std::unique_ptr<node>(std::move(free_)->next.release());
    }

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
        guard const lock(busy_);
        if (!free_) return nullptr;
        std::unique_ptr<node> first = std::move(free_);
        free_ = std::move(first->next);
        return first;
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
