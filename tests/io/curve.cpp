#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include <onestep/io/curve.hpp>

#include "scratch.hpp"

namespace curve_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

std::size_t occurrences(std::string const& text, std::string const& part) {
    std::size_t count = 0;
    for (auto at = text.find(part); at != text.npos; at = text.find(part, at + part.size())) ++count;
    return count;
}
bool contains(std::string const& text, std::string const& part) { return text.find(part) != text.npos; }

}  // namespace

TEST_CASE("curve: points stand where the axes say") {
    // The plot of a 720 x 420 picture without a title is x 68 to 700 and y 20 to 368.
    std::string const text = curve_svg({{"loss", {0, 5, 10}, {1, 3, 2}}});
    CHECK(contains(text, "<path d=\"M68 368L384 20L700 194\" fill=\"none\" stroke=\"#0072b2\""));
    CHECK(contains(text, ">0</text>"));
    CHECK(contains(text, ">10</text>"));
    CHECK(contains(text, ">2.5</text>"));
    CHECK_FALSE(contains(text, ">loss</text>"));
    CHECK(text.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"720\" height=\"420\" viewBox=\"0 0 720 420\""));
    CHECK(text.ends_with("</svg>\n"));
}

TEST_CASE("curve: a logarithmic axis has powers of ten and leaves out what is not positive") {
    std::string const text = curve_svg({{"loss", {0, 1, 2, 3, 4, 5}, {1, 0.1, -1, 0.01, 0.001, 0}}}, {.log_y = true});
    CHECK(contains(text, "<path d=\"M68 20L226 136M542 252L700 368\""));
    for (char const* tick : {">1</text>", ">0.1</text>", ">0.01</text>", ">0.001</text>"}) CHECK(contains(text, tick));
    std::string const both = curve_svg({{"error", {1, 10, 100}, {1e-8, 1e-6, 1e-4}}}, {.log_x = true, .log_y = true});
    CHECK(contains(both, "<path d=\"M68 368L384 194L700 20\""));
    CHECK(contains(both, ">1e-8</text>"));
    std::string const narrow = curve_svg({{"loss", {0, 1}, {0.5, 1}}}, {.log_y = true});
    CHECK(contains(narrow, ">0.5</text>"));
    CHECK(contains(narrow, ">0.8</text>"));
    CHECK(contains(curve_svg({{"", {0, 2e6}, {0, 1}}}), ">2e6</text>"));
}

TEST_CASE("curve: text is escaped, and a legend names several series") {
    std::string const text = curve_svg({{"a<b", {0, 1}, {0, 1}}, {"c&d \"e\" 'f' \x01", {0, 1}, {1, 0}}},
                                       {.title = "<script>", .x_label = "steps & time", .y_label = "|v|\u00b2"});
    CHECK(contains(text, ">a&lt;b</text>"));
    CHECK(contains(text, ">c&amp;d &quot;e&quot; &apos;f&apos;  </text>"));
    CHECK(contains(text, ">&lt;script&gt;</text>"));
    CHECK(contains(text, ">steps &amp; time</text>"));
    CHECK(contains(text, ">|v|\u00b2</text>"));
    CHECK_FALSE(contains(text, "<script"));
    CHECK(contains(text, "stroke=\"#d55e00\""));
    CHECK(occurrences(text, "<text") == occurrences(text, "</text>"));
}

TEST_CASE("curve: values that are not finite break the line, and empty or constant series are charts") {
    double const nan = std::nan(""), infinity = std::numeric_limits<double>::infinity();
    std::string const broken = curve_svg({{"", {0, 1, 2, 3, 4, 5}, {0, 1, nan, 0, infinity, 1}}});
    CHECK(contains(broken, "<path d=\"M68 368L194.4 20M447.2 368M700 20\""));
    CHECK_FALSE(contains(broken, "nan"));
    CHECK_FALSE(contains(broken, "inf"));
    CHECK(contains(curve_svg({}), ">0.4</text>"));
    CHECK(contains(curve_svg({{"", {}, {}}}), ">0.4</text>"));
    CHECK(contains(curve_svg({{"", {0, 10}, {4, 4}}}), "<path d=\"M68 194L700 194\""));
    CHECK(contains(curve_svg({{"", {3}, {0}}}), "<path d=\"M384 194\""));
    CHECK(contains(curve_svg({{"", {1, 2}, {5, 5}}}, {.log_y = true}), "<path d=\"M68 194L700 194\""));
    std::string const extreme = curve_svg({{"", {-1e300, 1e300, 1e308}, {1e-320, 1e300, -1e308}}});
    CHECK_FALSE(contains(extreme, "nan"));
    CHECK_FALSE(contains(extreme, "inf"));
}

TEST_CASE("curve: a long series keeps its extremes and becomes a small file") {
    curve_series series{"loss", {}, {}};
    for (int i = 0; i < 200'000; ++i) {
        series.x.push_back(i);
        series.y.push_back(i == 123'456 ? 10 : i % 2);
    }
    std::string const text = curve_svg({series});
    CHECK(text.size() < 60'000);
    CHECK(contains(text, " 20L"));  // the one peak touches the top
}

TEST_CASE("curve: wrong input and unwritable places are typed errors") {
    scratch_folder folder;
    std::string const path = folder / "loss.svg";
    write_curve_svg(path, {{"loss", {0, 1}, {1, 0}}}, {.title = "one"});
    std::string const before = text_of(path);
    CHECK(before == curve_svg({{"loss", {0, 1}, {1, 0}}}, {.title = "one"}));
    CHECK(message<shape_error>([&] {
              write_curve_svg(path, {{"loss", {0, 1}, {1}}});
          }) == "shape_error: curve: 'loss' has 2 x and 1 y, each point needs both");
    CHECK(message<domain_error>([&] { write_curve_svg(path, {}, {.width = 10}); }) ==
          "domain_error: curve: its size is 10 x 420, at least 160 x 120 is needed");
    CHECK_THROWS_AS(write_curve_svg(folder / "none/loss.svg", {}), file_error);
    CHECK(text_of(path) == before);
    CHECK(folder.entries() == 1);
}

}  // namespace curve_tests
