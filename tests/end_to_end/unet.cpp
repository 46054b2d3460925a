// A U-Net in training: it learns a few images by heart, goes on bit for bit where it was stopped, and drops activations as the trainer
// says.
#include <onestep/backend/cpu.hpp>
#include <onestep/backend/random_fill.hpp>
#include <onestep/model/flow_map_model.hpp>
#include <onestep/network/unet.hpp>
#include <onestep/objective/flow_matching.hpp>
#include <onestep/objective/mean_flow.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/sampler/heun.hpp>
#include <onestep/sampler/jump.hpp>
#include <onestep/sampler/sample.hpp>
#include <onestep/train/checkpoint.hpp>

#include <doctest/doctest.h>

#include "../io/scratch.hpp"

namespace end_to_end_unet_tests {

using namespace onestep;

namespace {

/// Eight images of 8 x 8: bars of one width at eight places and both directions, -1 and 1.
tensor<float, cpu> eight_images(cpu& device) {
    std::vector<float> x;
    for (int image = 0; image < 8; ++image)
        for (int y = 0; y < 8; ++y)
            for (int c = 0; c < 8; ++c) {
                int const across = image < 4 ? y : c, place = image % 4 * 2;
                x.push_back(across == place || across == place + 1 ? 1.0f : -1.0f);
            }
    return {device, {8, 8, 8, 1}, x};
}
unet_options small() {
    unet_options o;
    o.data = {8, 8, 1};
    o.width = 16;
    o.multipliers = {1, 2};
    o.blocks = 1;
    o.attention = {4};
    o.groups = 4;
    o.time.size = 32;
    o.seed = 3;
    return o;
}
/// The least squared distance of a row to an image, over the number of pixels.
double distance_to_nearest(std::vector<float> const& rows, std::size_t row, std::vector<float> const& images) {
    double least = HUGE_VAL;
    for (std::size_t i = 0; i < 8; ++i) {
        double sum = 0;
        for (std::size_t k = 0; k < 64; ++k) sum += std::pow(double(rows[row * 64 + k]) - double(images[i * 64 + k]), 2);
        least = std::min(least, sum / 64);
    }
    return least;
}

template <class Network> using flow_of = model<Network&, rectified_flow, velocity>;

}  // namespace

TEST_CASE("end to end: slow: a small U-Net learns eight images by heart and draws every one of them") {
    cpu device;
    auto const data = eight_images(device);
    unet net(device, small());
    model flow{net, rectified_flow{}, velocity{}};
    trainer run{flow, flow_matching{}, adam{.rate = 3e-3}, {.batch = 32, .ema = 0.99, .seed = 1}, cosine_rate{.steps = 200, .warmup = 20}};
    run.run(data, 200);
    auto const images = data.to_host(),
               drawn = sample(run.averaged(), heun{.steps = 25}, normal<float>(device, {48, 8, 8, 1}, 5)).to_host();
    double worst = 0, mean = 0;
    std::vector<bool> seen(8, false);
    for (std::size_t row = 0; row < 48; ++row) {
        double const distance = distance_to_nearest(drawn, row, images);
        worst = std::max(worst, distance), mean += distance / 48;
        for (std::size_t i = 0; i < 8; ++i) {
            std::vector<float> const one(images.begin() + static_cast<std::ptrdiff_t>(64 * i),
                                         images.begin() + static_cast<std::ptrdiff_t>(64 * i + 64));
            double sum = 0;
            for (std::size_t k = 0; k < 64; ++k) sum += std::pow(double(drawn[row * 64 + k]) - double(one[k]), 2) / 64;
            if (sum < 0.1) seen[i] = true;
        }
    }
    MESSAGE("mean squared distance of a drawing to the nearest image " << mean << ", the worst " << worst << "; of noise about 1.7");
    CHECK(mean < 0.05);
    CHECK(std::count(seen.begin(), seen.end(), true) == 8);
}

TEST_CASE("end to end: a U-Net's training goes on bit for bit, for any number of threads") {
    test::scratch_folder const folder;
    auto const after = [&](int threads, index_t stop, bool resumed) {
        cpu device(threads);
        unet_options options = small();
        options.dropout = 0.1;
        unet net(device, options);
        model flow{net, rectified_flow{}, velocity{}};
        trainer run{flow, flow_matching{}, adam{.rate = 1e-3}, {.batch = 4, .ema = 0.9, .seed = 1}};
        auto const data = eight_images(device);
        std::string const path = folder / "half.safetensors";
        if (resumed) resume(path, run);
        run.run(data, stop);
        if (stop == 3) save_checkpoint(path, run);
        auto all = to_host(net.parameters());
        auto const averaged = to_host(run.averaged().network().parameters());
        all.insert(all.end(), averaged.begin(), averaged.end());
        return all;
    };
    auto const whole = after(1, 6, false);
    after(2, 3, false);
    CHECK(after(1, 6, true) == whole);
    CHECK(after(3, 6, false) == whole);
}

TEST_CASE("end to end: dropout belongs to training, with one mask for student and target") {
    cpu device;
    unet_options options = small();
    options.dropout = 0.3;
    unet net(device, options), plain(device, small());
    fill_normal(net.parameters(), random_key{7}.at(draw::user), 0.1);
    device.copy(net.parameters().data(), net.names().size(), plain.parameters().data());
    auto const data = eight_images(device);
    flow_of<unet<float, cpu>> const flow(net, {}, {}), whole(plain, {}, {});
    auto const loss = [&](auto& model, std::uint64_t step) {
        return accumulate(flow_matching{}, model, data.view(), random_key{1, step}).plain;
    };
    CHECK(loss(flow, 1) == loss(flow, 1));
    CHECK(loss(flow, 1) != loss(whole, 1));
    // Outside of a step nothing is dropped.
    tensor<float, cpu> t(device, {8}, std::vector<float>(8, 0.5f)), y(device, data.shape()), z(device, data.shape());
    net(data, t, y);
    plain(data, t, z);
    CHECK(y.to_host() == z.to_host());
}

TEST_CASE("end to end: slow: objectives with derivatives train a U-Net with two times") {
    cpu device;
    unet_options options = small();
    options.second_time = true;
    options.time.scale = 10;
    unet net(device, options);
    flow_map_model flow{net, rectified_flow{}, average_velocity{}};
    auto const data = eight_images(device);
    auto const images = data.to_host();
    auto const z = normal<float>(device, {32, 8, 8, 1}, 5);
    auto const far = [&](auto const& m) {
        auto const drawn = sample(m, jump{.steps = 1}, z).to_host();
        double mean = 0;
        for (std::size_t row = 0; row < 32; ++row) mean += distance_to_nearest(drawn, row, images) / 32;
        return mean;
    };
    double const before = far(flow);
    trainer run{flow, mean_flow{}, adam{.rate = 2e-3}, {.batch = 16, .ema = 0.98, .seed = 1}, cosine_rate{.steps = 300, .warmup = 20}};
    run.run(data, 300);
    double const after = far(run.averaged());
    MESSAGE("mean squared distance of a drawing in one step to the nearest image: " << before << " before, " << after << " after");
    CHECK(after < 0.2 * before);
}

}  // namespace end_to_end_unet_tests
