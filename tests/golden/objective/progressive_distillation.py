#!/usr/bin/env python3
"""Writes progressive_distillation.json: losses of progressive distillation and their gradients, by PyTorch's autograd in float64.

    pip install torch
    python3 progressive_distillation.py

The teacher takes two DDIM steps z_t -> z_t' -> z_t'' as algorithm 2 of the paper prints them; the target is the x for which one step
from z_t arrives at z_t''.
"""

import torch

import mlp as ours

N, D = 6, 3
STEPS = 4
# The levels that onestep draws for random_key{1, 2} and four steps; the test compares.
LEVELS = torch.tensor([0, 3, 1, 1, 0, 1])

options = ours.network(data=[D], classes=3)
student = ours.random_parameters(options, seed=11)
teacher = ours.random_parameters(options, seed=12)
source = ours.generator(13)
x0, noise = ours.normals(source, N, D, deviation=0.5), ours.normals(source, N, D)
labels = ours.labels(source, N, 3)


class Straight:
    """(1 - t) x0 + t epsilon, the network says epsilon - x0."""

    def alpha(self, t):
        return 1 - t

    def sigma(self, t):
        return t

    def time(self, k):
        return 1 - k

    def x(self, p, z, t, labels):
        return z - t[:, None] * ours.mlp(options, p, z, t, labels=labels)


class Cosine:
    """cos(pi t / 2) x0 + sin(pi t / 2) epsilon, the network says v = alpha epsilon - sigma x0."""

    def alpha(self, t):
        return torch.cos(torch.pi / 2 * t)

    def sigma(self, t):
        return torch.sin(torch.pi / 2 * t)

    def time(self, k):
        return 1 - k

    def x(self, p, z, t, labels):
        return self.alpha(t)[:, None] * z - self.sigma(t)[:, None] * ours.mlp(options, p, z, t, labels=labels)


class Karras:
    """x0 + t epsilon, the preconditioned network of EDM; equal steps in t^(1/7) down to 0."""

    sd = 0.5

    def alpha(self, t):
        return torch.ones_like(t)

    def sigma(self, t):
        return t

    def time(self, k):
        return 80 * (1 - k) ** 7

    def x(self, p, z, t, labels):
        t_ = t[:, None]
        total = t_**2 + self.sd**2
        f = ours.mlp(options, p, z / torch.sqrt(total), torch.log(t) / 4, labels=labels)
        return self.sd**2 / total * z + t_ * self.sd / torch.sqrt(total) * f


def residual(process, p, labels, guidance=1.0):
    t, middle, s = (process.time((LEVELS + k) / STEPS) for k in (0.0, 0.5, 1.0))
    z = process.alpha(t)[:, None] * x0 + process.sigma(t)[:, None] * noise

    def says(z, t):
        x = process.x(teacher, z, t, labels)
        if guidance == 1:
            return x
        none = process.x(teacher, z, t, None)
        return none + guidance * (x - none)

    def ddim(z, t, s):
        x = says(z, t)
        return process.alpha(s)[:, None] * x + (process.sigma(s) / process.sigma(t))[:, None] * (z - process.alpha(t)[:, None] * x)

    arrived = ddim(ddim(z, t, middle), middle, s)
    ratio = (process.sigma(s) / process.sigma(t))[:, None]
    target = (arrived - ratio * z) / (process.alpha(s)[:, None] - ratio * process.alpha(t)[:, None])
    snr = (process.alpha(t) / process.sigma(t)) ** 2
    return process.x(p, z, t, labels) - target.detach(), snr


def truncated(process, labels, guidance=1.0):
    def loss(p):
        r, snr = residual(process, p, labels, guidance)
        return (torch.maximum(snr, torch.ones_like(snr)) * r.square().mean(1)).mean()

    return loss


def plus_one(process, labels):
    def loss(p):
        r, snr = residual(process, p, labels)
        return ((snr + 1) * r.square().mean(1)).mean()

    return loss


def unit_huber(process, labels):
    def loss(p):
        r, _ = residual(process, p, labels)
        return (torch.sqrt(r.square().sum(1) + 0.3**2) - 0.3).mean()

    return loss


cases = [
    ours.case("straight", truncated(Straight(), labels), student),
    ours.case("straight guided", truncated(Straight(), labels, 2.5), student),
    ours.case("straight without labels", truncated(Straight(), None), student),
    ours.case("straight unit huber", unit_huber(Straight(), labels), student),
    ours.case("cosine plus one", plus_one(Cosine(), labels), student),
    ours.case("karras", truncated(Karras(), labels), student),
]
ours.write(__file__, network=options, parameters=student, teacher=teacher, x0=x0, noise=noise, labels=labels, levels=LEVELS, cases=cases)
