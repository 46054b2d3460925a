#include "../objective_cases.hpp"
#include "work.hpp"

namespace {

using namespace objective_cases;

/// A whole training step.
template <class Case> class training_work : public work {
public:
    training_work(os::cpu& device, extent const& size) : device_(device), run_(device, size) {}
    void run() override { run_.step(); }

    std::vector<double> exported(std::string const& folder) override {
        auto const x0 = os::normal<float>(device_, {run_.batch(), 2}, 5), z = os::normal<float>(device_, {run_.batch(), 2}, 6);
        os::batch<float, os::cpu> const data{x0.view(), z.view()};
        os::random_key const key{8};
        auto const times = run_.times_of(data, key);
        write_numbers(folder + "/x0.bin", x0.to_host());
        write_numbers(folder + "/z.bin", z.to_host());
        write_numbers(folder + "/t.bin", times.t);
        if (!times.s.empty()) write_numbers(folder + "/s.bin", times.s);
        write_numbers(folder + "/parameters.bin", os::to_host(run_.net().parameters()));
        write_numbers(folder + "/teacher.bin", os::to_host(run_.taught().parameters()));
        std::vector<double> losses;
        for (int i = 0; i < 10; ++i) {
            losses.push_back(run_.accumulate(data, key).weighted);
            run_.update();
        }
        return losses;
    }

private:
    os::cpu& device_;
    objective_run<Case> run_;
};

/// The gradient alone.
template <class Case> class gradient_work : public work {
public:
    explicit gradient_work(os::cpu& device, extent const& size) : run_(device, size) {}
    void run() override { run_.accumulate(); }

private:
    objective_run<Case> run_;
};

class forward_work : public work {
public:
    explicit forward_work(os::cpu& device, extent const& size) : run_(device, size) {}
    void run() override { run_.run(); }

private:
    forward_run run_;
};

template <class Work, extent const& Size> std::unique_ptr<work> make(os::cpu& device) { return std::make_unique<Work>(device, Size); }

template <class Case> void add_gradient(std::map<std::string, maker>& works) {
    works[std::string("accumulate_") + Case::name] = make<gradient_work<Case>, usual>;
}
template <class Case> void add_both(std::map<std::string, maker>& works) {
    add_gradient<Case>(works);
    works[std::string("objective_") + Case::name] = make<training_work<Case>, usual>;
    works[std::string("toy_") + Case::name] = make<training_work<Case>, toy>;
}

}  // namespace

void add_objectives(std::map<std::string, maker>& works) {
    works["network_forward"] = make<forward_work, usual>;
    add_both<flow_matching>(works);
    add_both<consistency_training>(works);
    add_both<consistency_distillation>(works);
    add_both<continuous_consistency_training>(works);
    add_both<continuous_consistency_distillation>(works);
    add_gradient<continuous_consistency_by_differences>(works);
    add_both<shortcut_training>(works);
    add_both<mean_flow>(works);
    add_both<mean_flow_every_row>(works);
    add_both<progressive_distillation>(works);
}
