#pragma once
#include <limits>

#include "concept.hpp"

namespace onestep {

/// A row's own clock in rk45.
template <class T> struct rk45_row {
    double t, ahead;  ///< where it stands, and where the step that is tried ends
    double size;      ///< length of the step to try, not yet cut to the end of the interval
    T h;              ///< ahead - t; 0 once the row has arrived
    bool rejected;    ///< the last try was refused
};

namespace functor {
/// k1 = u.
template <class T, class Velocity> struct rk45_store {
    Velocity velocity;
    T* k;
    index_t cols;
    ONESTEP_HD void operator()(index_t r, index_t c) const { k[r * cols + c] = velocity(r, r * cols + c); }
};
/// next = x + h c k1.
template <class T> struct rk45_first_stage {
    rk45_row<T> const* rows;
    T const *x, *k;
    T* next;
    T c;
    index_t cols;
    ONESTEP_HD void operator()(index_t r, index_t column) const {
        index_t const i = r * cols + column;
        T const h = rows[r].h;
        next[i] = h == T(0) ? x[i] : math::fma(h * c, k[i], x[i]);
    }
};
/// k = u at the stage that stands in `next`; then next = x + h (c k + sum of c_j k_j).
template <class T, class Velocity, int Earlier> struct rk45_stage {
    Velocity velocity;
    rk45_row<T> const* rows;
    T const* x;
    T *k, *next;
    T c;
    T coefficient[Earlier];
    T const* earlier[Earlier];
    index_t cols;
    ONESTEP_HD void operator()(index_t r, index_t column) const {
        index_t const i = r * cols + column;
        T const h = rows[r].h;
        if (h == T(0)) return;  // arrived: next is x, and what the network says is not asked for
        T const newest = velocity(r, i);
        T slope = c * newest;
        for (int j = 0; j < Earlier; ++j) slope = math::fma(coefficient[j], earlier[j][i], slope);
        k[i] = newest;
        next[i] = math::fma(h, slope, x[i]);
    }
};
/// (error / (atol + rtol max(|x|, |next|)))^2.
template <class T, class Velocity, int Earlier> struct rk45_error {
    Velocity velocity;
    rk45_row<T> const* rows;
    T const *x, *next;
    T c;
    T coefficient[Earlier];
    T const* earlier[Earlier];
    double rtol, atol;
    index_t cols;
    ONESTEP_HD double operator()(index_t r, index_t column) const {
        index_t const i = r * cols + column;
        T const h = rows[r].h;
        if (h == T(0)) return 0;
        T slope = c * velocity(r, i);
        for (int j = 0; j < Earlier; ++j) slope = math::fma(coefficient[j], earlier[j][i], slope);
        double const before = x[i] < T(0) ? -static_cast<double>(x[i]) : static_cast<double>(x[i]);
        double const after = next[i] < T(0) ? -static_cast<double>(next[i]) : static_cast<double>(next[i]);
        double const ratio = static_cast<double>(h) * static_cast<double>(slope) / math::fma(rtol, before > after ? before : after, atol);
        return ratio * ratio;
    }
};
/// Rows whose error is small enough move, and take the last slope for their next first one.
template <class T, class Velocity> struct rk45_accept {
    Velocity velocity;
    rk45_row<T> const* rows;
    double const* error;
    T *x, *k;
    T const* next;
    index_t cols;
    ONESTEP_HD void operator()(index_t r, index_t column) const {
        if (rows[r].h == T(0) || !(error[r] < static_cast<double>(cols))) return;
        index_t const i = r * cols + column;
        x[i] = next[i];
        k[i] = velocity(r, i);
    }
};
struct rk45_store_sum {
    double* sums;
    ONESTEP_HD void operator()(index_t r, double sum) const { sums[r] = sum; }
};
/// (k / (atol + rtol |x|))^2, or of x itself, or of the difference to another slope.
template <class T> struct rk45_size {
    T const *x, *value;
    double rtol, atol;
    index_t cols;
    ONESTEP_HD double operator()(index_t r, index_t column) const {
        index_t const i = r * cols + column;
        double const size = x[i] < T(0) ? -static_cast<double>(x[i]) : static_cast<double>(x[i]);
        double const ratio = static_cast<double>(value[i]) / math::fma(rtol, size, atol);
        return ratio * ratio;
    }
};
template <class T, class Velocity> struct rk45_change {
    Velocity velocity;
    T const *x, *k;
    double rtol, atol;
    index_t cols;
    ONESTEP_HD double operator()(index_t r, index_t column) const {
        index_t const i = r * cols + column;
        double const size = x[i] < T(0) ? -static_cast<double>(x[i]) : static_cast<double>(x[i]);
        double const ratio = static_cast<double>(velocity(r, i) - k[i]) / math::fma(rtol, size, atol);
        return ratio * ratio;
    }
};
}  // namespace functor

/// Dormand and Prince's method of order 5 with an error estimate of order 4, for the probability-flow ODE: the solver chooses
/// its own steps inside each interval of the grid, of which one is enough.
///
/// A step is kept if the root mean square of error / (atol + rtol max(|x|, |x'|)) over a row's elements is below 1; the next one is
/// longer or shorter by 0.9 (that)^(-1/5), between 0.2 and 10 and at most 1 after a refusal. Every row has a step size and a
/// time of its own, so its result does not depend on its batch; the network sees different times in one call. Rows that have
/// arrived wait for the others. The last slope of a step is the first of the next.
///
/// Where the model has no velocity at the end of the interval (x0 and epsilon targets at the data) the last 1e-5 of it is one step of
/// DDIM. Works in both directions.
///
/// Cost: 2 evaluations and 6 for each step tried, of all rows as long as one of them is on its way; 7 tensors of x's shape. Step
/// sizes are computed on the host, which waits for the device once a step.
/// Throws domain_error for tolerances that are not > 0, beyond `max_evaluations` and where a step would be too short for the
/// clock, not_finite_error where the error is not finite at any step size; x is then somewhere on the way.
/// Order: 5 (tests/sampler/rk45.cpp).  Source: Dormand, Prince 1980 (J. Comput. Appl. Math. 6, 19); control as in Hairer, Norsett, Wanner,
/// Solving Ordinary Differential Equations I, section II.4, with the constants of SciPy's RK45.
struct rk45 {
    static constexpr char const* name = "rk45";
    static constexpr int order = 5;
    int steps = 1;                ///< intervals of the grid, >= 1; more only make it land on more times
    double rtol = 1e-5;           ///< > 0; much below 1e-6 means nothing in float
    double atol = 1e-5;           ///< > 0
    double first_step = 0;        ///< length of the first step of each interval, in t; 0: chosen from the slopes
    int max_evaluations = 10000;  ///< in one interval

    void step(auto& run, double t, double s) const;
    void fields(auto&& visit) const {
        visit("steps", steps);
        visit("rtol", rtol);
        visit("atol", atol);
        visit("first_step", first_step);
        visit("max_evaluations", max_evaluations);
    }
    friend bool operator==(rk45 const&, rk45 const&) = default;
};

/// All rows of one interval on their way from t to s.
template <class Run> class rk45_interval {
    using T = typename Run::value_type;
    using Backend = typename Run::backend_type;
    using row = rk45_row<T>;
    static constexpr index_t block = 64;  // rows that the host looks at at once
    static constexpr int clocks = 5;      // stages at different times

public:
    /// x stands at t everywhere.
    rk45_interval(rk45 const& numbers, Run& run, double t, double s)
        : numbers_(numbers), run_(run), device_(run.x().backend()), x_(run.x()), from_(t), to_(s), used_(run.evaluations()) {
        rows_ = run.template row_array<row>(0);
        sums_ = run.template row_array<double>(1);
        sizes_ = run.template row_array<double>(2);
        for (std::size_t c = 0; c < clocks; ++c) clocks_[c] = run.template row_array<row_clock<T>>(3 + c);
        for (view<T, Backend>& k : k_) k = run.scratch();
        next_ = run.scratch();
    }
    void run() {
        start();
        while (prepare()) attempt();
    }

private:
    /// The first slope, and a first step size.
    void start() {
        each([&](row& r, index_t) { r = {from_, to_, std::fmin(numbers_.first_step, std::fabs(to_ - from_)), T(0), false}; });
        tell(0, [&](row const&) { return from_; });
        auto here = run_.velocity_rows(x_, clocks_[0], k_[0]);
        device_.for_each_pair(n(), d(), functor::rk45_store<T, decltype(here)>{here, k_[0].data(), d()});
        if (numbers_.first_step == 0) choose_first_step();
    }
    /// Hairer, Norsett, Wanner, section II.4: the length over which an Euler step changes little, then the one that suits the
    /// second derivative found across it.
    void choose_first_step() {
        double const length = std::fabs(to_ - from_);
        auto const rms = [&](double sum) { return std::sqrt(sum / static_cast<double>(d())); };
        sum_rows(sizes_, functor::rk45_size<T>{x_.data(), x_.data(), numbers_.rtol, numbers_.atol, d()});
        sum_rows(sums_, functor::rk45_size<T>{x_.data(), k_[0].data(), numbers_.rtol, numbers_.atol, d()});
        each_with([&](row& r, double& size, double slope_sum) {
            double const x = rms(size), slope = rms(slope_sum);
            double const h = x < 1e-5 || slope < 1e-5 || !std::isfinite(x / slope) ? 1e-6 : 0.01 * x / slope;
            r.size = std::fmin(h, length);
            r.ahead = r.size == length ? to_ : from_ + direction() * r.size;
            r.h = static_cast<T>(r.ahead - r.t);
            size = slope;
        });
        tell(0, [](row const& r) { return r.ahead; });
        move_first(1);
        auto ahead = run_.velocity_rows(next_, clocks_[0], k_[1]);
        sum_rows(sums_, functor::rk45_change<T, decltype(ahead)>{ahead, x_.data(), k_[0].data(), numbers_.rtol, numbers_.atol, d()});
        each_with([&](row& r, double& slope, double change_sum) {
            double const change = rms(change_sum) / r.size, larger = std::fmax(slope, change);
            double const h = larger <= 1e-15 ? std::fmax(1e-6, r.size * 1e-3) : std::pow(0.01 / larger, 0.2);
            r.size = std::fmin(std::fmin(100 * r.size, h), length);
        });
    }
    /// The times of the next step of each row; whether any is left.
    bool prepare() {
        bool left = false;
        each([&](row& r, index_t number) {
            if (r.t == to_) {
                r.h = T(0);
                return;
            }
            left = true;
            double const shortest = 10 * std::fabs(std::nextafter(r.t, to_) - r.t);
            if (r.size < shortest) {
                if (r.rejected)
                    raise<domain_error>(rk45::name, row_name(number, r) + " and its error is too large for every step that t resolves",
                                        "loosen rtol and atol, or end the grid earlier");
                r.size = shortest;
            }
            double const ahead = r.t + direction() * r.size;
            r.ahead = direction() * (ahead - to_) > 0 ? to_ : ahead;
            r.h = static_cast<T>(r.ahead - r.t);
        });
        if (!left) return false;
        if (run_.evaluations() - used_ + 6 > numbers_.max_evaluations)
            each([&](row& r, index_t number) {
                if (r.t != to_)
                    raise<domain_error>(
                        rk45::name, row_name(number, r) + " after " + std::to_string(run_.evaluations() - used_) + " evaluations",
                        "max_evaluations is " + std::to_string(numbers_.max_evaluations) + "; raise it, or loosen rtol and atol");
            });
        constexpr double at[clocks - 1] = {0.2, 0.3, 0.8, 8.0 / 9};
        for (std::size_t c = 0; c + 1 < clocks; ++c)
            tell(c, [&](row const& r) { return r.h == 0 ? from_ : r.t + at[c] * (r.ahead - r.t); });
        tell(clocks - 1, [&](row const& r) { return r.h == 0 ? from_ : r.ahead; });
        return true;
    }
    void attempt() {
        move_first(0.2);
        stage<1>(0, 1, 9.0 / 40, {3.0 / 40}, {0});
        stage<2>(1, 2, 32.0 / 9, {44.0 / 45, -56.0 / 15}, {0, 1});
        stage<3>(2, 3, -212.0 / 729, {19372.0 / 6561, -25360.0 / 2187, 64448.0 / 6561}, {0, 1, 2});
        stage<4>(3, 4, -5103.0 / 18656, {9017.0 / 3168, -355.0 / 33, 46732.0 / 5247, 49.0 / 176}, {0, 1, 2, 3});
        stage<4>(4, 5, 11.0 / 84, {35.0 / 384, 500.0 / 1113, 125.0 / 192, -2187.0 / 6784}, {0, 2, 3, 4});
        // next is the new state; the second slope's memory is free for the last one
        auto last = run_.velocity_rows(next_, clocks_[4], k_[1]);
        functor::rk45_error<T, decltype(last), 5> error{};
        error.velocity = last;
        error.rows = rows_;
        error.x = x_.data();
        error.next = next_.data();
        error.c = T(1.0 / 40);
        constexpr double coefficient[5] = {-71.0 / 57600, 71.0 / 16695, -71.0 / 1920, 17253.0 / 339200, -22.0 / 525};
        constexpr std::size_t earlier[5] = {0, 2, 3, 4, 5};
        for (std::size_t j = 0; j < 5; ++j) {
            error.coefficient[j] = static_cast<T>(coefficient[j]);
            error.earlier[j] = k_[earlier[j]].data();
        }
        error.rtol = numbers_.rtol;
        error.atol = numbers_.atol;
        error.cols = d();
        sum_rows(sums_, error);
        device_.for_each_pair(n(), d(),
                              functor::rk45_accept<T, decltype(last)>{last, rows_, sums_, x_.data(), k_[0].data(), next_.data(), d()});
        control();
    }
    /// Moves the clocks of rows that were accepted and chooses the next step of all.
    void control() {
        index_t number = 0;
        each_with([&](row& r, double&, double sum) {
            index_t const here = number++;
            if (r.h == T(0)) return;
            double const error = std::sqrt(sum / static_cast<double>(d()));
            if (sum < static_cast<double>(d())) {
                double const factor = error == 0 ? 10 : std::fmin(10, 0.9 * std::pow(error, -0.2));
                r.size = std::fabs(r.ahead - r.t) * (r.rejected ? std::fmin(1, factor) : factor);
                r.t = r.ahead;
                r.rejected = false;
                return;
            }
            double const size = std::fabs(r.ahead - r.t);
            if (!std::isfinite(error) && size <= 1e-9 * std::fabs(to_ - from_))
                raise<not_finite_error>(rk45::name, row_name(here, r) + " and the error of a step is " + to_string(error),
                                        "the state or the network's answer is NaN or infinite");
            r.size = size * (std::isfinite(error) ? std::fmax(0.2, 0.9 * std::pow(error, -0.2)) : 0.2);
            r.rejected = true;
        });
    }

    void move_first(double c) {
        device_.for_each_pair(n(), d(), functor::rk45_first_stage<T>{rows_, x_.data(), k_[0].data(), next_.data(), static_cast<T>(c), d()});
    }
    /// Asks the network at what stands in `next`, keeps the slope as number `at` and moves on to the next stage.
    template <int Earlier>
    void stage(std::size_t clock, std::size_t at, double c, double const (&coefficient)[Earlier], std::size_t const (&earlier)[Earlier]) {
        auto velocity = run_.velocity_rows(next_, clocks_[clock], k_[at]);
        functor::rk45_stage<T, decltype(velocity), Earlier> pass{};
        pass.velocity = velocity;
        pass.rows = rows_;
        pass.x = x_.data();
        pass.k = k_[at].data();
        pass.next = next_.data();
        pass.c = static_cast<T>(c);
        for (std::size_t j = 0; j < Earlier; ++j) {
            pass.coefficient[j] = static_cast<T>(coefficient[j]);
            pass.earlier[j] = k_[earlier[j]].data();
        }
        pass.cols = d();
        device_.for_each_pair(n(), d(), pass);
    }

    /// visit(row, number) on the host, for all rows, which it may change.
    template <class Visit> void each(Visit const& visit) {
        row rows[block];
        for (index_t first = 0; first < n(); first += block) {
            index_t const count = std::min(block, n() - first);
            device_.download(rows_ + first, count, rows);
            for (index_t i = 0; i < count; ++i) visit(rows[i], first + i);
            device_.upload(rows, count, rows_ + first);
        }
    }
    /// visit(row, size, sum) likewise, with numbers of sizes_, which it may change, and of sums_.
    template <class Visit> void each_with(Visit const& visit) {
        row rows[block];
        double sizes[block], sums[block];
        for (index_t first = 0; first < n(); first += block) {
            index_t const count = std::min(block, n() - first);
            device_.download(rows_ + first, count, rows);
            device_.download(sizes_ + first, count, sizes);
            device_.download(sums_ + first, count, sums);
            for (index_t i = 0; i < count; ++i) visit(rows[i], sizes[i], sums[i]);
            device_.upload(rows, count, rows_ + first);
            device_.upload(sizes, count, sizes_ + first);
        }
    }
    /// Sets clock c of each row to time(row).
    template <class Time> void tell(std::size_t c, Time const& time) {
        row rows[block];
        row_clock<T> told[block];
        for (index_t first = 0; first < n(); first += block) {
            index_t const count = std::min(block, n() - first);
            device_.download(rows_ + first, count, rows);
            for (index_t i = 0; i < count; ++i) told[i] = run_.clock(time(rows[i]));
            device_.upload(told, count, clocks_[c] + first);
        }
    }
    template <class Term> void sum_rows(double* sums, Term const& term) {
        device_.template reduce_rows<double>(n(), d(), term, functor::rk45_store_sum{sums});
    }
    std::string row_name(index_t number, row const& r) const {
        return "row " + std::to_string(number) + " stands at t = " + to_string(r.t);
    }
    double direction() const { return to_ < from_ ? -1 : 1; }
    index_t n() const { return x_.rows(); }
    index_t d() const { return x_.cols(); }

    rk45 const& numbers_;
    Run& run_;
    Backend& device_;
    view<T, Backend> x_, next_;
    std::array<view<T, Backend>, 6> k_;
    std::array<row_clock<T>*, clocks> clocks_;
    row* rows_ = nullptr;
    double *sums_ = nullptr, *sizes_ = nullptr;
    double from_, to_;
    index_t used_;
};

void rk45::step(auto& run, double t, double s) const {
    if (!(rtol > 0) || !(atol > 0))
        raise<domain_error>(name, "rtol is " + to_string(rtol) + " and atol is " + to_string(atol), "both must be > 0");
    if (!(first_step >= 0)) raise<domain_error>(name, "first_step is " + to_string(first_step), "it must be >= 0");
    bool const arrives = run.has_velocity(s);
    double const end = arrives ? s : s + 1e-5 * (t - s);
    rk45_interval<std::remove_reference_t<decltype(run)>>(*this, run, t, end).run();
    if (arrives) return;
    auto const& p = run.process();
    double const left = p.sigma(s) / p.sigma(end);
    run.advance(run.predict(run.x(), end), left, p.alpha(s) - p.alpha(end) * left);
}

}  // namespace onestep
