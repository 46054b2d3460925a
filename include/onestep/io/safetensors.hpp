#pragma once
/// The safetensors container: named tensors and a map of strings in one file that Python reads too.
///
///     u64 little-endian N | N bytes of JSON that begin with '{', padded with spaces | the tensors, row-major
///
/// The reader is as strict as the reference implementation: no hole, no overlap, nothing after the last tensor, no
/// duplicate name. The writer's bytes are the reference's: largest elements first, then by name, so that every tensor
/// starts at a multiple of its element size. Format: https://github.com/huggingface/safetensors.
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "file.hpp"
#include "host_array.hpp"

namespace onestep {

static_assert(std::endian::native == std::endian::little, "safetensors files are read and written on little-endian machines only");

namespace safetensors {

struct element_type {
    std::string_view name;
    unsigned bits;
};
/// Every type of the format, in the rising order by which the reference writer sorts tensors.
inline constexpr element_type element_types[] = {
    {"BOOL", 8},    {"F4", 4},          {"F6_E2M3", 6},     {"F6_E3M2", 6}, {"U8", 8},   {"I8", 8},   {"F8_E5M2", 8}, {"F8_E4M3", 8},
    {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},    {"U16", 16}, {"F16", 16}, {"BF16", 16},   {"I32", 32},
    {"U32", 32},    {"F32", 32},        {"C64", 64},        {"F64", 64},    {"I64", 64}, {"U64", 64}};

/// Position in element_types, or -1.
constexpr int find_element_type(std::string_view name) {
    int position = 0;
    for (auto const& type : element_types) {
        if (type.name == name) return position;
        ++position;
    }
    return -1;
}

template <class T> constexpr std::string_view element_name() {
    if constexpr (std::is_same_v<T, float>) return "F32";
    else if constexpr (std::is_same_v<T, double>) return "F64";
    else if constexpr (std::is_same_v<T, std::int32_t>) return "I32";
    else if constexpr (std::is_same_v<T, std::int64_t>) return "I64";
    else if constexpr (std::is_same_v<T, std::uint8_t>) return "U8";
    else if constexpr (std::is_same_v<T, std::uint64_t>) return "U64";
    else static_assert(sizeof(T) == 0, "Tensors of float, double, int32_t, int64_t, uint8_t and uint64_t are read and written.");
}

struct entry {
    int type = -1;
    std::vector<std::uint64_t> extents;
    std::uint64_t begin = 0, end = 0;  // offsets into the data part
};

/// Receives the JSON parser's events. The header has one fixed form, so that anything else is refused where it stands:
/// no document is built and nesting cannot run deep. Each handler says whether to go on; `problem` says why not.
class header_events {
public:
    std::map<std::string, std::string> metadata;
    std::map<std::string, entry> tensors;
    std::string problem;

    bool null() { return unexpected("null"); }
    bool boolean(bool) { return unexpected("a truth value"); }
    bool number_integer(std::int64_t) { return unexpected("a negative number"); }
    bool number_float(double, std::string const&) { return unexpected("a number that is no 64-bit integer"); }
    bool binary(std::vector<std::uint8_t>&) { return unexpected("binary data"); }
    bool number_unsigned(std::uint64_t number) {
        if (!in_list_) return unexpected("a number");
        list_.push_back(number);
        return true;
    }
    bool string(std::string& text) {
        if (in_list_ || depth_ != 2) return unexpected("a string");
        if (in_metadata_) {
            metadata.emplace(field_, text);
            return true;
        }
        if (field_ != "dtype") return unexpected("a string");
        current_.type = find_element_type(text);
        return current_.type >= 0 || fail(where() + " is '" + text + "', which is no type of the format");
    }
    bool start_object(std::size_t) {
        if (depth_ == 2 || in_list_) return unexpected("an object");
        ++depth_;
        current_ = {};
        fields_.clear();
        return true;
    }
    bool key(std::string& text) {
        if (depth_ == 1) {
            name_ = text;
            in_metadata_ = text == "__metadata__";
            return names_.insert(text).second || fail("'" + text + "' appears twice");
        }
        field_ = text;
        if (!fields_.insert(text).second) return fail(where() + " appears twice");
        if (in_metadata_ || text == "dtype" || text == "shape" || text == "data_offsets") return true;
        return fail(where() + " is no field of a tensor");
    }
    bool end_object() {
        if (--depth_ == 0 || in_metadata_) return true;
        if (fields_.size() != 3) return fail("tensor '" + name_ + "' lacks dtype, shape or data_offsets");
        tensors.emplace(name_, std::move(current_));
        return true;
    }
    bool start_array(std::size_t) {
        if (in_list_ || in_metadata_ || depth_ != 2 || field_ == "dtype") return unexpected("an array");
        in_list_ = true;
        list_.clear();
        return true;
    }
    bool end_array() {
        in_list_ = false;
        if (field_ == "shape") {
            current_.extents = std::move(list_);
            return true;
        }
        if (list_.size() != 2) return fail(where() + " has " + std::to_string(list_.size()) + " numbers, not 2");
        current_.begin = list_[0];
        current_.end = list_[1];
        return true;
    }
    template <class Exception> bool parse_error(std::size_t position, std::string const&, Exception const&) {
        return fail("the header is not JSON at its byte " + std::to_string(position));
    }

private:
    std::string where() const {
        if (depth_ == 0) return "the header";
        if (depth_ == 1) return "'" + name_ + "'";
        return "'" + field_ + "' of '" + name_ + "'";
    }
    bool unexpected(char const* what) { return fail(where() + " is or holds " + what); }
    bool fail(std::string text) {
        problem = std::move(text);
        return false;
    }

    int depth_ = 0;
    bool in_metadata_ = false, in_list_ = false;
    std::string name_, field_;
    std::set<std::string> names_, fields_;
    std::vector<std::uint64_t> list_;
    entry current_;
};

}  // namespace safetensors

/// A safetensors file in memory. All is checked when it is made: what it then hands out is sound.
class safetensors_file {
public:
    static constexpr std::uint64_t max_header = 100'000'000;  ///< bytes of JSON; the reference implementation's limit

    /// Reads and checks a file of up to `limit` bytes.
    /// Throws: file_error if it cannot be read; format_error if it is not a sound safetensors file.
    static safetensors_file read(std::string const& path, std::uint64_t limit = std::uint64_t(1) << 36) {
        return parse(path, read_file(path, limit));
    }
    /// Checks bytes from anywhere; `name` stands in error texts. Throws format_error.
    static safetensors_file parse(std::string name, std::vector<std::byte> bytes) {
        safetensors_file file;
        file.name_ = std::move(name);
        file.bytes_ = std::move(bytes);
        file.check();
        return file;
    }

    std::string const& name() const { return name_; }
    /// The strings under "__metadata__".
    std::map<std::string, std::string> const& metadata() const { return metadata_; }
    bool contains(std::string const& tensor) const { return tensors_.contains(tensor); }
    /// Names of all tensors, in byte order.
    std::vector<std::string> names() const {
        std::vector<std::string> names;
        for (auto const& [key, tensor] : tensors_) names.push_back(key);
        return names;
    }
    /// The element type's name: "F32", "BF16". Throws format_error if there is no such tensor.
    std::string_view dtype(std::string const& tensor) const { return safetensors::element_types[find(tensor).type].name; }
    /// Extents as the file has them. Throws format_error if there is no such tensor.
    std::vector<std::uint64_t> const& extents(std::string const& tensor) const { return find(tensor).extents; }
    /// The elements as they lie in the file, for types that `get` does not know; not aligned. Throws format_error.
    std::span<std::byte const> bytes(std::string const& tensor) const {
        auto const& found = find(tensor);
        return std::span(bytes_).subspan(data_ + static_cast<std::size_t>(found.begin), static_cast<std::size_t>(found.end - found.begin));
    }
    /// Copies a tensor out. T: float (F32), double (F64), int32_t (I32), int64_t (I64), uint8_t (U8), uint64_t (U64).
    /// Throws format_error if there is no such tensor, if it holds another type, or if it has more than six dimensions.
    template <class T> host_array<T> get(std::string const& tensor) const {
        constexpr std::string_view asked = safetensors::element_name<T>();
        if (dtype(tensor) != asked)
            raise<format_error>(name_, "tensor '" + tensor + "' holds " + std::string(dtype(tensor)), std::string(asked) + " is asked for");
        // A copy, because the data part is aligned only if whoever wrote the file padded the header.
        auto const raw = bytes(tensor);
        host_array<T> array{to_shape(name_, "tensor '" + tensor + "'", extents(tensor)), std::vector<T>(raw.size() / sizeof(T))};
        if (!raw.empty()) std::memcpy(array.values.data(), raw.data(), raw.size());
        return array;
    }

private:
    safetensors_file() = default;

    [[noreturn]] void fail(std::string given, std::string allowed = {}) const {
        raise<format_error>(name_, std::move(given), std::move(allowed));
    }

    safetensors::entry const& find(std::string const& tensor) const {
        auto const found = tensors_.find(tensor);
        if (found != tensors_.end()) return found->second;
        std::string there;
        int listed = 0;
        for (auto const& [key, other] : tensors_) {
            if (++listed > 8) break;
            there += (listed > 1 ? ", '" : "'") + key + "'";
        }
        fail("there is no tensor '" + tensor + "'",
             tensors_.empty() ? "the file has none" : "the file has " + there + (listed > 8 ? " and others" : ""));
    }

    void check() {
        if (bytes_.size() < 8)
            fail("the file holds " + std::to_string(bytes_.size()) + " bytes", "it begins with the header's length in 8 bytes");
        std::uint64_t length = 0;
        std::memcpy(&length, bytes_.data(), 8);
        if (length > max_header)
            fail("the header's length is " + std::to_string(length), "at most " + std::to_string(max_header) + " is allowed");
        if (length > bytes_.size() - 8)
            fail("the header's length is " + std::to_string(length), std::to_string(bytes_.size() - 8) + " bytes follow");
        char const* const text = reinterpret_cast<char const*>(bytes_.data()) + 8;
        if (length == 0 || text[0] != '{') fail("the header does not begin with '{'");

        safetensors::header_events header;
        bool const parsed = nlohmann::json::sax_parse(text, text + length, &header);
        if (!parsed) fail(header.problem);
        data_ = static_cast<std::size_t>(8 + length);
        std::uint64_t const available = bytes_.size() - data_;

        std::vector<std::pair<safetensors::entry const*, std::string const*>> in_order;
        for (auto const& [key, tensor] : header.tensors) {
            if (tensor.begin > tensor.end || tensor.end > available)
                fail("data_offsets of '" + key + "' are [" + std::to_string(tensor.begin) + ", " + std::to_string(tensor.end) + "]",
                     "the file has " + std::to_string(available) + " bytes of data");
            std::uint64_t bits = safetensors::element_types[tensor.type].bits;
            for (auto const extent : tensor.extents)
                if (!multiply_within_range(bits, extent))
                    fail("shape of '" + key + "' is " + to_string(tensor.extents), "its size must fit 64 bits");
            if (bits % 8 != 0 || bits / 8 != tensor.end - tensor.begin)
                fail("data_offsets of '" + key + "' give " + std::to_string(tensor.end - tensor.begin) + " bytes",
                     "dtype and shape need " + std::to_string(bits / 8) + (bits % 8 ? " and a fraction" : ""));
            in_order.emplace_back(&tensor, &key);
        }
        // Tensors fill the data part without hole or overlap: nothing is aliased and nothing can hide in the file.
        std::sort(in_order.begin(), in_order.end(), [](auto const& a, auto const& b) {
            return std::pair(a.first->begin, a.first->end) < std::pair(b.first->begin, b.first->end);
        });
        std::uint64_t next = 0;
        for (auto const& [tensor, key] : in_order) {
            if (tensor->begin != next)
                fail("data of '" + *key + "' begin at " + std::to_string(tensor->begin),
                     "the tensor before ends at " + std::to_string(next));
            next = tensor->end;
        }
        if (next != available) fail(std::to_string(available - next) + " bytes follow the last tensor", "nothing may");
        metadata_ = std::move(header.metadata);
        tensors_ = std::move(header.tensors);
    }

    std::string name_;
    std::vector<std::byte> bytes_;
    std::size_t data_ = 0;
    std::map<std::string, std::string> metadata_;
    std::map<std::string, safetensors::entry> tensors_;
};

/// Collects tensors and strings, then writes them at once. Values are borrowed: they must live until `save`.
///
///     safetensors_writer writer;
///     writer.add("weight", {2, 3}, values);
///     writer.metadata("step", "1000");
///     writer.save("model.safetensors");
///
/// Some Python loaders ask for metadata("format", "pt").
class safetensors_writer {
public:
    /// T as in safetensors_file::get. Throws shape_error if there are not shape.size() values; domain_error if the name is taken
    /// or is "__metadata__".
    template <class T> void add(std::string name, shape const& extents, std::span<T> values) {
        if (static_cast<index_t>(values.size()) != extents.size())
            raise<shape_error>("safetensors_writer", "'" + name + "' is given " + std::to_string(values.size()) + " values",
                               to_string(extents) + " holds " + std::to_string(extents.size()));
        if (name == "__metadata__")
            raise<domain_error>("safetensors_writer", "a tensor is named '__metadata__'", "the format reserves that name");
        constexpr int type = safetensors::find_element_type(safetensors::element_name<std::remove_const_t<T>>());
        if (!names_.insert(name).second)
            raise<domain_error>("safetensors_writer", "two tensors are named '" + name + "'", "names must differ");
        tensors_.push_back({std::move(name), type, extents, std::as_bytes(values)});
    }
    template <class T> void add(std::string name, shape const& extents, std::vector<T> const& values) {
        add(std::move(name), extents, std::span<T const>(values));
    }
    template <class T> void add(std::string name, shape const& extents, std::vector<T>&& values) = delete;  // would not live until save

    /// Sets one string of "__metadata__"; a later value of the same key replaces an earlier one.
    void metadata(std::string const& key, std::string value) { metadata_[key] = std::move(value); }

    /// Writes the file; an existing one stays whole until the new one is complete.
    /// Throws: file_error; domain_error if a name or string is not UTF-8.
    void save(std::string const& path) const {
        auto ordered = tensors_;
        std::sort(ordered.begin(), ordered.end(),
                  [](source const& a, source const& b) { return a.type != b.type ? a.type > b.type : a.name < b.name; });
        std::string header = "{";
        if (!metadata_.empty()) {
            header += quoted("__metadata__") + ":{";
            for (auto const& [key, value] : metadata_) header += (header.back() == '{' ? "" : ",") + quoted(key) + ":" + quoted(value);
            header += "}";
        }
        std::uint64_t offset = 0;
        for (auto const& tensor : ordered) {
            std::uint64_t const end = offset + tensor.bytes.size();
            header += (header.size() == 1 ? "" : ",") + quoted(tensor.name) +
                      ":{\"dtype\":" + quoted(std::string(safetensors::element_types[tensor.type].name)) + ",\"shape\":[";
            for (int axis = 0; axis < tensor.extents.rank(); ++axis) header += (axis ? "," : "") + std::to_string(tensor.extents[axis]);
            header += "],\"data_offsets\":[" + std::to_string(offset) + "," + std::to_string(end) + "]}";
            offset = end;
        }
        header += "}";
        header.resize((header.size() + 7) / 8 * 8, ' ');
        if (header.size() > safetensors_file::max_header)
            raise<domain_error>("safetensors_writer", "names, shapes and metadata need " + std::to_string(header.size()) + " bytes",
                                "at most " + std::to_string(safetensors_file::max_header) + " are allowed");
        std::uint64_t const length = header.size();
        write_file_atomically(path, [&](file_writer& out) {
            out.write(std::as_bytes(std::span(&length, 1)));
            out.write(header);
            for (auto const& tensor : ordered) out.write(tensor.bytes);
        });
    }

private:
    struct source {
        std::string name;
        int type;
        shape extents;
        std::span<std::byte const> bytes;
    };

    static std::string quoted(std::string const& text) {
        using json = nlohmann::json;
        std::string const lenient = json(text).dump(-1, ' ', false, json::error_handler_t::replace);
        std::string const without = json(text).dump(-1, ' ', false, json::error_handler_t::ignore);
        if (lenient != without)
            raise<domain_error>("safetensors_writer", "a name or string is not UTF-8: " + lenient, "the format asks for UTF-8");
        return lenient;
    }

    std::vector<source> tensors_;
    std::set<std::string> names_;
    std::map<std::string, std::string> metadata_;
};

}  // namespace onestep
