#include <onestep/schedule/beta_table.hpp>

#include "table_checks.hpp"

namespace beta_table_tests {

using onestep::beta_table;

TEST_CASE("beta_table: the list itself") {
    auto const t = beta_table{{0.1, 0.25, 1}}.table();
    CHECK(t.beta == std::vector<double>{0.1, 0.25, 1});
    CHECK(t.alpha_bar == std::vector<double>{0.9, 0.9 * 0.75, 0});
    onestep::test::check_products(t);
}

TEST_CASE("beta_table: refuses what makes no table") {
    CHECK_THROWS_WITH_AS(beta_table{}.table(), "domain_error: beta_table: there are 0 betas, at least 1 is needed", onestep::domain_error);
    CHECK_THROWS_WITH_AS((beta_table{{0.1, 2, 0.1}}.table()), doctest::Contains("beta_table: beta[1] is 2, every beta"),
                         onestep::domain_error);
}

TEST_CASE("beta_table: prints every beta, so that two lists do not look alike") {
    CHECK(to_string(beta_table{{0.1, 0.25}}) == "beta_table{beta = [0.1, 0.25]}");
    CHECK(beta_table{{0.1}} == beta_table{{0.1}});
    CHECK_FALSE(beta_table{{0.1}} == beta_table{{0.2}});
}

}  // namespace beta_table_tests
