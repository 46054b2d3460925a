#pragma once
/// What the tests of files share: a folder that vanishes, bytes and their corruption, exceptions as text.
#include <doctest/doctest.h>

#include <onestep/io/file.hpp>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace onestep::test {

/// An empty folder of its own, removed with all it holds.
class scratch_folder {
public:
    scratch_folder() {
        std::string name = (std::filesystem::temp_directory_path() / "onestep-test-XXXXXX").string();
        REQUIRE(mkdtemp(name.data()) != nullptr);
        path_ = name;
    }
    scratch_folder(scratch_folder const&) = delete;
    ~scratch_folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    std::string operator/(std::string const& name) const { return path_ + "/" + name; }
    std::string const& path() const { return path_; }
    /// Number of entries, hidden ones included: shows whether a temporary was left.
    std::size_t entries() const {
        std::size_t count = 0;
        for ([[maybe_unused]] auto const& entry : std::filesystem::directory_iterator(path_)) ++count;
        return count;
    }

private:
    std::string path_;
};

inline std::string golden(std::string const& name) { return std::string(ONESTEP_TEST_DATA) + "/io/" + name; }

inline std::vector<std::byte> to_bytes(std::string_view text) {
    auto const bytes = std::as_bytes(std::span(text));
    return {bytes.begin(), bytes.end()};
}
inline std::string text_of(std::string const& path) {
    auto const bytes = read_file(path, 1 << 28);
    return {reinterpret_cast<char const*>(bytes.data()), bytes.size()};
}

/// The text of the Error that `f` throws; fails the test if it throws none or another.
template <class Error, class F> std::string message(F&& f) {
    try {
        f();
    } catch (Error const& e) {
        return e.what();
    } catch (std::exception const& e) {
        return std::string("another exception: ") + e.what();
    }
    return "no exception";
}

/// How parsing of corrupted copies ended. Anything but success or `format_error` escapes and fails the test.
struct outcomes {
    int accepted = 0, refused = 0;
    template <class Parse> void count(Parse const& parse, std::vector<std::byte> const& bytes) {
        try {
            parse(bytes);
            ++accepted;
        } catch (format_error const&) {
            ++refused;
        }
    }
};
/// Every proper prefix.
template <class Parse> outcomes truncated(std::vector<std::byte> const& bytes, Parse const& parse) {
    outcomes result;
    for (std::size_t n = 0; n < bytes.size(); ++n) result.count(parse, {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n)});
    return result;
}
/// Every one of the first `count` bytes changed in turn: each bit flipped, and characters put there that mean something in a header.
template <class Parse> outcomes altered(std::vector<std::byte> bytes, std::size_t count, Parse const& parse) {
    outcomes result;
    for (std::size_t i = 0; i < count; ++i) {
        auto const original = bytes[i];
        for (unsigned bit = 0; bit < 8; ++bit) {
            bytes[i] = original ^ static_cast<std::byte>(1u << bit);
            result.count(parse, bytes);
        }
        for (char const replacement : {'\0', '\xff', '"', '\'', '{', '}', '[', ']', '(', ')', ',', ':', '0', '9', '-', ' ', '\\', 'e'}) {
            bytes[i] = static_cast<std::byte>(replacement);
            if (bytes[i] != original) result.count(parse, bytes);
        }
        bytes[i] = original;
    }
    return result;
}

}  // namespace onestep::test
