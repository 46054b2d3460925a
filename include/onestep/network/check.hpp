#pragma once
/// Tests of a network of one's own: its derivatives against finite differences, and the promises of concept.hpp that no
/// compiler checks.
///
///     auto const report = onestep::check_gradients(net, {.data = {28, 28, 1}});
///     if (!report.ok()) std::puts(to_string(report).c_str());
///
/// Works for float and double and on any backend: only uploads, downloads and the network itself are used. Double is the
/// sharper test by far: write a network as a template over its scalar and check the double one.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "../core/random.hpp"
#include "../core/spec.hpp"
#include "../core/tensor.hpp"
#include "concept.hpp"

namespace onestep {

/// What a check feeds to a network and what it accepts.
struct check_options {
    shape data = {2};          ///< extents of one sample: {2}, {28, 28, 1}
    index_t rows = 3;          ///< samples, >= 1; with a single one the independence of rows is not checked
    double t_min = 0.05;       ///< times are uniform in [t_min, t_max]; a second time s is uniform in [t_min, t]
    double t_max = 0.95;       ///< > t_min
    bool second_time = false;  ///< net(x, t, s, y), for networks that can be called either way
    int directions = 4;        ///< random directions in the space of parameters, >= 1
    double disturbance = 0.1;  ///< deviation of what is added to the parameters during the check; layers that start at zero need it
    std::uint64_t seed = 0;    ///< of all of the above
    double step = 0;           ///< of differences in x and parameters; 0: 1e-4 in double, 3e-3 in float
    double time_step = 0;      ///< of differences in t and s; 0: 1e-6 in double, 1e-4 in float
    double tolerance = 0;      ///< largest relative error of a derivative; 0: 1e-6 in double, 2e-2 in float
};

/// What a check found. `to_string` makes a text of it.
struct check_report {
    double worst = 0;                   ///< largest relative error of a derivative
    double tolerance = 0;               ///< what was accepted
    std::vector<std::string> failures;  ///< a sentence for each broken promise

    bool ok() const { return failures.empty(); }
};

/// "ok: worst relative error 3e-09, accepted 1e-06", or the failures, one a line.
inline std::string to_string(check_report const& report) {
    if (report.ok()) return "ok: worst relative error " + to_string(report.worst) + ", accepted " + to_string(report.tolerance);
    std::string text;
    for (std::string const& failure : report.failures) text += (text.empty() ? "" : "\n") + failure;
    return text;
}

namespace checking {

template <class N, class T, class Backend>
concept two_time_forward = requires(N& net, view<T const, Backend> x, view<T, Backend> y) {
    net.forward(x, x, x, y);
};
template <class N, class T, class Backend>
concept two_time_jvp = requires(N& net, view<T const, Backend> x, view<T, Backend> y) {
    net.jvp(x, x, x, x, x, x, y, y);
};
template <class N, class T, class Backend>
concept one_time_forward_jvp = requires(N& net, view<T const, Backend> x, view<T, Backend> y) {
    net.forward_jvp(x, x, x, x, y, y);
};
template <class N, class T, class Backend>
concept two_time_forward_jvp = requires(N& net, view<T const, Backend> x, view<T, Backend> y) {
    net.forward_jvp(x, x, x, x, x, x, y, y);
};
template <class N, class T, class Backend>
concept two_time_trains = two_time_network<N, T, Backend> && two_time_forward<N, T, Backend>;
template <class N>
concept trains = has_parameters<N> && has_backward<N, scalar_of<N>, backend_of<N>> &&
    (trainable_network<N> || two_time_trains<N, scalar_of<N>, backend_of<N>>);
template <class N, class T, class Backend>
concept differentiates = differentiable_network<N, T, Backend> ||(two_time_network<N, T, Backend>&& two_time_jvp<N, T, Backend>);

template <class T> double largest(std::vector<T> const& a) {
    double size = 0;
    for (T const value : a) size = std::isfinite(value) ? std::fmax(size, std::fabs(static_cast<double>(value))) : HUGE_VAL;
    return size;
}
template <class T> double length(std::vector<T> const& a) {
    double sum = 0;
    for (T const value : a) sum += static_cast<double>(value) * static_cast<double>(value);
    return std::sqrt(sum);
}
template <class T, class U> double inner_product(std::vector<T> const& a, std::vector<U> const& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
    return sum;
}
template <class T> std::vector<T> combined(double a, std::vector<T> const& x, double b, std::vector<T> const& y) {
    std::vector<T> sum(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) sum[i] = static_cast<T>(a * static_cast<double>(x[i]) + b * static_cast<double>(y[i]));
    return sum;
}
/// Largest |a - b| over the largest of all; infinite where a value is not finite.
template <class T> double difference(std::vector<T> const& a, std::vector<T> const& b) {
    double const size = std::fmax(largest(a), largest(b));
    if (!std::isfinite(size)) return HUGE_VAL;
    return size == 0 ? 0 : largest(combined(1, a, -1, b)) / size;
}
/// A difference over the size of what is compared; over so much more that rounding alone is accepted, if the size is small.
inline double relative_error(double difference, double noise, double size, double accepted) {
    if (!std::isfinite(difference)) return HUGE_VAL;
    return difference == 0 ? 0 : difference / std::fmax(size, noise / accepted);
}
inline std::string text(double value) {
    char digits[32];
    std::snprintf(digits, sizeof digits, "%.3g", value);
    return digits;
}

/// Derivative at 0 of a vector-valued f along a line, by central differences of fourth order.
template <class F> auto slope(double h, F&& f) {
    auto const near = combined(1, f(h), -1, f(-h)), far = combined(1, f(2 * h), -1, f(-2 * h));
    return combined(8 / (12 * h), near, -1 / (12 * h), far);
}

inline void require(check_options const& o) {
    auto const refuse = [](char const* field, double value, char const* allowed) {
        raise<domain_error>("check_options", std::string(field) + " is " + to_string(value), std::string("it must be ") + allowed);
    };
    if (o.data.size() < 1) raise<shape_error>("check_options", "data is " + to_string(o.data), "a sample has at least one element");
    if (o.data.rank() >= shape::max_rank)
        raise<shape_error>("check_options", "data is " + to_string(o.data), "a batch has one extent more, and at most 6");
    if (o.rows < 1) refuse("rows", static_cast<double>(o.rows), "at least 1");
    if (o.directions < 1) refuse("directions", o.directions, "at least 1");
    if (!std::isfinite(o.t_min)) refuse("t_min", o.t_min, "finite");
    if (!std::isfinite(o.t_max) || !(o.t_max > o.t_min)) refuse("t_max", o.t_max, "finite and above t_min");
    if (!(o.disturbance >= 0) || !std::isfinite(o.disturbance)) refuse("disturbance", o.disturbance, "finite and not negative");
    if (!(o.step >= 0) || !std::isfinite(o.step)) refuse("step", o.step, "finite and not negative");
    if (!(o.time_step >= 0) || !std::isfinite(o.time_step)) refuse("time_step", o.time_step, "finite and not negative");
    if (!(o.tolerance >= 0) || !std::isfinite(o.tolerance)) refuse("tolerance", o.tolerance, "finite and not negative");
}

/// A network seen from the host: vectors in, vectors out.
template <class T, class Backend, class N> class subject {
    static constexpr bool one_time = network<N, T, Backend>;
    static constexpr bool two_times = two_time_network<N, T, Backend>;
    using input = view<T const, Backend>;

public:
    using values = std::vector<T>;
    struct inputs {
        values x, t, s;
    };
    struct pair {
        values y, vy;
    };

    subject(N& net, Backend& device, check_options const& o)
        : net_(&net), device_(&device), options_(o), second_time_(o.second_time || !one_time), shape_(batch_shape(o)),
          pending_(device, shape_), other_(device, shape_), tangents_(device, shape_), y_(device, shape_), vy_(device, shape_) {
        if constexpr (!two_times)
            if (o.second_time) raise<domain_error>("check_options", "second_time is true", "this network is called as net(x, t, y)");
    }

    bool second_time() const { return second_time_; }
    index_t rows() const { return shape_.rows(); }
    double step() const { return pick(options_.step, 1e-4, 3e-3); }
    double time_step() const { return pick(options_.time_step, 1e-6, 1e-4); }
    double tolerance() const { return pick(options_.tolerance, 1e-6, 2e-2); }
    /// What two evaluations of equal inputs may differ by, relative: forward may add in another order than net(x, t, y).
    double equality() const { return pick(0, 1e-11, 1e-4); }
    /// Bound on the rounding of a difference quotient of values of this size.
    double noise(double size, double h) const { return pick(0, 2e-15, 1e-6) * size / h; }

    values normals(index_t count) {
        values z(static_cast<std::size_t>(count));
        random_stream const stream = random_key{options_.seed}.at(draw::probe, draws_++);
        for (std::size_t i = 0; i < z.size(); ++i) z[i] = static_cast<T>(normal_deviate(stream, 0, i));
        return z;
    }
    values like_x() { return normals(shape_.size()); }
    values like_t() { return normals(shape_.rows()); }
    /// A batch of x ~ N(0, 1), t and s.
    inputs draw_inputs() {
        inputs in{like_x(), values(static_cast<std::size_t>(rows())), values(static_cast<std::size_t>(rows()))};
        random_stream const stream = random_key{options_.seed}.at(draw::probe, draws_++);
        for (std::size_t r = 0; r < in.t.size(); ++r) {
            double const t = options_.t_min + (options_.t_max - options_.t_min) * uniform(stream, static_cast<index_t>(r), 0);
            in.t[r] = static_cast<T>(t);
            in.s[r] = static_cast<T>(options_.t_min + (t - options_.t_min) * uniform(stream, static_cast<index_t>(r), 1));
        }
        return in;
    }
    /// `in` with everything replaced but row r.
    inputs replaced_around(index_t r, inputs const& in) {
        inputs other = draw_inputs();
        index_t const cols = shape_.cols();
        std::copy_n(in.x.begin() + r * cols, cols, other.x.begin() + r * cols);
        other.t[static_cast<std::size_t>(r)] = in.t[static_cast<std::size_t>(r)];
        other.s[static_cast<std::size_t>(r)] = in.s[static_cast<std::size_t>(r)];
        return other;
    }
    values row(values const& all, index_t r) const {
        return values(all.begin() + r * shape_.cols(), all.begin() + (r + 1) * shape_.cols());
    }

    /// Never touches the memory that a pending forward borrows.
    values evaluate(inputs const& in) {
        place(in, other_);
        if constexpr (two_times)
            if (second_time_) (*net_)(input(other_.x), input(other_.t), input(other_.s), y_.view());
        if constexpr (one_time)
            if (!second_time_) (*net_)(input(other_.x), input(other_.t), y_.view());
        return y_.to_host();
    }
    values forward(inputs const& in) {
        place(in, pending_);
        if constexpr (two_time_forward<N, T, Backend>)
            if (second_time_) net_->forward(input(pending_.x), input(pending_.t), input(pending_.s), y_.view());
        if constexpr (has_forward<N, T, Backend>)
            if (!second_time_) net_->forward(input(pending_.x), input(pending_.t), y_.view());
        return y_.to_host();
    }
    void backward(values const& dy) {
        tensor<T, Backend> const gradient(*device_, shape_, dy);
        net_->backward(gradient.view());
        device_->synchronize();
    }
    pair jvp(inputs const& in, inputs const& v) {
        place(in, other_);
        place(v, tangents_);
        if constexpr (two_time_jvp<N, T, Backend>)
            if (second_time_)
                net_->jvp(input(other_.x), input(tangents_.x), input(other_.t), input(tangents_.t), input(other_.s), input(tangents_.s),
                          y_.view(), vy_.view());
        if constexpr (differentiable_network<N, T, Backend>)
            if (!second_time_) net_->jvp(input(other_.x), input(tangents_.x), input(other_.t), input(tangents_.t), y_.view(), vy_.view());
        return {y_.to_host(), vy_.to_host()};
    }

    /// Whether the network has the member in the form that is checked.
    bool has_forward_jvp() const { return second_time_ ? two_time_forward_jvp<N, T, Backend> : one_time_forward_jvp<N, T, Backend>; }
    /// The outputs of all rows and the tangents of the first `count`.
    pair forward_jvp(inputs const& in, inputs const& v, index_t count) {
        place(in, pending_);
        place(v, tangents_);
        input const vx = tangents_.x.view().rows(0, count), vt = tangents_.t.view().rows(0, count), vs = tangents_.s.view().rows(0, count);
        if constexpr (two_time_forward_jvp<N, T, Backend>)
            if (second_time_) net_->forward_jvp(input(pending_.x), vx, input(pending_.t), vt, input(pending_.s), vs, y_.view(), vy_.view());
        if constexpr (one_time_forward_jvp<N, T, Backend>)
            if (!second_time_) net_->forward_jvp(input(pending_.x), vx, input(pending_.t), vt, y_.view(), vy_.view());
        return {y_.to_host(), to_host(vy_.view().rows(0, count))};
    }

    values parameters() { return to_host(net_->parameters()); }
    values gradients() { return to_host(net_->gradients()); }
    void set_parameters(values const& all) { device_->upload(all.data(), static_cast<index_t>(all.size()), net_->parameters().data()); }
    void set_gradients(values const& all) { device_->upload(all.data(), static_cast<index_t>(all.size()), net_->gradients().data()); }
    /// What forward, the call in between, and backward leave in gradients that were zero.
    template <class Between> values gradients_of(inputs const& in, values const& dy, Between&& between) {
        set_gradients(values(parameters().size()));
        forward(in);
        between();
        backward(dy);
        return gradients();
    }

private:
    struct device_inputs {
        device_inputs(Backend& device, shape const& extents)
            : x(device, extents), t(device, {extents.rows()}), s(device, {extents.rows()}) {}
        tensor<T, Backend> x, t, s;
    };

    static shape batch_shape(check_options const& o) {
        require(o);
        index_t extents[shape::max_rank] = {o.rows};
        std::copy(o.data.begin(), o.data.end(), extents + 1);
        return {extents, o.data.rank() + 1};
    }
    static double pick(double given, double in_double, double in_float) {
        return given > 0 ? given : (sizeof(T) >= sizeof(double) ? in_double : in_float);
    }
    void place(inputs const& in, device_inputs& to) const {
        device_->upload(in.x.data(), shape_.size(), to.x.data());
        device_->upload(in.t.data(), shape_.rows(), to.t.data());
        device_->upload(in.s.data(), shape_.rows(), to.s.data());
    }

    N* net_;
    Backend* device_;
    check_options options_;
    bool second_time_;
    shape shape_;
    device_inputs pending_, other_, tangents_;
    tensor<T, Backend> y_, vy_;
    std::uint64_t draws_ = 0;
};

/// Disturbs a network's parameters; puts them and the gradients back in the end, whatever happens in between.
template <class Subject> class disturbed {
public:
    disturbed(Subject& of, double deviation) : of_(&of), parameters_(of.parameters()), gradients_(of.gradients()) {
        of.set_parameters(combined(1, parameters_, deviation, of.normals(static_cast<index_t>(parameters_.size()))));
    }
    disturbed(disturbed const&) = delete;
    disturbed& operator=(disturbed const&) = delete;
    ~disturbed() {
        of_->set_parameters(parameters_);
        of_->set_gradients(gradients_);
    }

private:
    Subject* of_;
    typename Subject::values parameters_, gradients_;
};

inline void fail(check_report& report, std::string sentence) { report.failures.push_back(std::move(sentence)); }
inline void fail_if_different(check_report& report, double difference, double accepted, char const* sentence) {
    if (!(difference <= accepted)) fail(report, std::string(sentence) + " (relative difference " + text(difference) + ")");
}

/// The promises about net(x, t, y) alone.
template <class Subject> void check_rows(check_report& report, Subject& net, typename Subject::inputs const& in) {
    auto const y = net.evaluate(in);
    fail_if_different(report, difference(y, net.evaluate(in)), net.equality(), "equal inputs give different outputs");
    if (net.rows() < 2) return;
    double worst = 0;
    for (index_t r = 0; r < net.rows(); ++r)
        worst = std::fmax(worst, difference(net.row(y, r), net.row(net.evaluate(net.replaced_around(r, in)), r)));
    fail_if_different(report, worst, net.equality(), "a row of y depends on other rows than its own");
}

/// The promises about forward_jvp: it is forward and jvp at once, for any number of rows with a tangent.
template <class N, class Subject>
void check_forward_jvp(check_report& report, Subject& net, typename Subject::inputs const& in, typename Subject::inputs const& v) {
    auto const y = net.evaluate(in), vy = net.jvp(in, v).vy;
    for (index_t const count : {net.rows(), index_t(1)}) {
        auto const both = net.forward_jvp(in, v, count);
        fail_if_different(report, difference(y, both.y), net.equality(), "forward_jvp gives another y than the network itself");
        auto const first = typename Subject::values(vy.begin(), vy.begin() + static_cast<std::ptrdiff_t>(both.vy.size()));
        fail_if_different(report, difference(first, both.vy), net.equality(), "forward_jvp gives other tangents than jvp");
        if constexpr (trains<N>) {
            auto const dy = net.like_x();
            auto const plain = net.gradients_of(in, dy, [] {});
            net.set_gradients(typename Subject::values(plain.size()));
            net.forward(net.draw_inputs());  // so that what it keeps is of other inputs
            net.forward_jvp(in, v, count);
            net.backward(dy);
            fail_if_different(report, difference(plain, net.gradients()), net.equality(),
                              "backward gives other gradients after forward_jvp than after forward");
        }
        if (!report.ok() || count == 1) return;
    }
}

template <class T, class Backend, class N> check_report jvp_report(N& net, Backend& device, check_options const& options) {
    using tested = subject<T, Backend, N>;
    tested on(net, device, options);
    check_report report;
    report.tolerance = on.tolerance();
    auto const check = [&] {
        auto const in = on.draw_inputs();
        check_rows(report, on, in);
        auto const y = on.evaluate(in);
        typename tested::inputs const none{std::vector<T>(in.x.size()), std::vector<T>(in.t.size()), std::vector<T>(in.s.size())};
        auto along_x = none, along_t = none, along_s = none, together = none;
        along_x.x = on.like_x();
        along_t.t = on.like_t();
        along_s.s = on.like_t();

        std::vector<T> sum(y.size());
        auto const part = [&](char const* what, typename tested::inputs const& v, double h, double factor) {
            auto const result = on.jvp(in, v);
            fail_if_different(report, difference(y, result.y), on.equality(), "jvp gives another y than the network itself");
            auto const expected = slope(h, [&](double at) {
                return on.evaluate({combined(1, in.x, at, v.x), combined(1, in.t, at, v.t), combined(1, in.s, at, v.s)});
            });
            double const size = std::fmax(largest(expected), largest(result.vy));
            double const error =
                relative_error(largest(combined(1, result.vy, -1, expected)), on.noise(largest(y), h), size, report.tolerance);
            report.worst = std::fmax(report.worst, error);
            if (!(error <= report.tolerance))
                fail(report, std::string("jvp along ") + what + " disagrees with finite differences (relative error " + text(error) + ")");
            sum = combined(1, sum, factor, result.vy);
            together = {combined(1, together.x, factor, v.x), combined(1, together.t, factor, v.t), combined(1, together.s, factor, v.s)};
        };
        part("x", along_x, on.step(), 2);
        part("t", along_t, on.time_step(), -1.5);
        if (on.second_time()) part("s", along_s, on.time_step(), 0.75);
        fail_if_different(report, difference(sum, on.jvp(in, together).vy), on.equality(), "jvp is not linear in its tangents");

        if constexpr (trains<N>) {
            auto const dy = on.like_x();
            auto const plain = on.gradients_of(in, dy, [] {});
            auto const beside = on.gradients_of(in, dy, [&] { on.jvp(on.draw_inputs(), together); });
            fail_if_different(report, difference(plain, beside), on.equality(), "jvp disturbs a forward that waits for its backward");
        }
        if (on.has_forward_jvp()) check_forward_jvp<N>(report, on, in, together);
    };
    if constexpr (has_parameters<N>) {
        disturbed<tested> const restores(on, options.disturbance);
        check();
    } else {
        check();
    }
    return report;
}

}  // namespace checking

/// Compares dL/dparameters, as forward and backward give it, with central differences of L = sum of dy F(x, t) along
/// random directions, and checks the promises of concept.hpp: net(x, t, y) does not disturb a pending forward; equal
/// inputs give equal outputs, and forward the same as net(x, t, y); backward adds; rows are independent; parameters and
/// gradients stay where they are. Parameters and gradients are put back in the end.
///
/// A broken promise is a sentence of the report and never an exception. Labels: check conditioned{net, labels} with
/// options.rows = number of labels. Cost: about 4 directions + 2 rows + 10 evaluations.
/// Throws domain_error or shape_error for bad options, and what the network throws.
template <class N> check_report check_gradients(N&& net, check_options const& options) {
    using network_type = std::remove_reference_t<N>;
    static_assert(checking::trains<network_type>,
                  "Only a network that trains can be checked: it needs forward(x, t, y), backward(dy), parameters() and gradients().");
    using T = scalar_of<network_type>;
    using tested = checking::subject<T, backend_of<network_type>, network_type>;
    tested on(net, net.parameters().backend(), options);
    check_report report;
    report.tolerance = on.tolerance();
    auto const addresses = std::pair(net.parameters().data(), net.gradients().data());
    checking::disturbed<tested> const restores(on, options.disturbance);

    auto const in = on.draw_inputs();
    auto const dy = on.like_x();
    auto const y = on.forward(in);
    checking::fail_if_different(report, checking::difference(y, on.evaluate(in)), on.equality(),
                                "forward gives another y than the network itself");
    checking::check_rows(report, on, in);

    auto const gradients = on.gradients_of(in, dy, [] {});
    auto const beside = on.gradients_of(in, dy, [&] { on.evaluate(on.draw_inputs()); });
    checking::fail_if_different(report, checking::difference(gradients, beside), on.equality(),
                                "an evaluation disturbs a forward that waits for its backward");

    auto const before = on.normals(static_cast<index_t>(gradients.size()));
    on.set_gradients(before);
    for (int pass = 0; pass < 2; ++pass) {
        on.forward(in);
        on.backward(dy);
    }
    checking::fail_if_different(report, checking::difference(checking::combined(1, before, 2, gradients), on.gradients()), on.equality(),
                                "backward does not add to the gradients");
    if (addresses != std::pair(net.parameters().data(), net.gradients().data()))
        checking::fail(report, "parameters or gradients moved to another address");

    auto const parameters = on.parameters();
    double worst = -1, differences = 0, product = 0;
    for (int k = 0; k < options.directions; ++k) {
        auto const direction = on.normals(static_cast<index_t>(parameters.size()));
        auto const loss = [&](double at) {
            on.set_parameters(checking::combined(1, parameters, at, direction));
            return std::vector<double>{checking::inner_product(on.evaluate(in), dy)};
        };
        double const expected = checking::slope(on.step(), loss)[0], given = checking::inner_product(gradients, direction);
        double const noise = on.noise(checking::length(y) * checking::length(dy), on.step());
        double const size = std::fmax(checking::length(gradients), std::fabs(expected));
        double const error = checking::relative_error(std::fabs(expected - given), noise, size, report.tolerance);
        if (!(error <= worst)) worst = error, differences = expected, product = given;
    }
    report.worst = worst;
    if (!(worst <= report.tolerance))
        checking::fail(report, "backward disagrees with finite differences: along a direction they give " + checking::text(product) +
                                   " and " + checking::text(differences) + " (relative error " + checking::text(worst) + ")");
    return report;
}

/// Compares jvp with central differences of net(x, t, y) along x, along t and, with two times, along s; checks that it
/// gives the network's y, that it is linear in the tangents, that rows are independent and equal inputs give equal
/// outputs, and, for a network that trains, that it does not disturb a pending forward. A network that offers forward_jvp
/// must give the same y, tangents and gradients by it, with a tangent for all rows or for the first alone. Reports and throws like
/// check_gradients.
template <class N>
requires has_parameters<std::remove_reference_t<N>> check_report check_jvp(N&& net, check_options const& options) {
    using network_type = std::remove_reference_t<N>;
    static_assert(checking::differentiates<network_type, scalar_of<network_type>, backend_of<network_type>>,
                  "Only a differentiable network can be checked: it needs jvp(x, vx, t, vt, y, vy).");
    return checking::jvp_report<scalar_of<network_type>>(net, net.parameters().backend(), options);
}

/// The same for a network without parameters: check_jvp<double>(net, device, options).
template <class T, class N, class Backend> check_report check_jvp(N&& net, Backend& device, check_options const& options) {
    static_assert(checking::differentiates<std::remove_reference_t<N>, T, Backend>,
                  "Only a differentiable network can be checked: it needs jvp(x, vx, t, vt, y, vy).");
    return checking::jvp_report<T>(net, device, options);
}

}  // namespace onestep
