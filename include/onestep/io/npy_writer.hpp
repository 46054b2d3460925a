#pragma once
#include "npy.hpp"

namespace onestep {

/// An .npy file in the making, written part by part, for arrays that do not fit in memory: the same bytes as write_npy's.
///
///     onestep::npy_writer<float> file("x.npy", {1'000'000, 28, 28, 1});
///     while (...) file.write(part);
///     file.commit();
///
/// Until `commit` nothing stands under the file's name; without it, or if anything fails, the temporary is removed and an older file stays.
template <class T> class npy_writer {
public:
    /// Throws file_error if the folder is missing or not writable, or if `path` is something else than a regular file.
    npy_writer(std::string const& path, shape const& extents) : file_(path), extents_(extents) {
        file_.write(npy::preamble(npy::element_name<T>(), extents));
    }

    /// The next elements, row after row. Throws shape_error for more of them than the array has, file_error.
    void write(std::span<T const> values) {
        index_t const count = static_cast<index_t>(values.size());
        if (count > extents_.size() - written_)
            raise<shape_error>(file_.path(), std::to_string(written_ + count) + " values were given",
                               to_string(extents_) + " holds " + std::to_string(extents_.size()));
        file_.write(std::as_bytes(values));
        written_ += count;
    }
    /// Puts the file in its place. Throws shape_error if elements are missing, file_error.
    void commit() {
        if (written_ != extents_.size())
            raise<shape_error>(file_.path(), std::to_string(written_) + " values were given",
                               to_string(extents_) + " holds " + std::to_string(extents_.size()));
        file_.commit();
    }

private:
    file_writer file_;
    shape extents_;
    index_t written_ = 0;
};

}  // namespace onestep
