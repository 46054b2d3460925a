#!/usr/bin/env python3
"""Writes process.json: noise tables and continuous processes by mpmath with 50 digits.

    pip install mpmath==1.3.0
    python3 make_process.py

tables: alpha_bar, beta and log_snr (natural logarithm of alpha_bar / (1 - alpha_bar)) at some indices from 0. Where
diffusers 0.42.1 is installed, its tables, computed in double, are compared too (--diffusers): they agree to 1e-12.
processes: rows of t, alpha, sigma, log_snr = log(alpha^2 / sigma^2), drift = alpha' / alpha and
g2 = 2 sigma (sigma' - sigma alpha' / alpha). Derivatives are mpmath's own difference quotients, not closed forms.
All times are doubles; a value is the double next to the 50 digits. null stands for an infinite value.
"""

import json
import pathlib
import sys

import mpmath
from mpmath import mp, mpf

mp.dps = 50
INDICES = [0, 1, 2, 10, 100, 250, 500, 750, 900, 990, 998, 999]


def linspace(first, last, n):
    return [first + (last - first) * mpf(i) / (n - 1) for i in range(n)]


def of_alpha_bar(alpha_bar, n, cap=mpf("0.999")):
    return [min(1 - alpha_bar(mpf(i + 1) / n) / alpha_bar(mpf(i) / n), cap) for i in range(n)]


def sigmoid(x):
    return 1 / (1 + mpmath.exp(-x))


def linear(first, last, n=1000):
    return linspace(mpf(first), mpf(last), n)


def scaled_linear(first, last, n=1000):
    return [b**2 for b in linspace(mpmath.sqrt(mpf(first)), mpmath.sqrt(mpf(last)), n)]


def cosine(n=1000, offset=mpf("0.008")):
    return of_alpha_bar(lambda t: mpmath.cos((t + offset) / (1 + offset) * mp.pi / 2) ** 2, n)


def sigmoid_beta(first, last, n=1000):
    return [sigmoid(x) * (mpf(last) - mpf(first)) + mpf(first) for x in linspace(mpf(-6), mpf(6), n)]


def sigmoid_alpha_bar(start=-3, end=3, tau=1, n=1000):
    top = sigmoid(mpf(end) / tau)
    return of_alpha_bar(lambda t: (top - sigmoid((t * (end - start) + start) / mpf(tau))) / (top - sigmoid(mpf(start) / tau)), n)


def exponential(n=1000):
    return of_alpha_bar(lambda t: mpmath.exp(-12 * t), n)


def products(betas):
    bars, bar = [], mpf(1)
    for beta in betas:
        bar *= 1 - beta
        bars.append(bar)
    return bars


def zero_terminal(betas):
    """Lin et al. 2023, algorithm 1."""
    roots = [mpmath.sqrt(bar) for bar in products(betas)]
    first, last = roots[0], roots[-1]
    bars = [((root - last) * first / (first - last)) ** 2 for root in roots]
    return [1 - bars[0]] + [1 - b / a for a, b in zip(bars, bars[1:])]


def number(x):
    x = float(x)
    return x if abs(x) != float("inf") else None


def table(name, fields, betas, steps, indices):
    bars = products(betas)
    log_snr = [mpmath.log(bar / (1 - bar)) if bar > 0 else mpf("-inf") for bar in bars]
    return {
        "name": name,
        "fields": fields,
        "steps": steps,
        "index": indices,
        "alpha_bar": [float(bars[i]) for i in indices],
        "beta": [float(betas[i]) for i in indices],
        "log_snr": [number(log_snr[i]) for i in indices],
    }


TABLES = [
    ("linear", {"first": 1e-4, "last": 0.02}, linear("1e-4", "0.02"), 1000),
    ("scaled_linear", {"first": 0.00085, "last": 0.012}, scaled_linear("0.00085", "0.012"), 1000),
    ("cosine", {"offset": 0.008, "cap": 0.999}, cosine(), 1000),
    ("cosine", {"offset": 0.008, "cap": 0.999}, cosine(50), 50),
    ("sigmoid_beta", {"first": 1e-4, "last": 0.02}, sigmoid_beta("1e-4", "0.02"), 1000),
    ("sigmoid", {"start": -3, "end": 3, "tau": 1}, sigmoid_alpha_bar(), 1000),
    ("exponential", {"rate": 12}, exponential(), 1000),
    ("zero_terminal_snr linear", {"first": 1e-4, "last": 0.02}, zero_terminal(linear("1e-4", "0.02")), 1000),
    ("zero_terminal_snr scaled_linear", {"first": 0.00085, "last": 0.012}, zero_terminal(scaled_linear("0.00085", "0.012")), 1000),
    ("zero_terminal_snr cosine", {"offset": 0.008, "cap": 0.999}, zero_terminal(cosine()), 1000),
]


def variance_preserving(low, high):
    def integral(t):
        return low * t + (high - low) * t**2 / 2

    return lambda t: mpmath.exp(-integral(t) / 2), lambda t: mpmath.sqrt(-mpmath.expm1(-integral(t)))


def sub_variance_preserving(low, high):
    def integral(t):
        return low * t + (high - low) * t**2 / 2

    return lambda t: mpmath.exp(-integral(t) / 2), lambda t: -mpmath.expm1(-integral(t))


def nichol(offset):
    scale = mpmath.cos(offset / (1 + offset) * mp.pi / 2)

    def alpha(t):
        return mpmath.cos((t + offset) / (1 + offset) * mp.pi / 2) / scale

    return alpha, lambda t: mpmath.sqrt(1 - alpha(t) ** 2)


def log_snr_cosine(low, high):
    """Salimans and Ho 2022: log SNR = -2 log tan(a t + b), on a variance-preserving path."""
    b = mpmath.atan(mpmath.exp(-high / 2))
    a = mpmath.atan(mpmath.exp(-low / 2)) - b
    return lambda t: mpmath.cos(a * t + b), lambda t: mpmath.sin(a * t + b)


UNIT = [1e-5, 1e-4, 1e-3, 0.01, 0.03, 0.08, 0.125, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.85, 0.9, 0.95, 0.99, 0.999]
SIGMAS = [1e-4, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 2.0, 4.0, 8.0, 15.0, 25.0, 40.0, 60.0, 80.0]
ANGLES = [1e-5, 1e-3, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.564]
PROCESSES = [
    ("variance_preserving", {"beta_min": 0.1, "beta_max": 20}, variance_preserving(mpf("0.1"), mpf(20)), UNIT[:-1] + [1.0]),
    ("variance_preserving", {"beta_min": 0.5, "beta_max": 8}, variance_preserving(mpf("0.5"), mpf(8)), UNIT[:-1] + [1.0]),
    ("sub_variance_preserving", {"beta_min": 0.1, "beta_max": 20}, sub_variance_preserving(mpf("0.1"), mpf(20)), UNIT[:-1] + [1.0]),
    (
        "variance_exploding",
        {"sigma_min": 0.01, "sigma_max": 50},
        (lambda t: mpf(1), lambda t: mpf("0.01") * mpf(5000) ** t),
        UNIT[:-1] + [1.0],
    ),
    ("edm", {}, (lambda t: mpf(1), lambda t: t), SIGMAS),
    ("rectified_flow", {}, (lambda t: 1 - t, lambda t: t), UNIT),
    ("trigonometric_flow", {"sigma_data": 0.5}, (mpmath.cos, lambda t: mpmath.sin(t) / 2), ANGLES),
    ("cosine_flow", {}, (lambda t: mpmath.cos(mp.pi * t / 2), lambda t: mpmath.sin(mp.pi * t / 2)), UNIT),
    ("variance_preserving cosine_signal", {"offset": 0.008}, nichol(mpf("0.008")), UNIT),
    ("variance_preserving log_snr_cosine", {"log_snr_min": -20, "log_snr_max": 20}, log_snr_cosine(mpf(-20), mpf(20)), UNIT[:-1] + [1.0]),
]


def rows(path, times):
    alpha, sigma = path
    made = []
    for time in times:
        t = mpf(time)
        a, s, da, ds = alpha(t), sigma(t), mpmath.diff(alpha, t, h=mpf("1e-20")), mpmath.diff(sigma, t, h=mpf("1e-20"))
        g2 = 2 * s * (ds - s * da / a)
        slope = mpmath.diff(lambda u: 2 * mpmath.log(alpha(u) / sigma(u)), t, h=mpf("1e-20"))
        assert abs(g2 + s**2 * slope) < mpf("1e-15") * abs(g2), (time, g2, slope)
        made.append([time, float(a), float(s), float(2 * mpmath.log(a / s)), float(da / a), float(g2)])
    return made


def compare_with_diffusers(tables):
    """diffusers' own tables in double, where it has the schedule."""
    sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "sampler"))
    import peers

    made = peers.scheduler_class("DDPMScheduler")[0]
    names = {"linear": "linear", "scaled_linear": "scaled_linear", "cosine": "squaredcos_cap_v2", "sigmoid_beta": "sigmoid"}
    for t in tables:
        base = t["name"].split()[-1]
        if base not in names:
            continue
        ends = {"beta_start": t["fields"]["first"], "beta_end": t["fields"]["last"]} if "first" in t["fields"] else {}
        s = made(beta_schedule=names[base], num_train_timesteps=t["steps"], rescale_betas_zero_snr=" " in t["name"], **ends)
        worst = max(abs(float(s.alphas_cumprod[i]) - bar) / (bar or 1) for i, bar in zip(t["index"], t["alpha_bar"]))
        print(f"{t['name']:34s} {t['steps']:5d} alpha_bar differs by {worst:.1e} of itself")
        assert worst < 1e-12


def main():
    tables = [
        table(name, fields, betas, steps, INDICES if steps == 1000 else [0, 1, 10, 25, 40, 48, 49]) for name, fields, betas, steps in TABLES
    ]
    if "--diffusers" in sys.argv:
        compare_with_diffusers(tables)
    head = {
        "made_by": "make_process.py",
        "versions": {"mpmath": mpmath.__version__},
        "digits": mp.dps,
        "columns": ["t", "alpha", "sigma", "log_snr", "drift", "g2"],
    }
    text = json.dumps(head, separators=(",", ":"))[:-1] + ',"tables":[\n'
    text += ",\n".join(json.dumps(t, separators=(",", ":"), allow_nan=False) for t in tables) + '\n],"processes":[\n'
    text += ",\n".join(
        json.dumps({"name": n, "fields": f, "rows": rows(p, t)}, separators=(",", ":"), allow_nan=False) for n, f, p, t in PROCESSES
    )
    pathlib.Path(__file__).with_name("process.json").write_text(text + "\n]}\n")


if __name__ == "__main__":
    main()
