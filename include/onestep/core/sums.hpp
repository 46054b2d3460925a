#pragma once
#include "host_device.hpp"

namespace onestep {

/// N totals that one reduction makes side by side, in one pass over what it reads: sums<float, 2>{{x, x * x}}. Added element by element.
template <class T, int N> struct sums {
    T v[N];

    ONESTEP_HD_INLINE sums& operator+=(sums const& other) {
        for (int i = 0; i < N; ++i) v[i] += other.v[i];
        return *this;
    }
    friend bool operator==(sums const&, sums const&) = default;
};

}  // namespace onestep
