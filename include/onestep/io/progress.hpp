#pragma once
/// A line that says how far a run has come and how long it will take.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "../core/error.hpp"

namespace onestep {

/// Where and how a progress line is shown. What is left out is found out.
struct progress_options {
    std::FILE* output = stderr;
    std::optional<bool> terminal = {};     ///< rewrite one line in place; by default if the output is a terminal
    std::optional<bool> unicode = {};      ///< draw the bar in eighths of a block; by default if the locale is UTF-8
    std::function<double()> seconds = {};  ///< a clock that never goes back; by default std::chrono::steady_clock
};

/// Shows
///
///     train  42%|####      | 4200/10000 [00:12<00:17, 341.20it/s, loss=0.0312, smoothed=0.0335]
///
/// that is: steps done and all steps, [time so far < time to go, speed, last loss, smoothed loss]. On a terminal one
/// line is rewritten at most ten times a second; elsewhere (a log) there is a line every ten seconds, and a last one.
/// The speed is a running mean over what was shown, weight 0.3 on the newest; the last line has the mean of the whole
/// run. The smoothed loss is a running mean over steps, weight 0.02 on the newest, corrected for its start at 0.
///
///     progress line("train", steps);
///     for (index_t step = 1; step <= steps; ++step) line.update(step, loss);
///
/// Cost of an update that shows nothing: one look at the clock.
class progress {
public:
    /// Throws domain_error if total is 0.
    progress(std::string label, std::uint64_t total, progress_options options = {})
        : label_(std::move(label)), total_(total), output_(options.output),
          seconds_(options.seconds ? std::move(options.seconds) : steady_seconds),
          terminal_(options.terminal ? *options.terminal : isatty(fileno(options.output)) != 0),
          unicode_(options.unicode ? *options.unicode : utf8_locale()) {
        if (total == 0) raise<domain_error>("progress", "the total is 0", "there must be a step to do");
        start_ = shown_ = seconds_();
    }
    progress(progress const&) = delete;
    progress& operator=(progress const&) = delete;
    /// Leaves the cursor on a line of its own, also when an exception passes.
    ~progress() {
        if (open_line_) {
            std::fputc('\n', output_);
            std::fflush(output_);
        }
    }

    /// A resumed run: `step` steps were done before. They count as done, not for the speed. To be called before the first update.
    void start_at(std::uint64_t step) {
        first_ = step_ = last_shown_step_ = step;
        start_ = shown_ = seconds_();
    }

    /// `step` steps are done. Reaching the total finishes.
    void update(std::uint64_t step) {
        step_ = step;
        if (step >= total_) return finish();
        double const now = seconds_();
        bool const first_on_terminal = terminal_ && !open_line_;
        if (!finished_ && (first_on_terminal || now - shown_ >= (terminal_ ? 0.1 : 10.0))) show(now, false);
    }
    /// The same, with the step's loss. A loss that is not finite is shown but not smoothed.
    void update(std::uint64_t step, double loss) {
        loss_ = loss;
        if (std::isfinite(loss)) {
            constexpr double keep = 0.98;
            mean_ = keep * mean_ + (1 - keep) * loss;
            weight_ = keep * weight_ + (1 - keep);
        }
        update(step);
    }

    /// Shows the last line and ends it; later calls do nothing. Needed only if the run stops before its total.
    void finish() {
        if (finished_) return;
        finished_ = true;
        show(seconds_(), true);
    }

    /// The smoothed loss, NaN before the first finite one.
    double smoothed_loss() const { return weight_ > 0 ? mean_ / weight_ : std::numeric_limits<double>::quiet_NaN(); }

private:
    static double steady_seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

    // The environment, not the C library's locale: that one stays "C" until a program asks for another.
    static bool utf8_locale() {
        for (char const* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
            char const* const value = std::getenv(name);
            if (!value || !*value) continue;
            std::string_view const locale(value);
            for (std::string_view ending : {"UTF-8", "utf-8", "UTF8", "utf8"})
                if (locale.find(ending) != locale.npos) return true;
            return false;
        }
        return false;
    }

    void show(double now, bool last) {
        double const elapsed = now - start_, since = now - shown_;
        if (last) {
            rate_ = elapsed > 0 && step_ > first_ ? static_cast<double>(step_ - first_) / elapsed : 0;
        } else if (since > 0 && step_ > last_shown_step_) {
            double const rate = static_cast<double>(step_ - last_shown_step_) / since;
            rate_ = rate_ > 0 ? 0.7 * rate_ + 0.3 * rate : rate;
        }
        shown_ = now;
        last_shown_step_ = step_;

        double const fraction = std::min(1.0, static_cast<double>(step_) / static_cast<double>(total_));
        char percent[8];
        std::snprintf(percent, sizeof percent, "%3d", static_cast<int>(100 * fraction));
        std::string line = label_ + " " + percent + "%|" + bar(fraction) + "| " + std::to_string(step_) + "/" + std::to_string(total_) +
                           " [" + clock(elapsed) + "<";
        line += step_ >= total_ ? clock(0) : rate_ > 0 ? clock(static_cast<double>(total_ - step_) / rate_) : "?";
        line += ", " + speed();
        if (loss_) line += ", loss=" + number(*loss_);
        if (weight_ > 0) line += ", smoothed=" + number(smoothed_loss());
        line += "]";
        if (terminal_) line = "\r" + line + "\x1b[K";  // back to the start of the line; erase what an earlier, longer one left
        if (last || !terminal_) line += "\n";
        open_line_ = terminal_ && !last;
        std::fwrite(line.data(), 1, line.size(), output_);
        std::fflush(output_);
    }

    std::string bar(double fraction) const {
        constexpr int width = 10;
        std::string text;
        if (!unicode_) {
            text.assign(static_cast<std::size_t>(fraction * width), '#');
            return text + std::string(width - text.size(), ' ');
        }
        static constexpr char const* parts[] = {"", "\u258F", "\u258E", "\u258D", "\u258C", "\u258B", "\u258A", "\u2589"};
        int const eighths = static_cast<int>(fraction * width * 8);
        for (int i = 0; i < eighths / 8; ++i) text += "\u2588";
        text += parts[eighths % 8];
        return text + std::string(static_cast<std::size_t>(width - eighths / 8 - (eighths % 8 != 0)), ' ');
    }
    static std::string clock(double seconds) {
        char text[48];
        auto const n = static_cast<long long>(std::clamp(seconds, 0.0, 1e15));
        if (n >= 3600) std::snprintf(text, sizeof text, "%lld:%02lld:%02lld", n / 3600, n / 60 % 60, n % 60);
        else std::snprintf(text, sizeof text, "%02lld:%02lld", n / 60, n % 60);
        return text;
    }
    std::string speed() const {
        if (!(rate_ > 0)) return "?it/s";
        char text[400];
        if (rate_ >= 1) std::snprintf(text, sizeof text, "%.2fit/s", rate_);
        else std::snprintf(text, sizeof text, "%.2fs/it", 1 / rate_);
        return text;
    }
    static std::string number(double value) {
        char text[32];
        std::snprintf(text, sizeof text, "%.3g", value);
        return text;
    }

    std::string label_;
    std::uint64_t total_, first_ = 0, step_ = 0, last_shown_step_ = 0;
    std::FILE* output_;
    std::function<double()> seconds_;
    bool terminal_, unicode_, open_line_ = false, finished_ = false;
    double start_ = 0, shown_ = 0, rate_ = 0;
    std::optional<double> loss_;
    double mean_ = 0, weight_ = 0;
};

}  // namespace onestep
