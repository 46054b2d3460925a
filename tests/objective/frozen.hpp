#pragma once
/// Gradients of objectives whose target is made of the weights that are trained: the target is held constant.
#include "gradient.hpp"

namespace onestep::test {

/// A problem that was built before, as an objective.
template <distance Distance> struct frozen {
    static constexpr char const* name = "frozen";
    regression<double, backend_type> problem;
    Distance rho;

    Distance distance() const { return rho; }
    template <class Model>
    regression<double, backend_type> build(Model const&, batch<double, backend_type> const&, random_key, arena<backend_type>&) const {
        return problem;
    }
    void fields(auto&&) const {}
};
template <class Distance> frozen(regression<double, backend_type>, Distance) -> frozen<Distance>;

/// The gradient that accumulate adds for an objective is that of its own problem, built once, and that is the one of difference
/// quotients. `older` is where targets come from: the model itself, or another one.
template <class Objective, class Model, class Target>
void check_frozen_gradient(Objective const& objective, Model& model, Target& older, batch<double, backend_type> const& data,
                           random_key key) {
    auto const memory = device().scratch();
    auto problem = [&] {
        if constexpr (builds_with_target<Objective, Model, Target, double, backend_type>)
            return objective.build(model, older, data, key, *memory);
        else return objective.build(model, data, key, *memory);
    }();
    problem.output = nullptr;
    frozen const constant{problem, objective.distance()};
    auto const gradients = model.network().gradients();
    fill(gradients, 0);
    double const loss = accumulate(objective, model, older, data, key);
    auto const given = to_host(gradients);
    fill(gradients, 0);
    CHECK(static_cast<double>(accumulate(constant, model, data, key)) == doctest::Approx(loss).epsilon(1e-13));
    CHECK(relative_difference(given, to_host(gradients)) < 1e-12);
    fill(gradients, 0);
    check_loss_gradient(constant, model, data, key);
}

}  // namespace onestep::test
