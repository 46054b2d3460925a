#pragma once
/// Whole files in, whole files out: a reader with a size limit and a writer that never leaves half a file.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "../core/error.hpp"

namespace onestep {

/// The bytes of a file.
/// Throws: file_error if it is a folder or cannot be opened or read; format_error if it holds more than `limit` bytes.
inline std::vector<std::byte> read_file(std::string const& path, std::uint64_t limit) {
    struct close {
        void operator()(std::FILE* file) const noexcept { std::fclose(file); }
    };
    std::unique_ptr<std::FILE, close> const file(std::fopen(path.c_str(), "rb"));
    if (!file) raise<file_error>(path, std::string("cannot be opened: ") + std::strerror(errno));
    struct stat status = {};
    if (::fstat(::fileno(file.get()), &status) != 0) raise<file_error>(path, std::string("cannot be read: ") + std::strerror(errno));
    if (S_ISDIR(status.st_mode)) raise<file_error>(path, "is a folder", "a file is needed");

    auto const too_large = [&](std::string const& size) {
        raise<format_error>(path, "the file holds " + size + " bytes", "at most " + std::to_string(limit) + " are read");
    };
    auto const expected = static_cast<std::uint64_t>(std::max<off_t>(status.st_size, 0));
    if (expected > limit) too_large(std::to_string(expected));
    // The size is only a hint: a pipe has none, and a file may grow while it is read. One byte more shows the end at once.
    std::vector<std::byte> bytes(static_cast<std::size_t>(expected) + 1);
    std::size_t filled = 0;
    for (;;) {
        filled += std::fread(bytes.data() + filled, 1, bytes.size() - filled, file.get());
        if (std::ferror(file.get())) raise<file_error>(path, std::string("cannot be read: ") + std::strerror(errno));
        if (filled > limit) too_large("more than " + std::to_string(limit));
        if (filled < bytes.size()) break;
        bytes.resize(std::max<std::size_t>(4096, 2 * filled));
    }
    bytes.resize(filled);
    return bytes;
}

/// A file in the making: bytes go to a temporary file in the same folder, `commit` flushes it to the disk and renames
/// it. Without a commit, or if anything fails, the temporary is removed and a file of that name stays as it was. A
/// reader sees the old file or the new one, never a part. An existing file's permissions are kept; a symbolic link is
/// replaced, not followed.
class file_writer {
public:
    /// Throws file_error if the folder is missing or not writable, or if `path` is something else than a regular file.
    explicit file_writer(std::string path) : path_(std::move(path)) {
        struct stat status = {};
        bool const exists = ::stat(path_.c_str(), &status) == 0;
        // A rename would replace a device such as /dev/null.
        if (exists && !S_ISREG(status.st_mode)) raise<file_error>(path_, "is not a regular file", "only those are written");

        static std::atomic<unsigned> count{0};
        std::string const folder = path_.substr(0, path_.rfind('/') + 1);
        int descriptor = -1;
        do {
            temporary_ = folder + ".onestep-" + std::to_string(::getpid()) + "-" + std::to_string(count++) + ".tmp";
            descriptor = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        } while (descriptor < 0 && errno == EEXIST);
        if (descriptor < 0) {
            std::string const reason = std::strerror(errno);
            temporary_.clear();
            raise<file_error>(path_, "cannot be written: " + reason, "its folder must exist and be writable");
        }
        if (exists) (void)!::fchmod(descriptor, status.st_mode & 07777);
        file_ = ::fdopen(descriptor, "wb");
        if (!file_) {
            ::close(descriptor);
            fail();
        }
    }
    file_writer(file_writer const&) = delete;
    file_writer& operator=(file_writer const&) = delete;
    ~file_writer() { discard(); }

    std::string const& path() const { return path_; }

    /// Throws file_error if the bytes cannot be written, for instance because the disk is full.
    void write(std::span<std::byte const> bytes) {
        if (!bytes.empty() && std::fwrite(bytes.data(), 1, bytes.size(), file_) != bytes.size()) fail();
    }
    void write(std::string_view text) { write(std::as_bytes(std::span(text))); }

    /// Puts the file in its place. Throws file_error if that fails. Nothing may be written afterwards.
    void commit() {
        if (std::fflush(file_) != 0 || ::fsync(::fileno(file_)) != 0) fail();
        std::FILE* const file = file_;
        file_ = nullptr;
        if (std::fclose(file) != 0 || std::rename(temporary_.c_str(), path_.c_str()) != 0) fail();
        temporary_.clear();
    }

private:
    void discard() noexcept {
        if (file_) std::fclose(file_);
        file_ = nullptr;
        if (!temporary_.empty()) std::remove(temporary_.c_str());
        temporary_.clear();
    }
    [[noreturn]] void fail() {
        std::string const reason = std::strerror(errno);
        discard();
        raise<file_error>(path_, "cannot be written: " + reason);
    }

    std::string path_, temporary_;
    std::FILE* file_ = nullptr;
};

/// Calls `fill(writer)` and puts the file in its place. If `fill` throws, the old file stays. Throws file_error.
template <std::invocable<file_writer&> Fill> void write_file_atomically(std::string const& path, Fill&& fill) {
    file_writer writer(path);
    fill(writer);
    writer.commit();
}
/// Writes the parts one after the other. Throws file_error.
inline void write_file_atomically(std::string const& path, std::initializer_list<std::span<std::byte const>> parts) {
    write_file_atomically(path, [&](file_writer& writer) {
        for (auto const& part : parts) writer.write(part);
    });
}
inline void write_file_atomically(std::string const& path, std::span<std::byte const> bytes) { write_file_atomically(path, {bytes}); }
inline void write_file_atomically(std::string const& path, std::string_view text) {
    write_file_atomically(path, {std::as_bytes(std::span(text))});
}

}  // namespace onestep
