#include <doctest/doctest.h>

#include <cmath>

#include <onestep/backend/cpu.hpp>
#include <onestep/io/idx.hpp>

#include "scratch.hpp"

namespace idx_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

/// An IDX file: type, extents, then the bytes of `data`.
std::string make(int type, std::vector<std::uint32_t> const& extents, std::string const& data) {
    std::string file{'\0', '\0', static_cast<char>(type), static_cast<char>(extents.size())};
    for (auto const extent : extents)
        for (int shift = 24; shift >= 0; shift -= 8) file += static_cast<char>(extent >> shift & 0xFF);
    return file + data;
}
std::string packed(std::string const& content) {
    z_stream stream{};
    REQUIRE(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    std::string out(deflateBound(&stream, static_cast<uLong>(content.size())) + 32, '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
    stream.avail_in = static_cast<uInt>(content.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    return out;
}
std::string refusal(std::string const& file, std::uint64_t limit = idx_limit) {
    return message<format_error>([&] { parse_idx("f", to_bytes(file), limit); });
}
std::string const pixels("\x00\x01\x7f\x80\xfe\xff\x03\x04", 8);

}  // namespace

TEST_CASE("idx: raw and gzipped files give the same images, scaled exactly") {
    scratch_folder folder;
    cpu device;
    std::string const file = make(8, {2, 2, 2}, pixels);
    write_file_atomically(folder / "raw.gz", file);  // the name says nothing
    write_file_atomically(folder / "packed", packed(file));
    for (char const* name : {"raw.gz", "packed"}) {
        CAPTURE(name);
        auto const content = read_idx_file(folder / name);
        CHECK(content.name == folder / name);
        CHECK(content.type == idx_type::uint8);
        CHECK(content.shape == shape{2, 2, 2});
        CHECK(content.values == std::vector<std::uint8_t>{0, 1, 127, 128, 254, 255, 3, 4});
        auto const images = read_idx<float>(device, folder / name);
        CHECK(images.shape() == shape{2, 2, 2, 1});
        auto const values = images.to_host();
        for (std::size_t i = 0; i < 8; ++i) CHECK(values[i] == static_cast<float>(content.values[i] / 127.5 - 1));
        CHECK(values[0] == -1.0f);
        CHECK(values[5] == 1.0f);
    }
}

TEST_CASE("idx: ranks one to six, and the scale of other data") {
    cpu device;
    auto const read = [&](std::vector<std::uint32_t> const& extents, idx_scale scale) {
        return to_tensor<double>(device, parse_idx("f", to_bytes(make(8, extents, pixels))), scale);
    };
    CHECK(read({8}, {}).shape() == shape{8});
    CHECK(read({2, 4}, {}).shape() == shape{2, 4});
    CHECK(read({2, 2, 2}, {}).shape() == shape{2, 2, 2, 1});
    CHECK(read({1, 2, 2, 2}, {}).shape() == shape{1, 2, 2, 2});
    CHECK(read({1, 1, 2, 2, 2}, {}).shape() == shape{1, 1, 2, 2, 2});
    CHECK(read({1, 1, 1, 2, 2, 2}, {}).shape() == shape{1, 1, 1, 2, 2, 2});
    CHECK(read({8}, {.largest = 0}).to_host() == std::vector<double>{0, 1, 127, 128, 254, 255, 3, 4});
    CHECK(message<format_error>([&] { read({8}, {.largest = 16}); }) ==
          "format_error: f: it holds 127, idx_scale says that values lie in [0, 16]");
    CHECK(message<domain_error>([&] { read({8}, {.largest = -1}); }) ==
          "domain_error: idx_scale: largest is -1, it must be positive, or 0 for values as they are");
    CHECK_THROWS_AS(read({8}, {.largest = std::nan("")}), domain_error);
    auto const digits =
        to_tensor<float>(device, parse_idx("f", to_bytes(make(8, {1, 1, 3}, std::string("\x00\x04\x10", 3)))), {.largest = 16});
    CHECK(digits.to_host() == std::vector<float>{-1, -0.5f, 1});
    auto const nothing = to_tensor<float>(device, parse_idx("f", to_bytes(make(8, {0, 28, 28}, ""))));
    CHECK(nothing.shape() == shape{0, 28, 28, 1});
}

TEST_CASE("idx: every element type is read as big-endian") {
    cpu device;
    auto const values = [&](int type, std::string const& data) {
        auto const size = idx::element_size(static_cast<idx_type>(type));
        return to_tensor<double>(device, parse_idx("f", to_bytes(make(type, {static_cast<std::uint32_t>(data.size() / size)}, data))),
                                 {.largest = 0})
            .to_host();
    };
    CHECK(values(0x08, "\xff\x01") == std::vector<double>{255, 1});
    CHECK(values(0x09, "\xff\x01") == std::vector<double>{-1, 1});
    CHECK(values(0x0B, std::string("\xff\xfe\x01\x00", 4)) == std::vector<double>{-2, 256});
    CHECK(values(0x0C, std::string("\xff\xff\xff\xfd\x00\x01\x00\x00", 8)) == std::vector<double>{-3, 65536});
    CHECK(values(0x0D, std::string("\x3f\xc0\x00\x00\xc0\x00\x00\x00", 8)) == std::vector<double>{1.5, -2});
    CHECK(values(0x0E, std::string("\xbf\xf8\x00\x00\x00\x00\x00\x00", 8)) == std::vector<double>{-1.5});
    CHECK(message<format_error>([&] { to_tensor<float>(device, parse_idx("f", to_bytes(make(0x09, {1}, "\xff")))); }) ==
          "format_error: f: it holds -1, idx_scale says that values lie in [0, 255]");
    CHECK_THROWS_AS(to_tensor<float>(device, parse_idx("f", to_bytes(make(0x0D, {1}, std::string("\x7f\xc0\x00\x00", 4))))),
                    format_error);  // NaN
}

TEST_CASE("idx: labels") {
    scratch_folder folder;
    write_file_atomically(folder / "labels", packed(make(8, {4}, std::string("\x07\x00\xff\x01", 4))));
    CHECK(read_idx_labels(folder / "labels") == std::vector<std::int32_t>{7, 0, 255, 1});
    auto const labels = [](std::string const& file) { return to_labels(parse_idx("f", to_bytes(file))); };
    CHECK(labels(make(0x0C, {1}, std::string("\x00\x01\x00\x02", 4))) == std::vector<std::int32_t>{65538});
    CHECK(message<format_error>([&] { labels(make(8, {2, 2, 2}, pixels)); }) == "format_error: f: it holds [2, 2, 2], labels are [n]");
    CHECK(message<format_error>([&] { labels(make(9, {1}, "\xff")); }) == "format_error: f: it holds the label -1, labels are >= 0");
    CHECK(message<format_error>([&] { labels(make(0x0D, {1}, "abcd")); }) ==
          "format_error: f: it holds floating-point numbers, labels are integers");
}

TEST_CASE("idx: malformed content is refused with the reason") {
    std::string const beginning = "an IDX file begins with 0, 0, type, rank";
    CHECK(refusal("") == "format_error: f: the file is empty, " + beginning);
    CHECK(refusal(std::string("\0\0\x08", 3)) == "format_error: f: it holds 3 bytes, " + beginning);
    CHECK(refusal("\x89PNG") == "format_error: f: the first bytes are 137, 80, " + beginning);
    CHECK(refusal(make(0x0A, {1}, "a")) ==
          "format_error: f: the type is 10, 8 (uint8), 9 (int8), 11 (int16), 12 (int32), 13 (float) and 14 (double) are known");
    CHECK(refusal(make(8, {}, "a")) == "format_error: f: the rank is 0, 1 to 6 is supported");
    CHECK(refusal(make(8, {1, 1, 1, 1, 1, 1, 1}, "a")) == "format_error: f: the rank is 7, 1 to 6 is supported");
    CHECK(refusal(make(8, {2, 3}, "").substr(0, 11)) == "format_error: f: it holds 11 bytes, the extents end at byte 12");
    CHECK(refusal(make(8, {2, 3}, "12345")) == "format_error: f: 5 bytes follow the extents, [2, 3] needs 6");
    CHECK(refusal(make(8, {2, 3}, "1234567")) == "format_error: f: 7 bytes follow the extents, [2, 3] needs 6");
    CHECK(refusal(make(8, {0xFFFFFFFF, 0xFFFFFFFF}, "a")) ==
          "format_error: f: the array is [4294967295, 4294967295], the number of elements must fit a signed 64-bit index");
    CHECK(refusal(make(14, {0x40000000, 0x80000000}, "a")) ==
          "format_error: f: 1 bytes follow the extents, [1073741824, 2147483648] needs more than 64 bits can count");
    CHECK(refusal(make(8, {0, 0xFFFFFFFF, 0xFFFFFFFF}, "")).find("must fit a signed 64-bit index") != std::string::npos);
    CHECK(refusal(make(8, {8}, pixels), 15) == "format_error: f: it holds 16 bytes, at most 15 are read");
    CHECK_THROWS_AS(read_idx_file("/nowhere/at/all"), file_error);
    scratch_folder folder;
    write_file_atomically(folder / "short", "");
    CHECK(message<format_error>([&] { read_idx_file(folder / "short"); }) ==
          "format_error: " + folder / "short" + ": the file is empty, " + beginning);
}

TEST_CASE("idx: gzip is verified to its last byte and cannot unpack without bound") {
    std::string const file = make(8, {2, 2, 2}, pixels), gz = packed(file);
    CHECK(parse_idx("f", to_bytes(gz)).shape == shape{2, 2, 2});
    CHECK(refusal(gz.substr(0, gz.size() - 1)) ==
          "format_error: f: the gzip stream is truncated after " + std::to_string(gz.size() - 1) + " bytes, it must end with its checksum");
    std::string wrong = gz;
    wrong[gz.size() - 5] ^= 1;
    CHECK(refusal(wrong).find("zlib says: incorrect data check") != std::string::npos);
    wrong = gz;
    wrong[gz.size() - 1] ^= 1;
    CHECK(refusal(wrong).find("zlib says: incorrect length check") != std::string::npos);
    CHECK(refusal(gz + "x").find("truncated") != std::string::npos);
    CHECK(refusal(gz + "trailing bytes").find("zlib says: incorrect header check") != std::string::npos);
    CHECK(refusal(packed("")) == "format_error: f: the file is empty, an IDX file begins with 0, 0, type, rank");

    std::string const bomb = packed(make(8, {1'000'000}, std::string(1'000'000, '\0')));
    CHECK(bomb.size() < 2000);
    CHECK(refusal(bomb, 1'000'007) == "format_error: f: it unpacks to more than 1000007 bytes, that is the limit");
    CHECK(parse_idx("f", to_bytes(bomb), 1'000'008).values.size() == 1'000'000);
}

TEST_CASE("idx: files packed by Python are read, in several members too") {
    for (char const* name : {"colour.idx.gz", "two_members.idx.gz"}) {
        CAPTURE(name);
        auto const content = read_idx_file(golden(name));
        CHECK(content.shape == shape{2, 2, 3, 3});
        REQUIRE(content.values.size() == 36);
        for (std::size_t i = 0; i < 36; ++i) CHECK(content.values[i] == 7 * i);
    }
}

TEST_CASE("idx: a truncated or altered file is refused or sound") {
    auto const parse = [](std::vector<std::byte> const& bytes) {
        auto const content = parse_idx("f", bytes, 1 << 20);
        CHECK(content.values.size() == static_cast<std::size_t>(content.shape.size()) * idx::element_size(content.type));
    };
    std::string const file = make(8, {2, 2, 2}, pixels);
    for (auto const& bytes : {to_bytes(file), to_bytes(packed(file)), read_file(golden("two_members.idx.gz"), 1000)}) {
        auto const cut = truncated(bytes, parse);
        CHECK(cut.accepted == 0);
        CHECK(cut.refused == static_cast<int>(bytes.size()));
        CHECK(altered(bytes, bytes.size(), parse).refused > 200);
    }
}

}  // namespace idx_tests
