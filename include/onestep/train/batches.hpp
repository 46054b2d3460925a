#pragma once
/// Shuffled batches.
#include <numeric>
#include <vector>

#include "../backend/gather.hpp"
#include "communicator.hpp"
#include "dataset.hpp"

namespace onestep {

/// Cuts shuffled epochs into batches. Epoch e is a permutation that depends on (seed, e) alone, and batch k takes places
/// k size .. (k + 1) size - 1 of the endless sequence of epochs: any batch can be made without those before it, and each
/// sample is seen equally often. The data must outlive it. No allocation after the first batch.
template <class T, class Backend> class batch_source {
public:
    /// Throws domain_error unless 1 <= size and the data has fewer than 2^31 samples, shape_error if it has none or if
    /// noise or labels do not fit it.
    batch_source(batch<T, Backend> const& data, index_t size, std::uint64_t seed) : batch_source(data, size, seed, {0, size}) {}
    /// Yields the rows of `share` of every batch alone. Throws domain_error too if they are none or not all in it.
    batch_source(batch<T, Backend> const& data, index_t size, std::uint64_t seed, batch_share share)
        : data_(data), size_(size), share_(share), seed_(seed) {
        if (size < 1) raise<domain_error>("batches", "size is " + std::to_string(size), "it must be at least 1");
        if (share.first < 0 || share.count < 1 || share.first + share.count > size)
            raise<domain_error>("batches",
                                "the share is " + std::to_string(share.count) + " rows from row " + std::to_string(share.first) + " on",
                                "a batch has " + std::to_string(size));
        index_t const n = data.x0.rows();
        if (n < 1) raise<shape_error>("batches", "x0 is " + to_string(data.x0.shape()), "there must be at least one sample");
        if (!data.noise.empty()) require_shape("batches", "noise", data.noise, data.x0.shape());
        if (!data.labels.empty()) require_shape("batches", "labels", data.labels, {n});
        if (n > INT32_MAX) raise<domain_error>("batches", std::to_string(n) + " samples were given", "fewer than 2^31 are supported");
        Backend& device = data.x0.backend();
        order_.resize(static_cast<std::size_t>(n));
        chosen_.resize(static_cast<std::size_t>(share.count));
        index_ = tensor<std::int32_t, Backend>(device, {share.count});
        x0_ = tensor<T, Backend>(device, data.x0.shape().with_rows(share.count));
        if (!data.noise.empty()) noise_ = tensor<T, Backend>(device, x0_.shape());
        if (!data.labels.empty()) labels_ = tensor<std::int32_t, Backend>(device, {share.count});
    }

    index_t size() const { return size_; }

    /// Batch k, or this share of it. The views stay valid until the next call.
    batch<T, Backend> at(index_t k) {
        index_t const n = data_.x0.rows();
        for (index_t r = 0; r < share_.count; ++r) {
            index_t const place = k * size_ + share_.first + r;
            if (place / n != epoch_) shuffle(place / n);
            chosen_[static_cast<std::size_t>(r)] = order_[static_cast<std::size_t>(place % n)];
        }
        Backend& device = data_.x0.backend();
        device.upload(chosen_.data(), share_.count, index_.data());
        batch<T, Backend> out;
        out.x0 = pick(device, data_.x0, x0_);
        if (!data_.noise.empty()) out.noise = pick(device, data_.noise, noise_);
        if (!data_.labels.empty()) out.labels = pick(device, data_.labels, labels_);
        return out;
    }

private:
    template <class U> view<U const, Backend> pick(Backend& device, view<U const, Backend> from, tensor<U, Backend>& to) const {
        device.for_each_pair(share_.count, from.cols(), functor::gather<U>{from.data(), index_.data(), to.data(), from.cols()});
        return std::as_const(to).view();
    }
    /// Fisher and Yates, with one number a place.
    void shuffle(index_t epoch) {
        std::iota(order_.begin(), order_.end(), 0);
        random_stream const numbers = random_key{seed_, static_cast<std::uint64_t>(epoch)}.at(draw::order);
        for (std::size_t i = order_.size() - 1; i > 0; --i)
            std::swap(order_[i], order_[static_cast<std::size_t>(below(numbers, i + 1, static_cast<index_t>(i)))]);
        epoch_ = epoch;
    }

    batch<T, Backend> data_;
    index_t size_;
    batch_share share_;
    std::uint64_t seed_;
    index_t epoch_ = -1;
    std::vector<std::int32_t> order_, chosen_;
    tensor<std::int32_t, Backend> index_, labels_;
    tensor<T, Backend> x0_, noise_;
};

/// Numbers of a loop over batches.
struct batches_options {
    index_t size = 128;    ///< samples a batch, >= 1
    index_t steps = 1000;  ///< batches
    std::uint64_t seed = 0;
};

/// A range of (x0, key): for (auto [x0, key] : batches(digits, {.size = 128, .steps = 40'000, .seed = 1})).
template <class T, class Backend> class batches {
public:
    batches(tensor<T, Backend> const& data, batches_options const& options)
        : source_({data.view()}, options.size, options.seed), options_(options) {}

    struct item {
        view<T const, Backend> x0;
        random_key key;
    };
    class iterator {
    public:
        iterator(batches& owner, index_t step) : owner_(&owner), step_(step) {}
        item operator*() const { return {owner_->source_.at(step_).x0, {owner_->options_.seed, static_cast<std::uint64_t>(step_)}}; }
        iterator& operator++() {
            ++step_;
            return *this;
        }
        bool operator!=(iterator const& other) const { return step_ != other.step_; }

    private:
        batches* owner_;
        index_t step_;
    };
    iterator begin() { return {*this, 0}; }
    iterator end() { return {*this, options_.steps}; }

private:
    batch_source<T, Backend> source_;
    batches_options options_;
};

}  // namespace onestep
