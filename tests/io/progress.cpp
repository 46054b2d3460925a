#include <doctest/doctest.h>

#include <cmath>

#include <onestep/io/progress.hpp>

#include "scratch.hpp"

namespace progress_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

/// Runs `use(clock, options)` with a clock that the test sets, and returns what was written.
template <class Use> std::string output(bool terminal, bool unicode, Use const& use) {
    std::FILE* const file = std::tmpfile();
    REQUIRE(file != nullptr);
    double now = 1000;
    use(now, progress_options{.output = file, .terminal = terminal, .unicode = unicode, .seconds = [&now] { return now; }});
    std::string text(static_cast<std::size_t>(std::ftell(file)), '\0');
    std::rewind(file);
    CHECK(std::fread(text.data(), 1, text.size(), file) == text.size());
    std::fclose(file);
    return text;
}

}  // namespace

TEST_CASE("progress: a log has a line each ten seconds and a last one") {
    std::string const text = output(false, false, [](double& now, progress_options const& options) {
        progress line("train", 10'000, options);
        for (std::uint64_t step = 1; step <= 4200; ++step) {
            now = 1000 + 0.003 * static_cast<double>(step);
            line.update(step, 0.03125);
        }
        now = 1020.1;
        line.update(4300, 0.03125);
        CHECK(std::abs(line.smoothed_loss() - 0.03125) < 1e-15);
        now = 1090;
        line.update(10'000, 0.5);
        line.finish();
        line.update(10'001, 1);
    });
    // 3334 steps in 10.002 s are 333.33 a second; then 966 steps in 10.098 s are 95.66, and 0.7 * 333.33 + 0.3 * 95.66 = 262.03.
    CHECK(text ==
          "train  33%|###       | 3334/10000 [00:10<00:19, 333.33it/s, loss=0.0312, smoothed=0.0312]\n"
          "train  43%|####      | 4300/10000 [00:20<00:21, 262.03it/s, loss=0.0312, smoothed=0.0312]\n"
          "train 100%|##########| 10000/10000 [01:30<00:00, 111.11it/s, loss=0.5, smoothed=0.0406]\n");
}

TEST_CASE("progress: a terminal's line is rewritten at most ten times a second") {
    std::string const text = output(true, false, [](double& now, progress_options const& options) {
        progress line("x", 4, options);
        now += 0.05;
        line.update(1);  // the first is shown at once
        now += 0.09;
        line.update(2);
        now += 0.02;
        line.update(3);
        now += 0.84;
        line.finish();
    });
    CHECK(text ==
          "\rx  25%|##        | 1/4 [00:00<00:00, 20.00it/s]\x1b[K"
          "\rx  75%|#######   | 3/4 [00:00<00:00, 19.45it/s]\x1b[K"
          "\rx  75%|#######   | 3/4 [00:01<00:00, 3.00it/s]\x1b[K\n");
}

TEST_CASE("progress: the bar in UTF-8 has eighths") {
    std::string const text = output(false, true, [](double& now, progress_options const& options) {
        progress line("x", 80, options);
        now += 20;
        line.update(13);
        now += 3600;
        line.update(80);
    });
    CHECK(text ==
          "x  16%|\u2588\u258B        | 13/80 [00:20<01:43, 1.54s/it]\n"
          "x 100%|"
          "\u2588\u2588\u2588\u2588\u2588\u2588\u2588\u2588\u2588\u2588"
          "| 80/80 [1:00:20<00:00, 45.25s/it]\n");
}

TEST_CASE("progress: steps done before a resumed run do not count for its speed") {
    std::string const text = output(false, false, [](double& now, progress_options const& options) {
        progress line("train", 1000, options);
        now += 50;
        line.start_at(500);
        now += 10;
        line.update(600);
        now += 10;
        line.update(1000);
    });
    CHECK(text ==
          "train  60%|######    | 600/1000 [00:10<00:40, 10.00it/s]\n"
          "train 100%|##########| 1000/1000 [00:20<00:00, 25.00it/s]\n");
}

TEST_CASE("progress: the smoothed loss is corrected for its start and survives what is not finite") {
    std::string const text = output(false, false, [](double& now, progress_options const& options) {
        progress line("train", 100, options);
        CHECK(std::isnan(line.smoothed_loss()));
        line.update(1, 4);
        CHECK(std::abs(line.smoothed_loss() - 4) < 1e-14);
        line.update(2, 2);
        CHECK(std::abs(line.smoothed_loss() - (0.98 * 4 + 2) / 1.98) < 1e-14);
        now += 10;
        line.update(3, std::nan(""));
        CHECK(std::abs(line.smoothed_loss() - (0.98 * 4 + 2) / 1.98) < 1e-14);
    });
    CHECK(text == "train   3%|          | 3/100 [00:10<05:23, 3.33s/it, loss=nan, smoothed=2.99]\n");
}

TEST_CASE("progress: a run that ends early ends its line") {
    CHECK(output(true, false, [](double& now, progress_options const& options) {
              progress line("x", 4, options);
              now += 1;
              line.update(1);
          }) == "\rx  25%|##        | 1/4 [00:01<00:03, 1.00it/s]\x1b[K\n");
    CHECK(output(false, false, [](double&, progress_options const& options) { progress line("x", 4, options); }).empty());
    CHECK(output(false, false, [](double&, progress_options const& options) {
              progress line("x", 4, options);
              line.finish();
          }) == "x   0%|          | 0/4 [00:00<?, ?it/s]\n");
    CHECK(message<domain_error>([] { progress("x", 0); }) == "domain_error: progress: the total is 0, there must be a step to do");
}

TEST_CASE("progress: a file is no terminal") {
    std::FILE* const file = std::tmpfile();
    {
        progress line("x", 2, {.output = file});
        line.update(2);
    }
    long const size = std::ftell(file);
    std::rewind(file);
    CHECK(size > 0);
    CHECK(std::fgetc(file) == 'x');
    std::fclose(file);
}

}  // namespace progress_tests
