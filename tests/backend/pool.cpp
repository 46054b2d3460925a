#include <doctest/doctest.h>
#include <onestep/backend/pool.hpp>

#include <cstdint>
#include <optional>

#include "counting_allocator.hpp"
#include "test_backend.hpp"

namespace onestep::pool_tests {
namespace {

using test::backend_type;
using test::device;
using piece = pool<backend_type>::piece<float>;

TEST_CASE("pool: pieces that live together lie apart, aligned") {
    pool<backend_type> memory(device());
    for (int pass = 0; pass < 2; ++pass) {
        memory.reset();
        piece const a = memory.take<float>(5), b = memory.take<float>(100), c = memory.take<float>(0);
        for (piece const* each : {&a, &b, &c}) CHECK(reinterpret_cast<std::uintptr_t>(each->data()) % 64 == 0);
        CHECK((b.data() >= a.data() + 16 || a.data() >= b.data() + 112));
        CHECK(c.data() != nullptr);
        CHECK(static_cast<bool>(a));
    }
}

TEST_CASE("pool: what goes makes room for what comes, neighbours joined") {
    pool<backend_type> memory(device());
    auto const pass = [&] {
        memory.reset();
        piece a = memory.take<float>(64), b = memory.take<float>(64), c = memory.take<float>(64);
        float* const first = a.data();
        b = {};
        a = {};
        c = {};
        piece const whole = memory.take<float>(192);
        return std::pair(first, whole.data());
    };
    pass();
    auto const [first, whole] = pass();  // one block now
    CHECK(first == whole);
    CHECK(memory.most() == 192 * 4);
}

TEST_CASE("pool: pieces move, and go once") {
    pool<backend_type> memory(device());
    piece a = memory.take<float>(16);
    float* const at = a.data();
    piece b = std::move(a);
    CHECK(b.data() == at);
    b = memory.take<float>(16);
    CHECK(b.data() != at);  // the old piece was still there when the new one was taken
    piece const again = memory.take<float>(16);
    CHECK(again.data() == at);
}

TEST_CASE("pool: equal passes allocate nothing when warm, at equal addresses") {
    pool<backend_type> memory(device());
    auto const pass = [&] {
        memory.reset();
        piece kept = memory.take<float>(1000);
        for (index_t size : {10, 2000, 30}) piece const temporary = memory.take<float>(size);
        piece const last = memory.take<float>(500);
        return last.data();
    };
    pass(), pass();
    float* const at = pass();
    std::size_t const before = test::allocations();
    CHECK(pass() == at);
    CHECK(test::allocations() == before);
}

}  // namespace
}  // namespace onestep::pool_tests
