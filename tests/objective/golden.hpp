#pragma once
/// Recordings of objectives by PyTorch's autograd (tests/golden/objective), and ours beside them.
///
///     golden_json const file = golden_file("flow_matching");
///     auto net = golden_network(file);
///     auto const x0 = golden_tensor(file["x0"]), noise = golden_tensor(file["noise"]);
///     model flow{net, rectified_flow{}, velocity{}};
///     batch<double, backend_type> const data{x0.view(), noise.view()};
///     flow_matching const objective(squared{}, given_times{golden_numbers(file["t"])});
///     check_golden(accumulate(objective, flow, data, {}), net, golden_case(file, "squared"));
///
/// Tests that include this are called golden_<method>.cpp: they are left out where there is no JSON.
#include <fstream>
#include <string>

#include <nlohmann/json.hpp>

#include <onestep/time/pair.hpp>

#include "gradient.hpp"

namespace onestep::test {

using golden_json = nlohmann::json;

/// tests/golden/objective/<name>.json.
inline golden_json golden_file(std::string const& name) {
    return golden_json::parse(std::ifstream(ONESTEP_TEST_DATA "/objective/" + name + ".json"));
}
/// The entry of "cases" with that name.
inline golden_json golden_case(golden_json const& file, std::string const& name) {
    for (golden_json const& entry : file.at("cases"))
        if (entry.at("name") == name) return entry;
    FAIL("the file has no case ", name);
    return {};
}

inline std::vector<double> golden_numbers(golden_json const& list) { return list.get<std::vector<double>>(); }
/// [n, d] of a list of rows, [n] of a list of numbers.
inline tensor<double, backend_type> golden_tensor(golden_json const& list) {
    auto const n = static_cast<index_t>(list.size());
    if (!list.at(0).is_array()) return {device(), {n}, golden_numbers(list)};
    std::vector<double> values;
    for (golden_json const& row : list)
        for (double value : golden_numbers(row)) values.push_back(value);
    return {device(), {n, static_cast<index_t>(list.at(0).size())}, values};
}
inline tensor<std::int32_t, backend_type> golden_labels(golden_json const& list) {
    return {device(), {static_cast<index_t>(list.size())}, list.get<std::vector<std::int32_t>>()};
}

/// An mlp with a file's options and one of its sets of parameters.
inline mlp<double, backend_type> golden_network(golden_json const& file, char const* parameters = "parameters",
                                                char const* options = "network") {
    golden_json const& given = file.at(options);
    mlp_options made{.width = given.at("width"), .blocks = given.at("blocks"), .embedding = given.at("embedding")};
    std::vector<index_t> const extents = given.at("data");
    made.data = shape{extents.at(0)};
    REQUIRE(extents.size() == 1);
    made.time.size = given.at("time").at("size");
    made.time.scale = given.at("time").at("scale");
    made.classes = given.at("classes");
    made.second_time = given.at("second_time");
    mlp<double, backend_type> net(device(), made);
    std::vector<double> flat;
    for (parameter const& p : net.names()) {
        std::vector<double> const values = golden_numbers(file.at(parameters).at(p.name));
        REQUIRE(static_cast<index_t>(values.size()) == p.extents.size());
        REQUIRE(static_cast<index_t>(flat.size()) == p.offset);
        flat.insert(flat.end(), values.begin(), values.end());
    }
    REQUIRE(flat.size() == static_cast<std::size_t>(net.parameters().size()));
    device().upload(flat.data(), net.parameters().size(), net.parameters().data());
    return net;
}

/// A density whose row r is at times[r].
struct given_times {
    static constexpr char const* name = "given_times";
    std::vector<double> times;
    double sample(process auto const&, random_stream, index_t row) const { return times.at(static_cast<std::size_t>(row)); }
    void fields(auto&&) const {}
};
/// Of pairs: row r goes from t[r] to s[r].
struct given_pairs {
    static constexpr char const* name = "given_pairs";
    std::vector<double> t, s;
    time_pair sample(process auto const&, random_stream, index_t row, index_t) const {
        return {t.at(static_cast<std::size_t>(row)), s.at(static_cast<std::size_t>(row))};
    }
    void fields(auto&&) const {}
};

/// Compares gradients {name: flat list} with those in a flat view, to `tolerance` of the largest; then sets them to zero.
inline void check_golden_gradient(parameter_list const& names, view<double, backend_type> gradients, golden_json const& expected,
                                  double tolerance = 1e-10) {
    std::vector<double> const ours = to_host(gradients);
    double size = 0, worst = 0;
    std::string where;
    for (parameter const& p : names) {
        std::vector<double> const theirs = golden_numbers(expected.at(p.name));
        REQUIRE(static_cast<index_t>(theirs.size()) == p.extents.size());
        for (std::size_t i = 0; i < theirs.size(); ++i) {
            double const difference = std::fabs(ours[static_cast<std::size_t>(p.offset) + i] - theirs[i]);
            if (!(difference <= worst)) worst = std::isnan(difference) ? HUGE_VAL : difference, where = p.name;
            size = std::fmax(size, std::fabs(theirs[i]));
        }
    }
    CAPTURE(where);
    CHECK(size > 1e-4);
    CHECK(worst <= tolerance * size);
    fill(gradients, 0);
}

/// Compares the loss, the loss without weights if the case has one ("plain"), and the network's gradients, which are then set to zero.
template <class Network> void check_golden(loss_value const& loss, Network& net, golden_json const& expected, double tolerance = 1e-10) {
    std::string const of = expected.at("name");
    CAPTURE(of);
    CHECK(loss.weighted == doctest::Approx(expected.at("loss").get<double>()).epsilon(tolerance));
    if (expected.contains("plain")) CHECK(loss.plain == doctest::Approx(expected.at("plain").get<double>()).epsilon(tolerance));
    check_golden_gradient(net.names(), net.gradients(), expected.at("gradient"), tolerance);
}

}  // namespace onestep::test
