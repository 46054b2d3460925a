#!/usr/bin/env python3
"""Writes optimal_transport.json: assignments by SciPy, and flow matching on noise that is paired so, by PyTorch's autograd in float64.

    pip install torch scipy
    python3 optimal_transport.py
"""

import torch
from scipy.optimize import linear_sum_assignment

import mlp as ours

N, D = 50, 3

options = ours.network(data=[D], classes=3)
p = ours.random_parameters(options, seed=21)
source = ours.generator(22)
# Two clusters, so that many samples want the same noise.
x0 = ours.normals(source, N, D, deviation=0.4) + torch.tensor([[1.0], [-0.5]]).repeat(N // 2, 1)
noise = ours.normals(source, N, D)
labels = ours.labels(source, N, 3)
t = ours.uniforms(source, N, low=0.02, high=0.98)
costs = ours.uniforms(source, N, N)

distances = (x0[:, None] - noise[None]).square().sum(2)
_, partner = linear_sum_assignment(distances.numpy())
_, column = linear_sum_assignment(costs.numpy())
paired = noise[torch.tensor(partner)]
a, b = (1 - t)[:, None], t[:, None]


def loss(p):
    return (ours.mlp(options, p, a * x0 + b * paired, t, labels=labels) - (paired - x0)).square().mean()


def huber(p):
    r = ours.mlp(options, p, a * x0 + b * paired, t, labels=labels) - (paired - x0)
    return (torch.sqrt(r.square().sum(1) + 0.3**2) - 0.3).mean()


ours.write(
    __file__,
    network=options,
    parameters=p,
    x0=x0,
    noise=noise,
    labels=labels,
    t=t,
    costs=costs,
    column=column.tolist(),
    partner=partner.tolist(),
    cases=[ours.case("squared", loss, p), ours.case("pseudo_huber", huber, p)],
)
