#pragma once
/// A toy set in the plane, and a picture of points.
#include <cmath>
#include <onestep/io/image.hpp>
#include <onestep/onestep.hpp>
#include <string>
#include <utility>
#include <vector>

/// Two interleaved half circles with noise of deviation 0.06, centred, in a square of about 3 by 2.
template <onestep::backend Backend>
onestep::tensor<float, Backend> half_moons(Backend& device, onestep::index_t n, std::uint64_t seed = 1) {
    onestep::random_stream const numbers = onestep::random_key{seed}.at(onestep::draw::user);
    std::vector<float> points;
    for (onestep::index_t i = 0; i < n; ++i) {
        double const angle = 3.141592653589793 * onestep::uniform(numbers, i, 0), side = i % 2 ? 1 : -1;
        double const x = side * (std::cos(angle) - 0.5), y = side * (0.25 - std::sin(angle));
        points.push_back(static_cast<float>(x + 0.06 * static_cast<double>(onestep::normal_deviate(numbers, i, 1))));
        points.push_back(static_cast<float>(y + 0.06 * static_cast<double>(onestep::normal_deviate(numbers, i, 2))));
    }
    return {device, {n, 2}, points};
}

/// Density pictures of point sets, x and y in turn, side by side, [-2.5, 2.5] across.
inline void draw_points(std::string const& path, std::vector<std::pair<std::string, std::vector<float>>> const& sets) {
    constexpr int side = 240, gap = 8, title = 20;
    onestep::picture page(gap + static_cast<int>(sets.size()) * (side + gap), title + side + gap);
    int left = gap;
    for (auto const& [name, points] : sets) {
        std::vector<double> count(side * side, 0);
        double most = 1;
        for (std::size_t i = 0; i + 1 < points.size(); i += 2) {
            int const x = static_cast<int>((static_cast<double>(points[i]) + 2.5) / 5 * side),
                      y = static_cast<int>((2.5 - static_cast<double>(points[i + 1])) / 5 * side);
            if (x < 0 || y < 0 || x >= side || y >= side) continue;
            most = std::max(most, count[static_cast<std::size_t>(y * side + x)] += 1);
        }
        page.text(left + 2, 7, name);
        for (int y = 0; y < side; ++y)
            for (int x = 0; x < side; ++x) {
                double const ink = std::sqrt(count[static_cast<std::size_t>(y * side + x)] / most);
                auto const level = [&](double dark) { return static_cast<std::uint8_t>(245 - (245 - dark) * std::min(1.0, 1.6 * ink)); };
                page.set(left + x, title + y, {level(20), level(60), level(140)});
            }
        left += side + gap;
    }
    page.save(path);
}
