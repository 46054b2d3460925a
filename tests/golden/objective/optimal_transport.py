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
_, over_all = linear_sum_assignment(distances.numpy())
_, column = linear_sum_assignment(costs.numpy())
within = torch.empty(N, dtype=torch.int64)
for label in labels.unique():
    rows = (labels == label).nonzero()[:, 0]
    _, among = linear_sum_assignment(distances[rows][:, rows].numpy())
    within[rows] = rows[torch.tensor(among)]
a, b = (1 - t)[:, None], t[:, None]


def residual(p, partner, labels):
    paired = noise[partner]
    return ours.mlp(options, p, a * x0 + b * paired, t, labels=labels) - (paired - x0)


def squared(partner, labels):
    return lambda p: residual(p, partner, labels).square().mean()


def huber(partner, labels):
    return lambda p: (torch.sqrt(residual(p, partner, labels).square().sum(1) + 0.3**2) - 0.3).mean()


everyone = torch.tensor(over_all)
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
    cases=[
        ours.case("squared", squared(everyone, None), p),
        ours.case("pseudo_huber", huber(everyone, None), p),
        ours.case("squared within labels", squared(within, labels), p),
        ours.case("pseudo_huber within labels", huber(within, labels), p),
    ],
)
