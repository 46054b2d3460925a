#pragma once
#include "../model/model.hpp"

namespace onestep {

/// A trained model inside an objective: referred to, so it must outlive all copies. As text it is its process and its target (and its
/// network's numbers, where it has some), since the next step depends on them; its weights are not part of it.
template <denoiser Teacher> class teacher_reference {
public:
    static constexpr char const* name = "teacher";

    explicit teacher_reference(Teacher const& teacher) : teacher_(&teacher) {}

    Teacher const& operator*() const { return *teacher_; }
    Teacher const* operator->() const { return teacher_; }

    void fields(auto&& visit) const {
        if constexpr (requires { requires spec<std::remove_cvref_t<decltype(teacher_->network().options())>>; })
            visit("network", teacher_->network().options());
        if constexpr (spec<std::remove_cvref_t<decltype(teacher_->process())>>) visit("process", teacher_->process());
        visit("target", teacher_->target());
    }

private:
    Teacher const* teacher_;
};

}  // namespace onestep
