#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include <onestep/io/safetensors.hpp>

#include "scratch.hpp"

namespace safetensors_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

std::vector<std::byte> pack(std::string const& header, std::size_t data) {
    std::uint64_t const length = header.size();
    return to_bytes(std::string(reinterpret_cast<char const*>(&length), 8) + header + std::string(data, '\0'));
}
std::string refusal(std::string const& header, std::size_t data) {
    return message<format_error>([&] { safetensors_file::parse("f", pack(header, data)); });
}
std::string const odd_name = "gr\u00fc\u00dfe \"quoted\" \\ \u0001\n\t\u007f";

}  // namespace

TEST_CASE("safetensors: written bytes are the reference implementation's") {
    scratch_folder folder;
    std::vector<float> const weight{0, 0.25f, 0.5f, 0.75f, 1, 1.25f}, bias{-1.5f, 2.5f}, none, half{0.5f};
    std::vector<double> const doubles{1e300, -0.1};
    std::vector<std::int64_t> const step{12};
    std::vector<std::uint64_t> const seed{std::numeric_limits<std::uint64_t>::max(), 0};
    std::vector<std::int32_t> const labels{1, -2, 3};
    std::vector<std::uint8_t> const bytes{1, 2, 3, 253, 254, 255};
    safetensors_writer writer;
    writer.add("weight", {2, 3}, weight);
    writer.add("empty", {0, 7}, none);
    writer.add("labels", {3}, labels);
    writer.add("bytes", {2, 3}, bytes);
    writer.add(odd_name, {1}, half);
    writer.add("step", {}, step);
    writer.add("b.double", {2, 1}, doubles);
    writer.add("bias", {2}, std::span(bias));
    writer.add("seed", {2}, seed);
    writer.metadata("note", "replaced");
    writer.metadata("note", "a \"quoted\" \u00e9\n\u001f/");
    writer.save(folder / "mixed");
    CHECK(text_of(folder / "mixed") == text_of(golden("mixed.safetensors")));

    safetensors_writer().save(folder / "empty");
    CHECK(text_of(folder / "empty") == text_of(golden("empty.safetensors")));
    CHECK(text_of(folder / "empty") == std::string("\x08\0\0\0\0\0\0\0{}      ", 16));
    CHECK(folder.entries() == 2);
}

TEST_CASE("safetensors: the reference implementation's files are read") {
    auto const file = safetensors_file::read(golden("mixed.safetensors"));
    CHECK(file.name() == golden("mixed.safetensors"));
    CHECK(file.names() == std::vector<std::string>{"b.double", "bias", "bytes", "empty", odd_name, "labels", "seed", "step", "weight"});
    CHECK(file.metadata() == std::map<std::string, std::string>{{"note", "a \"quoted\" \u00e9\n\u001f/"}});
    CHECK(file.get<float>("weight").shape == shape{2, 3});
    CHECK(file.get<float>("weight").values == std::vector<float>{0, 0.25f, 0.5f, 0.75f, 1, 1.25f});
    CHECK(file.get<double>("b.double").values == std::vector<double>{1e300, -0.1});
    CHECK(file.get<std::int64_t>("step").shape == shape{});
    CHECK(file.get<std::int64_t>("step").values == std::vector<std::int64_t>{12});
    CHECK(file.get<std::uint64_t>("seed").values == std::vector<std::uint64_t>{std::numeric_limits<std::uint64_t>::max(), 0});
    CHECK(file.get<std::int32_t>("labels").values == std::vector<std::int32_t>{1, -2, 3});
    CHECK(file.get<std::uint8_t>("bytes").values == std::vector<std::uint8_t>{1, 2, 3, 253, 254, 255});
    CHECK(file.get<float>("empty").shape == shape{0, 7});
    CHECK(file.get<float>("empty").values.empty());
    CHECK(file.contains("bias"));
    CHECK_FALSE(file.contains("Bias"));

    auto const other = safetensors_file::read(golden("other_types.safetensors"));
    CHECK(other.dtype("half") == "F16");
    CHECK(other.dtype("flag") == "BOOL");
    CHECK(other.extents("short") == std::vector<std::uint64_t>{2});
    CHECK(other.bytes("half").size() == 6);
    CHECK(other.bytes("half")[1] == std::byte{0x3C});  // the upper byte of 1 in half precision
    CHECK(other.metadata().at("format") == "pt");
}

TEST_CASE("safetensors: every type of the format is accepted, an unpadded header too") {
    for (auto const& type : safetensors::element_types) {
        CAPTURE(type.name);
        std::string const header =
            "{\"a\":{\"dtype\":\"" + std::string(type.name) + "\",\"shape\":[8],\"data_offsets\":[0," + std::to_string(type.bits) + "]}}";
        CHECK(safetensors_file::parse("f", pack(header, type.bits)).dtype("a") == type.name);
    }
    CHECK(std::size(safetensors::element_types) == 22);
    float const value = 2.5f;
    auto bytes = pack(R"({"a":{"dtype":"F32","data_offsets":[0,4],"shape":[]}})", 4);
    REQUIRE(bytes.size() % 4 != 0);
    std::memcpy(bytes.data() + bytes.size() - 4, &value, 4);
    CHECK(safetensors_file::parse("f", bytes).get<float>("a").values == std::vector<float>{2.5f});
}

TEST_CASE("safetensors: wrong requests are format errors that name the file, the tensor and what is there") {
    auto const file = safetensors_file::parse(
        "model",
        pack(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[1,1,1,1,1,1,1],"data_offsets":[4,5]}})",
             5));
    CHECK(message<format_error>([&] { file.get<double>("a"); }) == "format_error: model: tensor 'a' holds F32, F64 is asked for");
    CHECK(message<format_error>([&] { file.get<float>("c"); }) == "format_error: model: there is no tensor 'c', the file has 'a', 'b'");
    CHECK(message<format_error>([&] { file.get<std::uint8_t>("b"); }) ==
          "format_error: model: tensor 'b' has 7 dimensions, at most 6 are supported");
    CHECK_THROWS_AS(file.dtype("c"), format_error);
    CHECK_THROWS_AS(file.extents("c"), format_error);
    CHECK_THROWS_AS(file.bytes("c"), format_error);
    auto const empty = safetensors_file::read(golden("empty.safetensors"));
    CHECK(message<format_error>([&] { empty.get<float>("a"); }).ends_with(": there is no tensor 'a', the file has none"));
    CHECK_THROWS_AS(safetensors_file::read(golden("none")), file_error);
    CHECK_THROWS_AS(safetensors_file::read(golden("mixed.safetensors"), 100), format_error);
}

TEST_CASE("safetensors: hostile files are refused with the reason") {
    struct {
        char const* header;
        std::size_t data;
        char const* reason;
    } const cases[] = {
        {"", 0, "the header does not begin with '{'"},
        {"[]", 0, "the header does not begin with '{'"},
        {" {}", 0, "the header does not begin with '{'"},
        {"{", 0, "the header is not JSON at its byte 2"},
        {"{}x", 0, "the header is not JSON at its byte 3"},
        {"{}", 1, "1 bytes follow the last tensor, nothing may"},
        {"{\"\xff\":{}}", 0, "the header is not JSON at its byte 3"},
        {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8,
         "'a' appears twice"},
        {R"({"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4, "'dtype' of 'a' appears twice"},
        {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4,
         "data of 'b' begin at 0, the tensor before ends at 4"},
        {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8, "data of 'a' begin at 4, the tensor before ends at 0"},
        {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}})", 8, "data_offsets of 'a' give 8 bytes, dtype and shape need 4"},
        {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 4, "data_offsets of 'a' are [0, 8], the file has 4 bytes of data"},
        {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", 4, "data_offsets of 'a' are [4, 0], the file has 4 bytes of data"},
        {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}})", 4, "'data_offsets' of 'a' has 3 numbers, not 2"},
        {R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4, "'shape' of 'a' is or holds a negative number"},
        {R"({"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}})", 4, "'shape' of 'a' is or holds a number that is no 64-bit integer"},
        {R"({"a":{"dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,4]}})", 4,
         "'shape' of 'a' is or holds a number that is no 64-bit integer"},
        {R"({"a":{"dtype":"F32","shape":[true],"data_offsets":[0,4]}})", 4, "'shape' of 'a' is or holds a truth value"},
        {R"({"a":{"dtype":"F32","shape":[[1]],"data_offsets":[0,4]}})", 4, "'shape' of 'a' is or holds an array"},
        {R"({"a":{"dtype":"F32","shape":["1"],"data_offsets":[0,4]}})", 4, "'shape' of 'a' is or holds a string"},
        {R"({"a":{"dtype":"F32","shape":[{}],"data_offsets":[0,4]}})", 4, "'shape' of 'a' is or holds an object"},
        {R"({"a":{"dtype":"F32","shape":1,"data_offsets":[0,4]}})", 4, "'shape' of 'a' is or holds a number"},
        {R"({"a":{"dtype":"F32","shape":null,"data_offsets":[0,4]}})", 4, "'shape' of 'a' is or holds null"},
        {R"({"a":{"dtype":["F32"],"shape":[1],"data_offsets":[0,4]}})", 4, "'dtype' of 'a' is or holds an array"},
        {R"({"a":{"dtype":4,"shape":[1],"data_offsets":[0,4]}})", 4, "'dtype' of 'a' is or holds a number"},
        {R"({"a":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}})", 4, "'dtype' of 'a' is 'F99', which is no type of the format"},
        {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}})", 4, "'x' of 'a' is no field of a tensor"},
        {R"({"a":{"dtype":"F32","shape":[1]}})", 0, "tensor 'a' lacks dtype, shape or data_offsets"},
        {R"({"a":{}})", 0, "tensor 'a' lacks dtype, shape or data_offsets"},
        {R"({"a":1})", 0, "'a' is or holds a number"},
        {R"({"a":[]})", 0, "'a' is or holds an array"},
        {R"({"a":"b"})", 0, "'a' is or holds a string"},
        {R"({"a":{"dtype":{"x":{"y":{}}},"shape":[],"data_offsets":[0,4]}})", 4, "'dtype' of 'a' is or holds an object"},
        {R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}})", 0,
         "shape of 'a' is [4611686018427387904, 4], its size must fit 64 bits"},
        {R"({"a":{"dtype":"F4","shape":[1],"data_offsets":[0,0]}})", 0,
         "data_offsets of 'a' give 0 bytes, dtype and shape need 0 and a fraction"},
        {R"({"__metadata__":{"k":1}})", 0, "'k' of '__metadata__' is or holds a number"},
        {R"({"__metadata__":{"k":{}}})", 0, "'k' of '__metadata__' is or holds an object"},
        {R"({"__metadata__":{"k":[]}})", 0, "'k' of '__metadata__' is or holds an array"},
        {R"({"__metadata__":{"k":"1","k":"2"}})", 0, "'k' of '__metadata__' appears twice"},
        {R"({"__metadata__":{},"__metadata__":{}})", 0, "'__metadata__' appears twice"},
    };
    for (auto const& one : cases) {
        CAPTURE(one.header);
        CHECK(refusal(one.header, one.data) == std::string("format_error: f: ") + one.reason);
    }
    CHECK(message<format_error>([] { safetensors_file::parse("f", to_bytes(std::string("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10))); }) ==
          "format_error: f: the header's length is 18446744073709551615, at most 100000000 is allowed");
    CHECK(message<format_error>([] { safetensors_file::parse("f", to_bytes(std::string("\x09\0\0\0\0\0\0\0{}", 10))); }) ==
          "format_error: f: the header's length is 9, 2 bytes follow");
    CHECK(message<format_error>([] { safetensors_file::parse("f", to_bytes("abc")); }) ==
          "format_error: f: the file holds 3 bytes, it begins with the header's length in 8 bytes");
    std::string deep;
    for (int i = 0; i < 100'000; ++i) deep += "{\"a\":";
    CHECK_THROWS_AS(safetensors_file::parse("f", pack(deep, 0)), format_error);
}

TEST_CASE("safetensors: a truncated or altered file is refused or sound") {
    auto const parse = [](std::vector<std::byte> const& bytes) {
        auto const file = safetensors_file::parse("f", bytes);
        std::size_t total = 0;
        for (auto const& name : file.names()) total += file.bytes(name).size();
        CHECK(total <= bytes.size());
    };
    auto const bytes = read_file(golden("mixed.safetensors"), 10'000);
    auto const cut = truncated(bytes, parse);
    CHECK(cut.accepted == 0);
    CHECK(cut.refused == static_cast<int>(bytes.size()));
    auto const header = bytes.size() - 94;
    auto const other = altered(bytes, header, parse);
    CHECK(other.refused > other.accepted);
    CHECK(other.accepted > 0);  // within names and strings a change is none of the format's business
}

TEST_CASE("safetensors: the writer refuses what the format cannot hold and leaves the old file") {
    scratch_folder folder;
    std::vector<float> const values{1, 2, 3};
    safetensors_writer writer;
    writer.add("a", {3}, values);
    writer.save(folder / "file");
    std::string const before = text_of(folder / "file");
    CHECK(message<domain_error>([&] { writer.add("a", {3}, values); }) ==
          "domain_error: safetensors_writer: two tensors are named 'a', names must differ");
    CHECK(message<shape_error>([&] {
              writer.add("b", {2, 2}, values);
          }) == "shape_error: safetensors_writer: 'b' is given 3 values, [2, 2] holds 4");
    CHECK_THROWS_AS(writer.add("__metadata__", {3}, values), domain_error);
    writer.save(folder / "file");
    CHECK(text_of(folder / "file") == before);
    writer.metadata("key", "\xff");
    CHECK(message<domain_error>([&] { writer.save(folder / "file"); }).find("not UTF-8") != std::string::npos);
    CHECK(text_of(folder / "file") == before);
    writer.metadata("key", "value");
    CHECK_THROWS_AS(writer.save(folder / "none/file"), file_error);
    writer.add("\xc3", {3}, values);
    CHECK_THROWS_AS(writer.save(folder / "file"), domain_error);
    CHECK(text_of(folder / "file") == before);
    CHECK(folder.entries() == 1);
}

TEST_CASE("safetensors: values pass bit for bit, NaN and infinity too") {
    scratch_folder folder;
    std::vector<float> const values{std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity(), -0.0f, 1e-45f};
    safetensors_writer writer;
    writer.add("v", {4}, values);
    writer.save(folder / "file");
    auto const back = safetensors_file::read(folder / "file").get<float>("v").values;
    CHECK(std::memcmp(back.data(), values.data(), 16) == 0);
}

}  // namespace safetensors_tests
