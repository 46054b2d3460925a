#pragma once
/// Scratch memory for one pass through a network.
#include <vector>

#include "concept.hpp"

namespace onestep {

/// A bump allocator over a backend's memory. `reset` gives everything back at once. A first pass may grow it block by
/// block; the next reset joins the blocks into one, and from then on equal passes allocate nothing.
template <class Backend> class arena {
public:
    explicit arena(Backend& device) : device_(&device) {}

    /// n uninitialised elements, 64-byte aligned relative to the block; valid until `reset`.
    template <class T> T* take(index_t n) {
        index_t const bytes = (n * static_cast<index_t>(sizeof(T)) + 63) / 64 * 64;
        if (blocks_.empty() || used_ + bytes > blocks_.back().size) grow(bytes);
        T* const at = reinterpret_cast<T*>(Backend::data(blocks_.back().storage) + used_);
        used_ += bytes;
        total_ += bytes;
        return at;
    }
    void reset() {
        if (blocks_.size() > 1) {
            index_t const needed = total_;
            blocks_.clear();
            grow(needed);
        }
        used_ = total_ = 0;
    }

private:
    struct block {
        typename Backend::template storage<unsigned char> storage;
        index_t size;
    };
    void grow(index_t bytes) {
        blocks_.push_back({device_->template allocate<unsigned char>(bytes), bytes});
        used_ = 0;
    }

    Backend* device_;
    std::vector<block> blocks_;
    index_t used_ = 0, total_ = 0;
};

}  // namespace onestep
