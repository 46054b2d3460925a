#pragma once
/// The calls that a reference network offers (concept.hpp), and the checks before them.
#include <string>
#include <utility>

#include "call.hpp"

namespace onestep {

/// Base class of networks that take one time or two and labels or none, as their options say. `Self` has
///
///     options() with name, data, second_time and classes
///     evaluate(call, y) const                      y = F
///     differentiate(call, tangent, y, vy) const    y = F, vy = dF along a tangent of all rows
///     record(call, tangent, y, vy)                 y = F, keeping what backward needs; vy = dF along a tangent of the first rows, or of
///     none
///
/// and hears of calls whose shapes fit, and of nothing else: every call below throws shape_error before anything is written.
template <class Self, class T, backend Backend> class network_interface {
public:
    using input = view<T const, Backend>;
    using output = view<T, Backend>;
    using label_view = view<std::int32_t const, Backend>;

    int classes() const { return self().options().classes; }

    /// y = F(x, t).
    void operator()(input x, input t, output y) const { evaluate_checked({x, t, {}, {}}, y); }
    void operator()(input x, input t, input s, output y) const { evaluate_checked({x, t, s, {}}, y); }
    void operator()(input x, input t, label_view labels, output y) const { evaluate_checked({x, t, {}, labels}, y); }
    void operator()(input x, input t, input s, label_view labels, output y) const { evaluate_checked({x, t, s, labels}, y); }

    /// The same, and keeps what backward needs. x, t, s and labels must stay unchanged until then.
    void forward(input x, input t, output y) { record_checked({x, t, {}, {}}, y); }
    void forward(input x, input t, input s, output y) { record_checked({x, t, s, {}}, y); }
    void forward(input x, input t, label_view labels, output y) { record_checked({x, t, {}, labels}, y); }
    void forward(input x, input t, input s, label_view labels, output y) { record_checked({x, t, s, labels}, y); }

    /// vy = (dF/dx) vx + (dF/dt) vt (+ (dF/ds) vs), with y = F(x, t) beside it.
    void jvp(input x, input vx, input t, input vt, output y, output vy) const {
        differentiate_checked({x, t, {}, {}}, {vx, vt, {}}, y, vy);
    }
    void jvp(input x, input vx, input t, input vt, input s, input vs, output y, output vy) const {
        differentiate_checked({x, t, s, {}}, {vx, vt, vs}, y, vy);
    }
    void jvp(input x, input vx, input t, input vt, label_view labels, output y, output vy) const {
        differentiate_checked({x, t, {}, labels}, {vx, vt, {}}, y, vy);
    }
    void jvp(input x, input vx, input t, input vt, input s, input vs, label_view labels, output y, output vy) const {
        differentiate_checked({x, t, s, labels}, {vx, vt, vs}, y, vy);
    }

    /// forward of all rows and, in the same pass, vy = dF of the first vx.rows() of them along (vx, vt (, vs)).
    void forward_jvp(input x, input vx, input t, input vt, output y, output vy) { record_checked({x, t, {}, {}}, {vx, vt, {}}, y, vy); }
    void forward_jvp(input x, input vx, input t, input vt, input s, input vs, output y, output vy) {
        record_checked({x, t, s, {}}, {vx, vt, vs}, y, vy);
    }
    void forward_jvp(input x, input vx, input t, input vt, label_view labels, output y, output vy) {
        record_checked({x, t, {}, labels}, {vx, vt, {}}, y, vy);
    }
    void forward_jvp(input x, input vx, input t, input vt, input s, input vs, label_view labels, output y, output vy) {
        record_checked({x, t, s, labels}, {vx, vt, vs}, y, vy);
    }

protected:
    using call_type = network_call<T, Backend>;
    using tangent_type = call_tangent<T, Backend>;
    ~network_interface() = default;

    char const* name() const { return self().options().name; }
    /// Throws shape_error unless a forward of dy's shape waits; `waiting` is its x, empty if none is.
    void require_waiting(input dy, input waiting) const {
        if (waiting.data() == nullptr)
            raise<shape_error>(name(), "backward was given dy " + to_string(dy.shape()), "no forward is waiting for it");
        if (!(dy.rows() == waiting.rows() && dy.cols() == waiting.cols()))
            raise<shape_error>(name(), "backward was given dy " + to_string(dy.shape()),
                               "the forward that waits has " + to_string(waiting.shape()));
    }

private:
    Self const& self() const { return static_cast<Self const&>(*this); }
    Self& self() { return static_cast<Self&>(*this); }

    void evaluate_checked(call_type const& c, output y) const {
        check(c, y.shape());
        self().evaluate(c, y);
    }
    void differentiate_checked(call_type const& c, tangent_type const& v, output y, output vy) const {
        check(c, y.shape());
        check_tangent(c, v, vy, c.x.rows());
        self().differentiate(c, v, y, vy);
    }
    void record_checked(call_type const& c, output y) {
        check(c, y.shape());
        self().record(c, {}, y, {});
    }
    void record_checked(call_type const& c, tangent_type const& v, output y, output vy) {
        check(c, y.shape());
        index_t const n = v.x.rows();
        if (n > c.x.rows())
            raise<shape_error>(name(), "vx is " + to_string(v.x.shape()),
                               "there are " + std::to_string(c.x.rows()) + " rows to differentiate");
        check_tangent(c, v, vy, n);
        self().record(c, v, y, vy);
    }

    std::string takes() const {
        std::string text = "this network takes [n";
        for (index_t extent : self().options().data) text += ", " + std::to_string(extent);
        return text + "]";
    }
    void check(call_type const& c, shape const& y) const {
        auto const& options = self().options();
        shape const& data = options.data;
        index_t const n = c.x.rows();
        bool fits = c.x.shape().rank() == data.rank() + 1;
        for (int axis = 0; fits && axis < data.rank(); ++axis) fits = c.x.shape()[axis + 1] == data[axis];
        if (!fits) raise<shape_error>(name(), "x is " + to_string(c.x.shape()), takes());
        if (!(y == c.x.shape())) raise<shape_error>(name(), "y is " + to_string(y), "it must have x's shape " + to_string(c.x.shape()));
        require_shape(name(), "t", c.t, {n});
        if (options.second_time != (c.s.data() != nullptr))
            raise<shape_error>(
                name(), options.second_time ? "no second time s was given" : "a second time s was given",
                options.second_time ? "this network is called as net(x, t, s, y)" : "this network is called as net(x, t, y)");
        if (options.second_time) require_shape(name(), "s", c.s, {n});
        if (c.labels.data() != nullptr) {
            if (options.classes == 0) raise<shape_error>(name(), "labels were given", "this network was made with classes = 0");
            require_shape(name(), "labels", c.labels, {n});
        }
    }
    void check_tangent(call_type const& c, tangent_type const& v, output vy, index_t n) const {
        require_shape(name(), "vx", v.x, c.x.shape().with_rows(n));
        require_shape(name(), "vt", v.t, {n});
        if (self().options().second_time && v.s.data() != nullptr) require_shape(name(), "vs", v.s, {n});
        require_shape(name(), "vy", vy.rows(0, n), c.x.shape().with_rows(n));
    }
};

}  // namespace onestep
