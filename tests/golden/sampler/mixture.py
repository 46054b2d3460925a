"""The exact network of the golden files: every coordinate of the data is drawn from 0.5 N(-1, 0.25^2) + 0.5 N(0.6, 0.35^2).

At x = alpha x0 + sigma epsilon the posterior mean of x0 has a closed form, and so has the flow of the probability-flow
ODE: it keeps the value of the distribution function.
"""

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr

WEIGHTS = np.array([0.5, 0.5])
MEANS = np.array([-1.0, 0.6])
DEVIATIONS = np.array([0.25, 0.35])


def denoise(x, alpha, sigma):
    """E[x0 | x], coordinate by coordinate; right at alpha = 0 and at sigma = 0 too."""
    x = np.asarray(x, dtype=np.float64)[..., None]
    variance = alpha**2 * DEVIATIONS**2 + sigma**2
    centred = x - alpha * MEANS
    log_weight = np.log(WEIGHTS) - 0.5 * np.log(variance) - 0.5 * centred**2 / variance
    weight = np.exp(log_weight - log_weight.max(axis=-1, keepdims=True))
    weight /= weight.sum(axis=-1, keepdims=True)
    return (weight * (MEANS + alpha * DEVIATIONS**2 * centred / variance)).sum(axis=-1)


def distribution(x, alpha, sigma):
    deviation = np.sqrt(alpha**2 * DEVIATIONS**2 + sigma**2)
    return float((WEIGHTS * ndtr((x - alpha * MEANS) / deviation)).sum())


def transport(x, start, end):
    """Where the probability-flow ODE takes each x from the level start = (alpha, sigma) to the level end."""
    scale = abs(end[0]) * 4 + 12 * end[1]
    result = []
    for value in x:
        level = distribution(value, *start)
        result.append(brentq(lambda y: distribution(y, *end) - level, -scale, scale, xtol=1e-15, rtol=1e-15))
    return result
