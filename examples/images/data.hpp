#pragma once
/// Image sets by name.
#include <onestep/backend/cpu.hpp>
#include <onestep/train/dataset.hpp>

#include <string>

namespace images {

namespace os = onestep;
using os::index_t;
using samples = os::tensor<float, os::cpu>;
using labels = os::tensor<std::int32_t, os::cpu>;

/// Labelled images in [-1, 1], [n, h, w, c].
struct image_data {
    std::string name;
    os::dataset<float, os::cpu> train, held_out;
    index_t classes;

    /// Extents of one image.
    os::shape extents() const { return {train.x0().shape()[1], train.x0().shape()[2], train.x0().shape()[3]}; }
    /// Root mean square of the training images' elements.
    double deviation() const;
    /// Labels for n images that are to be generated: those of training images, spread over all of them.
    labels wanted(index_t n) const;
    /// Labels for `lines` lines of ten images: column c asks for class c where there are ten, else they are wanted(10 lines).
    labels for_grid(index_t lines) const;
};

/// Reads a set; an empty folder is the set's usual place.
///
///     digits     1,797 digits of 8 x 8 inside this program: the first 1,500, and 297 to hold out
///     mnist      the four original files, or mnist10k-images-idx3-ubyte and mnist10k-labels-idx1-ubyte: the first 9,000, and 1,000
///     fashion    the same four names, or fashion10k-*
///     emoji      emoji32-images-idx4-ubyte and emoji32-labels-idx1-ubyte: every tenth is held out
///
/// Files are raw or .gz. Throws file_error that says which were looked for, and where to get them; format_error for damaged ones.
image_data load_images(os::cpu& device, std::string const& name, std::string const& folder);

}  // namespace images
