#!/usr/bin/env python3
"""Writes moment_matching.json: losses of inductive moment matching and their gradients, by PyTorch's autograd in float64.

    pip install torch numpy
    python3 moment_matching.py

Groups of samples at (t, s) are compared with the older network's at (u, s) by the squared discrepancy of a Laplace kernel.
"""

import torch

import mlp

N, D = 8, 2


def column(t):
    return t[:, None]


def main():
    options = mlp.network(data=[D], classes=3, second_time=True)
    p, older = mlp.random_parameters(options, seed=1), mlp.random_parameters(options, seed=5)
    source = mlp.generator(2)
    x0, noise = mlp.normals(source, N, D), mlp.normals(source, N, D)
    labels = mlp.labels(source, N, 3)
    drawn = mlp.uniforms(source, 3, N // 2, low=0.1, high=0.95).sort(dim=0).values

    def loss(p, group, scaled, distinct, exponent, bias):
        s, u, t = (times[: N // group].repeat_interleave(group) for times in drawn)

        def carried(parameters, x, t):
            scale = 1 / (column(t) ** 2 + column(1 - t) ** 2).sqrt() if scaled else 1
            return x - column(t - s) * mlp.mlp(options, parameters, scale * x, t, s, labels)

        def mixed(t):
            return column(1 - t) * x0 + column(t) * noise

        y = carried(p, mixed(t), t).reshape(N // group, group, D)
        with torch.no_grad():
            z = carried(older, mixed(u), u).reshape(N // group, group, D)
        sharpness = (1 / (t - s)).reshape(N // group, group)[:, :1, None]

        def kernel(a, b):
            square = (a[:, :, None] - b[:, None]).square().sum(-1)
            return torch.exp(-sharpness * square.clamp(min=1e-16).sqrt() / D)

        terms = kernel(y, y) + kernel(z, z) - kernel(y, z) - kernel(z, y)
        if distinct:
            terms = terms * (1 - torch.eye(group))
            mmd = terms.sum((1, 2)) / (group * (group - 1))
        else:
            mmd = terms.mean((1, 2))
        at = t.reshape(N // group, group)[:, 0]
        log_snr = 2 * torch.log((1 - at) / at)
        weight = 0.5 * torch.sigmoid(bias - log_snr) * 2 / (at * (1 - at)) * (1 - at) ** exponent / ((1 - at) ** 2 + at**2)
        return (weight * mmd).mean()

    cases = [
        mlp.case("all pairs", lambda p: loss(p, 4, True, False, 1, 4), p),
        mlp.case("distinct pairs", lambda p: loss(p, 4, True, True, 2, 5), p),
        mlp.case("average velocity", lambda p: loss(p, 2, False, False, 1, 4), p),
    ]
    mlp.write(__file__, network=options, parameters=p, older=older, x0=x0, noise=noise, labels=labels, times=drawn, cases=cases)


if __name__ == "__main__":
    main()
