// Every method on every backend: the losses of one step, in double, as first found on the CPU.
#include <onestep/objective/accumulate.hpp>

#include <doctest/doctest.h>

#include <map>

#include "../methods.hpp"
#include "../test_backend.hpp"

namespace objective_methods_tests {

using namespace onestep;
using namespace onestep::test;

TEST_CASE("every method: the same loss and gradient on every backend") {
    struct found {
        double loss, gradient;
    };
    std::map<std::string, found> const known{
        {"flow matching", {2.1998810035626573, 1.008034564830062}},
        {"denoising", {0.2607199426061558, 0.31352819217318006}},
        {"optimal transport", {1.0147773057284586, 0.9378035347144171}},
        {"label dropout", {2.188975473003721, 1.001457401545263}},
        {"learned weight", {2.1998810035626573, 1.008034564830062}},
        {"one step", {2.3884261628290604, 1.0146607799221439}},
        {"four steps", {1.2117118731017102, 0.9754097858309736}},
        {"online reflow", {0.13160406173779657, 0.6494658510048187}},
        {"live reflow", {0.004092717617345436, 0.08763292760451022}},
        {"progressive", {0.08526501316772032, 0.508556811572554}},
        {"CD", {0.0003789567279863054, 0.012638279788276103}},
        {"CT", {0.0027003610216232215, 0.016523716703906934}},
        {"iCT", {1.514171584174371, 1.3719930972728043}},
        {"ECT", {1.4852939198668906, 4.017062367920918}},
        {"sCT", {3.7309357735664337, 9.051197084382663}},
        {"sCT by differences", {3.7309353118582096, 9.051195507341847}},
        {"sCD", {1.5510509752420703, 5.234832012334492}},
        {"shortcut", {0.9773588171341414, 0.5241627047624253}},
        {"mean flow", {0.9985394908500702, 0.3439781060473666}},
        {"trajectory consistency", {2.1669293638675544, 0.9990558349594358}},
        {"moment matching", {18.008336127234628, 0.28510507786127387}},
    };
    std::vector<std::int32_t> names;
    for (int i = 0; i < 32; ++i) names.push_back(i % 3);
    auto const labels = class_labels(device(), names, 3);
    auto const x0 = normal<double>(device(), {32, 3}, 1), z = normal<double>(device(), {32, 3}, 2);
    std::size_t count = 0;
    for_each_method<double>(device(), [&](char const* name, auto& m, auto const& objective) {
        CAPTURE(name);
        loss_value const loss = accumulate(objective, m, batch<double, backend_type>{x0.view(), z.view(), labels.view()}, {4, 6});
        double square = 0;
        for (double g : to_host(m.network().gradients())) square += g * g;
        std::string const text =
            std::string("{\"") + name + "\", {" + to_string(loss.weighted) + ", " + to_string(std::sqrt(square)) + "}},";
        CAPTURE(text);
        REQUIRE(known.count(name) == 1);
        CHECK(loss.weighted == doctest::Approx(known.at(name).loss).epsilon(1e-9));
        CHECK(std::sqrt(square) == doctest::Approx(known.at(name).gradient).epsilon(1e-9));
        ++count;
    });
    CHECK(count == known.size());
}

}  // namespace objective_methods_tests
