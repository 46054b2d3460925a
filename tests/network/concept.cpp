#include <doctest/doctest.h>
#include <onestep/network/concept.hpp>
#include <onestep/network/conditioned.hpp>
#include <onestep/network/mlp.hpp>

#include "network/networks.hpp"

namespace onestep::network_concept_tests {
namespace {

/// Which concepts a type satisfies, one letter each: network, two times, labels, trainable, differentiable; capitals: with two times.
template <class N, class T = float> std::string kinds() {
    std::string text;
    if (network<N, T, cpu>) text += 'n';
    if (two_time_network<N, T, cpu>) text += '2';
    if (labelled_network<N, T, cpu>) text += 'l';
    if (trainable_network<N>) text += 't';
    if (differentiable_network<N, T, cpu>) text += 'd';
    if (two_time_trainable_network<N>) text += 'T';
    if (two_time_differentiable_network<N, T, cpu>) text += 'D';
    return text;
}

struct callable {
    void operator()(auto x, auto, auto y) const { y.data()[0] = x.data()[0]; }
};
struct needs_mutable {
    void operator()(view<float const, cpu>, view<float const, cpu>, view<float, cpu>) {}
};
struct half_trainable : callable {
    view<float, cpu> parameters() { return {}; }
    view<float, cpu> gradients() { return {}; }
    void forward(view<float const, cpu>, view<float const, cpu>, view<float, cpu>) {}
};
struct disagreeing : half_trainable {
    view<double, cpu> gradients() { return {}; }
    void backward(view<float const, cpu>) {}
};
struct trainable : half_trainable {
    void backward(view<float const, cpu>) {}
};

TEST_CASE("concept: callables of several shapes are the networks they should be") {
    auto const generic = [](auto x, auto t, auto y) { y.data()[0] = x.data()[0] * t.data()[0]; };
    auto const typed = [](view<float const, cpu>, view<float const, cpu>, view<float, cpu>) {};
    auto const two = [](view<float const, cpu>, view<float const, cpu>) {};
    auto const reads_only = [](view<float const, cpu>, view<float const, cpu>, view<float const, cpu>) {};
    auto const flow_map = [](view<float const, cpu>, view<float const, cpu>, view<float const, cpu>, view<float, cpu>) {};
    auto const labelled = [](view<float const, cpu>, view<float const, cpu>, view<std::int32_t const, cpu>, view<float, cpu>) {};
    CHECK(kinds<decltype(generic)>() == "n");
    CHECK(kinds<decltype(generic), double>() == "n");
    CHECK(kinds<decltype(typed)>() == "n");
    CHECK(kinds<decltype(typed), double>() == "");
    CHECK(kinds<decltype(two)>() == "");
    CHECK(kinds<decltype(reads_only)>() == "n");  // a view of mutable memory converts
    CHECK(kinds<decltype(flow_map)>() == "2");
    CHECK(kinds<decltype(labelled)>() == "l");
    CHECK(kinds<callable>() == "n");
    CHECK(kinds<needs_mutable>() == "n");
    CHECK(kinds<needs_mutable const>() == "");
    CHECK(kinds<void (*)(view<float const, cpu>, view<float const, cpu>, view<float, cpu>)>() == "n");
    CHECK(kinds<int>() == "");
}

TEST_CASE("concept: training needs everything it needs") {
    CHECK(kinds<half_trainable>() == "n");
    CHECK(kinds<disagreeing>() == "n");
    CHECK(kinds<trainable>() == "nt");
    CHECK(kinds<test::small_network<float>>() == "ntd");
    CHECK(kinds<test::small_network<double>>() == "t");  // asked about float; it trains in double
    static_assert(std::same_as<scalar_of<test::small_network<double>>, double>);
    static_assert(std::same_as<backend_of<trainable>, cpu>);
    static_assert(has_parameters<half_trainable> && !has_parameters<callable> && !has_parameters<disagreeing>);
}

TEST_CASE("concept: a flow map trains with two times, and is differentiable with two tangents of time") {
    struct map_alone {
        void operator()(view<float const, cpu>, view<float const, cpu>, view<float const, cpu>, view<float, cpu>) {}
        view<float, cpu> parameters() { return {}; }
        view<float, cpu> gradients() { return {}; }
    };
    struct with_forward : map_alone {
        void forward(view<float const, cpu>, view<float const, cpu>, view<float const, cpu>, view<float, cpu>) {}
    };
    struct with_backward : with_forward {
        void backward(view<float const, cpu>) {}
    };
    struct with_jvp : with_backward {
        using input = view<float const, cpu>;
        void jvp(input, input, input, input, input, input, view<float, cpu>, view<float, cpu>) {}
    };
    CHECK(kinds<map_alone>() == "2");
    CHECK(kinds<with_forward>() == "2");
    CHECK(kinds<with_backward>() == "2T");
    CHECK(kinds<with_jvp>() == "2TD");
    CHECK(kinds<trainable>() == "nt");  // of one time
}

TEST_CASE("concept: mlp and its conditioned view") {
    using net = mlp<float, cpu>;
    CHECK(kinds<net>() == "n2ltdTD");
    CHECK(kinds<net const>() == "n2ldD");
    CHECK(kinds<net, double>() == "tT");
    CHECK(kinds<conditioned<net, cpu>>() == "n2tdTD");
    CHECK(kinds<conditioned<net&, cpu>>() == "n2tdTD");
    CHECK(kinds<conditioned<callable, cpu>>() == "");  // takes no labels
    CHECK(kinds<conditioned<test::labelled_map, cpu>>() == "2D");
    CHECK(kinds<conditioned<test::labelled_map, cpu>, double>() == "2D");
}

}  // namespace
}  // namespace onestep::network_concept_tests
