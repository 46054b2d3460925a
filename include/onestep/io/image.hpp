#pragma once
/// Pictures of tensors: a grid of samples in one PNG, or a canvas on which a program lays out rows with labels.
// NOLINTBEGIN(modernize-deprecated-headers): the encoder below uses their names without std::
#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
// NOLINTEND(modernize-deprecated-headers)

#include <algorithm>
#include <array>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../core/tensor.hpp"
#include "file.hpp"
#include "font.hpp"

// The encoder is kept in a namespace, with its macros put back afterwards: a program that uses stb itself, before or
// after this header, in this translation unit or another, is not disturbed.
#pragma push_macro("INCLUDE_STB_IMAGE_WRITE_H")
#pragma push_macro("STB_IMAGE_WRITE_IMPLEMENTATION")
#pragma push_macro("STB_IMAGE_WRITE_STATIC")
#pragma push_macro("STBI_WRITE_NO_STDIO")
#pragma push_macro("STBIWDEF")
#undef INCLUDE_STB_IMAGE_WRITE_H
#undef STB_IMAGE_WRITE_IMPLEMENTATION
#undef STB_IMAGE_WRITE_STATIC
#undef STBI_WRITE_NO_STDIO
#undef STBIWDEF
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#define STBI_WRITE_NO_STDIO
#if defined(__CUDACC__)
#pragma nv_diagnostic push
#pragma nv_diag_suppress 177
#endif
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wshadow"
#endif
namespace onestep::stb {
#if __has_include(<stb_image_write.h>)
#include <stb_image_write.h>
#else
#include <stb/stb_image_write.h>
#endif
}  // namespace onestep::stb
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif
#if defined(__CUDACC__)
#pragma nv_diagnostic pop
#endif
#pragma pop_macro("STBIWDEF")
#pragma pop_macro("STBI_WRITE_NO_STDIO")
#pragma pop_macro("STB_IMAGE_WRITE_STATIC")
#pragma pop_macro("STB_IMAGE_WRITE_IMPLEMENTATION")
#pragma pop_macro("INCLUDE_STB_IMAGE_WRITE_H")

namespace onestep {

/// Red, green, blue.
using rgb = std::array<std::uint8_t, 3>;

/// How images are laid out and how values become brightness.
struct png_grid {
    int columns = 0;  ///< images a line; 0 chooses so that the picture is nearly square
    int scale = 1;    ///< each pixel becomes scale x scale pixels
    int gap = 1;      ///< pixels between images and around them
    double low = -1;  ///< this value, and less, is black
    double high = 1;  ///< this value, and more, is white
    rgb background = {64, 64, 64};
};

/// Size in pixels.
struct picture_size {
    int width = 0, height = 0;
    bool operator==(picture_size const&) const = default;
};

namespace image {

/// Images [n, h, w, c], or one image [h, w, c], in host memory.
struct batch {
    index_t n, h, w, c;
    std::vector<double> values;
};

/// Extents as [n, h, w, c]. Throws shape_error unless the rank is 3 or 4, c is 1 or 3, and nothing is empty.
inline shape as_batch(shape const& s) {
    bool const single = s.rank() == 3;
    shape const batch = single ? shape{1, s[0], s[1], s[2]} : s;
    if (batch.rank() != 4 || (batch[3] != 1 && batch[3] != 3) || batch.size() == 0)
        raise<shape_error>("image", "it is " + to_string(s), "[n, h, w, c] or [h, w, c] with c = 1 or 3 and at least one pixel is needed");
    return batch;
}

inline void check(png_grid const& options) {
    if (options.columns < 0) raise<domain_error>("png_grid", "columns is " + std::to_string(options.columns), "it must be >= 0");
    if (options.scale < 1) raise<domain_error>("png_grid", "scale is " + std::to_string(options.scale), "it must be >= 1");
    if (options.gap < 0) raise<domain_error>("png_grid", "gap is " + std::to_string(options.gap), "it must be >= 0");
    if (!(options.low < options.high) || !std::isfinite(options.high - options.low))
        raise<domain_error>("png_grid", "low is " + std::to_string(options.low) + " and high is " + std::to_string(options.high),
                            "low must be less than high");
}

/// Rounds to the nearest of 256 steps; what lies outside is clamped, NaN is 0.
inline std::uint8_t brightness(double value, double low, double high) {
    double const scaled = (value - low) / (high - low) * 255;
    if (!(scaled > 0)) return 0;
    return static_cast<std::uint8_t>(scaled < 255 ? scaled + 0.5 : 255);
}

inline void append(void* bytes, void* data, int size) {
    auto const* const first = static_cast<std::byte const*>(data);
    auto& all = *static_cast<std::vector<std::byte>*>(bytes);
    all.insert(all.end(), first, first + size);
}

/// Columns of a grid, chosen if options.columns is 0; never more than there are images.
inline index_t columns(shape const& batch, png_grid const& options) {
    if (options.columns > 0) return std::min<index_t>(options.columns, batch[0]);
    double const ratio = static_cast<double>(batch[1]) / static_cast<double>(batch[2]);
    return std::clamp<index_t>(static_cast<index_t>(std::ceil(std::sqrt(static_cast<double>(batch[0]) * ratio))), 1, batch[0]);
}

}  // namespace image

/// The size of a grid, frame included: what picture::draw_grid needs and what write_png makes.
/// Throws: shape_error unless the images are [n, h, w, c] or [h, w, c] with c = 1 or 3, or if the picture is too large (1 GiB of
/// pixels); domain_error if an option is out of range.
inline picture_size grid_size(shape const& images, png_grid const& options = {}) {
    image::check(options);
    shape const batch = image::as_batch(images);
    index_t const columns = image::columns(batch, options), lines = (batch[0] - 1) / columns + 1;
    double const width = double(columns) * (double(batch[2]) * options.scale + options.gap) + options.gap;
    double const height = double(lines) * (double(batch[1]) * options.scale + options.gap) + options.gap;
    if ((3 * width + 1) * height > double(1 << 30))
        raise<shape_error>("png_grid",
                           "a grid of " + to_string(images) + " needs " + std::to_string(width * height * 3 / (1 << 30)) + " GiB of pixels",
                           "at most 1 GiB is drawn");
    return {static_cast<int>(width), static_cast<int>(height)};
}

/// A canvas of RGB pixels, x to the right, y downwards. What is drawn outside is cut off.
class picture {
public:
    /// Throws domain_error unless both sides are at least 1 and the pixels take at most 1 GiB.
    picture(int width, int height, rgb background = {255, 255, 255}) : size_{width, height} {
        bool const sound = width >= 1 && height >= 1 && (3 * double(width) + 1) * double(height) <= double(1 << 30);
        if (!sound)
            raise<domain_error>("picture", "its size is " + std::to_string(width) + " x " + std::to_string(height),
                                "each side is >= 1 and all pixels fit 1 GiB");
        pixels_.assign(static_cast<std::size_t>(width) * static_cast<std::size_t>(height), background);
    }
    explicit picture(picture_size size, rgb background = {255, 255, 255}) : picture(size.width, size.height, background) {}

    int width() const { return size_.width; }
    int height() const { return size_.height; }
    /// The pixel at (x, y), which must lie inside.
    rgb const& at(int x, int y) const {
        return pixels_[static_cast<std::size_t>(y) * static_cast<std::size_t>(size_.width) + static_cast<std::size_t>(x)];
    }
    /// Colours a pixel, if it lies inside.
    void set(index_t x, index_t y, rgb color) {
        if (x < 0 || y < 0 || x >= size_.width || y >= size_.height) return;
        pixels_[static_cast<std::size_t>(y) * static_cast<std::size_t>(size_.width) + static_cast<std::size_t>(x)] = color;
    }
    void fill(int x, int y, int width, int height, rgb color) {
        for (index_t row = std::max(y, 0); row < std::min<index_t>(index_t(y) + height, size_.height); ++row)
            for (index_t column = std::max(x, 0); column < std::min<index_t>(index_t(x) + width, size_.width); ++column)
                set(column, row, color);
    }

    /// Draws one image, [h, w, c] or [1, h, w, c], its upper left corner at (x, y), without a frame. Of the options, scale, low
    /// and high count. Throws as grid_size does.
    template <class T, class Backend> void draw(int x, int y, view<T, Backend> const& one, png_grid const& options = {}) {
        if (one.shape().rank() == 4 && one.rows() != 1)
            raise<shape_error>("picture", "the image is " + to_string(one.shape()), "[1, h, w, c] or [h, w, c] is drawn");
        image::check(options);
        draw_cell(x, y, load(one), 0, options);
    }
    template <class T, class Backend> void draw(int x, int y, tensor<T, Backend> const& one, png_grid const& options = {}) {
        draw(x, y, one.view(), options);
    }

    /// Draws images [n, h, w, c] as a grid with its frame, upper left corner at (x, y); it covers grid_size(shape, options).
    /// Values are clamped to [low, high]; NaN is black. Throws as grid_size does.
    template <class T, class Backend> void draw_grid(int x, int y, view<T, Backend> const& images, png_grid const& options = {}) {
        picture_size const size = grid_size(images.shape(), options);
        image::batch const batch = load(images);
        index_t const columns = image::columns(image::as_batch(images.shape()), options);
        fill(x, y, size.width, size.height, options.background);
        for (index_t i = 0; i < batch.n; ++i)
            draw_cell(x + options.gap + (i % columns) * (batch.w * options.scale + options.gap),
                      y + options.gap + (i / columns) * (batch.h * options.scale + options.gap), batch, i, options);
    }
    template <class T, class Backend> void draw_grid(int x, int y, tensor<T, Backend> const& images, png_grid const& options = {}) {
        draw_grid(x, y, images.view(), options);
    }

    /// Writes text, the upper left corner of its first character at (x, y), characters of 5 x 7 pixels times `scale`, six apart.
    /// A line feed begins a new line nine pixels below. Characters outside ASCII 32 to 126 are drawn as "?". Throws domain_error if scale
    /// < 1.
    void text(int x, int y, std::string_view characters, rgb color = {0, 0, 0}, int scale = 1) {
        if (scale < 1) raise<domain_error>("picture", "text is scaled by " + std::to_string(scale), "scale must be >= 1");
        index_t left = x, top = y;
        for (char const character : characters) {
            if (character == '\n') {
                left = x;
                top += (font::height + 2) * scale;
                continue;
            }
            auto const& glyph = font::glyph(character);
            for (int row = 0; row < font::height; ++row)
                for (int column = 0; column < font::width; ++column)
                    if (glyph[row] >> (font::width - 1 - column) & 1) square(left + column * scale, top + row * scale, scale, color);
            left += font::advance * scale;
        }
    }
    /// Pixels that a line of `count` characters is wide.
    static constexpr int text_width(int count, int scale = 1) { return count > 0 ? (count * font::advance - 1) * scale : 0; }

    /// The picture as the bytes of a PNG file.
    std::vector<std::byte> png() const {
        std::vector<std::byte> bytes;
        if (!stb::stbi_write_png_to_func(&image::append, &bytes, size_.width, size_.height, 3, pixels_.data(), size_.width * 3))
            raise<domain_error>("picture", "its PNG cannot be made", "memory is missing");
        return bytes;
    }
    /// Writes a PNG file; an existing one stays whole until the new one is complete. Throws file_error.
    void save(std::string const& path) const { write_file_atomically(path, png()); }

private:
    template <class T, class Backend> static image::batch load(view<T, Backend> const& images) {
        static_assert(std::floating_point<std::remove_const_t<T>>, "Images are tensors of float or double.");
        shape const s = image::as_batch(images.shape());
        auto const values = to_host(images);
        return {s[0], s[1], s[2], s[3], std::vector<double>(values.begin(), values.end())};
    }
    void square(index_t x, index_t y, int side, rgb color) {
        for (index_t row = y; row < y + side; ++row)
            for (index_t column = x; column < x + side; ++column) set(column, row, color);
    }
    void draw_cell(index_t x, index_t y, image::batch const& batch, index_t i, png_grid const& options) {
        for (index_t row = 0; row < batch.h; ++row)
            for (index_t column = 0; column < batch.w; ++column) {
                double const* const value = batch.values.data() + ((i * batch.h + row) * batch.w + column) * batch.c;
                rgb color;
                for (int k = 0; k < 3; ++k)
                    color[static_cast<std::size_t>(k)] = image::brightness(value[batch.c == 3 ? k : 0], options.low, options.high);
                square(x + column * options.scale, y + row * options.scale, options.scale, color);
            }
    }

    picture_size size_;
    std::vector<rgb> pixels_;
};

static_assert(sizeof(rgb) == 3, "pixels must lie beside each other");

/// Writes images [n, h, w, c] as one PNG, a framed grid; one image [h, w, c] without a frame. c = 1 is grey, c = 3 is colour.
/// Values are clamped to [low, high] and rounded to 256 steps; NaN is black. The images are copied to the host first.
/// Throws: shape_error, domain_error as grid_size does; file_error, an existing file then stays as it was.
template <class T, class Backend> void write_png(std::string const& path, view<T, Backend> const& images, png_grid options = {}) {
    if (images.shape().rank() == 3) options.gap = 0;
    picture canvas(grid_size(images.shape(), options), options.background);
    canvas.draw_grid(0, 0, images, options);
    canvas.save(path);
}
template <class T, class Backend> void write_png(std::string const& path, tensor<T, Backend> const& images, png_grid const& options = {}) {
    write_png(path, images.view(), options);
}

}  // namespace onestep
