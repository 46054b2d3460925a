#include <onestep/objective/path_step.hpp>

#include <onestep/process/edm.hpp>
#include <onestep/target/x0.hpp>

#include "gradient.hpp"

namespace path_step_tests {

using namespace onestep;
using namespace onestep::test;

TEST_CASE("teacher_path: carries rows as row_steps does, each by its own times") {
    auto net = lively_mlp<double>({.data = {2}, .width = 5, .blocks = 1});
    model const teacher{net, rectified_flow{}, velocity{}};
    tensor<double, backend_type> const x = normal<double>(device(), {5, 2}, 4);
    tensor<double, backend_type> carried = x, expected = x;
    auto const times = [](index_t r) { return time_pair{0.9 - 0.1 * static_cast<double>(r), 0.4}; };
    auto const memory = device().scratch();
    teacher_path{teacher, heun{}}.carry("test", teacher.process(), view<std::int32_t const, backend_type>{}, times, carried.view(),
                                        *memory);
    row_steps(teacher, heun{}, view<std::int32_t const, backend_type>{}, 1, times, view<double const, backend_type>(x.view()),
              expected.view(), *memory);
    CHECK(carried.to_host() == expected.to_host());
    CHECK(carried.to_host() != x.to_host());
}

TEST_CASE("teacher_path: wants the student on the teacher's process, and is a spec") {
    auto net = lively_mlp<double>({.data = {2}, .width = 5, .blocks = 1});
    model const teacher{net, edm{}, x0{}};
    tensor<double, backend_type> x = normal<double>(device(), {5, 2}, 4);
    auto const memory = device().scratch();
    auto const times = [](index_t) { return time_pair{2, 1}; };
    CHECK_THROWS_WITH(
        (teacher_path{teacher}.carry("test", edm{.sigma_max = 50}, view<std::int32_t const, backend_type>{}, times, x.view(), *memory)),
        "domain_error: test: the student's process is not the teacher's, both must have the same numbers; `matched` brings a teacher to "
        "another process");
    CHECK(training_path<conditional_path>);
    CHECK(training_path<teacher_path<std::remove_cvref_t<decltype(teacher)>>>);
    CHECK_FALSE(training_path<heun>);
    CHECK(&teacher_path{teacher}.teacher() == &teacher);
    CHECK(to_string(conditional_path{}) == "conditional_path{}");
    CHECK(to_string(teacher_path{teacher, ddim{}, 2}) ==
          "teacher_path{teacher = " + to_string(teacher_reference(teacher)) + ", solver = " + to_string(ddim{}) + ", guidance = 2}");
}

}  // namespace path_step_tests
