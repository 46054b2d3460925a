#include "lab.hpp"

#include <onestep/io/npy.hpp>

namespace study {

void lab::keep(std::string const& method, int steps, samples const& x) const {
    index_t const n = std::min<index_t>(x.rows(), x.cols() == 2 ? 4096 : 20), d = x.cols();
    std::vector<float> all = x.to_host();
    all.resize(static_cast<std::size_t>(n * d));
    os::write_npy<float>(folder_ + "/" + method + ", " + std::to_string(steps) + ".npy", {n, d}, all);
}

}  // namespace study
