#pragma once
/// The reference network for vectors and small images.
///
///     f = features(t) (, features(t - s))         e = silu(T2 silu(T1 f) + E one_hot(label))
///     h = I x                                     for each block: h = residual(h, P e)          y = O silu(h)
///
///     x [n, ...] --I--> h [n, width] --block--> h --block--> ... --O--> y, shaped like x
///                                        ^ P e       ^ P e
///     t [n] --features--> f --T1, T2--> e [n, embedding]
#include <algorithm>
#include <utility>

#include "../backend/arena.hpp"
#include "../backend/fill.hpp"
#include "interface.hpp"
#include "layer/one_hot.hpp"
#include "layer/residual_block.hpp"
#include "layer/time_embedding.hpp"

namespace onestep {

/// Numbers of an mlp.
struct mlp_options {
    static constexpr char const* name = "mlp";

    shape data = {2};          ///< extents of one sample: {2}, {8, 8, 1}
    int width = 256;           ///< >= 1
    int blocks = 3;            ///< residual blocks, >= 1
    int embedding = 0;         ///< width of e, the embedding of time and label; 0: as `width`. A small one makes room for wider blocks
    time_features time = {};   ///< how t (and s) enter
    int classes = 0;           ///< 0: no labels. Otherwise labels are 0 .. classes - 1 and there is one more row for "none"
    bool second_time = false;  ///< net(x, t, s, y) instead of net(x, t, y)
    std::uint64_t seed = 0;    ///< of the initial weights

    void fields(auto&& visit) const {
        visit("data", to_string(data));
        visit("width", width);
        visit("blocks", blocks);
        visit("embedding", embedding);
        visit("time", time);
        visit("classes", classes);
        visit("second_time", second_time);
    }
    friend bool operator==(mlp_options const&, mlp_options const&) = default;
};

/// A multilayer perceptron with residual blocks: forward, backward and exact forward-mode derivatives.
///
/// It starts as the zero function (its last layer and each block's second layer start at zero). All parameters lie in
/// one flat buffer, gradients in another; activations in an arena that stops growing after the first passes. One
/// object may be evaluated, net(x, t, y), from many threads at once; forward and backward belong to one thread.
/// A copy owns its own parameters and gradients. The backend must outlive it.
///
/// jvp is one pass over 2 n rows. forward_jvp makes tangents with the activations' derivatives that backward keeps anyway: it costs one
/// more forward of those rows.
template <class T, backend Backend> class mlp : public network_interface<mlp<T, Backend>, T, Backend> {
    using base = network_interface<mlp, T, Backend>;
    friend base;
    using call_type = typename base::call_type;
    using tangent_type = typename base::tangent_type;

public:
    using typename base::input;
    using typename base::output;

    /// Throws domain_error for a width or number of blocks or classes below its range, shape_error for empty data.
    mlp(Backend& device, mlp_options const& options)
        : device_(&device), options_(checked(options)), time_(device, options.time, options.second_time, options.seed),
          tape_memory_(device) {
        index_t const d = options.data.size(), w = options.width, e = options.embedding > 0 ? options.embedding : options.width;
        time_first_ = {list_, "time.first", time_.size(), e};
        time_second_ = {list_, "time.second", e, e};
        if (options.classes > 0) class_table_ = {list_, "class", options.classes + 1, e, 0.02 * std::sqrt(options.classes + 1.0), false};
        in_ = {list_, "in", d, w};
        condition_ = {list_, "condition", e, w * options.blocks, 1, false};
        for (int k = 0; k < options.blocks; ++k) blocks_.emplace_back(list_, "blocks." + std::to_string(k), w);
        out_ = {list_, "out", w, d, 0};
        parameters_ = tensor<T, Backend>(device, {list_.size()});
        gradients_ = tensor<T, Backend>(device, {list_.size()});
        list_.initialise(parameters_.view(), options.seed);
        fill(gradients_.view(), 0);
    }
    mlp(mlp const& other)
        : device_(other.device_), options_(other.options_), time_(other.time_), list_(other.list_), time_first_(other.time_first_),
          time_second_(other.time_second_), class_table_(other.class_table_), in_(other.in_), condition_(other.condition_),
          out_(other.out_), blocks_(other.blocks_), parameters_(other.parameters_), gradients_(other.gradients_),
          tape_memory_(*other.device_) {}
    // NOLINTNEXTLINE(performance-noexcept-move-constructor,performance-move-constructor-init): it copies; views of the other stay valid
    mlp(mlp&& other) : mlp(std::as_const(other)) {}
    mlp& operator=(mlp const&) = delete;

    mlp_options const& options() const { return options_; }
    parameter_list const& names() const { return list_; }  ///< names and shapes, for checkpoints
    output parameters() { return parameters_.view(); }
    output gradients() { return gradients_.view(); }

    /// Adds dL/dparameters of the last forward to gradients(). Throws shape_error if no forward of dy's shape waits.
    void backward(input dy) {
        base::require_waiting(dy, tape_.n > 0 ? tape_.of.x : input());
        index_t const n = std::exchange(tape_.n, 0);
        gradient_rows const to{*this, tape_memory_, n};
        device_->for_row_blocks(n, [&](index_t first, index_t count) {
            backward_rows(tape_.at.from(*this, first, false), to.from(*this, first), dy.data() + first * in_.in(), count);
        });
        backward_parameters(tape_.of, tape_.at, to, dy.data(), n);
    }

private:
    /// Every tensor of an evaluation, [n, ...] each, or [2 n, ...] where tangents are stacked. Rows of a block lie together, tangents
    /// behind their primals, so a block is an evaluation of its own. Those of a residual block are kept for each, or take turns.
    struct activations {
        T *both, *features, *time_z, *time_v, *one_hot, *embedding_z, *embedding, *shift, *h, *u, *slope, *z, *v, *out;
        index_t next, kept;  // elements from one layer's tensor to the next; 1 where every layer keeps its own

        activations() = default;
        activations(mlp const& net, arena<Backend>& memory, index_t n, bool stacked, bool keeps) : kept(keeps) {
            index_t const rows = stacked ? 2 * n : n, w = net.options_.width, e = net.time_second_.out(),
                          blocks = static_cast<index_t>(net.blocks_.size());
            auto const take = [&](index_t cols) { return memory.template take<T>(rows * cols); };
            features = take(net.time_.size());
            time_z = take(e), time_v = take(e), embedding_z = take(e), embedding = take(e);
            one_hot = net.options_.classes > 0 ? memory.template take<T>(n * (net.options_.classes + 1)) : nullptr;
            shift = take(net.condition_.out());
            next = rows * w;
            h = take(2 * w), u = take(w * (kept ? blocks + 1 : 2));
            slope = kept ? take(w * (blocks + 1)) : nullptr;
            z = take(kept ? w * blocks : w), v = take(kept ? w * blocks : w);
            both = stacked ? take(net.in_.in()) : nullptr;
            out = stacked ? take(net.in_.in()) : nullptr;
        }
        /// Those of the rows from `first` on.
        activations from(mlp const& net, index_t first, bool stacked) const {
            index_t const rows = stacked ? 2 * first : first, w = net.options_.width, e = net.time_second_.out();
            activations at = *this;
            at.features += rows * net.time_.size();
            at.time_z += rows * e, at.time_v += rows * e, at.embedding_z += rows * e, at.embedding += rows * e;
            if (one_hot) at.one_hot += first * (net.options_.classes + 1);
            at.shift += rows * net.condition_.out();
            at.h += rows * w, at.u += rows * w, at.z += rows * w, at.v += rows * w;
            if (slope) at.slope += rows * w;
            if (both) at.both += rows * net.in_.in(), at.out += rows * net.in_.in();
            return at;
        }
        /// What enters residual block k, and what its first layer reads; for k = blocks what the last layer reads.
        T* h_of(index_t k) const { return h + k % 2 * next; }
        T* u_of(index_t k) const { return u + (kept ? k : k % 2) * next; }
        T* slope_of(index_t k) const { return kept ? slope + k * next : nullptr; }
        typename layer::residual_block<T, Backend>::tape block(index_t k) const {
            return {h_of(k), u_of(k), z + kept * k * next, v + kept * k * next, h_of(k + 1), u_of(k + 1), slope_of(k), slope_of(k + 1)};
        }
    };
    /// dL/d of the pre-activations, [n, ...] each: all that the gradients of parameters are made of.
    struct gradient_rows {
        T *h, *shift, *embedding_z, *time_z, *scratch;
        index_t next;

        gradient_rows(mlp const& net, arena<Backend>& memory, index_t n) {
            index_t const w = net.options_.width, e = net.time_second_.out();
            auto const take = [&](index_t cols) { return memory.template take<T>(n * cols); };
            next = n * w;
            h = take(w * (static_cast<index_t>(net.blocks_.size()) + 1));
            shift = take(net.condition_.out());
            embedding_z = take(e), time_z = take(e);
            scratch = take(std::max(w, e));
        }
        gradient_rows from(mlp const& net, index_t first) const {
            index_t const w = net.options_.width, e = net.time_second_.out();
            gradient_rows at = *this;
            at.h += first * w, at.shift += first * net.condition_.out(), at.embedding_z += first * e, at.time_z += first * e;
            at.scratch += first * std::max(w, e);
            return at;
        }
        T* h_of(index_t k) const { return h + k * next; }
    };
    /// Tangents beside an evaluation whose slopes are kept, [n, ...] each.
    struct tangent_rows {
        T *features, *embedding, *embedding_next, *shift, *h, *u, *z;

        tangent_rows(mlp const& net, arena<Backend>& memory, index_t n) {
            index_t const w = net.options_.width, e = net.time_second_.out();
            auto const take = [&](index_t cols) { return memory.template take<T>(n * cols); };
            features = take(net.time_.size());
            embedding = take(e), embedding_next = take(e);
            shift = take(net.condition_.out());
            h = take(w), u = take(w), z = take(w);
        }
        tangent_rows from(mlp const& net, index_t first) const {
            index_t const w = net.options_.width, e = net.time_second_.out();
            tangent_rows at = *this;
            at.features += first * net.time_.size(), at.embedding += first * e, at.embedding_next += first * e;
            at.shift += first * net.condition_.out(), at.h += first * w, at.u += first * w, at.z += first * w;
            return at;
        }
    };
    struct times {
        T const *t, *s;
    };
    struct tape {
        index_t n = 0;
        call_type of;
        activations at;
    };

    static mlp_options const& checked(mlp_options const& o) {
        if (o.data.size() < 1) raise<shape_error>("mlp", "data is " + to_string(o.data), "a sample has at least one element");
        if (o.width < 1) raise<domain_error>("mlp", "width is " + std::to_string(o.width), "it must be at least 1");
        if (o.blocks < 1) raise<domain_error>("mlp", "blocks is " + std::to_string(o.blocks), "it must be at least 1");
        if (o.embedding < 0) raise<domain_error>("mlp", "embedding is " + std::to_string(o.embedding), "it must not be negative");
        if (o.classes < 0) raise<domain_error>("mlp", "classes is " + std::to_string(o.classes), "it must not be negative");
        return o;
    }
    void evaluate(call_type const& c, output y) const {
        auto const memory = device_->scratch();
        run<mode::plain>(c, activations(*this, *memory, c.x.rows(), false, false), nullptr, {}, {}, y.data(), nullptr);
    }
    void differentiate(call_type const& c, tangent_type const& v, output y, output vy) const {
        auto const memory = device_->scratch();
        run<mode::stacked>(c, activations(*this, *memory, c.x.rows(), true, false), v.x.data(), v.t, v.s, y.data(), vy.data());
    }
    void record(call_type const& c, tangent_type const& v, output y, output vy) {
        tape_memory_.reset();
        tape_ = {c.x.rows(), c, activations(*this, tape_memory_, c.x.rows(), false, true)};
        if (v.x.data() == nullptr) return run<mode::kept>(c, tape_.at, nullptr, {}, {}, y.data(), nullptr);
        index_t const n = v.x.rows();
        auto const memory = device_->scratch();
        tangent_rows const all(*this, *memory, n);
        device_->for_row_blocks(c.x.rows(), [&](index_t first, index_t count) {
            activations const at = tape_.at.from(*this, first, false);
            run_block<mode::kept>(c, at, nullptr, {}, {}, y.data(), nullptr, first, count);
            if (first >= n) return;
            index_t const with_tangent = std::min(count, n - first), offset = first * in_.in();
            run_tangent(at, all.from(*this, first), v.x.data() + offset, v.t.data() + first, v.s.data() ? v.s.data() + first : nullptr,
                        {c.t.data() + first, c.s.data() ? c.s.data() + first : nullptr}, vy.data() + offset, with_tangent);
        });
    }

    enum class mode { plain, kept, stacked };

    /// The one evaluation behind all modes. Stacked: the second half of a block's rows are tangents.
    template <mode Mode> void run(call_type const& c, activations const& all, T const* vx, input vt, input vs, T* y, T* vy) const {
        device_->for_row_blocks(c.x.rows(), [&](index_t first, index_t count) {
            run_block<Mode>(c, all.from(*this, first, Mode == mode::stacked), vx, vt, vs, y, vy, first, count);
        });
    }
    template <mode Mode>
    void run_block(call_type const& c, activations const& at, T const* vx, input vt, input vs, T* y, T* vy, index_t first,
                   index_t count) const {
        auto const part = [&](auto const& rows) { return rows.data() == nullptr ? rows : rows.rows(first, count); };
        call_type const block{c.x.rows(first, count), part(c.t), part(c.s), part(c.labels)};
        index_t const offset = first * in_.in();
        run_condition<Mode>(block, at, part(vt), part(vs));
        run_blocks<Mode>(block, at, vx ? vx + offset : nullptr, y + offset, vy ? vy + offset : nullptr);
    }
    template <mode Mode> void run_blocks(call_type const& c, activations const& at, T const* vx, T* y, T* vy) const {
        constexpr bool Stacked = Mode == mode::stacked;
        constexpr auto keeps = Mode == mode::kept ? layer::functor::keep::value_and_slope : layer::functor::keep::value;
        index_t const n = c.x.rows(), rows = Stacked ? 2 * n : n, w = options_.width, d = in_.in(),
                      last = static_cast<index_t>(blocks_.size());
        T const* const weights = parameters_.data();
        T const* x = c.x.data();
        if constexpr (Stacked) {
            device_->copy(c.x.data(), n * d, at.both);
            device_->copy(vx, n * d, at.both + n * d);
            x = at.both;
        }
        in_.multiply(*device_, weights, rows, x, at.h);
        device_->for_each_pair(
            n, w, layer::functor::bias_silu<T, false, Stacked, keeps>{in_.bias(weights), nullptr, at.h, at.u, at.slope, w, 0, n});
        for (index_t k = 0; k < last; ++k)
            blocks_[static_cast<std::size_t>(k)].template forward<Stacked>(*device_, weights, n, at.block(k), at.shift + k * w,
                                                                           condition_.out());
        if constexpr (Stacked) {
            out_.forward(*device_, weights, n, at.u_of(last), at.out);
            out_.multiply(*device_, weights, n, at.u_of(last) + n * w, at.out + n * d);
            device_->copy(at.out, n * d, y);
            device_->copy(at.out + n * d, n * d, vy);
        } else {
            out_.forward(*device_, weights, n, at.u_of(last), y);
        }
    }
    /// The condition of every block, [rows, blocks * width], in one product.
    template <mode Mode> void run_condition(call_type const& c, activations const& at, input vt, input vs) const {
        constexpr bool Stacked = Mode == mode::stacked;
        constexpr auto keeps = Mode == mode::kept ? layer::functor::keep::slope : layer::functor::keep::nothing;
        using activate = layer::functor::bias_silu<T, false, Stacked, keeps>;
        index_t const n = c.x.rows(), rows = Stacked ? 2 * n : n, e = time_second_.out();
        T const* const weights = parameters_.data();
        if constexpr (Stacked) time_.jvp(*device_, n, c.t.data(), vt.data(), c.s.data(), vs.data(), at.features);
        else time_.forward(*device_, n, c.t.data(), c.s.data(), at.features);
        time_first_.multiply(*device_, weights, rows, at.features, at.time_z);
        device_->for_each_pair(n, e, activate{time_first_.bias(weights), nullptr, at.time_z, at.time_v, nullptr, e, 0, n});
        time_second_.multiply(*device_, weights, rows, at.time_v, at.embedding_z);
        if (options_.classes > 0) {
            index_t const across = options_.classes + 1;
            device_->for_each_pair(n, across, layer::functor::one_hot<T>{c.labels.data(), at.one_hot, across});
            class_table_.multiply(*device_, weights, n, at.one_hot, at.embedding_z, T(1));  // labels have no tangent
        }
        device_->for_each_pair(n, e, activate{time_second_.bias(weights), nullptr, at.embedding_z, at.embedding, nullptr, e, 0, n});
        condition_.multiply(*device_, weights, rows, at.embedding, at.shift);
    }

    /// Tangents of n rows whose forward pass has kept its slopes: the same layers without biases, slopes in place of activations.
    void run_tangent(activations const& at, tangent_rows const& to, T const* vx, T const* vt, T const* vs, times const& told, T* vy,
                     index_t n) const {
        index_t const w = options_.width, e = time_second_.out(), last = static_cast<index_t>(blocks_.size());
        T const* const weights = parameters_.data();
        auto const activate = [&](T const* slope, T* tangent, index_t cols) {
            device_->for_each_pair(n, cols, layer::functor::slope_product<T>{slope, tangent, tangent, cols, cols});
        };
        time_.tangent(*device_, n, told.t, vt, told.s, vs, to.features);
        time_first_.multiply(*device_, weights, n, to.features, to.embedding);
        activate(at.time_z, to.embedding, e);
        time_second_.multiply(*device_, weights, n, to.embedding, to.embedding_next);
        activate(at.embedding_z, to.embedding_next, e);
        condition_.multiply(*device_, weights, n, to.embedding_next, to.shift);
        in_.multiply(*device_, weights, n, vx, to.h);
        device_->for_each_pair(n, w, layer::functor::slope_product<T>{at.slope_of(0), to.h, to.u, w, w});
        for (index_t k = 0; k < last; ++k)
            blocks_[static_cast<std::size_t>(k)].tangent(*device_, weights, n, at.block(k), to.h, to.u, to.z, to.shift + k * w,
                                                         condition_.out());
        out_.multiply(*device_, weights, n, to.u, vy);
    }

    /// From dy to dL/d of every pre-activation, for n rows.
    void backward_rows(activations const& at, gradient_rows const& to, T const* dy, index_t n) const {
        index_t const w = options_.width, e = time_second_.out(), across = condition_.out(), last = static_cast<index_t>(blocks_.size());
        T const* const weights = parameters_.data();
        out_.backward_input(*device_, weights, n, dy, to.scratch);
        device_->for_each_pair(n, w, layer::functor::slope_product<T>{at.slope_of(last), to.scratch, to.h_of(last), w, w});
        for (index_t k = last; k-- > 0;)
            blocks_[static_cast<std::size_t>(k)].backward_rows(*device_, weights, n, at.block(k), to.h_of(k + 1), to.h_of(k),
                                                               to.shift + k * w, across, to.scratch);
        condition_.backward_input(*device_, weights, n, to.shift, to.scratch);
        device_->for_each_pair(n, e, layer::functor::slope_product<T>{at.embedding_z, to.scratch, to.embedding_z, e, e});
        time_second_.backward_input(*device_, weights, n, to.embedding_z, to.scratch);
        device_->for_each_pair(n, e, layer::functor::slope_product<T>{at.time_z, to.scratch, to.time_z, e, e});
    }
    void backward_parameters(call_type const& c, activations const& at, gradient_rows const& from, T const* dy, index_t n) {
        index_t const w = options_.width, last = static_cast<index_t>(blocks_.size());
        T* const gradients = gradients_.data();
        out_.backward_parameters(*device_, gradients, n, at.u_of(last), dy);
        for (index_t k = 0; k < last; ++k)
            blocks_[static_cast<std::size_t>(k)].backward_parameters(*device_, gradients, n, at.block(k), from.h_of(k + 1),
                                                                     from.shift + k * w, condition_.out());
        in_.backward_parameters(*device_, gradients, n, c.x.data(), from.h);
        condition_.backward_parameters(*device_, gradients, n, at.embedding, from.shift);
        if (options_.classes > 0) class_table_.backward_parameters(*device_, gradients, n, at.one_hot, from.embedding_z);
        time_second_.backward_parameters(*device_, gradients, n, at.time_v, from.embedding_z);
        time_first_.backward_parameters(*device_, gradients, n, at.features, from.time_z);
    }

    Backend* device_;
    mlp_options options_;
    layer::time_embedding<T, Backend> time_;
    parameter_list list_;
    layer::linear<T, Backend> time_first_, time_second_, class_table_, in_, condition_, out_;
    std::vector<layer::residual_block<T, Backend>> blocks_;
    tensor<T, Backend> parameters_, gradients_;
    tape tape_;
    arena<Backend> tape_memory_;
};

template <backend Backend> mlp(Backend&, mlp_options) -> mlp<float, Backend>;

}  // namespace onestep
