#!/usr/bin/env python3
"""Writes target.json: what a network may predict, and conversions between the kinds, by mpmath with 50 digits.

    pip install mpmath==1.3.0 numpy==2.4.6
    python3 make_target.py

pairs: a random marginal (alpha, sigma and their time derivatives), x0 and epsilon, and from them x = alpha x0 + sigma epsilon,
v = alpha epsilon - sigma x0, velocity = alpha' x0 + sigma' epsilon and score = -epsilon / sigma. The derivatives obey no
process: a conversion needs none.
conversions: at the first marginals, to = x_weight x + output_weight from, for every pair of kinds; solved from
the two linear equations, not written out.
edm: preconditioning at a noise level: D = c_skip x + c_out F(c_in x, c_noise), and F of a pair x0, epsilon at x = x0 + sigma epsilon.
trig: F = (cos(t) epsilon - sin(t) x0 / sigma_data) at x = cos(t) x0 + sin(t) sigma_data epsilon.
"""

import json
import pathlib

import mpmath
import numpy as np
from mpmath import mp, mpf

mp.dps = 50
SEED = 20240612
KINDS = ["x0", "epsilon", "v", "velocity", "score"]


def weights(kind, m):
    """Of x0 and epsilon in a prediction of this kind."""
    alpha, sigma, d_alpha, d_sigma = m
    return {
        "x0": (mpf(1), mpf(0)),
        "epsilon": (mpf(0), mpf(1)),
        "v": (-sigma, alpha),
        "velocity": (d_alpha, d_sigma),
        "score": (mpf(0), -1 / sigma),
    }[kind]


def convert(source, to, m):
    """x_weight and output_weight with w_to = x_weight (alpha, sigma) + output_weight w_from, as rows of (x0, epsilon)."""
    alpha, sigma = m[:2]
    p, q = weights(source, m)
    system = mpmath.matrix([[alpha, p], [sigma, q]])
    return mpmath.lu_solve(system, mpmath.matrix(list(weights(to, m))))


def main():
    rng = np.random.default_rng(SEED)

    def uniform(low, high):
        return float(np.round(rng.uniform(low, high) * 4096) / 4096)

    marginals = []
    for i in range(24):
        if i % 3 == 0:  # on a variance-preserving path
            angle = rng.uniform(0.02, 1.55)
            m = [float(np.cos(angle)), float(np.sin(angle)), -float(np.sin(angle)), float(np.cos(angle))]
        else:
            m = [uniform(0.01, 1), uniform(0.01, 3), uniform(-3, -0.05), uniform(0.05, 3)]
        marginals.append(m)
    pairs = []
    for m in marginals:
        x0, epsilon = uniform(-2, 2), uniform(-3, 3)
        exact = [mpf(v) for v in m]
        values = {kind: float(sum(w * v for w, v in zip(weights(kind, exact), (mpf(x0), mpf(epsilon))))) for kind in KINDS[2:]}
        pairs.append(m + [x0, epsilon, float(exact[0] * mpf(x0) + exact[1] * mpf(epsilon))] + list(values.values()))

    conversions = []
    for m in marginals[:6]:
        exact = [mpf(v) for v in m]
        rows = [[a, b] + [float(w) for w in convert(a, b, exact)] for a in KINDS for b in KINDS if a != b]
        conversions.append({"marginal": m, "rows": rows})

    edm = []
    for data in (0.5, 1.0):
        rows = []
        for level in [1e-5, 1e-3, 0.002, 0.01, 0.03, 0.08, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 500.0, 1e5]:
            s, d, x0, epsilon = mpf(level), mpf(data), uniform(-2, 2), uniform(-3, 3)
            skip, out, into = d**2 / (s**2 + d**2), s * d / mpmath.sqrt(s**2 + d**2), 1 / mpmath.sqrt(s**2 + d**2)
            f = (mpf(x0) - skip * (mpf(x0) + s * mpf(epsilon))) / out
            rows.append([level, float(skip), float(out), float(into), float(mpmath.log(s) / 4), x0, epsilon, float(f)])
        edm.append({"sigma_data": data, "rows": rows})

    trig = []
    for data in (0.5, 1.0):
        rows = []
        for t in [1e-5, 0.01, 0.1, 0.4, 0.8, 1.1, 1.4, 1.564]:
            x0, epsilon = uniform(-2, 2), uniform(-3, 3)
            c, s = mpmath.cos(mpf(t)), mpmath.sin(mpf(t))
            rows.append(
                [t, x0, epsilon, float(c * mpf(x0) + s * mpf(data) * mpf(epsilon)), float(c * mpf(epsilon) - s * mpf(x0) / mpf(data))]
            )
        trig.append({"sigma_data": data, "rows": rows})

    head = {
        "made_by": "make_target.py",
        "versions": {"mpmath": mpmath.__version__, "numpy": np.__version__},
        "digits": mp.dps,
        "seed": SEED,
        "pair_columns": ["alpha", "sigma", "alpha_derivative", "sigma_derivative", "x0", "epsilon", "x", "v", "velocity", "score"],
        "conversion_columns": ["from", "to", "x_weight", "output_weight"],
        "edm_columns": ["sigma", "c_skip", "c_out", "c_in", "c_noise", "x0", "epsilon", "F"],
        "trig_columns": ["t", "x0", "epsilon", "x", "F"],
    }
    compact = lambda value: json.dumps(value, separators=(",", ":"), allow_nan=False)
    text = compact(head)[:-1]
    for name, rows in (("pairs", pairs), ("conversions", conversions), ("edm", edm), ("trig", trig)):
        text += f',"{name}":[\n' + ",\n".join(compact(row) for row in rows) + "\n]"
    pathlib.Path(__file__).with_name("target.json").write_text(text + "}\n")


if __name__ == "__main__":
    main()
