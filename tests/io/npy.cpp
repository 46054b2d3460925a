#include <doctest/doctest.h>

#include <onestep/io/npy.hpp>

#include "scratch.hpp"

namespace npy_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

std::vector<float> const six{0, 1, 2, 3, 4, 5};

std::vector<std::byte> pack(std::string const& dictionary, std::size_t data, char version = 1) {
    std::string file("\x93NUMPY", 6);
    file += version;
    file += '\0';
    for (std::size_t i = 0, n = dictionary.size(); i < (version == 1 ? 2 : 4); ++i, n >>= 8) file += static_cast<char>(n & 0xFF);
    return to_bytes(file + dictionary + std::string(data, '\0'));
}
std::string refusal(std::vector<std::byte> const& bytes) {
    return message<format_error>([&] { parse_npy<float>("f", bytes); });
}

}  // namespace

TEST_CASE("npy: written bytes are those of numpy.save") {
    scratch_folder folder;
    std::string const path = folder / "file";
    auto const same = [&](char const* name) { return text_of(path) == text_of(golden(name)); };
    write_npy(path, {2, 3}, six);
    CHECK(same("matrix_f4.npy"));
    write_npy(path, {}, std::vector<double>{-0.1});
    CHECK(same("scalar_f8.npy"));
    write_npy(path, {3}, std::vector<std::int64_t>{1, -2, 3});
    CHECK(same("vector_i8.npy"));
    std::vector<std::int32_t> integers(16);
    for (std::int32_t i = 0; i < 16; ++i) integers[static_cast<std::size_t>(i)] = i;
    write_npy(path, {2, 1, 2, 1, 2, 2}, integers);
    CHECK(same("rank6_i4.npy"));
    write_npy(path, {0, 3}, std::vector<std::uint8_t>{});
    CHECK(same("empty_u1.npy"));
    std::vector<std::uint8_t> hundred(100);
    for (std::size_t i = 0; i < 100; ++i) hundred[i] = static_cast<std::uint8_t>(i);
    write_npy(path, {100, 1, 1, 1, 1, 1}, std::span(hundred));
    CHECK(same("long_u1.npy"));
    CHECK(folder.entries() == 1);
}

TEST_CASE("npy: NumPy's files are read, of all three versions") {
    for (char const* name : {"matrix_f4.npy", "version2_f4.npy", "version3_f4.npy"}) {
        CAPTURE(name);
        auto const array = read_npy<float>(golden(name));
        CHECK(array.shape == shape{2, 3});
        CHECK(array.values == six);
    }
    CHECK(read_npy<double>(golden("scalar_f8.npy")).shape == shape{});
    CHECK(read_npy<double>(golden("scalar_f8.npy")).values == std::vector<double>{-0.1});
    CHECK(read_npy<std::int64_t>(golden("vector_i8.npy")).values == std::vector<std::int64_t>{1, -2, 3});
    CHECK(read_npy<std::int32_t>(golden("rank6_i4.npy")).shape == shape{2, 1, 2, 1, 2, 2});
    CHECK(read_npy<std::uint8_t>(golden("empty_u1.npy")).shape == shape{0, 3});
}

TEST_CASE("npy: other spellings of the dictionary are read") {
    CHECK(parse_npy<float>("f", pack("{\"shape\":(2,),\"fortran_order\":True,\"descr\":\"<f4\"}", 8)).shape == shape{2});
    CHECK(parse_npy<float>("f", pack("{ 'shape' : ( 1 , 1 ) , 'descr' : '<f4' , 'fortran_order' : True , } \n", 4)).shape == shape{1, 1});
    CHECK(parse_npy<float>("f", pack("{'shape': (2, 3,), 'descr': '<f4', 'fortran_order': False}", 24, 3)).shape == shape{2, 3});
}

TEST_CASE("npy: what is not supported is refused with the remedy") {
    auto const refused = [](char const* name) {
        std::string const text = message<format_error>([&] { read_npy<float>(golden(name)); }),
                          start = "format_error: " + golden(name) + ": ";
        return text.starts_with(start) ? text.substr(start.size()) : text;
    };
    CHECK(refused("fortran_f4.npy") == "the array lies in Fortran order, save numpy.ascontiguousarray(x)");
    CHECK(refused("big_endian_f4.npy") == "the array holds '>f4', '<f4' is asked for");
    CHECK(refused("scalar_f8.npy") == "the array holds '<f8', '<f4' is asked for");
    CHECK(refused("fields.npy") == "the array has named fields, save one field at a time");
    CHECK(refused("rank7_f4.npy") == "the array has 7 dimensions, at most 6 are supported");
    CHECK_THROWS_AS(read_npy<float>(golden("none.npy")), file_error);
    CHECK_THROWS_AS(read_npy<float>(golden("matrix_f4.npy"), 100), format_error);
}

TEST_CASE("npy: malformed files are refused with the reason") {
    struct {
        char const* dictionary;
        std::size_t data;
        char const* reason;
    } const cases[] = {
        {"", 0, "the header cannot be read at its byte 0, '{' must stand there"},
        {"{}", 0, "the header lacks descr, fortran_order or shape, all three must be there"},
        {"{'descr': '<f4', 'shape': (1,), }", 4, "the header lacks descr, fortran_order or shape, all three must be there"},
        {"{'descr': '<f4', 'descr': '<f4', }", 4, "the header has the key 'descr' twice, each stands once"},
        {"{'x': 1, }", 4, "the header has the key 'x', descr, fortran_order and shape are its keys"},
        {"{'descr", 0, "the header cannot be read at its byte 2, a quoted word must end"},
        {"{'descr': ", 0, "the header cannot be read at its byte 10, '\"' must stand there"},
        {"{'fortran_order': 1}", 0, "the header cannot be read at its byte 18, True or False must stand there"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", 4,
         "the header cannot be read at its byte 51, a number >= 0 must stand there"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1 1), }", 4, "the header cannot be read at its byte 53, ')' must stand there"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': 1, }", 4, "the header cannot be read at its byte 50, '(' must stand there"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1", 4, "the header cannot be read at its byte 52, ')' must stand there"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (18446744073709551616,), }", 4,
         "the shape has a number of more than 64 bits, extents fit 64 bits"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }", 4,
         "the array is [4294967296, 4294967296], the number of elements must fit a signed 64-bit index"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904,), }", 0,
         "0 bytes follow the header, [4611686018427387904] needs more than 64 bits can count"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", 7, "7 bytes follow the header, [2] needs 8"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", 9, "9 bytes follow the header, [2] needs 8"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), } x", 8,
         "the header cannot be read at its byte 58, nothing but spaces may follow the dictionary"},
    };
    for (auto const& one : cases) {
        CAPTURE(one.dictionary);
        CHECK(refusal(pack(one.dictionary, one.data)) == std::string("format_error: f: ") + one.reason);
    }
    CHECK(refusal({}) == "format_error: f: the file is empty, an .npy file begins with \\x93NUMPY");
    CHECK(refusal(to_bytes("PK\x03\x04 something else")) ==
          "format_error: f: the file is not an .npy file, it begins with \\x93NUMPY, the version and the header's length");
    CHECK(refusal(pack("{}", 0, 4)) == "format_error: f: the version is 4.0, 1.0, 2.0 and 3.0 are known");
    CHECK(refusal(to_bytes(std::string("\x93NUMPY\x02\0\x10\0", 10))) ==
          "format_error: f: the file ends in the header's length, 12 bytes come before the header");
    CHECK(refusal(to_bytes(std::string("\x93NUMPY\x01\0\x10\0", 10))) == "format_error: f: the header's length is 16, 0 bytes follow");
    CHECK(refusal(to_bytes(std::string("\x93NUMPY\x02\0\xff\xff\xff\xff", 12))) ==
          "format_error: f: the header's length is 4294967295, at most 65535 is read");
}

TEST_CASE("npy: a truncated or altered file is refused or sound") {
    for (char const* name : {"matrix_f4.npy", "version2_f4.npy"}) {
        auto const bytes = read_file(golden(name), 10'000);
        auto const parse = [](std::vector<std::byte> const& altered_bytes) {
            auto const array = parse_npy<float>("f", altered_bytes);
            CHECK(static_cast<index_t>(array.values.size()) == array.shape.size());
        };
        auto const cut = truncated(bytes, parse);
        CHECK(cut.accepted == 0);
        CHECK(cut.refused == static_cast<int>(bytes.size()));
        auto const other = altered(bytes, bytes.size() - 24, parse);
        CHECK(other.refused > 500);
    }
}

TEST_CASE("npy: the writer checks the number of values and leaves the old file") {
    scratch_folder folder;
    write_npy(folder / "file", {2, 3}, six);
    CHECK(message<shape_error>([&] {
              write_npy(folder / "file", {2, 2}, six);
          }) == "shape_error: write_npy: 6 values are given, [2, 2] holds 4");
    CHECK(read_npy<float>(folder / "file").values == six);
    CHECK_THROWS_AS(write_npy(folder / "none/file", {2, 3}, six), file_error);
    CHECK(folder.entries() == 1);
}

}  // namespace npy_tests
