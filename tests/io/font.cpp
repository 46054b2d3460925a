#include <doctest/doctest.h>

#include <set>
#include <string>

#include <onestep/io/font.hpp>

namespace font_tests {

using namespace onestep;

TEST_CASE("font: characters are five wide, differ from each other, and only the space is empty") {
    std::set<std::string> shapes;
    for (char c = ' '; c <= '~'; ++c) {
        CAPTURE(c);
        std::string shape;
        bool empty = true;
        for (auto const row : font::glyph(c)) {
            CHECK(row < 32);
            empty = empty && row == 0;
            shape += static_cast<char>(row);
        }
        CHECK(empty == (c == ' '));
        CHECK(shapes.insert(shape).second);
    }
    CHECK(shapes.size() == 95);
}

TEST_CASE("font: letters are where ASCII has them, others are question marks") {
    CHECK(font::glyph('L')[0] == 0x10);
    CHECK(font::glyph('L')[6] == 0x1F);
    CHECK(font::glyph('_')[6] == 0x1F);
    CHECK(font::glyph('T')[0] == 0x1F);
    CHECK(font::glyph('|')[3] == 0x04);
    CHECK(&font::glyph('\xc3') == &font::glyph('?'));
    CHECK(&font::glyph('\x7f') == &font::glyph('?'));
    CHECK(&font::glyph('\t') == &font::glyph('?'));
}

}  // namespace font_tests
