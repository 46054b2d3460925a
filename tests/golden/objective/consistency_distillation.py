#!/usr/bin/env python3
"""Writes consistency_distillation.json: losses of consistency distillation and their gradients, by PyTorch's autograd in float64.

    pip install torch
    python3 consistency_distillation.py

The teacher's ODE is solved as its papers write it: on EDM dx/dt = (x - D) / t with D preconditioned, on rectified flow dx/dt = F.
"""

import torch

import mlp as ours

options = ours.network(data=[3], width=6, blocks=1, classes=3)
student = ours.random_parameters(options, seed=4)
older = ours.random_parameters(options, seed=5)
teacher = ours.random_parameters(options, seed=6)
source = ours.generator(7)
n = 5
x0, noise = ours.normals(source, n, 3, deviation=0.5), ours.normals(source, n, 3)
labels = ours.labels(source, n, 3)
sd, sigma_min, sigma_max, rho = 0.5, 0.002, 80.0, 7.0


def preconditioned(p, x, sigma, labels, shift):
    at = sigma[:, None]
    skip = sd**2 / ((at - shift) ** 2 + sd**2)
    out = sd * (at - shift) / torch.sqrt(at**2 + sd**2)
    f = ours.mlp(options, p, x / torch.sqrt(at**2 + sd**2), torch.log(sigma) / 4, labels=labels)
    return torch.where(at > shift, skip * x + out * f, x)


def edm_slope(guidance):
    def slope(x, sigma):
        d = preconditioned(teacher, x, sigma, labels, 0.0)
        if guidance != 1:
            none = preconditioned(teacher, x, sigma, None, 0.0)
            d = none + guidance * (d - none)
        return (x - d) / sigma[:, None]

    return slope


def flow_slope(x, t):
    return ours.mlp(options, teacher, x, t, labels=labels)


def euler(slope, x, t, s):
    return x + (s - t)[:, None] * slope(x, t)


def heun(slope, x, t, s):
    d = slope(x, t)
    ahead = slope(x + (s - t)[:, None] * d, s)
    return x + (s - t)[:, None] * (d + ahead) / 2


i = torch.tensor([0, 3, 8, 12, 16])
low, high = sigma_min ** (1 / rho), sigma_max ** (1 / rho)
levels = (low + torch.arange(18) / 17 * (high - low)) ** rho
t, s = levels[i + 1], levels[i]
s[0] = sigma_min
rf_t, rf_s = torch.tensor([0.3, 0.5, 0.9, 0.99, 0.05]), torch.tensor([0.1, 0.45, 0.7, 0.2, 0.04])


def on_edm(p, step, guidance=1.0):
    x_t = x0 + t[:, None] * noise
    x_s = step(edm_slope(guidance), x_t, t, s)
    target = preconditioned(older, x_s, s, labels, sigma_min).detach()
    return (preconditioned(p, x_t, t, labels, sigma_min) - target).square().mean(1)


def on_flow(p, step):
    x_t = (1 - rf_t)[:, None] * x0 + rf_t[:, None] * noise
    x_s = step(flow_slope, x_t, rf_t, rf_s)
    f = lambda p, x, t: x - t[:, None] * ours.mlp(options, p, x, t, labels=labels)
    return (f(p, x_t, rf_t) - f(older, x_s, rf_s).detach()).square().mean(1)


cases = [
    ours.case("edm_euler", lambda p: on_edm(p, euler).mean(), student),
    ours.case("edm_heun", lambda p: on_edm(p, heun).mean(), student),
    ours.case("edm_heun_guided", lambda p: (on_edm(p, heun, 2.5) / (t - s)).mean(), student, plain=on_edm(student, heun, 2.5).mean()),
    ours.case("flow_euler", lambda p: on_flow(p, euler).mean(), student),
    ours.case("flow_heun", lambda p: on_flow(p, heun).mean(), student),
]
ours.write(
    __file__,
    network=options,
    parameters=student,
    older=older,
    teacher=teacher,
    x0=x0,
    noise=noise,
    labels=labels,
    t=t,
    s=s,
    rf_t=rf_t,
    rf_s=rf_s,
    cases=cases,
)
