#include <doctest/doctest.h>
#include <onestep/network/check.hpp>
#include <onestep/network/conditioned.hpp>

#include "network/networks.hpp"

namespace onestep::check_tests {
namespace {

using test::fault;
using test::small_network;

/// The report of a check must consist of exactly one sentence, which starts so.
void only(check_report const& report, std::string const& sentence) {
    CAPTURE(to_string(report));
    CHECK(!report.ok());
    CHECK(report.failures.size() == 1);
    CHECK(to_string(report).rfind(sentence, 0) == 0);
}

/// What forward_jvp does wrong.
enum class slip { none, other_y, other_tangents, all_rows_or_none, keeps_nothing };

struct at_once : small_network<double> {
    slip which;
    explicit at_once(cpu& device, slip s) : small_network<double>(device), which(s) {}
    void forward_jvp(input x, input vx, input t, input vt, output y, output vy) {
        index_t const n = vx.rows();
        if (which != slip::keeps_nothing) forward(x, t, y);
        else (*this)(x, t, y);
        std::vector<double> scratch(static_cast<std::size_t>(vx.size()));
        jvp(x.rows(0, n), vx, t.rows(0, n), vt, output(x.backend(), scratch.data(), vx.shape()), vy);
        if (which == slip::other_y) y.data()[y.size() - 1] += 0.125;
        if (which == slip::other_tangents) vy.data()[0] *= 1.5;
        if (which == slip::all_rows_or_none && n < x.rows()) vy.data()[0] = 0;
    }
};
/// A flow map's, without parameters.
struct map_at_once : test::labelled_map {
    template <class T>
    void forward_jvp(view<T const, cpu> x, view<T const, cpu> vx, view<T const, cpu> t, view<T const, cpu> vt, view<T const, cpu> s,
                     view<T const, cpu> vs, view<std::int32_t const, cpu> l, view<T, cpu> y, view<T, cpu> vy) const {
        index_t const n = vx.rows();
        (*this)(x, t, s, l, y);
        (*this)(vx, vt, vs, l.rows(0, n), vy.rows(0, n));
    }
};

TEST_CASE("check: a right network passes, in double and in float") {
    cpu device;
    small_network<double> in_double(device);
    small_network<float> in_float(device);
    for (auto const& report : {check_gradients(in_double, {.data = {3}}), check_jvp(in_double, {.data = {3}})}) {
        CHECK_MESSAGE(report.ok(), to_string(report));
        CHECK(report.worst < 1e-9);
        CHECK(report.tolerance == 1e-6);
        CHECK(to_string(report).rfind("ok: worst relative error ", 0) == 0);
    }
    for (auto const& report : {check_gradients(in_float, {.data = {3}}), check_jvp(in_float, {.data = {3}})}) {
        CHECK_MESSAGE(report.ok(), to_string(report));
        CHECK(report.tolerance == 2e-2);
    }
}

TEST_CASE("check: another shape, number of rows and seed") {
    cpu device;
    small_network<double> net(device);
    for (index_t rows : {1, 2, 7}) {
        check_options const options{
            .data = {2, 3, 1}, .rows = rows, .t_min = 1, .t_max = 80, .directions = 2, .seed = 5, .step = 1e-3, .tolerance = 1e-5};
        auto const report = check_gradients(net, options);
        CHECK_MESSAGE(report.ok(), to_string(report));
        CHECK(report.tolerance == 1e-5);
        CHECK(check_jvp(net, options).ok());
    }
}

TEST_CASE("check: parameters and gradients are put back") {
    cpu device;
    for (fault which : {fault::none, fault::wrong_sign}) {
        small_network<double> net(device, which);
        net.gradients().data()[0] = 3;
        net.gradients().data()[1] = 4;
        check_gradients(net, {.data = {3}});
        check_jvp(net, {.data = {3}});
        CHECK(to_host(net.parameters()) == std::vector<double>{0.5, -2});
        CHECK(to_host(net.gradients()) == std::vector<double>{3, 4});
    }
}

TEST_CASE("check: check_gradients names the one promise that is broken") {
    cpu device;
    auto const report = [&](fault which) {
        small_network<double> net(device, which);
        return check_gradients(net, {.data = {3}});
    };
    only(report(fault::wrong_sign), "backward disagrees with finite differences: along a direction they give ");
    only(report(fault::missing_parameter), "backward disagrees with finite differences: along a direction they give ");
    CHECK(report(fault::wrong_sign).worst > 0.1);
    only(report(fault::overwrites), "backward does not add to the gradients (relative difference ");
    only(report(fault::inference_clobbers), "an evaluation disturbs a forward that waits for its backward (relative difference ");
    only(report(fault::forward_differs), "forward gives another y than the network itself (relative difference ");

    auto const mixed = report(fault::mixes_rows);
    CHECK(to_string(mixed).find("a row of y depends on other rows than its own") != std::string::npos);
    auto const random = report(fault::not_repeatable);
    CHECK(to_string(random).find("equal inputs give different outputs") != std::string::npos);
    auto const moved = report(fault::moves);
    CHECK(to_string(moved).find("parameters or gradients moved to another address") != std::string::npos);
}

TEST_CASE("check: float finds the same faults") {
    cpu device;
    for (fault which : {fault::wrong_sign, fault::overwrites, fault::mixes_rows, fault::inference_clobbers}) {
        small_network<float> net(device, which);
        CHECK(!check_gradients(net, {.data = {3}}).ok());
    }
    small_network<float> net(device, fault::forgets_time);
    CHECK(!check_jvp(net, {.data = {3}}).ok());
}

TEST_CASE("check: check_jvp names the one promise that is broken") {
    cpu device;
    auto const report = [&](fault which) {
        small_network<double> net(device, which);
        return check_jvp(net, {.data = {3}});
    };
    only(report(fault::forgets_time), "jvp along t disagrees with finite differences (relative error 1)");
    only(report(fault::not_linear), "jvp is not linear in its tangents");
    only(report(fault::jvp_clobbers), "jvp disturbs a forward that waits for its backward");
    CHECK(to_string(report(fault::jvp_of_other_y)).rfind("jvp gives another y than the network itself", 0) == 0);
    CHECK(report(fault::wrong_sign).ok());  // not its business
}

TEST_CASE("check: forward_jvp is compared with forward, jvp and backward where there is one") {
    cpu device;
    auto const report = [&](slip which, index_t rows = 3) {
        at_once net(device, which);
        auto const found = check_jvp(net, {.data = {3}, .rows = rows});
        CHECK(check_gradients(net, {.data = {3}}).ok());
        CHECK(to_host(net.gradients()) == std::vector<double>(2));
        return found;
    };
    CHECK(report(slip::none).ok());
    CHECK(report(slip::none, 1).ok());
    only(report(slip::other_y), "forward_jvp gives another y than the network itself (relative difference ");
    only(report(slip::other_tangents), "forward_jvp gives other tangents than jvp (relative difference ");
    only(report(slip::all_rows_or_none), "forward_jvp gives other tangents than jvp (relative difference ");
    only(report(slip::keeps_nothing), "backward gives other gradients after forward_jvp than after forward (relative difference ");
    CHECK(report(slip::all_rows_or_none, 1).ok());  // cannot be seen with one row
    auto const labels = class_labels(device, {0, 2, 1}, 3);
    conditioned const map{map_at_once{}, labels};
    CHECK(check_jvp<double>(map, device, {.data = {4}}).ok());
}

TEST_CASE("check: networks without parameters, with two times and with labels") {
    cpu device;
    auto const labels = class_labels(device, {0, 2, 1}, 3);
    conditioned const net{test::labelled_map{}, labels};
    auto const report = check_jvp<double>(net, device, {.data = {4}});
    CHECK_MESSAGE(report.ok(), to_string(report));
    CHECK(check_jvp<float>(net, device, {.data = {4}}).ok());
}

TEST_CASE("check: a network whose output is not finite fails, it does not throw") {
    cpu device;
    small_network<double> net(device);
    net.parameters().data()[0] = HUGE_VAL;
    CHECK(!check_gradients(net, {.data = {3}}).ok());
    CHECK(!check_jvp(net, {.data = {3}}).ok());
}

TEST_CASE("check: options outside their range are refused") {
    cpu device;
    small_network<double> net(device);
    auto const refused = [&](check_options const& options, char const* text) {
        CHECK_THROWS_WITH_AS(check_gradients(net, options), text, error);
        CHECK_THROWS_WITH_AS(check_jvp(net, options), text, error);
    };
    refused({.data = {3, 0}}, "shape_error: check_options: data is [3, 0], a sample has at least one element");
    refused({.data = {1, 1, 1, 1, 1, 1}},
            "shape_error: check_options: data is [1, 1, 1, 1, 1, 1], a batch has one extent more, and at most 6");
    refused({.rows = 0}, "domain_error: check_options: rows is 0, it must be at least 1");
    refused({.t_min = 1}, "domain_error: check_options: t_max is 0.95, it must be finite and above t_min");
    refused({.second_time = true}, "domain_error: check_options: second_time is true, this network is called as net(x, t, y)");
    refused({.directions = 0}, "domain_error: check_options: directions is 0, it must be at least 1");
    refused({.disturbance = -1}, "domain_error: check_options: disturbance is -1, it must be finite and not negative");
    refused({.step = -1}, "domain_error: check_options: step is -1, it must be finite and not negative");
    refused({.tolerance = -1}, "domain_error: check_options: tolerance is -1, it must be finite and not negative");
}

}  // namespace
}  // namespace onestep::check_tests
