#!/usr/bin/env python3
"""Writes continuous_consistency.json: losses of sCT and sCD and their gradients, by PyTorch in float64.

    pip install torch
    python3 continuous_consistency.py

On trigonometric flow by algorithm 1 of arXiv:2410.11081, with torch.func.jvp. On EDM from the definition alone: the model's
f = c_skip x + c_out F is differentiated as a whole along the path, by the angle a = atan(t / sigma_data).
"""

import torch

import mlp

N, D, SD = 5, 3, 0.5


def column(t):
    return t[:, None]


def main():
    options = mlp.network(data=[D], classes=3)
    p = mlp.random_parameters(options, seed=1)
    old = mlp.random_parameters(options, seed=5)
    source = mlp.generator(2)
    x0, noise = mlp.normals(source, N, D), mlp.normals(source, N, D)
    labels = mlp.labels(source, N, 3)
    angle = mlp.uniforms(source, N, low=0.05, high=1.5)
    level = SD * torch.tan(angle)
    weight = 1 / level
    net = lambda p, x, t: mlp.mlp(options, p, x, t, labels=labels)

    def guided_teacher(x, t, scale):
        with_labels, without = net(old, x, t), mlp.mlp(options, old, x, t)
        return without + scale * (with_labels - without)

    def rms(g, c=0.1):
        return g / (column(torch.sqrt(g.square().mean(1))) + c)

    def norm(g, c=0.1):
        return g / (column(torch.linalg.vector_norm(g, dim=1)) + c)

    def clamp(g):
        return torch.clamp(g, -0.5, 0.5)

    # Algorithm 1.
    z = SD * noise
    cos, sin = column(torch.cos(angle)), column(torch.sin(angle))
    x = cos * x0 + sin * z
    along_data = cos * z - sin * x0
    along_teacher = SD * net(old, x / SD, angle)
    along_guided_teacher = SD * guided_teacher(x / SD, angle, 1.5)

    def tangent(p, dx, r):
        f, df = torch.func.jvp(lambda x, t: net(p, x, t), (x / SD, angle), (cos * sin * dx / SD, (cos * sin)[:, 0]))
        return (-(cos**2) * (SD * f - dx) - r * (cos * sin * x + SD * df)).detach()

    def on_circle(name, dx, r, normalise, w=weight):
        g = normalise(tangent(p, dx, r))
        fixed = (net(p, x / SD, angle) + g).detach()
        loss = lambda p: (w * (net(p, x / SD, angle) - fixed).square().mean(1)).mean()
        return mlp.case(name, loss, p, plain=g.square().mean())

    # Karras's preconditioning, from the definition of f.
    def karras(p, x, t):
        total = column(t * t) + SD * SD
        said = net(p, x / torch.sqrt(total), torch.log(t) / 4)
        return SD * SD / total * x + column(t) * SD / torch.sqrt(total) * said

    x_t = x0 + column(level) * noise
    level_slope = SD / torch.cos(angle) ** 2  # dt/da
    flow_of_pair = noise
    flow_of_teacher = (x_t - karras(old, x_t, level)) / column(level)

    def on_edm(name, flow, normalise):
        _, df = torch.func.jvp(lambda x, t: karras(p, x, t), (x_t, level), (column(level_slope) * flow, level_slope))
        g = normalise((cos * df).detach())  # cos(a) df/da
        said = lambda p: net(p, x_t / torch.sqrt(column(level * level) + SD * SD), torch.log(level) / 4)
        fixed = (-said(p) + g).detach()  # trigonometric flow's F is minus Karras's
        loss = lambda p: (weight * (-said(p) - fixed).square().mean(1)).mean()
        return mlp.case(name, loss, p, plain=g.square().mean())

    ones = torch.ones(N)
    cases = [
        on_circle("sCT, rms, r = 1", along_data, 1, rms),
        on_circle("sCT, rms, r = 0.3", along_data, 0.3, rms),
        on_circle("sCT, norm, r = 0.3", along_data, 0.3, norm),
        on_circle("sCT, clamped, r = 1, unit weight", along_data, 1, clamp, ones),
        on_circle("sCD, rms, r = 1", along_teacher, 1, rms),
        on_circle("sCD, norm, r = 0.3", along_teacher, 0.3, norm),
        on_circle("sCD, guided, none, r = 1", along_guided_teacher, 1, lambda g: g),
        on_edm("sCT on EDM", flow_of_pair, rms),
        on_edm("sCD on EDM", flow_of_teacher, norm),
    ]
    mlp.write(__file__, network=options, parameters=p, teacher=old, x0=x0, noise=noise, labels=labels, angle=angle, level=level, cases=cases)


if __name__ == "__main__":
    main()
