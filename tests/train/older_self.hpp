#pragma once
/// An objective whose target is what an average of the model says: nothing but the machinery around such objectives.
#include <onestep/objective/accumulate.hpp>
#include <onestep/objective/regression_rows.hpp>

namespace onestep::test {

/// Regresses F(x0, 1/2) onto x0 + F'(x0, 1/2), F' being the average, which moves by `decay` and every fourth step is copied.
struct older_self {
    static constexpr char const* name = "older_self";
    double decay = 0.75;

    squared distance() const { return {}; }
    double target_decay(index_t step) const { return step % 4 == 3 ? 0 : decay; }
    template <class Model, class Target, class T, class Backend>
    regression<T, Backend> build(Model const&, Target& target, batch<T, Backend> const& data, random_key, arena<Backend>& memory) const {
        Backend& device = data.x0.backend();
        index_t const n = data.x0.rows(), d = data.x0.cols();
        T* const t = memory.template take<T>(n);
        auto* const rows = memory.template take<regression_row<T>>(n);
        T* const said = memory.template take<T>(n * d);
        upload_rows(device, n, t, rows, [](index_t, double& time) {
            time = 0.5;
            return regression_row<double>{.a = -1};
        });
        network_call<T, Backend> const call{data.x0, {device, t, {n}}, {}, data.labels};
        evaluate<false>(target.network(), call, view<T, Backend>(device, said, data.x0.shape()));
        return {call, said, rows};
    }
    void fields(auto&& visit) const { visit("decay", decay); }
};

}  // namespace onestep::test
