#pragma once
#include "../../backend/concept.hpp"

namespace onestep::layer {

namespace functor {
/// Where a fine image [n, height, width, c] meets its coarse one of half the extents, rounded up: pixels 2 i and 2 i + 1 belong to cell i.
struct cells {
    index_t height, width;  // of the fine image

    static ONESTEP_HD index_t half(index_t extent) { return (extent + 1) / 2; }
    ONESTEP_HD index_t coarse_pixels() const { return half(height) * half(width); }
    /// The coarse pixel, counted through the batch, of a fine one.
    ONESTEP_HD index_t cell_of(index_t pixel) const {
        index_t const row = pixel / width;
        return (row / height * half(height) + row % height / 2) * half(width) + pixel % width / 2;
    }
    /// The first fine pixel of a coarse one, and how many rows and columns of them there are: 2, or 1 at an odd edge.
    ONESTEP_HD index_t first_of(index_t cell) const {
        index_t const row = cell / half(width);
        return (row / half(height) * height + row % half(height) * 2) * width + cell % half(width) * 2;
    }
    ONESTEP_HD index_t rows_of(index_t cell) const { return cell / half(width) % half(height) * 2 + 1 < height ? 2 : 1; }
    ONESTEP_HD index_t columns_of(index_t cell) const { return cell % half(width) * 2 + 1 < width ? 2 : 1; }
};
/// Each fine pixel takes its cell's value; `Shared`: divided by the number of pixels in the cell.
template <class T, bool Shared> struct from_cell {
    cells at;
    T const* coarse;
    T* fine;
    index_t channels;
    ONESTEP_HD void operator()(index_t pixel, index_t c) const {
        index_t const cell = at.cell_of(pixel);
        T const value = coarse[cell * channels + c];
        fine[pixel * channels + c] = Shared ? value / static_cast<T>(at.rows_of(cell) * at.columns_of(cell)) : value;
    }
};
/// Each coarse pixel takes the sum of its cell; `Mean`: their mean.
template <class T, bool Mean> struct over_cell {
    cells at;
    T const* fine;
    T* coarse;
    index_t channels;
    ONESTEP_HD void operator()(index_t cell, index_t c) const {
        index_t const rows = at.rows_of(cell), columns = at.columns_of(cell);
        T const* const corner = fine + at.first_of(cell) * channels + c;
        T sum = corner[0];
        if (columns > 1) sum += corner[channels];
        if (rows > 1) sum += corner[at.width * channels];
        if (rows > 1 && columns > 1) sum += corner[(at.width + 1) * channels];
        coarse[cell * channels + c] = Mean ? sum / static_cast<T>(rows * columns) : sum;
    }
};
}  // namespace functor

/// Halves and doubles images, channels last. Both are linear, so a tangent takes the same way as its image: pass 2 n images.
///
///     down   mean over cells of 2 x 2 pixels            [n, h, w, c] -> [n, (h + 1) / 2, (w + 1) / 2, c]
///     up     every pixel of a cell takes its value      the other way
///
/// At an odd edge a cell has fewer pixels, so any extents will do, and up after down leads back to them: 7 x 7, 4 x 4, 7 x 7.
/// down(up(x)) = x. No parameters. Cost: one pass each.
template <class T, backend Backend> class resample {
public:
    /// height and width are those of the fine image.
    resample(index_t height, index_t width, index_t channels) : at_{height, width}, channels_(channels) {}

    index_t coarse_height() const { return functor::cells::half(at_.height); }
    index_t coarse_width() const { return functor::cells::half(at_.width); }

    void down(Backend& device, index_t n, T const* fine, T* coarse) const { over<true>(device, n, fine, coarse); }
    /// dfine from dcoarse.
    void down_backward(Backend& device, index_t n, T const* dcoarse, T* dfine) const { from<true>(device, n, dcoarse, dfine); }
    void up(Backend& device, index_t n, T const* coarse, T* fine) const { from<false>(device, n, coarse, fine); }
    /// dcoarse from dfine.
    void up_backward(Backend& device, index_t n, T const* dfine, T* dcoarse) const { over<false>(device, n, dfine, dcoarse); }

private:
    template <bool Mean> void over(Backend& device, index_t n, T const* fine, T* coarse) const {
        device.for_each_pair(n * at_.coarse_pixels(), channels_, functor::over_cell<T, Mean>{at_, fine, coarse, channels_});
    }
    template <bool Shared> void from(Backend& device, index_t n, T const* coarse, T* fine) const {
        device.for_each_pair(n * at_.height * at_.width, channels_, functor::from_cell<T, Shared>{at_, coarse, fine, channels_});
    }

    functor::cells at_;
    index_t channels_;
};

}  // namespace onestep::layer
