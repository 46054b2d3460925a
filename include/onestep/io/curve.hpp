#pragma once
/// Line charts as SVG files: a loss over steps, error over the number of evaluations.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "../core/error.hpp"
#include "file.hpp"

namespace onestep {

/// One line of a chart: points (x[i], y[i]), joined in that order.
struct curve_series {
    std::string name;  ///< shown in the legend if there are several series
    std::vector<double> x, y;
};

struct curve_options {
    std::string title = {}, x_label = {}, y_label = {};  ///< UTF-8; shown as they are
    bool log_x = false, log_y = false;                   ///< logarithmic axes leave out points <= 0
    int width = 720, height = 420;                       ///< of the whole picture, in SVG units (pixels unless scaled)
};

namespace svg {

/// Text for an SVG document: markup is escaped, control characters (which XML forbids) become spaces.
inline std::string escaped(std::string_view text) {
    std::string out;
    for (char const c : text) {
        if (c == '&') out += "&amp;";
        else if (c == '<') out += "&lt;";
        else if (c == '>') out += "&gt;";
        else if (c == '"') out += "&quot;";
        else if (c == '\'') out += "&apos;";
        else out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
    return out;
}

/// A number with `digits` significant digits, with a point whatever the locale.
inline std::string number(double value, int digits) {
    char text[64];
    auto const end = std::to_chars(text, text + sizeof text, value == 0 ? 0.0 : value, std::chars_format::general, digits).ptr;
    std::string written(text, end);
    // "1e+06" is written "1e6", "1e-05" is written "1e-5".
    if (auto const e = written.find('e'); e != written.npos) {
        if (written[e + 1] == '+') written.erase(e + 1, 1);
        auto const exponent = written.find_first_not_of("e-", e);
        if (written[exponent] == '0') written.erase(exponent, 1);
    }
    return written;
}
/// A position, to a tenth.
inline std::string position(double value) { return number(std::round(value * 10) / 10, 8); }

struct tick {
    double at;  // on the axis: the value, or its logarithm
    std::string text;
};

/// From a data range to pixels, with round numbers on the way.
class axis {
public:
    axis(bool logarithmic, double low_pixel, double high_pixel)
        : logarithmic_(logarithmic), low_pixel_(low_pixel), high_pixel_(high_pixel) {}

    /// Beyond 1e300 differences overflow.
    bool shows(double value) const { return std::abs(value) <= 1e300 && (!logarithmic_ || value > 0); }
    double place(double value) const { return logarithmic_ ? std::log10(value) : value; }
    void include(double value) {
        low_ = std::min(low_, place(value));
        high_ = std::max(high_, place(value));
    }
    /// To be called once all values are included: an axis without values runs from 0 to 1, one with a single value gets room around it.
    void settle() {
        if (low_ > high_) low_ = 0, high_ = 1;
        double const least = std::max(std::abs(low_), std::abs(high_)) * 1e-9;
        if (high_ - low_ <= least || high_ == low_) {
            double const room = logarithmic_ ? 0.5 : std::max(std::abs(low_) / 2, 0.5);
            low_ -= room;
            high_ += room;
        }
    }
    double pixel(double placed) const { return low_pixel_ + (placed - low_) / (high_ - low_) * (high_pixel_ - low_pixel_); }

    std::vector<tick> ticks() const {
        std::vector<tick> ticks;
        if (logarithmic_ && high_ - low_ >= 0.8) {  // powers of ten, with 2 and 5 between them where there is room, or every k-th power
            int const first = static_cast<int>(std::floor(low_)), last = static_cast<int>(std::ceil(high_));
            int const stride = (last - first) / 8 + 1;
            for (int power = first; power <= last; power += stride)
                for (int digit : {1, 2, 5}) {
                    if (digit > 1 && high_ - low_ > 3) continue;
                    add(ticks, power + std::log10(digit), digit * std::pow(10.0, power));
                }
            return ticks;
        }
        double const from = logarithmic_ ? std::pow(10.0, low_) : low_, to = logarithmic_ ? std::pow(10.0, high_) : high_;
        double const rough = (to - from) / 5, power = std::pow(10.0, std::floor(std::log10(rough)));
        double const step = power * (rough < 1.5 * power ? 1 : rough < 3.5 * power ? 2 : rough < 7.5 * power ? 5 : 10);
        for (int i = 0; i <= 12; ++i) {
            double const value = (std::ceil(from / step) + i) * step;
            if (logarithmic_ && value <= 0) continue;
            add(ticks, place(value), std::abs(value) < step * 1e-6 ? 0 : value);
        }
        return ticks;
    }

private:
    void add(std::vector<tick>& ticks, double at, double value) const {
        double const slack = (high_ - low_) * 1e-9;
        if (at >= low_ - slack && at <= high_ + slack) ticks.push_back({at, number(value, 6)});
    }

    bool logarithmic_;
    double low_pixel_, high_pixel_;
    double low_ = std::numeric_limits<double>::infinity(), high_ = -std::numeric_limits<double>::infinity();
};

/// One unbroken line; of the points in one pixel column only the first, lowest, highest and last are kept, which looks the
/// same and keeps a long run's file small.
class line_writer {
public:
    explicit line_writer(std::string& out) : out_(out) {}
    void add(double x, double y) {
        double const column = std::floor(x);
        if (count_ > 0 && column != column_) flush();
        column_ = column;
        point const p{x, y, count_};
        if (count_ == 0) first_ = lowest_ = highest_ = p;
        if (y < lowest_.y) lowest_ = p;
        if (y > highest_.y) highest_ = p;
        last_ = p;
        ++count_;
    }
    /// Ends the line; the next point begins another.
    void end() {
        if (count_ > 0) flush();
        begun_ = false;
    }

private:
    struct point {
        double x, y;
        std::size_t order;
    };
    void flush() {
        point points[] = {first_, lowest_, highest_, last_};
        std::sort(std::begin(points), std::end(points), [](point const& a, point const& b) { return a.order < b.order; });
        for (std::size_t i = 0; i < 4; ++i) {
            if (i > 0 && points[i].order == points[i - 1].order) continue;
            out_ += (begun_ ? "L" : "M") + position(points[i].x) + " " + position(points[i].y);
            begun_ = true;
        }
        count_ = 0;
    }

    std::string& out_;
    point first_{}, lowest_{}, highest_{}, last_{};
    std::size_t count_ = 0;
    double column_ = 0;
    bool begun_ = false;
};

}  // namespace svg

/// The chart as the text of an SVG document. Throws as write_curve_svg does, but for the file.
inline std::string curve_svg(std::vector<curve_series> const& series, curve_options const& options = {}) {
    if (options.width < 160 || options.height < 120)
        raise<domain_error>("curve", "its size is " + std::to_string(options.width) + " x " + std::to_string(options.height),
                            "at least 160 x 120 is needed");
    for (auto const& one : series)
        if (one.x.size() != one.y.size())
            raise<shape_error>("curve",
                               "'" + one.name + "' has " + std::to_string(one.x.size()) + " x and " + std::to_string(one.y.size()) + " y",
                               "each point needs both");

    static constexpr char const* colors[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                             "#e69f00", "#56b4e9", "#000000"};  // told apart by most eyes
    double const left = 68, right = options.width - 20.0, top = options.title.empty() ? 20 : 44, bottom = options.height - 52.0;
    svg::axis x(options.log_x, left, right), y(options.log_y, bottom, top);
    auto const shown = [&](curve_series const& one, std::size_t i) { return x.shows(one.x[i]) && y.shows(one.y[i]); };
    for (auto const& one : series)
        for (std::size_t i = 0; i < one.x.size(); ++i)
            if (shown(one, i)) {
                x.include(one.x[i]);
                y.include(one.y[i]);
            }
    x.settle();
    y.settle();

    auto const text = [](double at_x, double at_y, std::string const& attributes, std::string_view content) {
        return "<text x=\"" + svg::position(at_x) + "\" y=\"" + svg::position(at_y) + "\"" + attributes + ">" + svg::escaped(content) +
               "</text>\n";
    };
    std::string const middle = " text-anchor=\"middle\"", end = " text-anchor=\"end\"";
    std::string const w = std::to_string(options.width), h = std::to_string(options.height);
    std::string out =
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + w + "\" height=\"" + h + "\" viewBox=\"0 0 " + w + " " + h +
        "\" font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n";
    if (!options.title.empty()) out += text((left + right) / 2, 26, middle + " font-size=\"16\"", options.title);
    for (auto const& tick : x.ticks()) {
        std::string const at = svg::position(x.pixel(tick.at));
        out += "<path d=\"M" + at + " " + svg::position(top) + "V" + svg::position(bottom) + "\" stroke=\"#e4e4e4\"/>\n";
        out += text(x.pixel(tick.at), bottom + 17, middle, tick.text);
    }
    for (auto const& tick : y.ticks()) {
        out += "<path d=\"M" + svg::position(left) + " " + svg::position(y.pixel(tick.at)) + "H" + svg::position(right) +
               "\" stroke=\"#e4e4e4\"/>\n";
        out += text(left - 6, y.pixel(tick.at) + 4, end, tick.text);
    }
    out += "<path d=\"M" + svg::position(left) + " " + svg::position(top) + "V" + svg::position(bottom) + "H" + svg::position(right) +
           "\" fill=\"none\" stroke=\"#222\"/>\n";
    if (!options.x_label.empty()) out += text((left + right) / 2, bottom + 38, middle, options.x_label);
    if (!options.y_label.empty())
        out += text(16, (top + bottom) / 2, middle + " transform=\"rotate(-90 16 " + svg::position((top + bottom) / 2) + ")\"",
                    options.y_label);

    for (std::size_t k = 0; k < series.size(); ++k) {
        auto const& one = series[k];
        std::string path;
        svg::line_writer line(path);
        for (std::size_t i = 0; i < one.x.size(); ++i) {
            if (shown(one, i)) line.add(x.pixel(x.place(one.x[i])), y.pixel(y.place(one.y[i])));
            else line.end();
        }
        line.end();
        std::string const color = colors[k % std::size(colors)];
        if (!path.empty())
            out.append("<path d=\"")
                .append(path)
                .append("\" fill=\"none\" stroke=\"")
                .append(color)
                .append("\" stroke-width=\"1.8\" stroke-linejoin=\"round\" stroke-linecap=\"round\"/>\n");
        if (series.size() > 1) {
            double const row = top + 16 + 17 * static_cast<double>(k);
            out += "<path d=\"M" + svg::position(right - 24) + " " + svg::position(row - 4) + "H" + svg::position(right - 4) +
                   "\" stroke=\"" + color + "\" stroke-width=\"3\"/>\n" + text(right - 30, row, end, one.name);
        }
    }
    return out + "</svg>\n";
}

/// Writes a line chart; an existing file stays whole until the new one is complete. Points that are not finite (or
/// beyond 1e300), and points <= 0 on a logarithmic axis, are left out and break their line.
/// Throws: shape_error if a series has not as many x as y; domain_error if the picture is smaller than 160 x 120; file_error.
inline void write_curve_svg(std::string const& path, std::vector<curve_series> const& series, curve_options const& options = {}) {
    write_file_atomically(path, curve_svg(series, options));
}

}  // namespace onestep
