#pragma once
/// Pairs of noise and the sample that a flow makes of it.
#include <algorithm>

#include "../backend/finite.hpp"
#include "../sampler/sample.hpp"
#include "dataset.hpp"

namespace onestep {

/// Numbers of a generation in parts.
struct pairs_options {
    index_t batch = 512;     ///< rows solved at a time, >= 1; the result does not depend on it
    std::uint64_t seed = 0;  ///< of solvers that draw noise; row r draws that of sample r
};

/// The coupling for reflow and distillation: for each row of unit noise z, the sample the model's flow carries it to.
///
///     auto z = onestep::normal<float>(device, {60'000, 28, 28, 1}, 2);
///     auto pairs = onestep::reflow_pairs(first.averaged(), onestep::heun{.steps = 50}, z);
///
/// Throws domain_error for batch < 1 or steps < 1, not_finite_error if a sample is not finite.
/// Cost: the solver's evaluations for each row. Source: Liu, Gong, Liu 2022 (arXiv:2209.03003), algorithm 1.
template <class Model, class Solver, class T, class Backend, class Grid = uniform_grid>
dataset<T, Backend> reflow_pairs(Model const& model, Solver const& solver, tensor<T, Backend> z, pairs_options const& options = {},
                                 Grid const& grid = {}) {
    if (options.batch < 1) raise<domain_error>("reflow_pairs", "batch is " + std::to_string(options.batch), "it must be at least 1");
    static_assert(onestep::grid<Grid, std::remove_cvref_t<decltype(model.process())>>,
                  "This grid has no times for the model's process: see time/grid.hpp.");
    std::vector<double> const times = times_of(grid, model.process(), solver.steps);
    tensor<T, Backend> x(z.backend(), z.shape());
    for (index_t first = 0; first < z.rows(); first += options.batch) {
        index_t const count = std::min(options.batch, z.rows() - first);
        view<T, Backend> const part = x.view().rows(first, count);
        place_noise(model.process(), times.front(), std::as_const(z).view().rows(first, count), part);
        solve(model.rows(first, count), solver, times, part, random_key{options.seed}.from_row(first));
    }
    require_finite("reflow_pairs", std::as_const(x).view());
    return dataset<T, Backend>(std::move(x), std::move(z));
}

/// The same for a network with labels: row r is made for labels(r), and the pairs remember it.
/// Throws label_error for a label outside [0, classes), shape_error unless there is one a row.
template <class Model, class Solver, class T, class Backend, class Grid = uniform_grid>
dataset<T, Backend> reflow_pairs(Model const& model, Solver const& solver, tensor<T, Backend> z, tensor<std::int32_t, Backend> labels,
                                 index_t classes, pairs_options const& options = {}, Grid const& grid = {}) {
    require_shape("reflow_pairs", "labels", std::as_const(labels).view(), {z.rows()});
    require_labels<Backend>("reflow_pairs", labels, classes);
    return reflow_pairs(model.given(std::as_const(labels).view(), labels_are_checked{}), solver, std::move(z), options, grid)
        .labelled(std::move(labels), classes);
}

}  // namespace onestep
