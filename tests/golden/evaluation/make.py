#!/usr/bin/env python3
"""Writes distances.inc: sliced Wasserstein and energy distances by POT and SciPy.

Samples are small fractions from an integer recurrence, so that the C++ tests have exactly the same numbers. Directions
are the library's own, made again here from Philox4x32-10 in double; their deviates differ by about 1e-7.

    pip install numpy==2.4.6 scipy==1.17.1 POT==0.9.7.post1
    python3 make.py
"""
import math
import pathlib

import numpy as np
import ot
import scipy
from scipy.spatial.distance import cdist, pdist


def samples(n, d, start):
    values, state = [], start
    for _ in range(n * d):
        state = (state * 1103515245 + 12345) % 2**31
        values.append((state >> 16) % 1024 / 256 - 2)
    return np.array(values).reshape(n, d)


def philox(counter, key):
    x, y, z, w = counter
    k0, k1 = key
    for _ in range(10):
        low, high = 0xD2511F53 * x, 0xCD9E8D57 * z
        x, y, z, w = (high >> 32) ^ y ^ k0, high & 0xFFFFFFFF, (low >> 32) ^ w ^ k1, low & 0xFFFFFFFF
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return x, y, z, w


def directions(count, d, seed):
    purpose = 4  # draw::direction
    key = philox((0, 0, purpose, 0), (seed, 0))[:2]
    rows = []
    for k in range(count):
        row = []
        for quad in range((d + 3) // 4):
            words = philox((quad, 0, k, 0), key)
            for radius, phase in (words[:2], words[2:]):
                r = math.sqrt(-2 * math.log((radius + 0.5) / 2**32))
                row += [r * math.cos(2 * math.pi * phase / 2**32), r * math.sin(2 * math.pi * phase / 2**32)]
        rows.append(np.array(row[:d]) / np.linalg.norm(row[:d]))
    return np.array(rows)


def energy_squared(x, y):
    return 2 * cdist(x, y).mean() - pdist(x).mean() - pdist(y).mean()


lines = [f"// Written by make.py: NumPy {np.__version__}, SciPy {scipy.__version__}, POT {ot.__version__}.",
         "// n, m, d, directions, seed, sliced Wasserstein distance, squared energy distance (unbiased)"]
for n, m, d, count, seed in ((40, 40, 2, 100, 0), (37, 16, 3, 64, 7), (5, 23, 8, 50, 1), (100, 64, 1, 20, 3), (30, 41, 5, 33, 123456789)):
    x, y = samples(n, d, 1), samples(m, d, 2) * 0.5 + 0.25
    w = directions(count, d, seed)
    sw = ot.sliced_wasserstein_distance(x, y, projections=w.T, p=2)
    lines.append(f"{{{n}, {m}, {d}, {count}, {seed}, {float(sw)!r}, {float(energy_squared(x, y))!r}}},")
pathlib.Path(__file__).with_name("distances.inc").write_text("\n".join(lines) + "\n")
