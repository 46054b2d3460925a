#pragma once
#include <sys/mman.h>

#include "npy.hpp"

namespace onestep {

/// The bytes of a file as they lie on the disk: pages are read when they are first touched, and given back when memory is short. The file
/// may be renamed or replaced meanwhile; whoever shortens it in place takes the bytes away.
class mapped_file {
public:
    /// Throws file_error if it is not a regular file or cannot be opened or mapped.
    explicit mapped_file(std::string const& path) {
        int const descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
        if (descriptor < 0) raise<file_error>(path, std::string("cannot be opened: ") + std::strerror(errno));
        struct stat status = {};
        bool const known = ::fstat(descriptor, &status) == 0, regular = known && S_ISREG(status.st_mode);
        size_ = regular ? static_cast<std::size_t>(status.st_size) : 0;
        if (size_ > 0) data_ = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, descriptor, 0);
        std::string const reason = std::strerror(errno);
        ::close(descriptor);
        if (!regular) raise<file_error>(path, "is not a regular file", "only those are mapped");
        if (size_ > 0 && data_ == MAP_FAILED) raise<file_error>(path, "cannot be mapped: " + reason);
    }
    mapped_file(mapped_file&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
    mapped_file& operator=(mapped_file&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        return *this;
    }
    ~mapped_file() {
        if (size_ > 0) ::munmap(data_, size_);
    }

    std::span<std::byte const> bytes() const { return {static_cast<std::byte const*>(data_), size_}; }

private:
    void* data_ = nullptr;
    std::size_t size_ = 0;
};

/// An .npy file as an array that is not read into memory. The values stay valid as long as the object.
template <class T> class mapped_npy {
public:
    /// Throws file_error; format_error as parse_npy does.
    explicit mapped_npy(std::string const& path) : file_(path) {
        npy::contents const found = npy::find<T>(path, file_.bytes());
        extents_ = found.extents;
        // NumPy and `preamble` begin elements at a multiple of 64 bytes of a mapping that begins a page; a foreign writer might not.
        if (reinterpret_cast<std::uintptr_t>(found.elements.data()) % alignof(T) != 0)
            raise<format_error>(path, "the elements do not begin at a multiple of " + std::to_string(alignof(T)) + " bytes",
                                "save the array with NumPy");
        values_ = {reinterpret_cast<T const*>(found.elements.data()), static_cast<std::size_t>(extents_.size())};
    }

    onestep::shape const& shape() const { return extents_; }
    std::span<T const> values() const { return values_; }

private:
    mapped_file file_;
    onestep::shape extents_;
    std::span<T const> values_;
};

}  // namespace onestep
