// How many times as fast the U-Net's works are with more threads, both counts in turn in one process, so that neighbours on the machine
// slow down both:
//
//     build/bench/bench/threads [rounds, 9] [threads, 2] [work...]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "work.hpp"

namespace {

double seconds_of(work& w) {
    auto const begin = std::chrono::steady_clock::now();
    w.run();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

void compare(std::string const& name, maker const& make, int rounds, int threads) {
    onestep::cpu alone(1), together(threads);
    auto const slow = make(alone), fast = make(together);
    for (auto const& each : {slow.get(), fast.get()}) each->run(), each->run();
    std::vector<double> of_one, of_many, ratios;
    for (int round = 0; round < rounds; ++round) {
        of_one.push_back(seconds_of(*slow));
        of_many.push_back(seconds_of(*fast));
        ratios.push_back(of_one.back() / of_many.back());
    }
    std::printf("%-20s %10.1f ms %10.1f ms %8.2f times (%.2f to %.2f)\n", name.c_str(), 1e3 * median(of_one), 1e3 * median(of_many),
                median(ratios), *std::min_element(ratios.begin(), ratios.end()), *std::max_element(ratios.begin(), ratios.end()));
}

}  // namespace

int main(int count, char** words) {
    int const rounds = count > 1 ? std::max(1, std::atoi(words[1])) : 9, threads = count > 2 ? std::max(2, std::atoi(words[2])) : 2;
    std::vector<std::string> const wanted(words + std::min(count, 3), words + count);
    std::map<std::string, maker> works;
    add_unets(works);
    std::printf("%-20s %13s %9d threads\n", "work", "1 thread", threads);
    for (auto const& [name, make] : works)
        if (wanted.empty() || std::find(wanted.begin(), wanted.end(), name) != wanted.end()) compare(name, make, rounds, threads);
}
