#include <onestep/backend/cpu.hpp>
#include <onestep/evaluation/samples.hpp>

#include <doctest/doctest.h>

#include <vector>

namespace samples_tests {

using onestep::cpu;
using onestep::index_t;
using onestep::tensor;
namespace evaluation = onestep::evaluation;

TEST_CASE("samples: a tensor and a view are sample sets, a vector is not") {
    CHECK(onestep::sample_set<tensor<float, cpu>>);
    CHECK(onestep::sample_set<onestep::view<double const, cpu>>);
    CHECK_FALSE(onestep::sample_set<std::vector<float>>);
}

TEST_CASE("samples: threads are the backend's own where it names them") {
    struct silent {};
    CHECK(evaluation::threads_of(cpu(3)) == 3);
    CHECK(evaluation::threads_of(silent{}) == 0);
}

TEST_CASE("samples: a download keeps rows and numbers") {
    cpu device;
    tensor<float, cpu> const x(device, {2, 1, 3}, {1, 2, 3, 4, 5, 6});
    auto const s = evaluation::download("test", "x", x);
    CHECK(s.n == 2);
    CHECK(s.d == 3);
    CHECK(s.row(1)[2] == 6);
}

TEST_CASE("samples: every block runs once for any number of threads") {
    for (int threads : {0, 1, 2, 3}) {
        std::vector<int> calls(100);
        evaluation::for_each_block(threads, 100, [&](index_t i) { ++calls[static_cast<std::size_t>(i)]; });
        CHECK(calls == std::vector<int>(100, 1));
    }
}

}  // namespace samples_tests
