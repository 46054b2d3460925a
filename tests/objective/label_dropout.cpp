#include <onestep/objective/label_dropout.hpp>

#include <onestep/objective/flow_matching.hpp>
#include <onestep/objective/learned_weight.hpp>
#include <onestep/objective/shortcut_training.hpp>

#include "gradient.hpp"

namespace label_dropout_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

std::vector<std::int32_t> many_labels(index_t n) {
    std::vector<std::int32_t> labels;
    for (index_t r = 0; r < n; ++r) labels.push_back(static_cast<std::int32_t>(r % 3));
    return labels;
}

/// Labels of the problem that an objective builds.
template <class Objective, class Model>
std::vector<std::int32_t> built_labels(Objective const& objective, Model& model, batch<float, backend_type> const& data, random_key key) {
    auto const memory = device().scratch();
    return to_host(objective.build(model, data, key, *memory).call.labels);
}

/// A network that takes labels and does not say how many there are.
struct nameless {
    void operator()(view<float const, backend_type>, view<float const, backend_type>, view<float, backend_type>) const {}
};

}  // namespace

TEST_CASE("label_dropout: withholds the share that is asked for, from the stream, and nothing else") {
    index_t const n = 40'000;
    auto const labels = many_labels(n);
    tensor<std::int32_t, backend_type> const given(device(), {n}, labels);
    random_stream const stream = random_key{5, 6}.at(draw::label);
    for (double share : {0.1, 0.5, 0.9}) {
        CAPTURE(share);
        auto const memory = device().scratch();
        auto const out = to_host(drop_labels(given.view(), share, 3, stream, *memory));
        double dropped = 0;
        bool same = true;
        for (std::size_t r = 0; r < labels.size(); ++r) {
            bool const drops = uniform(stream, static_cast<index_t>(r)) < share;
            same = same && out[r] == (drops ? 3 : labels[r]);
            dropped += drops;
        }
        CHECK(same);
        double const deviation = std::sqrt(share * (1 - share) / static_cast<double>(n));
        CHECK(std::fabs(dropped / static_cast<double>(n) - share) < 5 * deviation);  // one seed in a million fails
    }
    auto const memory = device().scratch();
    auto const later = to_host(drop_labels(given.view(), 0.5, 3, stream, *memory, 100));
    CHECK(std::vector<std::int32_t>(later.begin(), later.begin() + 100) == std::vector<std::int32_t>(labels.begin(), labels.begin() + 100));
    CHECK(to_host(drop_labels(given.view(), 1, 3, stream, *memory)) == std::vector<std::int32_t>(labels.size(), 3));
    CHECK(drop_labels(given.view(), 0, 3, stream, *memory).data() == given.data());
    CHECK(drop_labels(view<std::int32_t const, backend_type>{}, 0.5, 3, stream, *memory).data() == nullptr);
}

TEST_CASE("label_dropout: an objective in it builds the same problem with other labels") {
    auto net = lively_mlp<float>({.data = {2}, .width = 4, .blocks = 1, .classes = 3});
    model flow{net, rectified_flow{}, velocity{}};
    index_t const n = 400;
    tensor<float, backend_type> const x0 = normal<float>(device(), {n, 2}, 4);
    tensor<std::int32_t, backend_type> const labels(device(), {n}, many_labels(n));
    batch<float, backend_type> const data{x0.view(), {}, labels.view()};
    random_key const key{8, 2};
    label_dropout const objective{flow_matching{}, 0.3};
    auto const out = built_labels(objective, flow, data, key);
    for (index_t r = 0; r < n; ++r)
        CHECK(out[static_cast<std::size_t>(r)] ==
              (uniform(key.at(draw::label), r) < 0.3 ? 3 : many_labels(n)[static_cast<std::size_t>(r)]));
    // The loss is that of the labels it leaves, and of none where it withholds all.
    tensor<std::int32_t, backend_type> const left(device(), {n}, out);
    auto const loss = [&](auto const& with, batch<float, backend_type> const& of) { return accumulate(with, flow, of, key).weighted; };
    CHECK(loss(objective, data) == loss(flow_matching{}, {x0.view(), {}, left.view()}));
    CHECK(loss(label_dropout{flow_matching{}, 1}, data) == loss(flow_matching{}, {x0.view()}));
    CHECK(loss(label_dropout{flow_matching{}, 0}, data) == loss(flow_matching{}, data));
    CHECK(loss(objective, {x0.view()}) == loss(flow_matching{}, {x0.view()}));
    // A row's label does not depend on the batch around it.
    auto const part = built_labels(objective, flow, {x0.view().rows(50, 20), {}, labels.view().rows(50, 20)}, key.from_row(50));
    CHECK(part == std::vector<std::int32_t>(out.begin() + 50, out.begin() + 70));
}

TEST_CASE("label_dropout: passes on what an objective has besides") {
    using shortcut = label_dropout<shortcut_training>;
    static_assert(has_target_decay<shortcut> && !has_target_decay<label_dropout<flow_matching<>>>);
    static_assert(learns_weight<label_dropout<learned_weighting<flow_matching<>>>>() && !learns_weight<shortcut>());
    using map = flow_map_model<mlp<float, backend_type>&, rectified_flow, average_velocity>;
    static_assert(builds_with_target<shortcut, map, map, float, backend_type> && !builds<shortcut, map, float, backend_type>);
    CHECK(shortcut{shortcut_training{.decay = 0.75}}.target_decay(3) == 0.75);
    auto net = lively_mlp<float>({.data = {2}, .width = 4, .blocks = 1, .classes = 3, .second_time = true});
    flow_map_model fast{net};
    tensor<float, backend_type> const x0 = normal<float>(device(), {12, 2}, 4);
    tensor<std::int32_t, backend_type> const labels(device(), {12}, many_labels(12));
    batch<float, backend_type> const data{x0.view(), {}, labels.view()};
    shortcut_training const inner{.levels = 2};
    CHECK(accumulate(label_dropout{inner, 1}, fast, data, random_key{8}).weighted ==
          accumulate(inner, fast, batch<float, backend_type>{x0.view()}, random_key{8}).weighted);
}

TEST_CASE("label_dropout: refuses shares outside their range, and is a spec") {
    CHECK_THROWS_WITH_AS((label_dropout{flow_matching{}, 1.5}), "domain_error: label_dropout: share is 1.5, it must lie in [0, 1]",
                         domain_error);
    CHECK_THROWS_AS((label_dropout{flow_matching{}, std::nan("")}), domain_error);
    auto const memory = device().scratch();
    tensor<std::int32_t, backend_type> const labels(device(), {2}, std::vector<std::int32_t>{0, 1});
    random_stream const stream = random_key{5}.at(draw::label);
    CHECK_THROWS_WITH_AS(drop_labels_for("mean_flow", nameless{}, labels.view(), 0.1, stream, *memory),
                         "domain_error: mean_flow: label_dropout is 0.1, this network does not say which label means none: it has no "
                         "classes(); or drop none by 0",
                         domain_error);
    CHECK(drop_labels_for("mean_flow", nameless{}, labels.view(), 0, stream, *memory).data() == labels.data());
    CHECK(to_string(label_dropout{flow_matching{}}) ==
          "label_dropout{objective = flow_matching{distance = squared{}, density = uniform_density{}, weight = unit_weight{}}, "
          "share = 0.1}");
}

}  // namespace label_dropout_tests
