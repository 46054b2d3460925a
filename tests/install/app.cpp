// A program of somebody else: exits 0 if a product of two small matrices is right.
#include <onestep/backend/cpu.hpp>
#include <onestep/core/tensor.hpp>
#include <onestep/version.hpp>

int main() {
    onestep::cpu device;
    onestep::tensor<float, onestep::cpu> const a(device, {2, 2}, {1, 2, 3, 4}), b(device, {2, 2}, {5, 6, 7, 8});
    onestep::tensor<float, onestep::cpu> c(device, {2, 2});
    device.gemm(onestep::op::plain, onestep::op::plain, 2, 2, 2, 1.0f, a.data(), 2, b.data(), 2, 0.0f, c.data(), 2);
    return c.to_host() == std::vector<float>{19, 22, 43, 50} ? 0 : 1;
}
