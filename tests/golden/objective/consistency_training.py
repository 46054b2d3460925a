#!/usr/bin/env python3
"""Writes consistency_training.json: losses of discrete consistency training and their gradients, by PyTorch's autograd in float64.

    pip install torch
    python3 consistency_training.py

Both times of a pair share sample and noise; the target has no gradient. Networks are told log(sigma) / 4 on EDM and t on rectified flow.
"""

import math

import torch

import mlp as ours

options = ours.network(data=[3], width=6, blocks=1, classes=3)
student = ours.random_parameters(options, seed=1)
older = ours.random_parameters(options, seed=2)
source = ours.generator(3)
n = 5
x0, noise = ours.normals(source, n, 3, deviation=0.5), ours.normals(source, n, 3)
labels = ours.labels(source, n, 3)
sd, sigma_min, sigma_max, rho = 0.5, 0.002, 80.0, 7.0


def karras(count):
    i = torch.arange(count)
    low, high = sigma_min ** (1 / rho), sigma_max ** (1 / rho)
    return (low + i / (count - 1) * (high - low)) ** rho


def consistency(p, x, sigma, labels, shift):
    """f of EDM's preconditioning, shifted to sigma_min where asked for; x itself up to the boundary."""
    at = sigma[:, None]
    skip = sd**2 / ((at - shift) ** 2 + sd**2)
    out = sd * (at - shift) / torch.sqrt(at**2 + sd**2)
    inside = torch.where(sigma > shift, sigma, torch.ones_like(sigma))
    f = ours.mlp(options, p, x / torch.sqrt(inside[:, None] ** 2 + sd**2), torch.log(inside) / 4, labels=labels)
    return torch.where(at > shift, skip * x + out * f, x)


def straight(p, x, t, labels):
    """f on rectified flow: x - t F."""
    f = ours.mlp(options, p, x, t, labels=labels)
    return x - t[:, None] * f


def huber(square, c):
    return torch.sqrt(square + c**2) - c


# CT: neighbours of 18 levels, the lowest among them, l2, the older weights as target.
levels = karras(18)
i = torch.tensor([0, 3, 8, 12, 16])
ct_t, ct_s = levels[i + 1], levels[i]
ct_s[0] = sigma_min


def ct(p):
    target = consistency(older, x0 + ct_s[:, None] * noise, ct_s, labels, sigma_min).detach()
    return (consistency(p, x0 + ct_t[:, None] * noise, ct_t, labels, sigma_min) - target).square().mean()


# iCT: the same weights as target, pseudo-Huber of whole samples, weight 1 / gap.
levels = karras(41)
i = torch.tensor([2, 9, 17, 25, 38])
ict_t, ict_s = levels[i + 1], levels[i]
c = 0.00054 * math.sqrt(3)


def ict_distances(p):
    target = consistency(p, x0 + ict_s[:, None] * noise, ict_s, None, sigma_min).detach()
    return huber((consistency(p, x0 + ict_t[:, None] * noise, ict_t, None, sigma_min) - target).square().sum(1), c)


# ECT: stage 1, EDM's own preconditioning, the sample itself where r = 0.
ect_t = torch.tensor([0.05, 0.4, 1.5, 6.0, 40.0])
n_of_t = 1 + 8 * torch.sigmoid(-ect_t)
ect_s = torch.clamp(ect_t * (1 - n_of_t / 2 ** (1 + 1)), min=0)
assert ect_s[0] == 0 and ect_s[4] > 0


def ect(p, weight):
    target = consistency(p, x0 + ect_s[:, None] * noise, ect_s, None, 0.0).detach()
    norms = huber((consistency(p, x0 + ect_t[:, None] * noise, ect_t, None, 0.0) - target).square().sum(1), 1e-8)
    return (weight * norms).mean()


# Rectified flow, x - t F, with a row at the data.
rf_t, rf_s = torch.tensor([0.3, 0.5, 0.9, 0.99, 0.05]), torch.tensor([0.0, 0.45, 0.7, 0.2, 0.04])


def rf(p):
    mix = lambda t: (1 - t)[:, None] * x0 + t[:, None] * noise
    target = straight(older, mix(rf_s), rf_s, labels).detach()
    return (straight(p, mix(rf_t), rf_t, labels) - target).square().mean()


cases = [
    ours.case("ct", ct, student),
    ours.case("ict", lambda p: (ict_distances(p) / (ict_t - ict_s)).mean(), student, plain=ict_distances(student).mean()),
    ours.case("ect", lambda p: ect(p, 1 / (ect_t - ect_s)), student),
    ours.case("ect_edm_weight", lambda p: ect(p, (ect_t**2 + sd**2) / (ect_t * sd) ** 2), student),
    ours.case("rectified_flow", rf, student),
]
ours.write(
    __file__,
    network=options,
    parameters=student,
    older=older,
    x0=x0,
    noise=noise,
    labels=labels,
    ct_t=ct_t,
    ct_s=ct_s,
    ict_t=ict_t,
    ict_s=ict_s,
    ect_t=ect_t,
    ect_s=ect_s,
    rf_t=rf_t,
    rf_s=rf_s,
    cases=cases,
)
