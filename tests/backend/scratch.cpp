#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include <onestep/backend/scratch.hpp>

#include "test_backend.hpp"

namespace scratch_tests {

using onestep::index_t;

namespace {

/// Host memory that counts its blocks.
class counting : public onestep::scratch_owner<counting> {
public:
    explicit counting(std::atomic<int>& allocations) : allocations_(&allocations) {}
    template <class T> using storage = std::unique_ptr<T[]>;
    template <class T> storage<T> allocate(index_t n) {
        ++*allocations_;
        return storage<T>(new T[static_cast<std::size_t>(n)]);
    }
    template <class T> static T* data(storage<T> const& s) { return s.get(); }

private:
    std::atomic<int>* allocations_;
};

}  // namespace

TEST_CASE("scratch: the next call gets the same memory back") {
    std::atomic<int> allocations = 0;
    counting device(allocations);
    float* first = nullptr;
    {
        auto const memory = device.scratch();
        first = memory->take<float>(100);
    }
    for (int i = 0; i < 5; ++i) {
        auto const memory = device.scratch();
        CHECK((*memory).take<float>(100) == first);
    }
    CHECK(allocations == 1);
}

TEST_CASE("scratch: calls inside one another have memory of their own") {
    std::atomic<int> allocations = 0;
    counting device(allocations);
    for (int i = 0; i < 3; ++i) {
        auto const outer = device.scratch();
        int* const a = outer->take<int>(8);
        a[0] = 1;
        {
            auto const inner = device.scratch();
            int* const b = inner->take<int>(8);
            CHECK(a != b);
            b[0] = 2;
        }
        CHECK(a[0] == 1);
    }
    CHECK(allocations == 2);
}

TEST_CASE("scratch: a copy of a backend starts without any") {
    std::atomic<int> allocations = 0;
    counting device(allocations);
    float const* first = nullptr;
    { first = device.scratch()->take<float>(10); }
    counting copy(device);
    CHECK(copy.scratch()->take<float>(10) != first);
    CHECK(allocations == 2);
    copy = device;
    { CHECK(device.scratch()->take<float>(10) == first); }
    CHECK(allocations == 2);
}

TEST_CASE("scratch: many threads at once never share memory") {
    std::atomic<int> allocations = 0, wrong = 0;
    counting device(allocations);
    constexpr int threads = 6, calls = 2000, n = 64;
    std::vector<std::thread> running;
    for (int t = 0; t < threads; ++t)
        running.emplace_back([&, t] {
            for (int call = 0; call < calls; ++call) {
                auto const memory = device.scratch();
                int* const x = memory->take<int>(n);
                for (int i = 0; i < n; ++i) x[i] = t;
                if (call % 64 == 0) std::this_thread::yield();
                for (int i = 0; i < n; ++i)
                    if (x[i] != t) ++wrong;
            }
        });
    for (std::thread& t : running) t.join();
    CHECK(wrong == 0);
    CHECK(allocations <= threads);
}

TEST_CASE("scratch: the tested backend lends device memory") {
    auto& device = onestep::test::device();
    std::vector<float> const values{1, 2, 3};
    std::vector<float> back(3);
    auto const memory = device.scratch();
    float* const at = memory->take<float>(3);
    device.upload(values.data(), 3, at);
    device.download(at, 3, back.data());
    CHECK(back == values);
}

}  // namespace scratch_tests
