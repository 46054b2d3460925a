#include <doctest/doctest.h>

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include <onestep/backend/arena.hpp>

#include "test_backend.hpp"

namespace arena_tests {

using onestep::arena;
using onestep::index_t;
using onestep::test::backend_type;
using onestep::test::device;

namespace {

/// Host memory that counts its blocks.
struct counting {
    template <class T> using storage = std::unique_ptr<T[]>;
    template <class T> storage<T> allocate(index_t n) {
        ++allocations;
        bytes = n * index_t(sizeof(T));
        return storage<T>(new T[static_cast<std::size_t>(n)]);
    }
    template <class T> static T* data(storage<T> const& s) { return s.get(); }
    int allocations = 0;
    index_t bytes = 0;  // of the last one
};

}  // namespace

TEST_CASE("arena: pieces are aligned to 64 bytes and do not overlap") {
    arena<backend_type> memory(device());
    std::vector<std::pair<float*, index_t>> pieces;
    for (int pass = 0; pass < 2; ++pass) {
        memory.reset();
        pieces.clear();
        for (index_t n : {1, 3, 16, 17, 1000, 5, 70000}) {
            float* const at = memory.take<float>(n);
            CHECK(reinterpret_cast<std::uintptr_t>(at) % 64 == 0);
            std::vector<float> const values(static_cast<std::size_t>(n), static_cast<float>(n));
            device().upload(values.data(), n, at);
            pieces.emplace_back(at, n);
        }
        for (auto [at, n] : pieces) {
            std::vector<float> values(static_cast<std::size_t>(n));
            device().download(at, n, values.data());
            CHECK(values == std::vector<float>(static_cast<std::size_t>(n), static_cast<float>(n)));
        }
    }
}

TEST_CASE("arena: allocates nothing before the first piece") {
    counting device;
    arena<counting> memory(device);
    memory.reset();
    CHECK(device.allocations == 0);
}

TEST_CASE("arena: a pass that grew it is served from one block after reset") {
    counting device;
    arena<counting> memory(device);
    auto const pass = [&] {
        memory.reset();
        memory.take<float>(100);
        memory.take<double>(100);
        memory.take<char>(1);
    };
    pass();
    CHECK(device.allocations == 3);
    pass();
    CHECK(device.allocations == 4);
    CHECK(device.bytes == 448 + 832 + 64);
    for (int i = 0; i < 5; ++i) pass();
    CHECK(device.allocations == 4);

    memory.reset();
    char* const first = memory.take<char>(65);
    CHECK(memory.take<char>(1) == first + 128);
    memory.reset();
    CHECK(memory.take<char>(1) == first);
}

TEST_CASE("arena: a smaller pass reuses the block, a larger one grows it") {
    counting device;
    arena<counting> memory(device);
    memory.take<float>(1000);
    memory.reset();
    memory.take<float>(10);
    memory.take<float>(900);
    CHECK(device.allocations == 1);
    memory.reset();
    memory.take<float>(1010);
    CHECK(device.allocations == 2);
    memory.reset();
    CHECK(device.allocations == 3);
    memory.take<float>(1010);
    CHECK(device.allocations == 3);
}

TEST_CASE("arena: a piece of no elements takes no room") {
    counting device;
    arena<counting> memory(device);
    memory.take<float>(32);
    memory.reset();
    float* const first = memory.take<float>(0);
    CHECK(memory.take<float>(16) == first);
    CHECK(memory.take<float>(16) == first + 16);
    CHECK(device.allocations == 1);
}

}  // namespace arena_tests
