#pragma once
/// Counts what the test program takes from the free store.
#include <cstddef>

namespace onestep::test {

/// Whether allocations are counted; sanitizers bring an operator new of their own.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool counts_allocations = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
inline constexpr bool counts_allocations = false;
#else
inline constexpr bool counts_allocations = true;
#endif
#else
inline constexpr bool counts_allocations = true;
#endif

/// Calls of operator new since the program began, by any thread; always 0 where they are not counted.
std::size_t allocations();

}  // namespace onestep::test
