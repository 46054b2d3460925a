#pragma once
/// How an objective comes from x_t to a point x_u nearer to the data on the same path.
#include "row_step.hpp"
#include "teacher.hpp"

namespace onestep {

/// Along the straight line of a sample and its noise: x_u = alpha_u x0 + sigma_u epsilon with the same both. No teacher; right in the mean
/// and only as u comes near t.
struct conditional_path {
    static constexpr char const* name = "conditional_path";
    void fields(auto&&) const {}
    friend bool operator==(conditional_path const&, conditional_path const&) = default;
};

/// By one step of a solver along the probability-flow ODE of a trained model, which is referred to and must outlive this. The solver is
/// euler, heun, ddim or dpm_solver_2s (row_step.hpp). `guidance`: s in F_u + s (F_c - F_u) of the teacher; needs labels unless 1.
template <denoiser Teacher, spec Solver = heun> class teacher_path {
public:
    static constexpr char const* name = "teacher_path";

    explicit teacher_path(Teacher const& teacher, Solver const& solver = {}, double guidance = 1)
        : teacher_(teacher), solver_(solver), guidance_(guidance) {}
    explicit teacher_path(Teacher const&&, Solver const& = {}, double = 1) = delete;

    Teacher const& teacher() const { return *teacher_; }

    /// x becomes x_s, row r from t to s of times(r). `object` is the objective that asks, for messages.
    /// Throws domain_error for a student on another process than the teacher's, and what row_steps throws.
    template <class Process, class T, class Backend, class Times>
    void carry(char const* object, Process const& process, view<std::int32_t const, Backend> labels, Times const& times, view<T, Backend> x,
               arena<Backend>& memory) const {
        static_assert(std::same_as<Process, std::remove_cvref_t<decltype(teacher_->process())>>,
                      "Student and teacher must be on one process: bring the teacher there by `matched`.");
        if constexpr (std::equality_comparable<Process>)
            if (!(process == teacher_->process()))
                raise<domain_error>(object, "the student's process is not the teacher's",
                                    "both must have the same numbers; `matched` brings a teacher to another process");
        row_steps(*teacher_, solver_, labels, guidance_, times, view<T const, Backend>(x), x, memory);
    }

    void fields(auto&& visit) const {
        visit("teacher", teacher_);
        visit("solver", solver_);
        visit("guidance", guidance_);
    }

private:
    teacher_reference<Teacher> teacher_;
    Solver solver_;
    double guidance_;
};

/// A path that objectives take.
template <class P>
concept training_path = spec<P> &&(std::same_as<P, conditional_path> || requires(P const& path) { path.teacher(); });

}  // namespace onestep
