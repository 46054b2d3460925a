#pragma once
/// Typed exceptions. Each says which object refuses, what it was given and what it allows:
///
///     shape_error: unet: x is [16, 28, 28, 1], this network takes [n, 32, 32, 3]
///                  object  given               allowed
///
/// They are thrown before anything is overwritten.
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <utility>

namespace onestep {

/// Base of everything that onestep throws on purpose. `what()` is one line: "kind: object: given, allowed".
class error : public std::runtime_error {
public:
    error(char const* kind, std::string object, std::string given, std::string allowed)
        : std::runtime_error(std::string(kind) + ": " + object + ": " + given + (allowed.empty() ? "" : ", " + allowed)),
          object_(std::move(object)), given_(std::move(given)), allowed_(std::move(allowed)) {}

    std::string const& object() const noexcept { return object_; }    ///< who refuses: "euler", "mlp", a file's name
    std::string const& given() const noexcept { return given_; }      ///< what it was given
    std::string const& allowed() const noexcept { return allowed_; }  ///< what it allows; a usual remedy may follow

private:
    std::string object_, given_, allowed_;
};

/// A tensor has the wrong extents, rank or number of rows.
struct shape_error : error {
    shape_error(std::string object, std::string given, std::string allowed)
        : error("shape_error", std::move(object), std::move(given), std::move(allowed)) {}
};
/// A number lies outside the range in which the operation is defined: 0 steps, alpha = 0, a negative rate.
struct domain_error : error {
    domain_error(std::string object, std::string given, std::string allowed)
        : error("domain_error", std::move(object), std::move(given), std::move(allowed)) {}
};
/// A class label lies outside [0, classes).
struct label_error : error {
    label_error(std::string object, std::string given, std::string allowed)
        : error("label_error", std::move(object), std::move(given), std::move(allowed)) {}
};
/// A loss, gradient or sample is NaN or infinite.
struct not_finite_error : error {
    not_finite_error(std::string object, std::string given, std::string allowed)
        : error("not_finite_error", std::move(object), std::move(given), std::move(allowed)) {}
};
/// A file cannot be opened, read, written or renamed.
struct file_error : error {
    file_error(std::string object, std::string given, std::string allowed)
        : error("file_error", std::move(object), std::move(given), std::move(allowed)) {}
};
/// A file's content is not what its format promises: empty, truncated, oversized, malformed.
struct format_error : error {
    format_error(std::string object, std::string given, std::string allowed)
        : error("format_error", std::move(object), std::move(given), std::move(allowed)) {}
};
/// A checkpoint belongs to another network, objective or run.
struct checkpoint_error : error {
    checkpoint_error(std::string object, std::string given, std::string allowed)
        : error("checkpoint_error", std::move(object), std::move(given), std::move(allowed)) {}
};
/// The accelerator, or a library that drives it, reports a failure.
struct device_error : error {
    device_error(std::string object, std::string given, std::string allowed)
        : error("device_error", std::move(object), std::move(given), std::move(allowed)) {}
};

/// Every exception leaves through here, so that a build without exceptions still ends with the sentence.
template <class Error> [[noreturn]] void raise(std::string object, std::string given, std::string allowed = {}) {
    Error failure(std::move(object), std::move(given), std::move(allowed));
#if defined(__cpp_exceptions)
    throw failure;
#else
    std::fprintf(stderr, "%s\n", failure.what());
    std::abort();
#endif
}

}  // namespace onestep
