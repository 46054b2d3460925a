#pragma once
/// The reference network for vectors and small images.
///
///     f = features(t) (, features(t - s))         e = silu(T2 silu(T1 f) + E one_hot(label))
///     h = I x                                     for each block: h = residual(h, P e)          y = O silu(h)
///
///     x [n, ...] --I--> h [n, width] --block--> h --block--> ... --O--> y, shaped like x
///                                        ^ P e       ^ P e
///     t [n] --features--> f --T1, T2--> e [n, embedding]
#include <utility>

#include "../backend/arena.hpp"
#include "../backend/fill.hpp"
#include "concept.hpp"
#include "layer/residual_block.hpp"
#include "layer/time_embedding.hpp"

namespace onestep {

/// Numbers of an mlp.
struct mlp_options {
    static constexpr char const* name = "mlp";

    shape data = {2};           ///< extents of one sample: {2}, {8, 8, 1}
    int width = 256;            ///< >= 1
    int blocks = 3;             ///< residual blocks, >= 1
    int embedding = 0;          ///< width of e, the embedding of time and label; 0: as `width`. A small one makes room for wider blocks
    time_features time = {};    ///< how t (and s) enter
    int classes = 0;            ///< 0: no labels. Otherwise labels are 0 .. classes - 1 and there is one more row for "none"
    bool second_time = false;   ///< net(x, t, s, y) instead of net(x, t, y)
    std::uint64_t seed = 0;     ///< of the initial weights

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

namespace functor {
/// one_hot(r, c) = 1 where c is the label of row r (the last column where there are no labels).
template <class T> struct one_hot {
    std::int32_t const* labels;
    T* out;
    index_t cols;
    ONESTEP_HD void operator()(index_t r, index_t c) const { out[r * cols + c] = c == (labels ? labels[r] : cols - 1) ? T(1) : T(0); }
};
}  // namespace functor

/// A multilayer perceptron with residual blocks: forward, backward and exact forward-mode derivatives.
///
/// It starts as the zero function (its last layer and each block's second layer start at zero). All parameters lie in
/// one flat buffer, gradients in another; activations in an arena that stops growing after the first passes. One
/// object may be evaluated, net(x, t, y), from many threads at once; forward and backward belong to one thread.
/// A copy owns its own parameters and gradients. The backend must outlive it.
template <class T, backend Backend> class mlp {
public:
    using input = view<T const, Backend>;
    using output = view<T, Backend>;
    using label_view = view<std::int32_t const, Backend>;

    /// Throws domain_error for a width or number of blocks or classes below its range, shape_error for empty data.
    mlp(Backend& device, mlp_options const& options)
        : device_(&device), options_(checked(options)), time_(device, options.time, options.second_time, options.seed), tape_memory_(device) {
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
        tape_.blocks.resize(blocks_.size());
    }
    mlp(mlp const& other)
        : device_(other.device_), options_(other.options_), time_(other.time_), list_(other.list_), time_first_(other.time_first_),
          time_second_(other.time_second_), class_table_(other.class_table_), in_(other.in_), condition_(other.condition_), out_(other.out_),
          blocks_(other.blocks_), parameters_(other.parameters_), gradients_(other.gradients_), tape_memory_(*other.device_) {
        tape_.blocks.resize(blocks_.size());
    }
    mlp(mlp&& other) : mlp(std::as_const(other)) {}
    mlp& operator=(mlp const&) = delete;

    mlp_options const& options() const { return options_; }
    parameter_list const& names() const { return list_; }       ///< names and shapes, for checkpoints
    output parameters() { return parameters_.view(); }
    output gradients() { return gradients_.view(); }
    int classes() const { return options_.classes; }

    /// y = F(x, t). Throws shape_error before anything is written.
    void operator()(input x, input t, output y) const { evaluate(call{x, t, {}, {}}, y); }
    void operator()(input x, input t, input s, output y) const { evaluate(call{x, t, s, {}}, y); }
    void operator()(input x, input t, label_view labels, output y) const { evaluate(call{x, t, {}, labels}, y); }
    void operator()(input x, input t, input s, label_view labels, output y) const { evaluate(call{x, t, s, labels}, y); }

    /// The same, and keeps what backward needs. x, t, s and labels must stay unchanged until then.
    void forward(input x, input t, output y) { record(call{x, t, {}, {}}, y); }
    void forward(input x, input t, input s, output y) { record(call{x, t, s, {}}, y); }
    void forward(input x, input t, label_view labels, output y) { record(call{x, t, {}, labels}, y); }
    void forward(input x, input t, input s, label_view labels, output y) { record(call{x, t, s, labels}, y); }

    /// vy = (dF/dx) vx + (dF/dt) vt (+ (dF/ds) vs), with y = F(x, t) beside it, in one pass over 2 n rows.
    void jvp(input x, input vx, input t, input vt, output y, output vy) const { differentiate(call{x, t, {}, {}}, vx, vt, {}, y, vy); }
    void jvp(input x, input vx, input t, input vt, input s, input vs, output y, output vy) const {
        differentiate(call{x, t, s, {}}, vx, vt, vs, y, vy);
    }
    void jvp(input x, input vx, input t, input vt, label_view labels, output y, output vy) const {
        differentiate(call{x, t, {}, labels}, vx, vt, {}, y, vy);
    }
    void jvp(input x, input vx, input t, input vt, input s, input vs, label_view labels, output y, output vy) const {
        differentiate(call{x, t, s, labels}, vx, vt, vs, y, vy);
    }

    /// Adds dL/dparameters of the last forward to gradients(). Throws shape_error if no forward of dy's shape waits.
    void backward(input dy) {
        if (tape_.n == 0 || dy.rows() != tape_.n || dy.cols() != in_.in())
            raise<shape_error>("mlp", "backward was given dy " + to_string(dy.shape()),
                               tape_.n == 0 ? std::string("no forward is waiting for it") : "the forward that waits has " + to_string(tape_.of.x.shape()));
        index_t const n = std::exchange(tape_.n, 0), w = options_.width, size = n * w, across = condition_.out();
        T const* const weights = parameters_.data();
        T* const gradients = gradients_.data();
        T* const dh = tape_memory_.template take<T>(size);
        T* const scratch = tape_memory_.template take<T>(size);
        T* const dshift = tape_memory_.template take<T>(n * across);

        buffers const last = tape_.last;
        out_.backward(*device_, weights, gradients, n, last.u, dy.data(), scratch);
        device_->for_each_index(size, layer::functor::silu_backward<T>{last.h, scratch, dh});
        for (index_t k = static_cast<index_t>(blocks_.size()); k-- > 0;) {
            auto const at = static_cast<std::size_t>(k);
            blocks_[at].backward(*device_, weights, gradients, n, tape_.blocks[at], dh, dshift + k * w, across, scratch);
        }
        in_.backward(*device_, weights, gradients, n, tape_.of.x.data(), dh, nullptr);
        backward_condition(n, dshift);
    }

private:
    struct call {
        input x, t, s;
        label_view labels;
    };
    struct buffers {
        T *h = nullptr, *u = nullptr;
    };
    struct tape {
        index_t n = 0;
        call of;
        T *features = nullptr, *time_z = nullptr, *time_v = nullptr, *one_hot = nullptr, *embedding_z = nullptr, *embedding = nullptr;
        std::vector<typename layer::residual_block<T, Backend>::tape> blocks;
        buffers last;
    };

    static mlp_options const& checked(mlp_options const& o) {
        if (o.data.size() < 1) raise<shape_error>("mlp", "data is " + to_string(o.data), "a sample has at least one element");
        if (o.width < 1) raise<domain_error>("mlp", "width is " + std::to_string(o.width), "it must be at least 1");
        if (o.blocks < 1) raise<domain_error>("mlp", "blocks is " + std::to_string(o.blocks), "it must be at least 1");
        if (o.embedding < 0) raise<domain_error>("mlp", "embedding is " + std::to_string(o.embedding), "it must not be negative");
        if (o.classes < 0) raise<domain_error>("mlp", "classes is " + std::to_string(o.classes), "it must not be negative");
        return o;
    }
    std::string takes() const {
        std::string text = "this network takes [n";
        for (index_t extent : options_.data) text += ", " + std::to_string(extent);
        return text + "]";
    }
    void check(call const& c, shape const& y) const {
        index_t const n = c.x.rows();
        bool fits = c.x.shape().rank() == options_.data.rank() + 1;
        for (int axis = 0; fits && axis < options_.data.rank(); ++axis) fits = c.x.shape()[axis + 1] == options_.data[axis];
        if (!fits) raise<shape_error>("mlp", "x is " + to_string(c.x.shape()), takes());
        if (!(y == c.x.shape())) raise<shape_error>("mlp", "y is " + to_string(y), "it must have x's shape " + to_string(c.x.shape()));
        require_shape("mlp", "t", c.t, {n});
        if (options_.second_time != (c.s.data() != nullptr))
            raise<shape_error>("mlp", options_.second_time ? "no second time s was given" : "a second time s was given",
                               options_.second_time ? "this network is called as net(x, t, s, y)" : "this network is called as net(x, t, y)");
        if (options_.second_time) require_shape("mlp", "s", c.s, {n});
        if (c.labels.data() != nullptr) {
            if (options_.classes == 0) raise<shape_error>("mlp", "labels were given", "this network was made with classes = 0");
            require_shape("mlp", "labels", c.labels, {n});
        }
    }

    void evaluate(call const& c, output y) const {
        check(c, y.shape());
        auto const memory = device_->scratch();
        run<false>(c, *memory, nullptr, nullptr, {}, {}, y.data(), nullptr);
    }
    void record(call const& c, output y) {
        check(c, y.shape());
        tape_memory_.reset();
        run<false>(c, tape_memory_, &tape_, nullptr, {}, {}, y.data(), nullptr);
        tape_.of = c;
        tape_.n = c.x.rows();
    }
    void differentiate(call const& c, input vx, input vt, input vs, output y, output vy) const {
        check(c, y.shape());
        require_shape("mlp", "vx", vx, c.x.shape());
        require_shape("mlp", "vt", vt, c.t.shape());
        if (options_.second_time) require_shape("mlp", "vs", vs, c.s.shape());
        require_shape("mlp", "vy", vy, c.x.shape());
        auto const memory = device_->scratch();
        run<true>(c, *memory, nullptr, vx.data(), vt, vs, y.data(), vy.data());
    }

    /// The one evaluation behind all modes. Stacked: rows n .. 2 n - 1 of every activation are tangents. With a tape every
    /// activation is kept; without one the blocks take turns in two sets of buffers.
    template <bool Stacked>
    void run(call const& c, arena<Backend>& memory, tape* keep, T const* vx, input vt, input vs, T* y, T* vy) const {
        index_t const n = c.x.rows(), rows = Stacked ? 2 * n : n, w = options_.width, d = in_.in(), across = condition_.out();
        T const* const weights = parameters_.data();
        auto const take = [&](index_t cols) { return memory.template take<T>(rows * cols); };

        T* const shift = run_condition<Stacked>(c, memory, keep, vt, vs);
        T const* x = c.x.data();
        if constexpr (Stacked) {
            T* const both = take(d);
            device_->copy(c.x.data(), n * d, both);
            device_->copy(vx, n * d, both + n * d);
            x = both;
        }
        buffers now{take(w), take(w)};
        in_.multiply(*device_, weights, rows, x, now.h);
        device_->for_each_pair(n, w, layer::functor::bias_silu<T, false, Stacked>{in_.bias(weights), nullptr, now.h, now.u, w, 0, n});

        buffers spare, inner;
        for (std::size_t k = 0; k < blocks_.size(); ++k) {
            if (keep || k == 0) inner = {take(w), take(w)};
            buffers const next = keep || k == 0 ? buffers{take(w), take(w)} : spare;
            typename layer::residual_block<T, Backend>::tape const at{now.h, now.u, inner.h, inner.u, next.h, next.u};
            blocks_[k].forward(*device_, weights, n, Stacked, at, shift + static_cast<index_t>(k) * w, across);
            if (keep) keep->blocks[k] = at;
            spare = std::exchange(now, next);
        }
        if (keep) keep->last = now;
        if constexpr (Stacked) {
            T* const both = take(d);
            out_.forward(*device_, weights, n, now.u, both);
            out_.multiply(*device_, weights, n, now.u + n * w, both + n * d);
            device_->copy(both, n * d, y);
            device_->copy(both + n * d, n * d, vy);
        } else {
            out_.forward(*device_, weights, n, now.u, y);
        }
    }

    /// The condition of every block, [rows, blocks * width], in one product.
    template <bool Stacked> T* run_condition(call const& c, arena<Backend>& memory, tape* keep, input vt, input vs) const {
        index_t const n = c.x.rows(), rows = Stacked ? 2 * n : n, w = time_second_.out();
        T const* const weights = parameters_.data();
        auto const take = [&](index_t cols) { return memory.template take<T>(rows * cols); };
        T* const features = take(time_.size());
        T *const time_z = take(w), *const time_v = take(w), *const embedding_z = take(w), *const embedding = take(w);
        T* const shift = take(condition_.out());

        if constexpr (Stacked) time_.jvp(*device_, n, c.t.data(), vt.data(), c.s.data(), vs.data(), features);
        else time_.forward(*device_, n, c.t.data(), c.s.data(), features);
        time_first_.multiply(*device_, weights, rows, features, time_z);
        device_->for_each_pair(n, w, layer::functor::bias_silu<T, false, Stacked>{time_first_.bias(weights), nullptr, time_z, time_v, w, 0, n});
        time_second_.multiply(*device_, weights, rows, time_v, embedding_z);
        T* hot = nullptr;
        if (options_.classes > 0) {
            index_t const across = options_.classes + 1;
            hot = memory.template take<T>(n * across);
            device_->for_each_pair(n, across, functor::one_hot<T>{c.labels.data(), hot, across});
            class_table_.multiply(*device_, weights, n, hot, embedding_z, T(1));  // labels have no tangent
        }
        device_->for_each_pair(n, w, layer::functor::bias_silu<T, false, Stacked>{time_second_.bias(weights), nullptr, embedding_z, embedding, w, 0, n});
        condition_.multiply(*device_, weights, rows, embedding, shift);
        if (keep) {
            keep->features = features, keep->time_z = time_z, keep->time_v = time_v;
            keep->embedding_z = embedding_z, keep->embedding = embedding, keep->one_hot = hot;
        }
        return shift;
    }

    void backward_condition(index_t n, T const* dshift) {
        index_t const w = time_second_.out();
        T* const gradient = tape_memory_.template take<T>(n * w);
        T* const scratch = tape_memory_.template take<T>(n * w);
        T const* const weights = parameters_.data();
        T* const gradients = gradients_.data();
        condition_.backward(*device_, weights, gradients, n, tape_.embedding, dshift, scratch);
        device_->template reduce_columns<T>(n, w, layer::functor::silu_gradient_term<T>{tape_.embedding_z, scratch, gradient, w, w},
                                            layer::functor::add_to<T>{time_second_.bias_gradient(gradients)});
        if (options_.classes > 0) class_table_.backward_weight(*device_, gradients, n, tape_.one_hot, gradient);
        time_second_.backward_weight(*device_, gradients, n, tape_.time_v, gradient);
        time_second_.backward_input(*device_, weights, n, gradient, scratch);
        device_->template reduce_columns<T>(n, w, layer::functor::silu_gradient_term<T>{tape_.time_z, scratch, gradient, w, w},
                                            layer::functor::add_to<T>{time_first_.bias_gradient(gradients)});
        time_first_.backward_weight(*device_, gradients, n, tape_.features, gradient);
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
