#pragma once
/// Drawing with light: points and lines add up on a dark plate, which is then developed into a picture.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <onestep/io/image.hpp>
#include <vector>

namespace light {

using color = std::array<double, 3>;

/// The colour of a direction: three lamps, a third of a turn apart.
inline color hue(double angle) {
    color lamps;
    for (std::size_t k = 0; k < 3; ++k) {
        double const wave = 0.5 + 0.5 * std::cos(angle - 2.0943951023931953 * static_cast<double>(k));
        lamps[k] = 0.06 + 0.94 * wave * wave;
    }
    return lamps;
}

/// A square of side x side pixels that shows [-seen, seen] in both directions, y upwards.
class plate {
public:
    plate(int side, double seen) : side_(side), seen_(seen), lit_(static_cast<std::size_t>(side * side)) {}

    /// Light of one point, shared out among the four nearest pixels.
    void point(double x, double y, color const& c, double strength) {
        double const across = (x + seen_) / (2 * seen_) * side_ - 0.5, down = (seen_ - y) / (2 * seen_) * side_ - 0.5;
        if (!(across > -1 && across < side_ && down > -1 && down < side_)) return;
        double const left = std::floor(across), top = std::floor(down), right = across - left, bottom = down - top;
        for (int i = 0; i < 2; ++i)
            for (int j = 0; j < 2; ++j) {
                int const column = static_cast<int>(left) + i, row = static_cast<int>(top) + j;
                if (column < 0 || row < 0 || column >= side_ || row >= side_) continue;
                double const share = strength * (i ? right : 1 - right) * (j ? bottom : 1 - bottom);
                for (std::size_t k = 0; k < 3; ++k) lit_[static_cast<std::size_t>(row * side_ + column)][k] += share * c[k];
            }
    }
    /// A line through points, x and y in turn, with a point of its own strength at the end.
    void line(std::vector<double> const& points, color const& c, double strength, double end) {
        double const pixel = 2 * seen_ / side_;
        for (std::size_t i = 0; i + 3 < points.size(); i += 2) {
            double const dx = points[i + 2] - points[i], dy = points[i + 3] - points[i + 1];
            int const parts = std::clamp(static_cast<int>(2 * std::hypot(dx, dy) / pixel), 1, 8 * side_);
            for (int k = 0; k < parts; ++k) point(points[i] + dx * k / parts, points[i + 1] + dy * k / parts, c, strength);
        }
        if (points.size() >= 2) point(points[points.size() - 2], points.back(), c, end);
    }
    /// Puts the plate into a picture, its upper left corner at (x, y).
    void develop(onestep::picture& page, int x, int y) const {
        color const dark{16, 18, 27};
        for (int row = 0; row < side_; ++row)
            for (int column = 0; column < side_; ++column) {
                color const& lit = lit_[static_cast<std::size_t>(row * side_ + column)];
                onestep::rgb shown;
                for (std::size_t k = 0; k < 3; ++k)
                    shown[k] = static_cast<std::uint8_t>(dark[k] + (255 - dark[k]) * (1 - std::exp(-1.6 * lit[k])));
                page.set(x + column, y + row, shown);
            }
    }

private:
    int side_;
    double seen_;
    std::vector<color> lit_;
};

}  // namespace light
