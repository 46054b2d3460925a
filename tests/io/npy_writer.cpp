#include <onestep/io/npy_writer.hpp>

#include "scratch.hpp"

namespace npy_writer_tests {

using namespace onestep;
using namespace onestep::test;

TEST_CASE("npy_writer: parts make the same bytes as write_npy") {
    scratch_folder const folder;
    std::vector<float> values;
    for (int i = 0; i < 42; ++i) values.push_back(0.5f * static_cast<float>(i));
    write_npy(folder / "whole.npy", {7, 2, 3}, values);
    for (std::size_t part : {1, 5, 42}) {
        npy_writer<float> file(folder / "parts.npy", {7, 2, 3});
        for (std::size_t first = 0; first < values.size(); first += part)
            file.write(std::span<float const>(values).subspan(first, std::min(part, values.size() - first)));
        file.commit();
        CHECK(text_of(folder / "parts.npy") == text_of(folder / "whole.npy"));
    }
    npy_writer<double> empty(folder / "empty.npy", {0, 3});
    empty.commit();
    CHECK(read_npy<double>(folder / "empty.npy").shape == shape{0, 3});
    CHECK(folder.entries() == 3);
}

TEST_CASE("npy_writer: an older file stays until the new one is complete") {
    scratch_folder const folder;
    std::vector<float> const old{1, 2, 3};
    write_npy(folder / "x.npy", {3}, old);
    {
        npy_writer<float> file(folder / "x.npy", {5});
        file.write(old);
        CHECK(read_npy<float>(folder / "x.npy").values == old);
        CHECK(message<shape_error>([&] { file.commit(); }) == "shape_error: " + (folder / "x.npy") + ": 3 values were given, [5] holds 5");
        CHECK(message<shape_error>([&] { file.write(old); }) ==
              "shape_error: " + (folder / "x.npy") + ": 6 values were given, [5] holds 5");
    }
    CHECK(read_npy<float>(folder / "x.npy").values == old);
    CHECK(folder.entries() == 1);
    CHECK(message<file_error>([&] { npy_writer<float>(folder / "missing/x.npy", {1}); }).starts_with("file_error: "));
}

}  // namespace npy_writer_tests
