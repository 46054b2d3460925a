#pragma once
/// Memory for one pass through a network whose pieces come and go.
#include <algorithm>
#include <utility>
#include <vector>

#include "concept.hpp"

namespace onestep {

/// Hands out pieces of a backend's memory and takes each back when it goes, so that tensors which do not live at the same time share
/// their place: the lowest gap that is large enough. A first pass may grow block by block, each as large as all before it; the next
/// `reset` joins the blocks into one, and from then on equal passes allocate nothing and find everything at the same addresses. For
/// one thread.
template <class Backend> class pool {
public:
    explicit pool(Backend& device) : device_(&device) {}
    pool(pool const&) = delete;
    pool& operator=(pool const&) = delete;

    /// Uninitialised elements until it goes. A piece must not outlive its pool.
    template <class T> class piece {
    public:
        piece() = default;
        piece(piece&& other) noexcept
            : owner_(std::exchange(other.owner_, nullptr)), data_(std::exchange(other.data_, nullptr)), first_(other.first_),
              bytes_(other.bytes_) {}
        piece& operator=(piece&& other) noexcept {
            piece moved(std::move(other));
            std::swap(owner_, moved.owner_), std::swap(data_, moved.data_), std::swap(first_, moved.first_),
                std::swap(bytes_, moved.bytes_);
            return *this;
        }
        ~piece() {
            if (owner_) owner_->give(first_, bytes_);
        }
        T* data() const { return data_; }
        explicit operator bool() const { return data_ != nullptr; }

    private:
        friend class pool;
        piece(pool& owner, T* data, index_t first, index_t bytes) : owner_(&owner), data_(data), first_(first), bytes_(bytes) {}
        pool* owner_ = nullptr;
        T* data_ = nullptr;
        index_t first_ = 0, bytes_ = 0;
    };

    /// n elements, 64-byte aligned relative to their block.
    template <class T> piece<T> take(index_t n) {
        index_t const bytes = std::max<index_t>((n * static_cast<index_t>(sizeof(T)) + 63) / 64 * 64, 64);
        auto gap = std::find_if(gaps_.begin(), gaps_.end(), [&](span const& s) { return s.bytes >= bytes; });
        if (gap == gaps_.end()) {
            grow(bytes);
            gap = gaps_.end() - 1;
        }
        index_t const first = gap->first;
        gap->first += bytes;
        gap->bytes -= bytes;
        if (gap->bytes == 0) gaps_.erase(gap);
        lent_ += bytes;
        most_ = std::max(most_, lent_);
        top_ = std::max(top_, first + bytes);
        return piece<T>(*this, reinterpret_cast<T*>(address(first)), first, bytes);
    }
    /// To be called when no piece is left, before a pass.
    void reset() {
        if (blocks_.size() <= 1) return;
        blocks_.clear();
        gaps_.clear();
        grow(top_);
    }
    /// Most bytes that were lent at once.
    index_t most() const { return most_; }

private:
    /// Bytes in a row, counted through all blocks; no span crosses from one into the next.
    struct span {
        index_t first, bytes;
    };
    struct block {
        typename Backend::template storage<unsigned char> storage;
        index_t first, bytes;
    };
    index_t size() const { return blocks_.empty() ? 0 : blocks_.back().first + blocks_.back().bytes; }
    /// glibc gives blocks above 32 MiB back to the system when they go, and keeps smaller ones: a large pass begins with a larger one.
    static constexpr index_t large_request = index_t(1) << 20, large_block = index_t(1) << 26;

    void grow(index_t least) {
        index_t const first = size(), bytes = std::max({least, first, least < large_request ? index_t(0) : large_block});
        blocks_.push_back({device_->template allocate<unsigned char>(bytes), first, bytes});
        gaps_.push_back({first, bytes});
    }
    block const& block_of(index_t first) const {
        return *(std::upper_bound(blocks_.begin(), blocks_.end(), first, [](index_t at, block const& b) { return at < b.first; }) - 1);
    }
    unsigned char* address(index_t first) const {
        block const& b = block_of(first);
        return Backend::data(b.storage) + (first - b.first);
    }
    void give(index_t first, index_t bytes) {
        lent_ -= bytes;
        auto const after = std::upper_bound(gaps_.begin(), gaps_.end(), first, [](index_t at, span const& s) { return at < s.first; });
        auto at = gaps_.insert(after, {first, bytes});
        if (auto const next = at + 1; next != gaps_.end() && joins(*at, *next)) {
            at->bytes += next->bytes;
            gaps_.erase(next);
        }
        if (at != gaps_.begin() && joins(*(at - 1), *at)) {
            (at - 1)->bytes += at->bytes;
            gaps_.erase(at);
        }
    }
    bool joins(span const& low, span const& high) const {
        return low.first + low.bytes == high.first && block_of(low.first).first == block_of(high.first).first;
    }

    Backend* device_;
    std::vector<block> blocks_;
    std::vector<span> gaps_;
    index_t lent_ = 0, most_ = 0, top_ = 0;
};

}  // namespace onestep
