#include <onestep/objective/regression_rows.hpp>

#include <onestep/backend/random_fill.hpp>

#include <doctest/doctest.h>

#include "../test_backend.hpp"

namespace regression_rows_tests {

using namespace onestep;
using onestep::test::backend_type;
using onestep::test::device;

TEST_CASE("regression_rows: rows of any number arrive in order") {
    for (index_t n : {0, 1, 127, 128, 129, 300}) {  // 128 are sent at a time
        CAPTURE(n);
        tensor<float, backend_type> t(device(), {n});
        tensor<regression_row<float>, backend_type> rows(device(), {n});
        std::vector<index_t> asked;
        upload_rows(device(), n, t.data(), rows.data(), [&](index_t row, double& time) {
            asked.push_back(row);
            double const k = static_cast<double>(row);
            time = k / 3;
            return regression_row<double>{k, k + 0.1, k + 0.2, k + 0.3, k + 0.4, k + 0.5, k + 0.6};
        });
        auto const times = t.to_host();
        auto const host = rows.to_host();
        REQUIRE(asked.size() == static_cast<std::size_t>(n));
        bool same = true;
        for (std::size_t i = 0; i < asked.size(); ++i) {
            double const k = static_cast<double>(i);
            same = same && asked[i] == static_cast<index_t>(i) && times[i] == static_cast<float>(k / 3) &&
                   host[i].alpha == static_cast<float>(k) && host[i].sigma == static_cast<float>(k + 0.1) &&
                   host[i].target_x0 == static_cast<float>(k + 0.2) && host[i].target_epsilon == static_cast<float>(k + 0.3) &&
                   host[i].a == static_cast<float>(k + 0.4) && host[i].b == static_cast<float>(k + 0.5) &&
                   host[i].weight == static_cast<float>(k + 0.6);
        }
        CHECK(same);
    }
}

TEST_CASE("regression_rows: given and drawn noise are mixed alike") {
    index_t const n = 5, d = 7;
    random_stream const stream = random_key{4}.at(draw::noise);
    tensor<float, backend_type> t(device(), {n}), x0 = normal<float>(device(), {n, d}, 1), z(device(), {n, d});
    fill_normal(z.view(), stream);
    tensor<regression_row<float>, backend_type> rows(device(), {n});
    upload_rows(device(), n, t.data(), rows.data(), [](index_t row, double&) {
        double const k = static_cast<double>(row);
        return regression_row<double>{1 - 0.2 * k, 0.2 * k, -1 + 0.1 * k, 1 + 0.3 * k, 0, 1, 1};
    });
    tensor<float, backend_type> x(device(), {n, d}), target(device(), {n, d}), other_x(device(), {n, d}), other_target(device(), {n, d});
    device().for_each_pair(n, d, functor::mix_pair<float>{rows.data(), x0.data(), z.data(), x.data(), target.data(), d});
    for_each_normal(device(), stream, n, d, functor::mix_noise<float>{rows.data(), x0.data(), other_x.data(), other_target.data()});
    CHECK(x.to_host() == other_x.to_host());
    CHECK(target.to_host() == other_target.to_host());
    auto const clean = x0.to_host(), noise = z.to_host(), mixed = x.to_host(), wanted = target.to_host();
    for (std::size_t i = 0; i < clean.size(); ++i) {
        double const k = static_cast<double>(i / static_cast<std::size_t>(d));
        CHECK(mixed[i] == doctest::Approx((1 - 0.2 * k) * clean[i] + 0.2 * k * noise[i]).epsilon(1e-5));
        CHECK(wanted[i] == doctest::Approx((-1 + 0.1 * k) * clean[i] + (1 + 0.3 * k) * noise[i]).epsilon(1e-5));
    }
}

}  // namespace regression_rows_tests
