#include <onestep/io/mapped_npy.hpp>

#include "scratch.hpp"

namespace mapped_npy_tests {

using namespace onestep;
using namespace onestep::test;

TEST_CASE("mapped_npy: the values of a file, where they lie") {
    scratch_folder const folder;
    std::vector<float> values;
    for (int i = 0; i < 5000; ++i) values.push_back(0.25f * static_cast<float>(i));
    write_npy(folder / "x.npy", {50, 100}, values);
    mapped_npy<float> mapped(folder / "x.npy");
    CHECK(mapped.shape() == shape{50, 100});
    CHECK(std::vector<float>(mapped.values().begin(), mapped.values().end()) == values);
    CHECK(reinterpret_cast<std::uintptr_t>(mapped.values().data()) % 64 == 0);

    // The file may be replaced: what is mapped stays.
    write_npy(folder / "x.npy", {1}, std::vector<float>{7});
    CHECK(mapped.values()[4999] == values[4999]);
    mapped_npy<float> moved = std::move(mapped);
    CHECK(moved.values()[1] == 0.25f);
    moved = mapped_npy<float>(folder / "x.npy");
    CHECK(moved.values().size() == 1);
    CHECK(moved.values()[0] == 7);
}

TEST_CASE("mapped_npy: reads what NumPy writes") {
    CHECK(mapped_npy<float>(golden("matrix_f4.npy")).values().size() == read_npy<float>(golden("matrix_f4.npy")).values.size());
    auto const expected = read_npy<std::int64_t>(golden("vector_i8.npy"));
    mapped_npy<std::int64_t> const found(golden("vector_i8.npy"));
    CHECK(found.shape() == expected.shape);
    CHECK(std::vector<std::int64_t>(found.values().begin(), found.values().end()) == expected.values);
    CHECK(mapped_npy<std::uint8_t>(golden("empty_u1.npy")).values().empty());
}

TEST_CASE("mapped_npy: refuses what is not there, foreign or truncated") {
    scratch_folder const folder;
    write_npy(folder / "x.npy", {50, 100}, std::vector<float>(5000, 1.f));
    std::string const whole = text_of(folder / "x.npy"), path = folder / "cut.npy";
    auto const refuses = [&](std::string const& text) {
        write_file_atomically(path, text);
        return message<format_error>([&] { mapped_npy<float>{path}; });
    };
    CHECK(refuses("") == "format_error: " + path + ": the file is empty, an .npy file begins with \\x93NUMPY");
    CHECK(refuses("GIF89a and more") ==
          "format_error: " + path + ": the file is not an .npy file, it begins with \\x93NUMPY, the version and the header's length");
    CHECK(refuses(whole.substr(0, whole.size() - 4)) == "format_error: " + path + ": 19996 bytes follow the header, [50, 100] needs 20000");
    CHECK(refuses(whole + "x") == "format_error: " + path + ": 20001 bytes follow the header, [50, 100] needs 20000");
    CHECK(message<format_error>([&] { mapped_npy<double>{folder / "x.npy"}; }) ==
          "format_error: " + (folder / "x.npy") + ": the array holds '<f4', '<f8' is asked for");
    // A header that ends off the grid of the elements.
    std::string shifted = whole.substr(0, 8) + "\x77" + whole.substr(9, 1) + whole.substr(10, 118) + "\n" + whole.substr(128);
    CHECK(refuses(shifted) == "format_error: " + path + ": the elements do not begin at a multiple of 4 bytes, save the array with NumPy");
    CHECK(message<file_error>([&] { mapped_npy<float>{folder / "none.npy"}; }) ==
          "file_error: " + (folder / "none.npy") + ": cannot be opened: No such file or directory");
    CHECK(message<file_error>([&] { mapped_npy<float>{folder.path()}; }) ==
          "file_error: " + folder.path() + ": is not a regular file, only those are mapped");
}

}  // namespace mapped_npy_tests
