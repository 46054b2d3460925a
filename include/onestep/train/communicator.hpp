#pragma once
/// Several processes that train one model: what a trainer asks of them.
///
/// With R processes and batches of B samples, process r takes samples B r / R .. B (r + 1) / R - 1 of every batch, and draws times and
/// noise by a sample's number in the whole batch: R processes see what one would. Gradients are averaged, everything else is done by all
/// alike, so parameters, moments and averages stay equal on all of them without being sent.
///
/// What an objective does with the rows of a batch together (optimal transport, the rows of mean flow that learn without a derivative, the
/// groups of moment matching) it does with the rows of each process.
#include <concepts>

#include "../core/tensor.hpp"

namespace onestep {

/// Processes 0 .. size() - 1, of which this is rank(). A trainer asks for parameters and, of losses, for double. All of them must make the
/// same calls in the same order.
///
///     average(v)           v <- mean over the processes, in place, after the work before it and before the work after it
///     broadcast(v, root)   v <- v of process `root`
template <class C, class T, class Backend>
concept communicator = requires(C& group, view<T, Backend> v, int root) {
    { group.rank() } -> std::convertible_to<int>;
    { group.size() } -> std::convertible_to<int>;
    group.average(v);
    group.broadcast(v, root);
};

/// One process: nothing to wait for.
struct single_process {
    int rank() const { return 0; }
    int size() const { return 1; }
    template <class T, class Backend> void average(view<T, Backend>) const {}
    template <class T, class Backend> void broadcast(view<T, Backend>, int) const {}
};

/// The rows of a batch that one process takes.
struct batch_share {
    index_t first = 0, count = 0;
};

/// The share of process `rank`. Throws domain_error unless `batch` is a multiple of the number of processes: the mean over processes of
/// means over unequal shares would not be the mean over the batch.
template <class C> batch_share share_of(C const& group, index_t batch) {
    index_t const processes = group.size();
    if (batch % processes != 0)
        raise<domain_error>("trainer", "batch is " + std::to_string(batch) + " for " + std::to_string(processes) + " processes",
                            "it must be a multiple of their number");
    index_t const count = batch / processes;
    return {group.rank() * count, count};
}

}  // namespace onestep
