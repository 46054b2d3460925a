// Several processes against one: every rank runs all of this.
#define DOCTEST_CONFIG_IMPLEMENT
#include <onestep/train/mpi.hpp>

#include <doctest/doctest.h>

#include <filesystem>

#include "trained.hpp"

using namespace onestep;
using namespace onestep::test;

namespace {

mpi* everyone = nullptr;

/// What rank r brings to an average: numbers whose sum depends on the order of its terms.
template <class T> std::vector<T> brought(int rank, index_t n) {
    std::vector<T> values;
    random_stream const stream = random_key{static_cast<std::uint64_t>(rank)}.at(draw::probe);
    for (index_t i = 0; i < n; ++i) values.push_back(static_cast<T>(std::exp(8 * uniform(stream, i) - 4)));
    return values;
}
template <class T> void check_average(index_t n) {
    cpu device(1);
    mpi& group = *everyone;
    tensor<T, cpu> mine(device, {n}, brought<T>(group.rank(), n));
    group.average(mine.view());
    std::vector<T> expected = brought<T>(0, n);
    for (int r = 1; r < group.size(); ++r) {
        auto const next = brought<T>(r, n);
        for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += next[i];
    }
    for (T& value : expected) value /= static_cast<T>(group.size());
    CHECK(mine.to_host() == expected);
}

}  // namespace

TEST_CASE("mpi: averages are sums in the order of ranks, bit for bit") {
    for (index_t n : {1, 2, 3, 5, 1000}) check_average<float>(n), check_average<double>(n);
    check_average<float>(index_t{1} << 22);        // one piece exactly
    check_average<float>((index_t{1} << 22) + 5);  // and a little more
}

TEST_CASE("mpi: broadcasts come from their root") {
    cpu device(1);
    mpi& group = *everyone;
    for (int root = 0; root < group.size(); ++root) {
        tensor<float, cpu> mine(device, {7}, brought<float>(group.rank(), 7));
        group.broadcast(mine.view(), root);
        CHECK(mine.to_host() == brought<float>(root, 7));
    }
    tensor<float, cpu> any(device, {1});
    CHECK_THROWS_AS(group.broadcast(any.view(), group.size()), domain_error);
    CHECK_THROWS_AS(group.broadcast(any.view(), -1), domain_error);
}

TEST_CASE("mpi: processes take the steps that one would, are equal, and are so again") {
    single_process nobody;
    small_run<single_process> one(nobody);
    one.run.run(one.x0, 10);
    small_run<mpi> many(*everyone, static_cast<std::uint64_t>(everyone->rank())), again(*everyone);
    many.run.run(many.x0, 10);
    again.run.run(again.x0, 10);
    auto const mine = many.state(), alone = one.state();
    REQUIRE(mine.size() == alone.size());
    CHECK(mine == again.state());
    for (std::size_t i = 0; i < mine.size(); ++i) CHECK(std::fabs(mine[i] - alone[i]) <= 2e-5f * (1 + std::fabs(alone[i])));
    if (everyone->size() == 1) CHECK(mine == alone);

    cpu device(1);
    tensor<float, cpu> first(device, {static_cast<index_t>(mine.size())}, mine);
    everyone->broadcast(first.view(), 0);
    CHECK(first.to_host() == mine);
}

TEST_CASE("mpi: a run that is resumed ends with the bits of one that was not stopped") {
    std::string const file =
        (std::filesystem::temp_directory_path() / ("onestep_mpi_resume_" + std::to_string(everyone->size()) + ".safetensors")).string();
    small_run<mpi> whole(*everyone), begun(*everyone), resumed(*everyone, 5);
    whole.run.run(whole.x0, 10);
    begun.run.run(begun.x0, 4);
    if (everyone->rank() == 0) save_checkpoint(file, begun.run);
    everyone->broadcast(begun.net.parameters(), 0);  // so that it is there before the others read it
    resume(file, resumed.run);
    resumed.run.run(resumed.x0, 10);
    CHECK(resumed.state() == whole.state());
}

int main(int argc, char** argv) {
    int failed = 0;
    int const ended = mpi_main(argc, argv, [&](mpi& group) {
        everyone = &group;
        failed = doctest::Context(argc, argv).run();
    });
    return ended + failed;
}
