#pragma once
#include <algorithm>
#include <numeric>
#include <vector>

#include "../backend/gather.hpp"
#include "../backend/random_fill.hpp"
#include "../core/assignment.hpp"
#include "concept.hpp"

namespace onestep {

namespace functor {
/// Sum of squares of each row, for the costs.
template <class T> struct square_term {
    T const* x;
    index_t cols;
    ONESTEP_HD T operator()(index_t r, index_t c) const { return x[r * cols + c] * x[r * cols + c]; }
};
template <class T> struct store_square {
    T* out;
    ONESTEP_HD void operator()(index_t r, T sum) const { out[r] = sum; }
};
/// |x|^2 - 2 x z + |z|^2 where the product stands.
template <class T> struct complete_square {
    T const *x_squares, *z_squares;
    T* product;
    index_t cols;
    ONESTEP_HD void operator()(index_t r, index_t c) const { product[r * cols + c] += x_squares[r] + z_squares[c]; }
};
}  // namespace functor

/// Which row of noise each sample gets: the least sum of costs among the ways to pair rows of equal labels. Its buffers are kept.
template <class T> class paired_rows {
public:
    /// Space for costs [n, n], sample after sample, and for labels [n].
    T* costs(index_t n) { return sized(costs_, n * n); }
    std::int32_t* labels(index_t n) { return sized(labels_, n); }

    /// Pairs all n rows. The result stays valid until the next call.
    std::vector<std::int32_t> const& solve(index_t n) { return assignment_.solve(n, costs_.data()); }

    /// The same within each label, which takes an assignment a label.
    std::vector<std::int32_t> const& solve_within_labels(index_t n) {
        std::int32_t* const rows = sized(rows_, n);
        std::iota(rows, rows + n, std::int32_t{0});
        std::sort(rows, rows + n, [this](std::int32_t a, std::int32_t b) {
            std::int32_t const one = labels_[at(a)], other = labels_[at(b)];
            return one != other ? one < other : a < b;
        });
        sized(order_, n);
        sized(part_, n * n);  // at once for the largest there can be: groups differ from batch to batch
        assignment_.reserve(n);
        for (index_t first = 0, last = 0; first < n; first = last) {
            while (last < n && labels_[at(rows[last])] == labels_[at(rows[first])]) ++last;
            solve_among(n, rows + first, last - first);
        }
        return order_;
    }

private:
    template <class I> static std::size_t at(I i) { return static_cast<std::size_t>(i); }
    template <class Value> static Value* sized(std::vector<Value>& list, index_t n) {
        list.resize(at(n));
        return list.data();
    }
    /// Pairs `count` rows with one another.
    void solve_among(index_t n, std::int32_t const* rows, index_t count) {
        T* const part = part_.data();
        for (index_t r = 0; r < count; ++r)
            for (index_t c = 0; c < count; ++c) part[r * count + c] = costs_[at(rows[r] * n + rows[c])];
        std::vector<std::int32_t> const& column = assignment_.solve(count, part);
        for (index_t r = 0; r < count; ++r) order_[at(rows[r])] = rows[column[at(r)]];
    }

    std::vector<T> costs_, part_;
    std::vector<std::int32_t> labels_, rows_, order_;
    linear_assignment assignment_;
};

/// Any objective on noise that is paired with the batch by optimal transport: of all ways to pair the batch's samples with its noise the
/// one with the least sum of squared distances. Paths cross less, so flows are straighter and gradients vary less. Where the batch has
/// labels, rows of equal labels are paired with one another: over the whole batch noise and label would depend on each other, and samples
/// of a given label, which start from any noise, would be off.
///
///     onestep::trainer t{model, onestep::optimal_transport{onestep::flow_matching{}}, onestep::adam{}, {.batch = 256}};
///
/// Each sample keeps its label and its place in the batch; the noise is permuted, that of the batch where it has some, else new noise from
/// (key, noise). Each row's marginal law stays what it was over many batches, but a row's noise depends on its whole batch: on its size,
/// and on which samples are in it. The fewer rows share a label, the less there is to choose.
///
/// The pairing is exact (core/assignment.hpp): host work of order n^3 at worst, some milliseconds for n = 256, less with labels; n^2
/// numbers are brought to the host, and each thread keeps as many there, twice as many with labels. Ties are broken by number. Throws
/// shape_error for noise not shaped like x0, not_finite_error if samples or noise are NaN or infinite, and what the objective throws.
/// Cost: besides the objective's and the assignment, one product of n x n x d, 2 tensors of x0's shape and one of n^2.
/// Source: Pooladian et al. 2023 (arXiv:2304.14772); Tong et al. 2023 (arXiv:2302.00482).
template <spec Objective> class optimal_transport {
public:
    static constexpr char const* name = "optimal_transport";
    static constexpr bool learns_weight = onestep::learns_weight<Objective>();

    explicit optimal_transport(Objective const& objective) : objective_(objective) {}

    decltype(auto) distance() const { return objective_.distance(); }
    double target_decay(index_t step) const requires has_target_decay<Objective> { return objective_.target_decay(step); }

    template <class Model, class T, class Backend>
    requires builds<Objective, Model, T, Backend> regression<T, Backend> build(Model& model, batch<T, Backend> const& data, random_key key,
                                                                               arena<Backend>& memory)
    const { return objective_.build(model, paired(data, key, memory), key, memory); }
    template <class Model, class Target, class T, class Backend>
    requires builds_with_target<Objective, Model, Target, T, Backend> regression<T, Backend> build(Model& model, Target& target,
                                                                                                   batch<T, Backend> const& data,
                                                                                                   random_key key, arena<Backend>& memory)
    const { return objective_.build(model, target, paired(data, key, memory), key, memory); }

    void fields(auto&& visit) const { visit("objective", objective_); }

private:
    template <class T, class Backend> batch<T, Backend> paired(batch<T, Backend> data, random_key key, arena<Backend>& memory) const {
        if (!data.noise.empty()) require_shape(name, "noise", data.noise, data.x0.shape());
        Backend& device = data.x0.backend();
        index_t const n = data.x0.rows(), d = data.x0.cols();
        auto const like_x0 = [&] { return view<T, Backend>(device, memory.template take<T>(n * d), data.x0.shape()); };
        view<T const, Backend> noise = data.noise;
        if (noise.empty()) {
            view<T, Backend> const drawn = like_x0();
            fill_normal(drawn, key.at(draw::noise));
            noise = drawn;
        }
        T* const costs = memory.template take<T>(n * n);
        T* const x_squares = memory.template take<T>(n);
        T* const z_squares = memory.template take<T>(n);
        device.gemm(op::plain, op::transposed, n, n, d, T(-2), data.x0.data(), d, noise.data(), d, T(0), costs, n);
        device.template reduce_rows<T>(n, d, functor::square_term<T>{data.x0.data(), d}, functor::store_square<T>{x_squares});
        device.template reduce_rows<T>(n, d, functor::square_term<T>{noise.data(), d}, functor::store_square<T>{z_squares});
        device.for_each_pair(n, n, functor::complete_square<T>{x_squares, z_squares, costs, n});

        thread_local paired_rows<T> host;
        device.download(costs, n * n, host.costs(n));
        bool const labelled = data.labels.data() != nullptr;
        if (labelled) device.download(data.labels.data(), n, host.labels(n));
        auto* const order = memory.template take<std::int32_t>(n);
        device.upload((labelled ? host.solve_within_labels(n) : host.solve(n)).data(), n, order);
        view<T, Backend> const permuted = like_x0();
        device.for_each_pair(n, d, functor::gather<T>{noise.data(), order, permuted.data(), d});
        data.noise = permuted;
        return data;
    }

    Objective objective_;
};

}  // namespace onestep
