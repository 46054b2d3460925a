#include <doctest/doctest.h>
#include <onestep/network/dropping.hpp>

#include <stdexcept>
#include <type_traits>

namespace onestep::dropping_tests {
namespace {

struct drops {
    std::optional<random_key> key;
    int calls = 0;
    void drop(std::optional<random_key> other) { key = other, ++calls; }
};
struct does_not {};
struct drops_otherwise {
    void drop(char const*) {}
};

static_assert(drops_activations<drops>);
static_assert(!drops_activations<does_not>);
static_assert(!drops_activations<drops_otherwise>);
static_assert(!drops_activations<drops const>);
static_assert(!std::is_copy_constructible_v<dropping<drops>> && !std::is_copy_assignable_v<dropping<drops>>);

TEST_CASE("dropping: a network drops what the key says for as long as it lives") {
    drops student, teacher;
    {
        random_key const key{3, 7, 11};
        dropping const one(student, key), other(teacher, key);
        CHECK(student.key == key);
        CHECK(teacher.key == key);
        CHECK(student.calls == 1);
    }
    CHECK(!student.key);
    CHECK(!teacher.key);
    CHECK(student.calls == 2);
}

TEST_CASE("dropping: a step that throws leaves a network that drops nothing") {
    drops net;
    try {
        dropping const lasts(net, random_key{1});
        throw std::runtime_error("a step fails");
    } catch (std::runtime_error const&) {
    }
    CHECK(net.calls == 2);
    CHECK(!net.key);
}

TEST_CASE("dropping: networks that cannot are left alone") {
    does_not net;
    drops_otherwise other;
    drops const fixed{random_key{5}, 0};
    dropping const one(net, random_key{1});
    dropping const two(other, random_key{1});
    { dropping const three(fixed, random_key{1}); }
    CHECK(fixed.calls == 0);
    CHECK(fixed.key == random_key{5});
}

}  // namespace
}  // namespace onestep::dropping_tests
