#!/usr/bin/env python3
"""Writes mean_flow.json: losses of mean flow and their gradients, by PyTorch's autograd in float64.

    pip install torch
    python3 mean_flow.py

The network answers with the average velocity u(x; t, s). Its target is v - (t - s) du/dt, the derivative by torch.func.jvp along (v, 1, 0),
for the first rows, and v for the others, whose s is t.
"""

import torch

import mlp

N, D = 8, 3


def column(t):
    return t[:, None]


def main():
    options = mlp.network(data=[D], classes=3, second_time=True)
    p = mlp.random_parameters(options, seed=1)
    source = mlp.generator(2)
    x0, noise = mlp.normals(source, N, D), mlp.normals(source, N, D)
    labels = mlp.labels(source, N, 3)
    labels[3] = labels[6] = 3  # none
    pair = mlp.uniforms(source, N, 2, low=0.02, high=0.98).sort(dim=1).values
    t, earlier = pair[:, 1], pair[:, 0]

    def residual(p, apart, omega=1.0, kappa=0.0, cosine=False):
        s = torch.where(torch.arange(N) < apart, earlier, t)
        if cosine:  # x = cos(pi t / 2) x0 + sin(pi t / 2) noise
            a = torch.pi * t / 2
            x = column(torch.cos(a)) * x0 + column(torch.sin(a)) * noise
            v = torch.pi / 2 * (column(torch.cos(a)) * noise - column(torch.sin(a)) * x0)
        else:
            x, v = column(1 - t) * x0 + column(t) * noise, noise - x0
        frozen = {name: value.detach() for name, value in p.items()}
        none = mlp.mlp(options, frozen, x, t, t)
        given = mlp.mlp(options, frozen, x, t, t, labels)
        mixed = omega * v + (1 - omega - kappa) * none + kappa * given
        v = torch.where(column(labels == 3), v, mixed)
        net = lambda x, t, s: mlp.mlp(options, frozen, x, t, s, labels)
        _, slope = torch.func.jvp(net, (x, t, s), (v, torch.ones(N), torch.zeros(N)))
        target = v - column(t - s) * slope
        return mlp.mlp(options, p, x, t, s, labels) - target.detach()

    def adaptive(r, power, c):
        square = r.square().sum(1)
        return (square / (square + c).detach() ** power).mean()

    def case(name, loss, of):
        return mlp.case(name, lambda p: loss(of(p)), p, plain=of(p).square().mean())

    cases = [
        case("imagenet", lambda r: adaptive(r, 1.0, 0.01), lambda p: residual(p, apart=2)),
        case("cifar10", lambda r: adaptive(r, 0.75, 1e-3), lambda p: residual(p, apart=6)),
        case("guided", lambda r: adaptive(r, 1.0, 0.01), lambda p: residual(p, apart=4, omega=1.0, kappa=0.5)),
        mlp.case("squared", lambda p: residual(p, apart=8, omega=2.0, kappa=0.25).square().mean(), p),
        mlp.case("cosine", lambda p: residual(p, apart=8, cosine=True).square().mean(), p),
    ]
    mlp.write(__file__, network=options, parameters=p, x0=x0, noise=noise, labels=labels, t=t, s=earlier, cases=cases)


if __name__ == "__main__":
    main()
