#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <type_traits>

#include <onestep/backend/cpu.hpp>
#include <onestep/io/image.hpp>

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_PNG
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wshadow"
#endif
#if __has_include(<stb_image.h>)
#include <stb_image.h>
#else
#include <stb/stb_image.h>
#endif
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

#include "scratch.hpp"

// A program may use the encoder itself, beside the header.
#if __has_include(<stb_image_write.h>)
#include <stb_image_write.h>
#else
#include <stb/stb_image_write.h>
#endif

namespace image_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

/// A PNG, decoded by another program's code.
struct decoded {
    int width = 0, height = 0, channels = 0;
    std::vector<std::uint8_t> bytes;
    rgb at(int x, int y) const {
        auto const* const p = bytes.data() + (y * width + x) * 3;
        return {p[0], p[1], p[2]};
    }
};
decoded decode(std::vector<std::byte> const& png) {
    decoded out;
    stbi_uc* const data = stbi_load_from_memory(reinterpret_cast<stbi_uc const*>(png.data()), static_cast<int>(png.size()), &out.width,
                                                &out.height, &out.channels, 3);
    REQUIRE(data != nullptr);
    out.bytes.assign(data, data + out.width * out.height * 3);
    stbi_image_free(data);
    return out;
}
decoded decode(std::string const& path) { return decode(read_file(path, 1 << 24)); }

constexpr rgb frame = {64, 64, 64}, white = {255, 255, 255}, black = {0, 0, 0};

}  // namespace

#if defined(STB_IMAGE_WRITE_IMPLEMENTATION) || defined(STB_IMAGE_WRITE_STATIC) || defined(STBI_WRITE_NO_STDIO)
#error image.hpp must leave no macro of the encoder behind
#endif
static_assert(std::is_function_v<decltype(::stbi_write_png)>, "stb, included by the program, must still declare its functions");

TEST_CASE("image: a grid of grey images, pixel by pixel") {
    scratch_folder folder;
    cpu device;
    std::vector<float> values;
    for (int i = 0; i < 5 * 2 * 3; ++i) values.push_back(static_cast<float>(i) / 14.5f - 1);
    tensor<float, cpu> const images(device, {5, 2, 3, 1}, values);
    write_png(folder / "grid.png", images, {.columns = 2, .scale = 3, .gap = 2});
    auto const png = decode(folder / "grid.png");
    CHECK(png.channels == 3);
    REQUIRE(png.width == 2 + 2 * (9 + 2));
    REQUIRE(png.height == 2 + 3 * (6 + 2));
    std::vector<bool> covered(static_cast<std::size_t>(png.width * png.height));
    for (int i = 0; i < 5; ++i)
        for (int y = 0; y < 6; ++y)
            for (int x = 0; x < 9; ++x) {
                float const value = values[static_cast<std::size_t>(i * 6 + y / 3 * 3 + x / 3)];
                auto const expected = static_cast<std::uint8_t>(std::lround((value + 1) * 127.5));
                int const px = 2 + i % 2 * 11 + x, py = 2 + i / 2 * 8 + y;
                CHECK(png.at(px, py) == rgb{expected, expected, expected});
                covered[static_cast<std::size_t>(py * png.width + px)] = true;
            }
    bool framed = true;
    for (int y = 0; y < png.height; ++y)
        for (int x = 0; x < png.width; ++x)
            framed = framed && (covered[static_cast<std::size_t>(y * png.width + x)] || png.at(x, y) == frame);
    CHECK(framed);
    CHECK(folder.entries() == 1);
}

TEST_CASE("image: colour, one image alone, double precision, a view of rows") {
    scratch_folder folder;
    cpu device;
    tensor<double, cpu> const one(device, {1, 2, 3}, {-1, 0, 1, 1, -1, -0.5});
    write_png(folder / "one.png", one);
    auto const png = decode(folder / "one.png");
    CHECK(png.width == 2);
    CHECK(png.height == 1);
    CHECK(png.at(0, 0) == rgb{0, 128, 255});
    CHECK(png.at(1, 0) == rgb{255, 0, 64});

    tensor<float, cpu> batch(device, {3, 1, 1, 1}, {-1, 0, 1});
    write_png(folder / "rows.png", batch.view().rows(1, 2), {.columns = 7, .gap = 0});
    auto const rows = decode(folder / "rows.png");
    CHECK(rows.width == 2);
    CHECK(rows.at(0, 0) == rgb{128, 128, 128});
    CHECK(rows.at(1, 0) == white);
}

TEST_CASE("image: values outside the range are clamped, NaN is black, the range can be chosen") {
    CHECK(image::brightness(-1, -1, 1) == 0);
    CHECK(image::brightness(1, -1, 1) == 255);
    CHECK(image::brightness(0, -1, 1) == 128);
    CHECK(image::brightness(-7, -1, 1) == 0);
    CHECK(image::brightness(7, -1, 1) == 255);
    CHECK(image::brightness(std::numeric_limits<double>::infinity(), -1, 1) == 255);
    CHECK(image::brightness(-std::numeric_limits<double>::infinity(), -1, 1) == 0);
    CHECK(image::brightness(std::nan(""), -1, 1) == 0);
    CHECK(image::brightness(100, 0, 255) == 100);
    for (int v = 0; v < 256; ++v) CHECK(image::brightness(v / 127.5 - 1, -1, 1) == v);  // what read_idx scales comes back
}

TEST_CASE("image: the automatic grid is nearly square") {
    CHECK(grid_size({64, 28, 28, 1}) == picture_size{8 * 29 + 1, 8 * 29 + 1});
    CHECK(grid_size({10, 4, 4, 1}, {.gap = 0}) == picture_size{4 * 4, 3 * 4});
    CHECK(grid_size({8, 40, 10, 1}, {.gap = 0}) == picture_size{60, 80});
    CHECK(grid_size({1, 4, 5, 3}) == picture_size{7, 6});
    CHECK(grid_size({3, 4, 4, 1}, {.columns = 100, .gap = 0}) == picture_size{12, 4});
}

TEST_CASE("image: wrong shapes and options are typed errors and no file appears") {
    scratch_folder folder;
    cpu device;
    std::string const path = folder / "x.png";
    auto const shape_text = [&](shape const& s) { return message<shape_error>([&] { write_png(path, tensor<float, cpu>(device, s)); }); };
    CHECK(shape_text({2, 3}) ==
          "shape_error: image: it is [2, 3], [n, h, w, c] or [h, w, c] with c = 1 or 3 and at least one pixel is needed");
    CHECK(shape_text({2, 3, 3, 2}).starts_with("shape_error: image: it is [2, 3, 3, 2]"));
    CHECK(shape_text({0, 3, 3, 1}).starts_with("shape_error: image: it is [0, 3, 3, 1]"));
    CHECK(shape_text({1, 2, 3, 3, 1}).starts_with("shape_error: image: it is [1, 2, 3, 3, 1]"));
    tensor<float, cpu> const fine(device, {1, 1, 1}, {0});
    auto const option_text = [&](png_grid const& options) { return message<domain_error>([&] { write_png(path, fine, options); }); };
    CHECK(option_text({.columns = -1}) == "domain_error: png_grid: columns is -1, it must be >= 0");
    CHECK(option_text({.scale = 0}) == "domain_error: png_grid: scale is 0, it must be >= 1");
    CHECK(message<domain_error>([&] { grid_size({1, 1, 1, 1}, {.gap = -1}); }) == "domain_error: png_grid: gap is -1, it must be >= 0");
    CHECK(option_text({.low = 1, .high = 1}).starts_with("domain_error: png_grid: low is 1.0"));
    CHECK(option_text({.low = std::nan("")}).starts_with("domain_error: png_grid: low is nan"));
    CHECK(message<shape_error>([&] { write_png(path, fine, {.scale = 100'000}); }).find("at most 1 GiB is drawn") != std::string::npos);
    CHECK(message<domain_error>([] { picture(0, 5); }) ==
          "domain_error: picture: its size is 0 x 5, each side is >= 1 and all pixels fit 1 GiB");
    CHECK_THROWS_AS(picture(100'000, 100'000), domain_error);
    CHECK_THROWS_AS(picture(9, 9).text(0, 0, "x", black, 0), domain_error);
    CHECK_THROWS_AS(picture(9, 9).draw(0, 0, tensor<float, cpu>(device, {2, 1, 1, 1}, {0, 0})), shape_error);
    CHECK(folder.entries() == 0);
    CHECK_THROWS_AS(write_png(folder / "none/x.png", fine), file_error);
}

TEST_CASE("image: a canvas takes text, images and grids, and cuts off what lies outside") {
    scratch_folder folder;
    cpu device;
    picture canvas(40, 20);
    canvas.text(1, 2, "L", {255, 0, 0});
    canvas.draw(20, 5, tensor<float, cpu>(device, {1, 2, 2, 1}, {-1, 1, 1, -1}), {.scale = 2});
    canvas.draw_grid(30, 10, tensor<float, cpu>(device, {1, 1, 1, 1}, {-1}));
    canvas.save(folder / "canvas.png");
    auto const png = decode(folder / "canvas.png");
    REQUIRE(png.width == 40);
    REQUIRE(png.height == 20);
    int red = 0, dark = 0, gray = 0, light = 0;
    for (int y = 0; y < 20; ++y)
        for (int x = 0; x < 40; ++x) {
            rgb const color = png.at(x, y);
            CHECK(color == canvas.at(x, y));
            red += color == rgb{255, 0, 0};
            dark += color == black;
            gray += color == frame;
            light += color == white;
            if (color == rgb{255, 0, 0}) CHECK(((x == 1 && y >= 2 && y <= 8) || (y == 8 && x >= 1 && x <= 5)));
        }
    CHECK(red == 7 + 4);
    CHECK(dark == 2 * 4 + 1);
    CHECK(gray == 8);
    CHECK(light == 800 - red - dark - gray);
    CHECK(png.at(20, 5) == black);
    CHECK(png.at(21, 6) == black);
    CHECK(png.at(22, 6) == white);
    CHECK(png.at(31, 11) == black);

    picture tiny(3, 2, black);
    tiny.text(-2, -3, "ABC\nDEF", white, 5);
    tiny.fill(-5, -5, 6, 6, {1, 2, 3});
    tiny.fill(2, 1, std::numeric_limits<int>::max(), std::numeric_limits<int>::max(), {4, 5, 6});
    tiny.draw_grid(1, 1, tensor<float, cpu>(device, {4, 3, 3, 1}, std::vector<float>(36, 1.0f)));
    CHECK(tiny.at(0, 0) == rgb{1, 2, 3});
    CHECK(tiny.at(1, 1) == frame);
    CHECK(picture::text_width(0) == 0);
    CHECK(picture::text_width(1) == 5);
    CHECK(picture::text_width(3, 2) == 34);

    picture lines(20, 20);
    lines.text(0, 0, "|\n|", black);
    CHECK(lines.at(2, 0) == black);
    CHECK(lines.at(2, 7) == white);
    CHECK(lines.at(2, 9) == black);
}

}  // namespace image_tests
