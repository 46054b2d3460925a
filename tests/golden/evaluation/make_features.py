#!/usr/bin/env python3
"""Writes frechet.inc and precision_recall.inc: distances of feature sets by NumPy and SciPy.

Samples are small fractions from an integer recurrence, so that the C++ tests have exactly the same numbers, and their squared distances
are exact in double: ties are ties on both sides.

    pip install numpy==2.4.6 scipy==1.17.1
    python3 make_features.py
"""
import pathlib

import numpy as np
import scipy
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist

versions = f"// Written by make_features.py: NumPy {np.__version__}, SciPy {scipy.__version__}."


def samples(n, d, start, levels=1024):
    values, state = [], start
    for _ in range(n * d):
        state = (state * 1103515245 + 12345) % 2**31
        values.append((state >> 16) % levels / 256 - 2)
    return np.array(values).reshape(n, d)


def frechet(x, y):
    a, b = np.atleast_2d(np.cov(x, rowvar=False)), np.atleast_2d(np.cov(y, rowvar=False))
    shift = x.mean(axis=0) - y.mean(axis=0)
    # The root's trace is also a nuclear norm, which exists for fewer samples than elements too, where sqrtm fails.
    products = (x - x.mean(axis=0)) @ (y - y.mean(axis=0)).T / np.sqrt((len(x) - 1) * (len(y) - 1))
    root = np.linalg.svd(products, compute_uv=False).sum()
    if min(len(x), len(y)) > x.shape[1]:
        by_sqrtm = np.trace(sqrtm(a @ b)).real
        assert abs(by_sqrtm - root) < 1e-10 * root
        root = by_sqrtm
    return shift @ shift, np.trace(a + b) - 2 * root


def precision_recall(real, generated, k):
    squares_real, squares_generated = (cdist(s, s, "sqeuclidean") for s in (real, generated))
    for squares in (squares_real, squares_generated):
        np.fill_diagonal(squares, np.inf)
    radius_real, radius_generated = (np.sort(s, axis=1)[:, k - 1] for s in (squares_real, squares_generated))
    between = cdist(real, generated, "sqeuclidean")
    in_real, in_generated = between <= radius_real[:, None], between <= radius_generated[None, :]
    return (int(in_real.any(axis=0).sum()), int(in_generated.any(axis=1).sum()), int(in_real.sum()), int(in_real.any(axis=1).sum()))


def mixed(x):
    """Correlates neighbouring features, by numbers that stay exact."""
    return x + 0.5 * np.roll(x, 1, axis=1)


here = pathlib.Path(__file__)
lines = [versions, "// n, m, d, |mean_x - mean_y|^2, trace"]
for n, m, d in ((40, 40, 1), (300, 200, 2), (64, 100, 8), (500, 400, 24), (150, 90, 64), (20, 30, 48), (200, 12, 48), (2, 2, 5)):
    means, trace = frechet(mixed(samples(n, d, 1)), samples(m, d, 2) * 0.5 + 0.25)
    lines.append(f"{{{n}, {m}, {d}, {float(means)!r}, {float(trace)!r}}},")
here.with_name("frechet.inc").write_text("\n".join(lines) + "\n")

lines = [versions, "// n, m, d, k, levels of an element, generated in real balls, real in generated balls, pairs in real balls, real balls that hold any"]
for n, m, d, k, levels in ((40, 40, 1, 1, 1024), (300, 200, 2, 3, 1024), (64, 100, 8, 5, 1024), (200, 150, 24, 3, 1024), (120, 90, 2, 3, 6),
                           (1100, 1030, 3, 5, 64), (1030, 1500, 5, 3, 4)):
    counts = precision_recall(samples(n, d, 1, levels), samples(m, d, 2, levels) * (0.75 if levels == 1024 else 1), k)
    lines.append(f"{{{n}, {m}, {d}, {k}, {levels}, {', '.join(map(str, counts))}}},")
here.with_name("precision_recall.inc").write_text("\n".join(lines) + "\n")
