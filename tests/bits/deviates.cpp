/// Prints hashes of everything in core/ that promises the same bits on every compiler, optimisation level and
/// instruction set. tests/bits/CMakeLists.txt builds it many times and compares the lines.
#include <onestep/core/math.hpp>
#include <onestep/core/random.hpp>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

namespace {

using onestep::index_t;

struct fnv {
    std::uint64_t state = 0xcbf29ce484222325u;
    template <class T> void add(T const& value) {
        unsigned char bytes[sizeof(T)];
        std::memcpy(bytes, &value, sizeof(T));
        for (unsigned char byte : bytes) state = (state ^ byte) * 0x100000001b3u;
    }
};

void print(char const* what, fnv const& h) { std::printf("%s %016llx\n", what, static_cast<unsigned long long>(h.state)); }

struct store {
    float* x;
    void operator()(index_t, index_t position, float z) const { x[position] = z; }
};

template <int Width> void deviates(char const* what, index_t rows, index_t cols) {
    std::vector<float> values(static_cast<std::size_t>(rows * cols));
    onestep::with_normals<Width, store> const items{{values.data()}, onestep::random_key{7, 11, 3}.at(onestep::draw::noise, 5), rows, cols};
    for (index_t i = 0; i < items.items(); ++i) items(i);
    fnv h;
    for (float value : values) h.add(value);
    print(what, h);
}

/// f over floats `stride` bit patterns apart in [low, high], both of one sign.
template <class F> void sweep(char const* what, float low, float high, std::uint32_t stride, F f) {
    fnv h;
    auto const first = onestep::math::bits<std::uint32_t>(low), last = onestep::math::bits<std::uint32_t>(high);
    for (std::uint64_t i = first; i <= last; i += stride) f(h, onestep::math::bits<float>(static_cast<std::uint32_t>(i)));
    print(what, h);
}

}  // namespace

int main() {
    namespace math = onestep::math;
    deviates<16>("deviates [64, 3072]", 64, 3072);
    deviates<16>("deviates [9000, 3]", 9000, 3);
    deviates<1>("deviates, one quad an item [64, 3072]", 64, 3072);
    fnv numbers;
    auto const stream = onestep::random_key{1}.at(onestep::draw::time);
    for (index_t r = 0; r < 10000; ++r) {
        numbers.add(onestep::uniform(stream, r));
        numbers.add(onestep::below(stream, 1797, r));
        numbers.add(onestep::normal_deviate(stream, r));
    }
    print("uniform, below, normal_deviate", numbers);

    sweep("log", 0x1p-126f, 0x1p127f, 5003, [](fnv& h, float x) { h.add(math::log(x)); });
    sweep("sqrt", 0x1p-100f, 0x1p100f, 5003, [](fnv& h, float x) { h.add(math::sqrt(x)); });
    sweep("exp, sigmoid", 0x1p-30f, 90.0f, 1009, [](fnv& h, float x) {
        h.add(math::exp(x));
        h.add(math::exp(-x));
        h.add(math::sigmoid(x));
        h.add(math::sigmoid(-x));
    });
    fnv phases;
    for (std::uint64_t phase = 0; phase < 0x100000000u; phase += 10007) {
        auto const a = math::sincos_phase(static_cast<std::uint32_t>(phase));
        phases.add(a.sin);
        phases.add(a.cos);
    }
    print("sincos_phase", phases);
    sweep("sincos_turns", 0x1p-20f, 0x1p21f, 1009, [](fnv& h, float x) {
        h.add(math::sincos_turns(x).sin);
        h.add(math::sincos_turns(-x).cos);
    });
    sweep("sincos", 0x1p-20f, 0x1p23f, 1009, [](fnv& h, float x) {
        h.add(math::sincos(x).sin);
        h.add(math::sincos(-x).cos);
    });
}
