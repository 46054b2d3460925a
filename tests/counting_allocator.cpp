#include "counting_allocator.hpp"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<std::size_t> count{0};

}  // namespace

std::size_t onestep::test::allocations() { return count.load(); }

// `if constexpr` cannot remove a function: the same condition again.
#if defined(__has_feature)
#define ONESTEP_TEST_FEATURE(name) __has_feature(name)
#else
#define ONESTEP_TEST_FEATURE(name) 0
#endif
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !ONESTEP_TEST_FEATURE(address_sanitizer) && \
    !ONESTEP_TEST_FEATURE(thread_sanitizer) && !ONESTEP_TEST_FEATURE(memory_sanitizer)

namespace {

void* take(std::size_t bytes) noexcept {
    ++count;
    return std::malloc(bytes > 0 ? bytes : 1);
}
void* take(std::size_t bytes, std::align_val_t alignment) noexcept {
    ++count;
    auto const step = static_cast<std::size_t>(alignment);
    return std::aligned_alloc(step, (bytes + step - 1) / step * step + (bytes > 0 ? 0 : step));
}
void* or_throw(void* p) {
    if (p == nullptr) throw std::bad_alloc();
    return p;
}

}  // namespace

void* operator new(std::size_t bytes) { return or_throw(take(bytes)); }
void* operator new[](std::size_t bytes) { return or_throw(take(bytes)); }
void* operator new(std::size_t bytes, std::nothrow_t const&) noexcept { return take(bytes); }
void* operator new[](std::size_t bytes, std::nothrow_t const&) noexcept { return take(bytes); }
void* operator new(std::size_t bytes, std::align_val_t alignment) { return or_throw(take(bytes, alignment)); }
void* operator new[](std::size_t bytes, std::align_val_t alignment) { return or_throw(take(bytes, alignment)); }
void* operator new(std::size_t bytes, std::align_val_t alignment, std::nothrow_t const&) noexcept { return take(bytes, alignment); }
void* operator new[](std::size_t bytes, std::align_val_t alignment, std::nothrow_t const&) noexcept { return take(bytes, alignment); }

void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, std::nothrow_t const&) noexcept { std::free(p); }
void operator delete[](void* p, std::nothrow_t const&) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t, std::nothrow_t const&) noexcept { std::free(p); }
void operator delete[](void* p, std::align_val_t, std::nothrow_t const&) noexcept { std::free(p); }

#endif
