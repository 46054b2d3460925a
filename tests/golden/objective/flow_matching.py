#!/usr/bin/env python3
"""Writes flow_matching.json: losses of flow matching and their gradients, by PyTorch's autograd in float64.

    pip install torch
    python3 flow_matching.py

x_t = alpha x0 + sigma epsilon, and the network's answer turned into a velocity by the relations of its target, must meet
alpha' x0 + sigma' epsilon.
"""

import torch

import mlp

N, D = 5, 3


def column(t):
    return t[:, None]


def main():
    options = mlp.network(data=[D], classes=3)
    p = mlp.random_parameters(options, seed=1)
    source = mlp.generator(2)
    x0, noise = mlp.normals(source, N, D), mlp.normals(source, N, D)
    labels = mlp.labels(source, N, 3)
    t = mlp.uniforms(source, N, low=0.02, high=0.98)
    net = lambda p, x, t: mlp.mlp(options, p, x, t, labels=labels)

    def straight(p):
        x = column(1 - t) * x0 + column(t) * noise
        return net(p, x, t) - (noise - x0)

    def huber(p):
        return (torch.sqrt(straight(p).square().sum(1) + 0.3**2) - 0.3).mean()

    def weighted(p):
        return ((0.5 + t * t) * straight(p).square().mean(1)).mean()

    def variance_preserving(p):
        # beta = 0.1 + 19.9 t; the network predicts epsilon; velocity = (x alpha' + W epsilon) / alpha
        integral = 0.1 * t + 19.9 * t * t / 2
        beta = 0.1 + 19.9 * t
        alpha = torch.exp(-integral / 2)
        sigma = torch.sqrt(-torch.expm1(-integral))
        d_alpha, d_sigma = -beta / 2 * alpha, beta / 2 * alpha**2 / sigma
        x = column(alpha) * x0 + column(sigma) * noise
        said = column(d_alpha / alpha) * x + column(d_sigma - sigma * d_alpha / alpha) * net(p, x, t)
        return (said - column(d_alpha) * x0 - column(d_sigma) * noise).square().mean()

    cases = [
        mlp.case("squared", lambda p: straight(p).square().mean(), p),
        mlp.case("pseudo_huber", huber, p),
        mlp.case("time_weight", weighted, p, plain=straight(p).square().mean()),
        mlp.case("epsilon on variance_preserving", variance_preserving, p),
    ]
    mlp.write(__file__, network=options, parameters=p, x0=x0, noise=noise, labels=labels, t=t, cases=cases)


if __name__ == "__main__":
    main()
