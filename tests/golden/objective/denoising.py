#!/usr/bin/env python3
"""Writes denoising.json: losses of denoising in several spaces and their gradients, by PyTorch's autograd in float64.

    pip install torch
    python3 denoising.py

Each case is written as its source writes it: DDPM's and score matching's loss in the noise, EDM's with its preconditioning,
progressive distillation's truncated SNR, min-SNR-gamma on v, P2 and likelihood weighting.
"""

import torch

import mlp

N, D = 5, 3


def column(t):
    return t[:, None]


def main():
    options = mlp.network(data=[D])
    p = mlp.random_parameters(options, seed=11)
    source = mlp.generator(12)
    x0, noise = mlp.normals(source, N, D), mlp.normals(source, N, D)
    t = mlp.uniforms(source, N, low=0.05, high=0.95)
    level = torch.round(torch.exp(mlp.normals(source, N, deviation=1.2) - 1.2), decimals=4)

    # variance preserving, beta = 0.1 + 19.9 t
    integral = 0.1 * t + 19.9 * t * t / 2
    beta = 0.1 + 19.9 * t
    alpha, sigma = torch.exp(-integral / 2), torch.sqrt(-torch.expm1(-integral))
    snr = alpha**2 / sigma**2
    x = column(alpha) * x0 + column(sigma) * noise

    def net(p):
        return mlp.mlp(options, p, x, t)

    def noise_loss(p):
        return (net(p) - noise).square().mean()

    def score_matching(p):  # the network is the score
        return (column(sigma) * net(p) + noise).square().mean()

    def likelihood(p):  # g^2 |s + epsilon / sigma|^2, g^2 = beta
        return (beta * (net(p) + noise / column(sigma)).square().mean(1)).mean()

    def x0_from_epsilon(p):
        return (x - column(sigma) * net(p)) / column(alpha)

    def x0_huber(p):
        return (torch.sqrt((x0_from_epsilon(p) - x0).square().sum(1) + 0.25) - 0.5).mean()

    def truncated(p):
        return torch.maximum((x0_from_epsilon(p) - x0).square().mean(1), (net(p) - noise).square().mean(1)).mean()

    def min_snr(p):  # the network predicts v
        v = column(alpha) * noise - column(sigma) * x0
        return (torch.clamp(snr, max=5.0) / (snr + 1) * (net(p) - v).square().mean(1)).mean()

    def p2(p):
        return ((net(p) - noise).square().mean(1) / (1 + snr)).mean()

    def edm(p, weight):
        sd = 0.5
        total = level**2 + sd**2
        noisy = x0 + column(level) * noise
        skip, out, into = sd**2 / total, level * sd / torch.sqrt(total), 1 / torch.sqrt(total)
        said = column(skip) * noisy + column(out) * mlp.mlp(options, p, column(into) * noisy, torch.log(level) / 4)
        return (weight * (said - x0).square().mean(1)).mean()

    edm_weight = (level**2 + 0.25) / (level * 0.5) ** 2
    soft = 1 / (level**2 + 0.25)

    cases = [
        mlp.case("noise", noise_loss, p),
        mlp.case("score matching", score_matching, p),
        mlp.case("likelihood", likelihood, p),
        mlp.case("x0 huber", x0_huber, p),
        mlp.case("truncated snr", truncated, p),
        mlp.case("min snr", min_snr, p),
        mlp.case("p2", p2, p),
        mlp.case("edm", lambda p: edm(p, edm_weight), p),
        mlp.case("soft min snr", lambda p: edm(p, soft), p),
    ]
    mlp.write(__file__, network=options, parameters=p, x0=x0, noise=noise, t=t, level=level, cases=cases)


if __name__ == "__main__":
    main()
