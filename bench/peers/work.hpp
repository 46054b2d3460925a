#pragma once
/// What the peer server runs on request.
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <onestep/backend/cpu.hpp>

/// Something that can be run again and again; `prepare` goes before each run and is not timed, `exported` is for works that train.
struct work {
    virtual ~work() = default;
    virtual void prepare() {}
    virtual void run() = 0;
    /// Writes a network and a batch to a folder and returns the first losses on them.
    virtual std::vector<double> exported(std::string const&) { throw std::runtime_error("nothing to export"); }
};

using maker = std::function<std::unique_ptr<work>(onestep::cpu&)>;

inline void write_numbers(std::string const& path, std::vector<float> const& values) {
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<char const*>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(float)));
}

/// objective_NAME, a training step, and toy_NAME, one of a small network; accumulate_NAME, its gradient alone; network_forward, the unit to
/// count that in.
void add_objectives(std::map<std::string, maker>& works);
/// unet_train_SIDE_BATCH, unet_forward_SIDE_BATCH, unet_jvp_step: the reference U-Net.
void add_unets(std::map<std::string, maker>& works);
/// MiB that training of the U-Net on images of 28 x 28, batches of 64, takes at most. For a process that does nothing else.
double unet_training_mebibytes(int threads);
