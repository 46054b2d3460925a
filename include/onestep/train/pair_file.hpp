#pragma once
/// Pairs of noise and sample on disk, for more of them than memory holds.
#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../backend/finite.hpp"
#include "../backend/random_fill.hpp"
#include "../fwd.hpp"
#include "../io/mapped_npy.hpp"
#include "../io/npy_writer.hpp"
#include "reflow_pairs.hpp"

namespace onestep {

/// "pairs.npy" -> "pairs.labels.npy": where the labels of a file of pairs stand.
inline std::string labels_path(std::string const& path) {
    std::string const ending = ".npy";
    bool const ends = path.size() >= ending.size() && path.compare(path.size() - ending.size(), ending.size(), ending) == 0;
    return (ends ? path.substr(0, path.size() - ending.size()) : path) + ".labels.npy";
}

namespace pair_file_rule {

/// `finish` is called when all is made, before anything stands under the file's name.
template <class T, class Model, class Solver, class Backend, class Grid, class Finish>
void write(Backend& device, std::string const& path, Model const& model, Solver const& solver, shape const& extents,
           pairs_options const& options, Grid const& grid, Finish const& finish) {
    if (options.batch < 1) raise<domain_error>("write_pairs", "batch is " + std::to_string(options.batch), "it must be at least 1");
    if (extents.size() < 1 || extents.rank() >= shape::max_rank)
        raise<shape_error>("write_pairs", "pairs of " + to_string(extents) + " are asked for",
                           "at least one sample of at most 4 extents is needed");
    std::vector<double> const times = times_of(grid, model.process(), solver.steps);
    index_t both[shape::max_rank] = {2};
    std::copy(extents.begin(), extents.end(), both + 1);
    npy_writer<T> file(path, shape(both, extents.rank() + 1));

    random_key const key{options.seed};
    index_t const rows = std::min(options.batch, extents.rows());
    tensor<T, Backend> part(device, extents.with_rows(rows));
    std::vector<T> host(static_cast<std::size_t>(part.size()));
    auto const each_part = [&](auto const& make) {
        for (index_t first = 0; first < extents.rows(); first += rows) {
            index_t const count = std::min(rows, extents.rows() - first);
            view<T, Backend> const x = part.view().rows(0, count);
            fill_normal(x, key.from_row(first).at(draw::noise));
            make(first, x);
            device.download(x.data(), x.size(), host.data());
            file.write(std::span<T const>(host).first(static_cast<std::size_t>(x.size())));
        }
    };
    each_part([](index_t, view<T, Backend>) {});
    each_part([&](index_t first, view<T, Backend> x) {
        place_noise(model.process(), times.front(), view<T const, Backend>(x), x);
        solve(model.rows(first, x.rows()), solver, times, x, key.from_row(first));
        require_finite("write_pairs", view<T const, Backend>(x));
    });
    finish();
    file.commit();
}

}  // namespace pair_file_rule

/// Makes pairs and writes them as they are made, one part of `batch` rows in memory at a time: `extents` [n, ...] samples of the model's
/// flow with their noise, as an array [2, n, ...] of T, noise first.
///
///     onestep::write_pairs<float>(device, "pairs.npy", first.averaged(), onestep::heun{.steps = 20}, {1'000'000, 28, 28, 1}, {.seed = 2});
///
///     noise, x0 = numpy.load("pairs.npy", mmap_mode="r")                 # in Python
///
/// Row r depends on (seed, r) alone: the noise is that of normal<T>(device, extents, seed), and the samples are those that reflow_pairs
/// makes of it, for any `batch`. The file is complete or not there. Labels that an older file of this name had are removed.
/// Throws domain_error for batch < 1 or steps < 1, shape_error for no rows or more than 4 extents a sample, not_finite_error if a sample
/// is not finite, file_error. Cost: the solver's evaluations for each row.
template <class T, class Backend, class Model, class Solver, class Grid = uniform_grid>
void write_pairs(Backend& device, std::string const& path, Model const& model, Solver const& solver, shape const& extents,
                 pairs_options const& options = {}, Grid const& grid = {}) {
    pair_file_rule::write<T>(device, path, model, solver, extents, options, grid, [&] { std::remove(labels_path(path).c_str()); });
}

/// The same for a network with labels, one a row: they are stored beside the pairs, in "pairs.labels.npy", which is put in place right
/// before them.
/// Throws label_error for a label outside [0, classes), shape_error unless there is one a row.
template <class T, class Backend, class Model, class Solver, class Grid = uniform_grid>
void write_pairs(Backend& device, std::string const& path, Model const& model, Solver const& solver, shape const& extents,
                 tensor<std::int32_t, Backend> const& labels, index_t classes, pairs_options const& options = {}, Grid const& grid = {}) {
    require_shape("write_pairs", "labels", labels.view(), {extents.rows()});
    require_labels<Backend>("write_pairs", labels, classes);
    pair_file_rule::write<T>(device, path, model.given(labels.view(), labels_are_checked{}), solver, extents, options, grid,
                             [&] { write_npy(labels_path(path), labels.shape(), labels.to_host()); });
}

/// Pairs that write_pairs has written (or any .npy array [2, n, ...] of noise and samples), mapped into memory: pages are read as training
/// asks for them.
///
///     onestep::pair_file<float> pairs("pairs.npy");
///     second.run(pairs.mapped(cpu), 100'000);              // on the CPU: nothing is loaded
///     second.run(pairs.load(gpu), 100'000);                // elsewhere: a dataset in that backend's memory
///
/// It must outlive the views that it hands out.
template <class T> class pair_file {
public:
    /// Throws file_error; format_error for a file that is truncated, foreign, of another type or not of two halves, and for labels that are
    /// not one a row.
    explicit pair_file(std::string const& path) : pairs_(path) {
        shape const& both = pairs_.shape();
        if (both.rank() < 3 || both[0] != 2 || both.size() == 0)
            raise<format_error>(path, "the array is " + to_string(both), "pairs are [2, n, ...], noise and samples");
        extents_ = shape(both.begin() + 1, both.rank() - 1);
        std::string const beside = labels_path(path);
        struct stat status = {};
        if (::stat(beside.c_str(), &status) != 0) return;
        labels_.emplace(beside);
        if (!(labels_->shape() == shape{extents_.rows()}))
            raise<format_error>(beside, "the labels are " + to_string(labels_->shape()), "it must be " + to_string(shape{extents_.rows()}));
    }

    index_t rows() const { return extents_.rows(); }
    shape const& extents() const { return extents_; }  ///< [n, ...]
    std::span<T const> noise() const { return pairs_.values().first(half()); }
    std::span<T const> x0() const { return pairs_.values().last(half()); }
    std::span<std::int32_t const> labels() const { return labels_ ? labels_->values() : std::span<std::int32_t const>{}; }

    /// All pairs as one batch, where they lie.
    template <class Backend> batch<T, Backend> mapped(Backend& device) const {
        static_assert(std::same_as<Backend, cpu>, "Only the cpu backend reads the file where it lies: take pairs.load(device).");
        batch<T, Backend> all{{device, x0().data(), extents_}, {device, noise().data(), extents_}};
        if (labels_) all.labels = {device, labels().data(), labels_->shape()};
        return all;
    }
    /// All pairs in a backend's memory.
    template <class Backend> dataset<T, Backend> load(Backend& device) const {
        tensor<T, Backend> samples(device, extents_), unit(device, extents_);
        device.upload(x0().data(), samples.size(), samples.data());
        device.upload(noise().data(), unit.size(), unit.data());
        dataset<T, Backend> data(std::move(samples), std::move(unit));
        if (!labels_) return data;
        tensor<std::int32_t, Backend> numbers(device, labels_->shape());
        device.upload(labels().data(), numbers.size(), numbers.data());
        return std::move(data).labelled(std::move(numbers), std::int32_t(1) + *std::max_element(labels().begin(), labels().end()));
    }

private:
    std::size_t half() const { return static_cast<std::size_t>(extents_.size()); }

    mapped_npy<T> pairs_;
    shape extents_;
    std::optional<mapped_npy<std::int32_t>> labels_;
};

}  // namespace onestep
