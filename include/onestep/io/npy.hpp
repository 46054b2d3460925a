#pragma once
/// NumPy's .npy files: one array, little-endian, C order.
///
///     "\x93NUMPY" | version 1, 2 or 3 | length of the header | a Python dictionary as text | the elements
///
/// Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html.
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "file.hpp"
#include "host_array.hpp"

namespace onestep {

static_assert(std::endian::native == std::endian::little, ".npy files are read and written on little-endian machines only");

namespace npy {

template <class T> constexpr std::string_view element_name() {
    if constexpr (std::is_same_v<T, float>) return "<f4";
    else if constexpr (std::is_same_v<T, double>) return "<f8";
    else if constexpr (std::is_same_v<T, std::int32_t>) return "<i4";
    else if constexpr (std::is_same_v<T, std::int64_t>) return "<i8";
    else if constexpr (std::is_same_v<T, std::uint8_t>) return "|u1";
    else static_assert(sizeof(T) == 0, "Arrays of float, double, int32_t, int64_t and uint8_t are read and written.");
}

struct header {
    std::string element;
    bool fortran_order = false;
    std::vector<std::uint64_t> extents;
};

/// Reads the dictionary: three known keys, each once, in any order; a string, True or False, and a tuple of integers.
class header_parser {
public:
    header_parser(std::string const& file, std::string_view text) : file_(file), text_(text) {}

    header parse() {
        header parsed;
        int seen = 0;
        expect('{');
        while (!take('}')) {
            std::string const key = quoted();
            expect(':');
            int const bit = key == "descr" ? 1 : key == "fortran_order" ? 2 : key == "shape" ? 4 : 0;
            if (bit == 0) fail("the header has the key '" + key + "'", "descr, fortran_order and shape are its keys");
            if (seen & bit) fail("the header has the key '" + key + "' twice", "each stands once");
            seen |= bit;
            if (bit == 1) parsed.element = element();
            if (bit == 2) parsed.fortran_order = truth();
            if (bit == 4) parsed.extents = tuple();
            if (!take(',')) {
                expect('}');
                break;
            }
        }
        skip_spaces();
        if (at_ != text_.size()) fail(unreadable(), "nothing but spaces may follow the dictionary");
        if (seen != 7) fail("the header lacks descr, fortran_order or shape", "all three must be there");
        return parsed;
    }

private:
    [[noreturn]] void fail(std::string given, std::string allowed) const {
        raise<format_error>(file_, std::move(given), std::move(allowed));
    }
    std::string unreadable() const { return "the header cannot be read at its byte " + std::to_string(at_); }

    void skip_spaces() {
        while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
    }
    bool take(char wanted) {
        skip_spaces();
        if (at_ >= text_.size() || text_[at_] != wanted) return false;
        ++at_;
        return true;
    }
    bool take(std::string_view word) {
        skip_spaces();
        if (!text_.substr(at_).starts_with(word)) return false;
        at_ += word.size();
        return true;
    }
    void expect(char wanted) {
        if (!take(wanted)) fail(unreadable(), std::string("'") + wanted + "' must stand there");
    }
    std::string quoted() {
        char const quote = take('\'') ? '\'' : '"';
        if (quote == '"') expect('"');
        auto const end = text_.find(quote, at_);
        if (end == text_.npos) fail(unreadable(), "a quoted word must end");
        std::string const word(text_.substr(at_, end - at_));
        at_ = end + 1;
        return word;
    }
    std::string element() {
        skip_spaces();
        if (at_ < text_.size() && text_[at_] == '[') fail("the array has named fields", "save one field at a time");
        return quoted();
    }
    bool truth() {
        if (take(std::string_view("True"))) return true;
        if (!take(std::string_view("False"))) fail(unreadable(), "True or False must stand there");
        return false;
    }
    std::uint64_t number() {
        skip_spaces();
        std::uint64_t value = 0;
        auto const start = at_;
        for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
            auto const digit = static_cast<std::uint64_t>(text_[at_] - '0');
            if (!multiply_within_range(value, 10) || value + digit < value)
                fail("the shape has a number of more than 64 bits", "extents fit 64 bits");
            value += digit;
        }
        if (at_ == start) fail(unreadable(), "a number >= 0 must stand there");
        return value;
    }
    std::vector<std::uint64_t> tuple() {
        std::vector<std::uint64_t> numbers;
        expect('(');
        while (!take(')')) {
            numbers.push_back(number());
            if (!take(',')) {
                expect(')');
                break;
            }
        }
        return numbers;
    }

    std::string const& file_;
    std::string_view text_;
    std::size_t at_ = 0;
};

/// The bytes before the elements, as NumPy writes them: padded so that the elements begin at a multiple of 64, and with
/// room to write a longer first extent in place.
inline std::string preamble(std::string_view element, shape const& extents) {
    std::string tuple = "(";
    for (int axis = 0; axis < extents.rank(); ++axis) tuple += (axis ? ", " : "") + std::to_string(extents[axis]);
    tuple += extents.rank() == 1 ? ",)" : ")";
    std::string text = "{'descr': '" + std::string(element) + "', 'fortran_order': False, 'shape': " + tuple + ", }";
    constexpr std::size_t longest_extent = 21;
    if (extents.rank() > 0) text.append(longest_extent - std::to_string(extents[0]).size(), ' ');
    text.append(63 - (10 + text.size()) % 64, ' ');
    text += '\n';
    std::string bytes("\x93NUMPY\x01\x00", 8);
    bytes += static_cast<char>(text.size() & 0xFF);
    bytes += static_cast<char>(text.size() >> 8);
    return bytes + text;
}

/// What a file holds: extents, and the bytes of the elements.
struct contents {
    shape extents;
    std::span<std::byte const> elements;
};

/// Finds the array in the bytes of a file; throws as parse_npy does.
template <class T> contents find(std::string const& name, std::span<std::byte const> bytes) {
    auto const fail = [&](std::string given, std::string allowed) { raise<format_error>(name, std::move(given), std::move(allowed)); };
    std::string_view const file(reinterpret_cast<char const*>(bytes.data()), bytes.size());
    if (file.empty()) fail("the file is empty", "an .npy file begins with \\x93NUMPY");
    if (file.size() < 10 || !file.starts_with("\x93NUMPY"))
        fail("the file is not an .npy file", "it begins with \\x93NUMPY, the version and the header's length");
    auto const byte = [&](std::size_t i) { return static_cast<std::size_t>(static_cast<unsigned char>(file[i])); };
    std::size_t const version = byte(6), start = version == 1 ? 10 : 12;
    if (version < 1 || version > 3 || byte(7) != 0)
        fail("the version is " + std::to_string(version) + "." + std::to_string(byte(7)), "1.0, 2.0 and 3.0 are known");
    if (file.size() < start) fail("the file ends in the header's length", std::to_string(start) + " bytes come before the header");
    std::size_t length = byte(8) | byte(9) << 8;
    if (version > 1) length |= byte(10) << 16 | byte(11) << 24;
    constexpr std::size_t longest = 65535;  // a dictionary of three short entries; names of fields are refused anyway
    if (length > longest) fail("the header's length is " + std::to_string(length), "at most " + std::to_string(longest) + " is read");
    if (length > file.size() - start)
        fail("the header's length is " + std::to_string(length), std::to_string(file.size() - start) + " bytes follow");

    npy::header const header = header_parser(name, file.substr(start, length)).parse();
    constexpr std::string_view asked = element_name<T>();
    if (header.element != asked) fail("the array holds '" + header.element + "'", "'" + std::string(asked) + "' is asked for");
    shape const extents = to_shape(name, "the array", header.extents);
    // With one dimension or one element both orders are the same.
    if (header.fortran_order && extents.rank() > 1 && extents.size() > 1)
        fail("the array lies in Fortran order", "save numpy.ascontiguousarray(x)");
    auto const data = bytes.subspan(start + length);
    auto size = static_cast<std::uint64_t>(extents.size());
    bool const fits = multiply_within_range(size, sizeof(T));
    if (!fits || size != data.size())
        fail(std::to_string(data.size()) + " bytes follow the header",
             to_string(extents) + " needs " + (fits ? std::to_string(size) : "more than 64 bits can count"));
    return {extents, data};
}

}  // namespace npy

/// Reads an array from the bytes of an .npy file; `name` stands in error texts.
/// T: float (<f4), double (<f8), int32_t (<i4), int64_t (<i8), uint8_t (|u1).
/// Throws format_error if anything is amiss, if the array holds another type, lies in Fortran order, or has more than six dimensions.
template <class T> host_array<T> parse_npy(std::string const& name, std::span<std::byte const> bytes) {
    npy::contents const found = npy::find<T>(name, bytes);
    host_array<T> array{found.extents, std::vector<T>(static_cast<std::size_t>(found.extents.size()))};
    if (!found.elements.empty()) std::memcpy(array.values.data(), found.elements.data(), found.elements.size());
    return array;
}

/// Reads an .npy file of up to `limit` bytes. Throws file_error, and format_error as parse_npy does.
template <class T> host_array<T> read_npy(std::string const& path, std::uint64_t limit = std::uint64_t(1) << 36) {
    return parse_npy<T>(path, read_file(path, limit));
}

/// Writes an .npy file, the bytes of numpy.save; an existing file stays whole until the new one is complete.
/// Throws: shape_error if there are not shape.size() values; file_error.
template <class T> void write_npy(std::string const& path, shape const& extents, std::span<T> values) {
    if (static_cast<index_t>(values.size()) != extents.size())
        raise<shape_error>("write_npy", std::to_string(values.size()) + " values are given",
                           to_string(extents) + " holds " + std::to_string(extents.size()));
    std::string const preamble = npy::preamble(npy::element_name<std::remove_const_t<T>>(), extents);
    write_file_atomically(path, {std::as_bytes(std::span(preamble)), std::as_bytes(values)});
}
template <class T> void write_npy(std::string const& path, shape const& extents, std::vector<T> const& values) {
    write_npy(path, extents, std::span<T const>(values));
}

}  // namespace onestep
