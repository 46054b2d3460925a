#pragma once
/// The reference network for images.
///
///     e = embedding of t (, t - s) and label                          h = in(x)
///     down, level by level:   h = block(h, e), attention at chosen sizes, kept;    h = reduce(h), half the height and width, kept
///     middle:                 h = block(attention(block(h, e)), e)
///     up, level by level:     h = block([h, what was kept], e), attention;         h = enlarge(h), twice the height and width
///     y = out(silu(norm(h)))
#include <atomic>
#include <mutex>
#include <optional>
#include <vector>

#include "../backend/fill.hpp"
#include "../backend/lender.hpp"
#include "../core/number_list.hpp"
#include "interface.hpp"
#include "layer/attention_block.hpp"
#include "layer/condition_embedding.hpp"
#include "layer/image_block.hpp"
#include "layer/resample.hpp"

namespace onestep {

/// Numbers of a unet. Level l works at height / 2^l and width / 2^l with width * multipliers[l] channels.
struct unet_options {
    static constexpr char const* name = "unet";

    shape data = {28, 28, 1};                  ///< {height, width, channels} of an image; height and width divisible by 2^(levels - 1)
    int width = 64;                            ///< channels of the first level
    std::vector<int> multipliers = {1, 2, 2};  ///< one a level, >= 1
    int blocks = 2;                            ///< residual blocks a level on the way down; one more on the way up
    std::vector<int> attention = {7};          ///< heights at which attention follows every block; if there are any, the middle has one too
    int head_channels = 64;                    ///< channels of an attention head; a layer with fewer has one head
    int groups = 32;                           ///< of a normalisation, at most; the largest divisor of its channels up to this is taken
    bool scaled = false;                       ///< the embedding scales and shifts normalisations, instead of being added before them
    double dropout = 0;                        ///< in [0, 1), inside the blocks; see unet::drop
    int embedding = 0;                         ///< width of the embedding of time and label; 0: 4 width
    time_features time = {};                   ///< how t (and s) enter
    int classes = 0;                           ///< 0: no labels. Otherwise labels are 0 .. classes - 1 and there is one more row for "none"
    bool second_time = false;                  ///< net(x, t, s, y) instead of net(x, t, y)
    bool zero_output = true;                   ///< the last layer starts at zero, and the network as the zero function
    accuracy convolutions = accuracy::fast;    ///< how exactly 3x3 convolutions are computed
    std::uint64_t seed = 0;                    ///< of the initial weights

    /// 28 x 28 x 1, 6.5 million parameters: the size used for MNIST in the literature on few-step models.
    static unet_options mnist() { return {}; }
    /// 32 x 32 x 3, 35.7 million parameters: the network of Ho, Jain, Abbeel 2020 (arXiv:2006.11239) for CIFAR-10.
    static unet_options cifar() {
        unet_options o;
        o.data = {32, 32, 3};
        o.width = 128;
        o.multipliers = {1, 2, 2, 2};
        o.attention = {16};
        o.head_channels = 256;
        o.dropout = 0.1;
        o.time.size = 128;
        return o;
    }

    void fields(auto&& visit) const {
        visit("data", to_string(data));
        visit("width", width);
        visit("multipliers", number_list(multipliers));
        visit("blocks", blocks);
        visit("attention", number_list(attention));
        visit("head_channels", head_channels);
        visit("groups", groups);
        visit("scaled", scaled);
        visit("dropout", dropout);
        visit("embedding", embedding);
        visit("time", time);
        visit("classes", classes);
        visit("second_time", second_time);
        visit("zero_output", zero_output);
        visit("convolutions", convolutions == accuracy::fast ? "fast" : convolutions == accuracy::balanced ? "balanced" : "exact");
    }
    friend bool operator==(unet_options const&, unet_options const&) = default;
};

/// A U-Net with residual blocks and attention: forward, backward and exact forward-mode derivatives, on any backend.
///
/// All parameters lie in one flat buffer, gradients in another; activations in a pool in which tensors that do not live at the same time
/// share their place, and which stops growing after the first passes. Kept for backward are the inputs of normalisations, and of
/// attention's products; what follows from them is made again. What a backend makes of weights is kept from the second evaluation on until
/// `parameters()` is called, which hands them out for writing: ask for them again before writing again. Training, which evaluates once and
/// changes them, has no need of that memory. Gradients exist once they have been asked for.
///
/// One object may be evaluated, net(x, t, y), from many threads at once; forward and backward belong to one thread. A copy owns its own
/// parameters and gradients. The backend must outlive it. Source: Ronneberger, Fischer, Brox 2015 (arXiv:1505.04597); Ho, Jain, Abbeel 2020
/// (arXiv:2006.11239); Dhariwal, Nichol 2021 (arXiv:2105.05233).
template <class T, backend Backend> class unet : public network_interface<unet<T, Backend>, T, Backend> {
    using base = network_interface<unet, T, Backend>;
    friend base;
    using call_type = typename base::call_type;
    using tangent_type = typename base::tangent_type;
    using pass_type = layer::pass<T, Backend>;
    using piece = typename pass_type::piece;

public:
    using typename base::input;
    using typename base::output;

    /// Throws shape_error if the data is not [height, width, channels] with a height and width that halve often enough, domain_error
    /// for a number out of its range.
    unet(Backend& device, unet_options const& options) : device_(&device), options_(checked(options)) {
        build();
        parameters_ = tensor<T, Backend>(device, {list_.size()});
        list_.initialise(parameters_.view(), options.seed);
    }
    unet(unet const& other) : device_(other.device_), options_(other.options_) {
        build();
        parameters_ = other.parameters_;
        gradients_ = other.gradients_;
        dropped_ = other.dropped_;
    }
    // NOLINTNEXTLINE(performance-noexcept-move-constructor,performance-move-constructor-init): it copies; views of the other stay valid
    unet(unet&& other) : unet(std::as_const(other)) {}
    unet& operator=(unet const&) = delete;

    unet_options const& options() const { return options_; }
    parameter_list const& names() const { return list_; }  ///< names and shapes, for checkpoints
    /// For reading and writing until the next evaluation.
    output parameters() {
        state_.store(weights_are::changed, std::memory_order_release);
        return parameters_.view();
    }
    input parameters() const { return parameters_.view(); }
    output gradients() {
        if (gradients_.size() == 0) {
            gradients_ = tensor<T, Backend>(*device_, {list_.size()});
            fill(gradients_.view(), 0);
        }
        return gradients_.view();
    }

    /// From now on every evaluation drops activations as `key` says, or none. The same key drops the same of every network
    /// of these options, so a student and a teacher can share it; another step of it drops others.
    void drop(std::optional<random_key> key) { dropped_ = key; }

    /// Adds dL/dparameters of the last forward to gradients(), and overwrites dx, if there is one, with dL/dx. Throws shape_error if no
    /// forward of dy's shape waits.
    void backward(input dy) { backward(dy, output()); }
    void backward(input dy, output dx) {
        base::require_waiting(dy, waiting_.x);
        if (dx.data() != nullptr) require_shape(base::name(), "dx", dx, waiting_.x.shape());
        call_type const c = std::exchange(waiting_, {});
        pass_type const of = {*device_, tape_->memory, parameters_.data(), nullptr, c.x.rows(), 0, dropped_by(recorded_drop_)};
        run_backward(of, c, *tape_, dy.data(), dx.data());
    }

private:
    enum class kind { in, block, attention, reduce, enlarge, out };
    /// One layer of the way through: its input is the result of the step before, and that of step `joins` beside it.
    struct step {
        kind what;
        std::size_t index;  // among the layers of its kind
        int joins = -1;
        index_t channels = 0, pixels = 0;  // of its result
        int last_use = 0;                  // the last step that reads its result
        index_t size() const { return channels * pixels; }
    };
    /// Results of a pass. On the way forward without backward, each goes when it has been read for the last time.
    struct evaluation {
        explicit evaluation(unet const& net)
            : memory(*net.device_), results(net.steps_.size()), tangents(net.steps_.size()), gradients(net.steps_.size()),
              blocks(net.blocks_.size()), attentions(net.attentions_.size()) {}
        void reset() {
            for (auto* list : {&results, &tangents, &gradients})
                for (piece& each : *list) each = {};
            for (auto& each : blocks) each = {};
            for (auto& each : attentions) each = {};
            embedding = {};
            condition = {};
            statistics = {};
            memory.reset();
        }
        pool<Backend> memory;  // first, so that its pieces go before it
        std::vector<piece> results, tangents, gradients;
        std::vector<typename layer::image_block<T, Backend>::tape> blocks;
        std::vector<typename layer::attention_block<T, Backend>::tape> attentions;
        typename layer::condition_embedding<T, Backend>::tape embedding;
        piece condition, statistics;
    };

    static unet_options const& checked(unet_options const& o) {
        auto const refuse = [](std::string const& given, std::string const& allowed) { raise<domain_error>("unet", given, allowed); };
        if (o.multipliers.empty()) refuse("there are no multipliers", "there must be one for each level");
        for (int m : o.multipliers)
            if (m < 1) refuse("a multiplier is " + std::to_string(m), "they must be at least 1");
        index_t const least = index_t(1) << (o.multipliers.size() - 1);
        if (o.data.rank() != 3 || o.data.size() < 1)
            raise<shape_error>("unet", "data is " + to_string(o.data), "an image is [height, width, channels]");
        if (o.data[0] % least != 0 || o.data[1] % least != 0)
            raise<shape_error>(
                "unet", "data is " + to_string(o.data),
                "with " + std::to_string(o.multipliers.size()) + " levels height and width must be divisible by " + std::to_string(least));
        auto const at_least = [&](char const* field, int value, int lowest) {
            if (value < lowest)
                refuse(std::string(field) + " is " + std::to_string(value), "it must be at least " + std::to_string(lowest));
        };
        at_least("width", o.width, 1);
        at_least("blocks", o.blocks, 1);
        at_least("head_channels", o.head_channels, 1);
        at_least("groups", o.groups, 1);
        at_least("embedding", o.embedding, 0);
        at_least("classes", o.classes, 0);
        for (int m : o.multipliers)
            if (int const channels = o.width * m; !o.attention.empty() && channels > o.head_channels && channels % o.head_channels != 0)
                refuse("a level has " + std::to_string(channels) + " channels",
                       "heads of " + std::to_string(o.head_channels) + " must divide them");
        return o;
    }

    // ---- construction -------------------------------------------------------------------------------------------------------------
    void build() {
        unet_options const& o = options_;
        index_t const e = o.embedding > 0 ? o.embedding : 4 * index_t(o.width);
        embedding_.emplace(*device_, list_, o.time, o.second_time, e, o.classes, o.seed);
        builder to{*this, o.data[0], o.data[1], o.data[2]};
        to.convolution(kind::in, "in", o.width);
        std::vector<int> kept = {0};
        int const levels = static_cast<int>(o.multipliers.size());
        for (int l = 0; l < levels; ++l) {
            std::string const level = "down." + std::to_string(l) + ".";
            for (int b = 0; b < o.blocks; ++b) {
                to.block(level + std::to_string(b), o.width * o.multipliers[static_cast<std::size_t>(l)], -1);
                to.attention(level + std::to_string(b) + ".attention");
                kept.push_back(to.last());
            }
            if (l + 1 < levels) {
                to.convolution(kind::reduce, level + "reduce", to.channels);
                kept.push_back(to.last());
            }
        }
        to.block("middle.0", to.channels, -1);
        if (!o.attention.empty()) to.attention("middle.attention", true);
        to.block("middle.1", to.channels, -1);
        for (int l = levels; l-- > 0;) {
            std::string const level = "up." + std::to_string(l) + ".";
            for (int b = 0; b <= o.blocks; ++b) {
                to.block(level + std::to_string(b), o.width * o.multipliers[static_cast<std::size_t>(l)], kept.back());
                kept.pop_back();
                to.attention(level + std::to_string(b) + ".attention");
            }
            if (l > 0) to.convolution(kind::enlarge, level + "enlarge", to.channels);
        }
        norm_.emplace(list_, "out.norm", to.channels, layer::group_count(to.channels, o.groups));
        to.convolution(kind::out, "out.conv", o.data[2]);
        add_conditions();
        for (std::size_t s = 0; s < steps_.size(); ++s) {
            if (s > 0) steps_[s - 1].last_use = static_cast<int>(s);
            if (steps_[s].joins >= 0) steps_[static_cast<std::size_t>(steps_[s].joins)].last_use = static_cast<int>(s);
        }
        tape_ = std::make_unique<evaluation>(*this);
    }
    /// Adds layers one behind the other.
    struct builder {
        unet& net;
        index_t height, width, channels;

        int last() const { return static_cast<int>(net.steps_.size()) - 1; }
        void add(kind what, std::size_t index, int joins) { net.steps_.push_back({what, index, joins, channels, height * width, 0}); }
        void convolution(kind what, std::string const& name, index_t out) {
            if (what == kind::enlarge) height *= 2, width *= 2;
            convolution_shape const at{height, width, channels, out, 3, what == kind::reduce ? 2 : 1, what == kind::enlarge};
            double const gain = what == kind::out && net.options_.zero_output ? 0 : 1;
            net.convolutions_.emplace_back(net.list_, name, at, net.options_.convolutions, gain, net.prepared_size_);
            if (what == kind::reduce) height = at.out_height(), width = at.out_width();
            channels = out;
            add(what, net.convolutions_.size() - 1, -1);
        }
        void block(std::string const& name, index_t out, int joins) {
            index_t const in = channels + (joins >= 0 ? net.steps_[static_cast<std::size_t>(joins)].channels : 0);
            unet_options const& o = net.options_;
            net.block_names_.push_back(name);
            net.blocks_.emplace_back(net.list_, name, height, width, in, out, joins >= 0,
                                     layer::image_block_options{o.groups, o.scaled, o.dropout, o.convolutions},
                                     static_cast<index_t>(net.blocks_.size()), net.prepared_size_);
            channels = out;
            add(kind::block, net.blocks_.size() - 1, joins);
        }
        void attention(std::string const& name, bool always = false) {
            auto const& heights = net.options_.attention;
            if (!always && std::find(heights.begin(), heights.end(), static_cast<int>(height)) == heights.end()) return;
            index_t const heads = std::max<index_t>(1, channels / net.options_.head_channels);
            net.attentions_.emplace_back(net.list_, name, height * width, channels, heads, net.options_.groups);
            add(kind::attention, net.attentions_.size() - 1, -1);
        }
    };
    /// The projections of the embedding for all blocks: neighbours in the flat buffer, so that they are one product.
    void add_conditions() {
        for (auto const& each : blocks_) condition_size_ += each.condition_size();
        index_t const e = embedding_->size();
        for (std::size_t b = 0; b < blocks_.size(); ++b) {
            index_t const at =
                list_.add(block_names_[b] + ".emb.weight", {blocks_[b].condition_size(), e}, 1 / std::sqrt(static_cast<double>(e)));
            if (b == 0) condition_weight_ = at;
        }
        index_t first = 0;
        for (std::size_t b = 0; b < blocks_.size(); ++b) {
            index_t const at = list_.add(block_names_[b] + ".emb.bias", {blocks_[b].condition_size()}, 0);
            if (b == 0) condition_bias_ = at;
            condition_of_block_.push_back(first);
            first += blocks_[b].condition_size();
        }
    }

    // ---- passes -------------------------------------------------------------------------------------------------------------------
    enum class weights_are { changed, used, prepared };

    pass_type pass_over(evaluation& in, index_t n, index_t tangents) const {
        return {*device_, in.memory, parameters_.data(), prepare(tangents), n, tangents, dropped_by(dropped_)};
    }
    random_key const* dropped_by(std::optional<random_key> const& key) const { return key && options_.dropout > 0 ? &*key : nullptr; }
    /// Weights as the backend wants them, or null for the first use after a change, which makes them layer by layer in memory that all
    /// layers share; with tangents they would be made twice.
    T const* prepare(index_t tangents) const {
        if (state_.load(std::memory_order_acquire) == weights_are::prepared) return prepared_.data();
        auto expected = weights_are::changed;
        if (prepared_size_ == 0 || (state_.compare_exchange_strong(expected, weights_are::used) && tangents == 0)) return nullptr;
        std::lock_guard const lock(preparing_);
        if (state_.load(std::memory_order_relaxed) == weights_are::prepared) return prepared_.data();
        if (prepared_.size() == 0) prepared_ = tensor<T, Backend>(*device_, {prepared_size_});
        for (auto const& each : convolutions_) each.prepare(*device_, parameters_.data(), prepared_.data());
        for (auto const& each : blocks_) each.prepare(*device_, parameters_.data(), prepared_.data());
        state_.store(weights_are::prepared, std::memory_order_release);
        return std::as_const(prepared_).data();
    }

    void evaluate(call_type const& c, output y) const {
        auto const in = evaluations_.lend(*this);
        run(pass_over(*in, c.x.rows(), 0), c, {}, *in, false, y.data(), nullptr);
    }
    void differentiate(call_type const& c, tangent_type const& v, output y, output vy) const {
        auto const in = evaluations_.lend(*this);
        run(pass_over(*in, c.x.rows(), c.x.rows()), c, v, *in, false, y.data(), vy.data());
    }
    void record(call_type const& c, tangent_type const& v, output y, output vy) {
        tape_->reset();
        waiting_ = c;
        recorded_drop_ = dropped_;
        run(pass_over(*tape_, c.x.rows(), v.x.data() != nullptr ? v.x.rows() : 0), c, v, *tape_, true, y.data(), vy.data());
    }

    static layer::condition_of<T> condition(call_type const& c) { return {c.t.data(), c.s.data(), c.labels.data()}; }

    /// The one pass behind all of them: y, with tangents vy of the first of.tangents rows, and with `keeps` everything that backward needs.
    void run(pass_type const& of, call_type const& c, tangent_type const& v, evaluation& in, bool keeps, T* y, T* vy) const {
        embedding_->forward(of, condition(c), in.embedding);
        in.condition = of.take(of.n * condition_size_);
        project(of, of.n, in.embedding.e.data(), in.condition.data());
        device_->for_each_pair(of.n, condition_size_,
                               layer::functor::add_bias<T>{in.condition.data(), of.weights + condition_bias_, condition_size_});
        piece vcondition;
        if (of.tangents > 0) {
            piece const ve = of.take(of.tangents * embedding_->size());
            embedding_->tangent(of, condition(c), v.t.data(), v.s.data(), in.embedding, ve.data());
            vcondition = of.take(of.tangents * condition_size_);
            project(of, of.tangents, ve.data(), vcondition.data());
        }
        for (std::size_t s = 0; s < steps_.size(); ++s) {
            bool const last = s + 1 == steps_.size();
            if (!last) {
                in.results[s] = of.take(of.n * steps_[s].size());
                if (of.tangents > 0) in.tangents[s] = of.take(of.tangents * steps_[s].size());
            }
            layer::carried<T> const to = last ? layer::carried<T>{y, vy} : layer::carried<T>{in.results[s].data(), in.tangents[s].data()};
            layer::carried<T const> const from = s == 0 ? layer::carried<T const>{c.x.data(), v.x.data()}
                                                        : layer::carried<T const>{in.results[s - 1].data(), in.tangents[s - 1].data()};
            run_step(of, s, from, {in.condition.data(), vcondition.data()}, in, to);
            for (std::size_t r = 0; r < s; ++r) {
                if (steps_[r].last_use != static_cast<int>(s)) continue;
                in.tangents[r] = {};
                if (!keeps) in.results[r] = {};
            }
            if (!keeps && steps_[s].what == kind::block) in.blocks[steps_[s].index] = {};
            if (!keeps && steps_[s].what == kind::attention) in.attentions[steps_[s].index] = {};
        }
    }
    void run_step(pass_type const& of, std::size_t s, layer::carried<T const> const& x, layer::carried<T const> const& condition,
                  evaluation& in, layer::carried<T> const& y) const {
        step const& at = steps_[s];
        if (at.what == kind::block) {
            index_t const first = condition_of_block_[at.index];
            blocks_[at.index].forward(of, inputs(s, x.x, in.results), inputs(s, x.v, in.tangents),
                                      {condition.x + first, condition.v ? condition.v + first : nullptr}, condition_size_,
                                      in.blocks[at.index], y);
        } else if (at.what == kind::attention) {
            attentions_[at.index].forward(of, x, in.attentions[at.index], y);
        } else if (at.what == kind::out) {
            run_out(of, x, in, y);
        } else {
            convolutions_[at.index].forward(of.device, of.weights, of.prepared, of.n, x.x, {}, y.x);
            if (of.tangents > 0) convolutions_[at.index].tangent(of.device, of.weights, of.prepared, of.tangents, x.v, {}, y.v);
        }
    }
    /// What step s reads: the result before it, and the one that it joins.
    layer::joined<T const> inputs(std::size_t s, T const* x, std::vector<piece> const& of) const {
        int const joins = steps_[s].joins;
        index_t const channels = steps_[s - 1].channels;
        return {x, channels, joins >= 0 ? of[static_cast<std::size_t>(joins)].data() : nullptr};
    }
    void run_out(pass_type const& of, layer::carried<T const> const& x, evaluation& in, layer::carried<T> const& y) const {
        step const& before = steps_[steps_.size() - 2];
        auto const& conv = convolutions_.back();
        piece const u = of.take(of.n * before.size());
        auto const memory = device_->scratch();
        in.statistics = of.take(norm_->statistics_size(of.n));
        norm_->forward(*device_, *memory, of.weights, of.n, before.pixels, {x.x, before.channels}, {}, in.statistics.data(), u.data());
        conv.forward(*device_, of.weights, of.prepared, of.n, u.data(), {}, y.x);
        if (of.tangents == 0) return;
        piece const vu = of.take(of.tangents * before.size());
        norm_->tangent(*device_, *memory, of.weights, of.tangents, before.pixels, {x.x, before.channels}, {}, in.statistics.data(),
                       {x.v, before.channels}, {}, vu.data());
        conv.tangent(*device_, of.weights, of.prepared, of.tangents, vu.data(), {}, y.v);
    }
    /// What all blocks are told, without the bias.
    void project(pass_type const& of, index_t n, T const* e, T* to) const {
        index_t const size = embedding_->size();
        device_->gemm(op::plain, op::transposed, n, condition_size_, size, T(1), e, size, of.weights + condition_weight_, size, T(0), to,
                      condition_size_);
    }

    // ---- backward -----------------------------------------------------------------------------------------------------------------
    void run_backward(pass_type const& of, call_type const& c, evaluation& in, T const* dy, T* dx) {
        piece const dcondition = of.take(of.n * condition_size_);
        backward_out(of, in, dy);
        for (std::size_t s = steps_.size() - 1; s-- > 0;) {
            in.results[s] = {};  // all that read it are done
            backward_step(of, s, c.x.data(), in, dcondition.data(), dx);
            in.gradients[s] = {};
        }
        backward_condition(of, in, dcondition.data());
    }
    void backward_out(pass_type const& of, evaluation& in, T const* dy) {
        std::size_t const s = steps_.size() - 2;
        step const& before = steps_[s];
        auto const& conv = convolutions_.back();
        T* const into = gradients().data();
        in.gradients[s] = of.take(of.n * before.size());
        piece const u = of.take(of.n * before.size());
        conv.backward_input(*device_, of.weights, of.n, dy, nullptr, in.gradients[s].data());
        auto const memory = device_->scratch();
        norm_->backward(*device_, *memory, of.weights, into, of.n, before.pixels, {in.results[s].data(), before.channels}, {},
                        in.statistics.data(), in.gradients[s].data(), u.data(), {in.gradients[s].data(), before.channels}, {}, false);
        conv.backward_weight(*device_, into, of.n, u.data(), dy);
        conv.backward_bias(*device_, into, of.n, dy);
    }
    void backward_step(pass_type const& of, std::size_t s, T const* network_x, evaluation& in, T* dcondition, T* network_dx) {
        step const& at = steps_[s];
        T const* const x = s == 0 ? network_x : in.results[s - 1].data();
        T* const dy = in.gradients[s].data();
        T* const into = gradients().data();
        if (at.what == kind::block) {
            backward_block(of, s, x, in, dcondition);
        } else if (at.what == kind::attention) {
            attentions_[at.index].backward(of, into, x, in.attentions[at.index], dy);
            pass_on(of, s, in);
        } else {
            auto const& conv = convolutions_[at.index];
            conv.backward_weight(*device_, into, of.n, x, dy);
            conv.backward_bias(*device_, into, of.n, dy);
            if (at.what == kind::in) {
                if (network_dx) conv.backward_input(*device_, of.weights, of.n, dy, nullptr, network_dx);
                return;
            }
            bool const add = static_cast<bool>(in.gradients[s - 1]);
            if (!add) in.gradients[s - 1] = of.take(of.n * steps_[s - 1].size());
            T* const to = in.gradients[s - 1].data();
            if (at.what == kind::reduce) {
                conv.backward_input(*device_, of.weights, of.n, dy, add ? to : nullptr, to);
            } else {  // nobody joins the result before an enlargement, so there is nothing to add to
                convolution_shape const& fine = conv.at();
                piece const dfine = of.take(of.n * fine.pixels() * fine.in);
                conv.backward_input(*device_, of.weights, of.n, dy, nullptr, dfine.data());
                layer::resample<T, Backend>(fine.height, fine.width, fine.in).up_backward(*device_, of.n, dfine.data(), to);
            }
        }
    }
    void backward_block(pass_type const& of, std::size_t s, T const* x, evaluation& in, T* dcondition) {
        step const& at = steps_[s];
        step const& before = steps_[s - 1];
        auto const& block = blocks_[at.index];
        index_t const first = condition_of_block_[at.index];
        T* const dy = in.gradients[s].data();
        bool const add = static_cast<bool>(in.gradients[s - 1]), same = at.joins < 0 && before.channels == at.channels;
        if (!add && !same) in.gradients[s - 1] = of.take(of.n * before.size());
        layer::joined<T> dx{!add && same ? dy : in.gradients[s - 1].data(), before.channels};
        if (at.joins >= 0) {
            auto const joined = static_cast<std::size_t>(at.joins);
            in.gradients[joined] = of.take(of.n * steps_[joined].size());
            dx.b = in.gradients[joined].data();
        }
        block.backward(of, gradients().data(), inputs(s, x, in.results), in.condition.data() + first, condition_size_, in.blocks[at.index],
                       dy, dx, add, dcondition + first);
        in.blocks[at.index] = {};
        if (!add && same) in.gradients[s - 1] = std::move(in.gradients[s]);
    }
    /// The gradient of step s is that of the result before it, or is added to what there is.
    void pass_on(pass_type const& of, std::size_t s, evaluation& in) const {
        piece& to = in.gradients[s - 1];
        if (to) device_->for_each_index(of.n * steps_[s].size(), layer::functor::add_vector<T>{to.data(), in.gradients[s].data()});
        else to = std::move(in.gradients[s]);
    }
    void backward_condition(pass_type const& of, evaluation& in, T* dcondition) {
        index_t const size = embedding_->size();
        T* const into = gradients().data();
        device_->gemm(op::transposed, op::plain, condition_size_, size, of.n, T(1), dcondition, condition_size_, in.embedding.e.data(),
                      size, T(1), into + condition_weight_, size);
        device_->template reduce_columns<T>(of.n, condition_size_, layer::functor::element<T>{dcondition, condition_size_},
                                            layer::functor::add_to<T>{into + condition_bias_});
        piece const de = of.take(of.n * size);
        device_->gemm(op::plain, op::plain, of.n, size, condition_size_, T(1), dcondition, condition_size_, of.weights + condition_weight_,
                      size, T(0), de.data(), size);
        embedding_->backward(of, into, in.embedding, de.data());
    }

    Backend* device_;
    unet_options options_;
    parameter_list list_;
    std::vector<step> steps_;
    std::optional<layer::condition_embedding<T, Backend>> embedding_;
    std::vector<layer::convolution<T, Backend>> convolutions_;
    std::vector<layer::image_block<T, Backend>> blocks_;
    std::vector<layer::attention_block<T, Backend>> attentions_;
    std::optional<layer::group_norm<T, Backend>> norm_;
    std::vector<std::string> block_names_;
    std::vector<index_t> condition_of_block_;
    index_t condition_size_ = 0, condition_weight_ = 0, condition_bias_ = 0, prepared_size_ = 0;
    tensor<T, Backend> parameters_, gradients_;
    mutable tensor<T, Backend> prepared_;
    std::optional<random_key> dropped_, recorded_drop_;
    call_type waiting_;
    std::unique_ptr<evaluation> tape_;
    mutable lender<evaluation> evaluations_;
    mutable std::atomic<weights_are> state_ = weights_are::changed;
    mutable std::mutex preparing_;
};

template <backend Backend> unet(Backend&, unet_options) -> unet<float, Backend>;

}  // namespace onestep
