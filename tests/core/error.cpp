#include <onestep/core/error.hpp>

#include <doctest/doctest.h>

namespace error_tests {

namespace {

template <class Error> std::string message_of(std::string object, std::string given, std::string allowed = {}) {
    try {
        onestep::raise<Error>(std::move(object), std::move(given), std::move(allowed));
    } catch (Error const& failure) {
        return failure.what();
    }
}

}  // namespace

TEST_CASE("error: the message is kind, object, what was given, what is allowed") {
    CHECK(message_of<onestep::shape_error>("unet", "x is [16, 28, 28, 1]", "this network takes [n, 32, 32, 3]") ==
          "shape_error: unet: x is [16, 28, 28, 1], this network takes [n, 32, 32, 3]");
}

TEST_CASE("error: without a rule the message ends after what was given") {
    CHECK(message_of<onestep::file_error>("digits.idx", "it cannot be opened") == "file_error: digits.idx: it cannot be opened");
}

TEST_CASE("error: every kind names itself") {
    CHECK(message_of<onestep::shape_error>("a", "b", "c") == "shape_error: a: b, c");
    CHECK(message_of<onestep::domain_error>("a", "b", "c") == "domain_error: a: b, c");
    CHECK(message_of<onestep::label_error>("a", "b", "c") == "label_error: a: b, c");
    CHECK(message_of<onestep::not_finite_error>("a", "b", "c") == "not_finite_error: a: b, c");
    CHECK(message_of<onestep::file_error>("a", "b", "c") == "file_error: a: b, c");
    CHECK(message_of<onestep::format_error>("a", "b", "c") == "format_error: a: b, c");
    CHECK(message_of<onestep::checkpoint_error>("a", "b", "c") == "checkpoint_error: a: b, c");
    CHECK(message_of<onestep::device_error>("a", "b", "c") == "device_error: a: b, c");
}

TEST_CASE("error: the parts can be read back, and every kind is an onestep::error and a std::runtime_error") {
    try {
        onestep::raise<onestep::domain_error>("euler", "steps is 0", "steps is >= 1");
    } catch (onestep::error const& failure) {
        CHECK(failure.object() == "euler");
        CHECK(failure.given() == "steps is 0");
        CHECK(failure.allowed() == "steps is >= 1");
    }
    CHECK_THROWS_AS(onestep::raise<onestep::label_error>("net", "label 10", "0 to 9"), std::runtime_error);
}

}  // namespace error_tests
