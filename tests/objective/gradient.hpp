#pragma once
/// What the tests of objectives share: a network that is not zero, and a loss's gradient against difference quotients.
#include <doctest/doctest.h>

#include <onestep/network/mlp.hpp>
#include <onestep/objective/accumulate.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/target/epsilon.hpp>

#include "../test_backend.hpp"

namespace onestep::test {

/// Small random parameters everywhere: an mlp as built is the zero function.
template <class T> mlp<T, backend_type> lively_mlp(mlp_options const& options, double deviation = 0.3) {
    mlp<T, backend_type> net(device(), options);
    fill_normal(net.parameters().reshaped({1, net.parameters().size()}), random_key{3}.at(draw::user), deviation);
    return net;
}

/// Compares the gradient that accumulate adds with central differences of the loss, in double, for every parameter.
template <class Objective, class Model>
void check_loss_gradient(Objective const& objective, Model& model, batch<double, backend_type> const& data, random_key key) {
    auto& net = model.network();
    auto const parameters = net.parameters(), gradients = net.gradients();
    std::vector<double> const zero(static_cast<std::size_t>(parameters.size()));
    auto const loss = [&] {
        double const value = accumulate(objective, model, data, key).weighted;
        device().upload(zero.data(), parameters.size(), gradients.data());
        return value;
    };
    loss();
    accumulate(objective, model, data, key);
    std::vector<double> const exact = to_host(gradients);
    std::vector<double> p = to_host(parameters);
    double worst = 0, size = 0;
    for (std::size_t i = 0; i < p.size(); ++i) {
        double const at = p[i], h = 1e-5;
        auto const moved = [&](double value) {
            p[i] = value;
            device().upload(p.data(), parameters.size(), parameters.data());
            return loss();
        };
        double const quotient = (moved(at + h) - moved(at - h)) / (2 * h);
        moved(at);
        worst = std::fmax(worst, std::fabs(quotient - exact[i]));
        size = std::fmax(size, std::fabs(exact[i]));
    }
    CAPTURE(size);
    CHECK(size > 1e-3);
    CHECK(worst < 2e-7 * std::fmax(size, 1.0));
}

}  // namespace onestep::test
