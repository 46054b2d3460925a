#pragma once
/// A spec is a plain value that names a choice and its numbers: adam{.rate = 2e-4}, heun{.steps = 8}. It has a static
/// `name` and a member `fields(visit)` that calls visit("rate", rate) for each number. That makes specs printable and
/// lets checkpoints store and compare them.
#include <charconv>
#include <concepts>
#include <string>
#include <type_traits>

namespace onestep {

namespace archetype {
struct visitor {
    void operator()(char const*, auto const&) const {}
};
}  // namespace archetype

template <class S>
concept spec = requires(S const& s) {
    { S::name } -> std::convertible_to<char const*>;
    s.fields(archetype::visitor{});
};

/// The shortest decimal text that reads back as the same double; with an exponent only below 1e-5 and from 1e16 on.
inline std::string to_string(double value) {
    if (value != value) return "nan";
    char text[32];
    double const size = value < 0 ? -value : value;
    auto const format = size == 0 || (size >= 1e-5 && size < 1e16) ? std::chars_format::fixed : std::chars_format::scientific;
    return {text, std::to_chars(text, text + sizeof text, value, format).ptr};
}

template <spec S> std::string to_string(S const& s);

namespace spec_text {
inline std::string value(bool b) { return b ? "true" : "false"; }
inline std::string value(double d) { return to_string(d); }
inline std::string value(char const* s) { return s; }
inline std::string value(std::string const& s) { return s; }
template <std::integral I> std::string value(I i) { return std::to_string(i); }
template <spec S> std::string value(S const& s) { return to_string(s); }
}  // namespace spec_text

/// "adam{rate = 0.0002, beta1 = 0.9}".
template <spec S> std::string to_string(S const& s) {
    std::string text = S::name, separator;
    text += '{';
    s.fields([&](char const* field, auto const& value) {
        text += separator + field + " = " + spec_text::value(value);
        separator = ", ";
    });
    return text + '}';
}

}  // namespace onestep
