#pragma once
/// IDX, the format of MNIST and its relatives, raw or gzipped.
///
///     0, 0, type, rank | rank big-endian u32 extents | row-major elements, big-endian
#include <zlib.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "../core/tensor.hpp"
#include "file.hpp"
#include "host_array.hpp"

namespace onestep {

/// Element types of an IDX file, by the third byte.
enum class idx_type : std::uint8_t { uint8 = 0x08, int8 = 0x09, int16 = 0x0B, int32 = 0x0C, float32 = 0x0D, float64 = 0x0E };

/// The content of an IDX file.
struct idx_file {
    std::string name;  ///< stands in error texts
    idx_type type = idx_type::uint8;
    onestep::shape shape;              ///< as the file has it: [n, h, w], [n, h, w, c], [n]
    std::vector<std::uint8_t> values;  ///< the elements of a uint8 file; of other types their big-endian bytes
};

/// How values become numbers of a tensor: v / (largest / 2) - 1, so that [0, largest] becomes [-1, 1].
struct idx_scale {
    double largest = 255;  ///< 255 for photographs, 16 for the 8x8 digits; 0 leaves values as they are
};

/// Largest size of an IDX file, after unpacking, unless the caller says otherwise.
inline constexpr std::uint64_t idx_limit = std::uint64_t(1) << 32;

namespace idx {

constexpr std::size_t element_size(idx_type type) {
    switch (type) {
        case idx_type::uint8:
        case idx_type::int8:
            return 1;
        case idx_type::int16:
            return 2;
        case idx_type::int32:
        case idx_type::float32:
            return 4;
        case idx_type::float64:
            return 8;
    }
    return 0;
}

inline bool gzipped(std::span<std::byte const> bytes) {
    return bytes.size() >= 2 && bytes[0] == std::byte{0x1F} && bytes[1] == std::byte{0x8B};
}

/// Unpacks gzip, one member or several, to at most `limit` bytes; length and checksum of each member are verified.
inline std::vector<std::byte> unpack(std::string const& name, std::span<std::byte const> packed, std::uint64_t limit) {
    struct stream_owner {
        z_stream stream = {};
        bool const ready = inflateInit2(&stream, 15 + 16) == Z_OK;  // 15: largest window; 16: gzip framing
        ~stream_owner() {
            if (ready) inflateEnd(&stream);
        }
    } owner;
    z_stream& stream = owner.stream;
    if (!owner.ready) raise<format_error>(name, "zlib cannot start", "memory or a matching library is missing");

    constexpr std::size_t chunk = std::size_t(1) << 30;  // zlib counts in 32 bits
    std::uint64_t const room =
        limit == std::numeric_limits<std::uint64_t>::max() ? limit : limit + 1;  // one more shows that it is too much
    std::vector<std::byte> out(static_cast<std::size_t>(std::min<std::uint64_t>(room, std::max<std::uint64_t>(65536, 4 * packed.size()))));
    std::size_t consumed = 0, produced = 0;
    for (;;) {
        if (produced == out.size()) out.resize(static_cast<std::size_t>(std::min<std::uint64_t>(room, 2 * std::uint64_t(out.size()))));
        auto const offered = static_cast<uInt>(std::min(packed.size() - consumed, chunk));
        auto const space = static_cast<uInt>(std::min(out.size() - produced, chunk));
        stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(packed.data() + consumed));  // zlib reads only
        stream.avail_in = offered;
        stream.next_out = reinterpret_cast<Bytef*>(out.data() + produced);
        stream.avail_out = space;
        int const code = inflate(&stream, Z_NO_FLUSH);
        consumed += offered - stream.avail_in;
        produced += space - stream.avail_out;
        if (produced > limit) raise<format_error>(name, "it unpacks to more than " + std::to_string(limit) + " bytes", "that is the limit");
        if (code == Z_STREAM_END) {
            if (consumed == packed.size()) break;
            inflateReset(&stream);
        } else if (code != Z_OK && code != Z_BUF_ERROR) {
            raise<format_error>(name, "the gzip stream is corrupt at byte " + std::to_string(consumed),
                                stream.msg ? std::string("zlib says: ") + stream.msg : "");
        } else if (consumed == packed.size() && stream.avail_out > 0) {
            raise<format_error>(name, "the gzip stream is truncated after " + std::to_string(packed.size()) + " bytes",
                                "it must end with its checksum");
        }
    }
    out.resize(produced);
    return out;
}

inline std::uint64_t big_endian(std::uint8_t const* bytes, std::size_t count) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < count; ++i) value = value << 8 | bytes[i];
    return value;
}

/// Element i as a double, which holds every type exactly.
inline double element(idx_file const& file, std::size_t i) {
    std::size_t const size = element_size(file.type);
    std::uint64_t const bits = big_endian(file.values.data() + i * size, size);
    switch (file.type) {
        case idx_type::uint8:
            return static_cast<double>(bits);
        case idx_type::int8:
            return static_cast<std::int8_t>(bits);
        case idx_type::int16:
            return static_cast<std::int16_t>(bits);
        case idx_type::int32:
            return static_cast<std::int32_t>(bits);
        case idx_type::float32:
            return static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
        case idx_type::float64:
            return std::bit_cast<double>(bits);
    }
    return 0;
}

/// Shortest text of a number in an error.
inline std::string number(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%g", value);
    return text;
}

}  // namespace idx

/// Reads IDX from memory, raw or gzipped (told apart by the first two bytes), for instance data embedded in a program.
/// Throws format_error, naming `name`, if the content is empty, truncated, too long or malformed, unpacks to more than `limit`
/// bytes, or has no or more than six dimensions.
inline idx_file parse_idx(std::string name, std::span<std::byte const> bytes, std::uint64_t limit = idx_limit) {
    std::vector<std::byte> unpacked;
    if (idx::gzipped(bytes)) {
        unpacked = idx::unpack(name, bytes, limit);
        bytes = unpacked;
    }
    auto const fail = [&](std::string given, std::string allowed) { raise<format_error>(name, std::move(given), std::move(allowed)); };
    char const* const beginning = "an IDX file begins with 0, 0, type, rank";
    if (bytes.empty()) fail("the file is empty", beginning);
    if (bytes.size() > limit) fail("it holds " + std::to_string(bytes.size()) + " bytes", "at most " + std::to_string(limit) + " are read");
    if (bytes.size() < 4) fail("it holds " + std::to_string(bytes.size()) + " bytes", beginning);
    auto const* const raw = reinterpret_cast<std::uint8_t const*>(bytes.data());
    if (raw[0] != 0 || raw[1] != 0) fail("the first bytes are " + std::to_string(raw[0]) + ", " + std::to_string(raw[1]), beginning);
    auto const type = static_cast<idx_type>(raw[2]);
    std::size_t const element = idx::element_size(type), rank = raw[3];
    if (element == 0)
        fail("the type is " + std::to_string(raw[2]), "8 (uint8), 9 (int8), 11 (int16), 12 (int32), 13 (float) and 14 (double) are known");
    if (rank < 1 || rank > static_cast<std::size_t>(shape::max_rank)) fail("the rank is " + std::to_string(rank), "1 to 6 is supported");
    std::size_t const start = 4 + 4 * rank;
    if (bytes.size() < start)
        fail("it holds " + std::to_string(bytes.size()) + " bytes", "the extents end at byte " + std::to_string(start));

    std::vector<std::uint64_t> extents;
    std::uint64_t size = element;
    bool fits = true;
    for (std::size_t axis = 0; axis < rank; ++axis) {
        extents.push_back(idx::big_endian(raw + 4 + 4 * axis, 4));
        fits = fits && multiply_within_range(size, extents.back());
    }
    shape const checked = to_shape(name, "the array", extents);
    std::size_t const available = bytes.size() - start;
    if (!fits || size != available)
        fail(std::to_string(available) + " bytes follow the extents",
             to_string(checked) + " needs " + (fits ? std::to_string(size) : "more than 64 bits can count"));
    return {std::move(name), type, checked, std::vector<std::uint8_t>(raw + start, raw + bytes.size())};
}

/// Reads an IDX file, raw or gzipped whatever its name, of up to `limit` bytes, packed and unpacked.
/// Throws file_error if it cannot be read; format_error as parse_idx does.
inline idx_file read_idx_file(std::string const& path, std::uint64_t limit = idx_limit) {
    return parse_idx(path, read_file(path, limit), limit);
}

/// Images as a tensor: [n, h, w] becomes [n, h, w, 1]; other ranks stay, so that [n, h, w, c] are colour images and [n, d] vectors.
/// Throws: domain_error if scale.largest is negative or not finite; format_error if a value lies outside [0, scale.largest].
template <std::floating_point T, class Backend> tensor<T, Backend> to_tensor(Backend& backend, idx_file const& file, idx_scale scale = {}) {
    if (!(scale.largest >= 0) || !std::isfinite(scale.largest))
        raise<domain_error>("idx_scale", "largest is " + idx::number(scale.largest), "it must be positive, or 0 for values as they are");
    std::vector<T> values(static_cast<std::size_t>(file.shape.size()));
    for (std::size_t i = 0; i < values.size(); ++i) {
        double const value = idx::element(file, i);
        if (scale.largest > 0 && !(value >= 0 && value <= scale.largest))
            raise<format_error>(file.name, "it holds " + idx::number(value),
                                "idx_scale says that values lie in [0, " + idx::number(scale.largest) + "]");
        values[i] = static_cast<T>(scale.largest > 0 ? value / (scale.largest / 2) - 1 : value);
    }
    auto const& s = file.shape;
    return tensor<T, Backend>(backend, s.rank() == 3 ? shape{s[0], s[1], s[2], 1} : s, values);
}

/// Class labels of an IDX file of rank 1 with an integer type. Throws format_error for other files and for negative labels.
inline std::vector<std::int32_t> to_labels(idx_file const& file) {
    if (file.shape.rank() != 1) raise<format_error>(file.name, "it holds " + to_string(file.shape), "labels are [n]");
    if (file.type == idx_type::float32 || file.type == idx_type::float64)
        raise<format_error>(file.name, "it holds floating-point numbers", "labels are integers");
    std::vector<std::int32_t> labels(static_cast<std::size_t>(file.shape.size()));
    for (std::size_t i = 0; i < labels.size(); ++i) {
        labels[i] = static_cast<std::int32_t>(idx::element(file, i));
        if (labels[i] < 0) raise<format_error>(file.name, "it holds the label " + std::to_string(labels[i]), "labels are >= 0");
    }
    return labels;
}

/// Reads images: read_idx_file, then to_tensor. `auto digits = read_idx<float>(device, "digits.idx.gz");`
template <std::floating_point T, class Backend>
tensor<T, Backend> read_idx(Backend& backend, std::string const& path, idx_scale scale = {}) {
    return to_tensor<T>(backend, read_idx_file(path), scale);
}
/// Reads class labels: read_idx_file, then to_labels.
inline std::vector<std::int32_t> read_idx_labels(std::string const& path) { return to_labels(read_idx_file(path)); }

}  // namespace onestep
