#!/usr/bin/env python3
"""Writes trajectory_consistency.json: losses of trajectory consistency and their gradients, by PyTorch's autograd in float64.

    pip install torch numpy
    python3 trajectory_consistency.py

The map goes from t to s; its target is the older map's from u to s, with x_u on the line of sample and noise or one step of a teacher
away. Rows with s = t, the last ones, regress what the network means there.
"""

import torch

import mlp

N, D, DENOISING = 6, 2, 2
SD = 0.5


def column(t):
    return t[:, None]


def straight_map(network, x, t, s):
    """Rectified flow: x_s = x_t - (t - s) F."""
    return x - column(t - s) * network(x, t, s)


def trajectory_map(network, x, t, s):
    """EDM: G = (s/t) x + (1 - s/t) g, g = c_skip x + c_out F(c_in x)."""
    variance = column(t**2) + SD**2
    g = SD**2 / variance * x + column(t) * SD / variance.sqrt() * network(x / variance.sqrt(), t, s)
    ratio = column(s / t)
    return ratio * x + (1 - ratio) * g


def main():
    options = mlp.network(data=[D], classes=3, second_time=True)
    teacher_options = mlp.network(data=[D], classes=3)
    p, older = mlp.random_parameters(options, seed=1), mlp.random_parameters(options, seed=5)
    teacher = mlp.random_parameters(teacher_options, seed=7)
    source = mlp.generator(2)
    x0, noise = mlp.normals(source, N, D), mlp.normals(source, N, D)
    labels = mlp.labels(source, N, 3)
    shares = mlp.uniforms(source, 3, N, low=0.1, high=0.95).sort(dim=0).values
    times = {"rectified": shares, "edm": torch.round(6 * shares, decimals=4)}
    learns = N - DENOISING

    def at(parameters):
        return lambda x, t, s: mlp.mlp(options, parameters, x, t, s, labels[: x.shape[0]])

    def loss(p, name, map_of, taught=False, norm=False):
        s, u, t = times[name]
        alpha, sigma = (1 - t, t) if name == "rectified" else (torch.ones(N), t)
        x_t = column(alpha) * x0 + column(sigma) * noise
        with torch.no_grad():
            if not taught:
                x_u = column(1 - u if name == "rectified" else torch.ones(N)) * x0 + column(u) * noise
            else:  # one step of Heun with EDM's denoiser

                def slope(x, t):
                    variance = column(t**2) + SD**2
                    f = mlp.mlp(teacher_options, teacher, x / variance.sqrt(), t.log() / 4, labels=labels)
                    return (x - SD**2 / variance * x - column(t) * SD / variance.sqrt() * f) / column(t)

                first = slope(x_t, t)
                second = slope(x_t + column(u - t) * first, u)
                x_u = x_t + column(u - t) * (first + second) / 2
            target = map_of(at(older), x_u[:learns], u[:learns], s[:learns])
        residual = map_of(at(p), x_t[:learns], t[:learns], s[:learns]) - target
        # Rows that denoise: labels of their own.
        own = t[learns:]
        if name == "rectified":
            read, wanted = x_t[learns:], (noise - x0)[learns:]
        else:
            variance = column(own**2) + SD**2
            read = x_t[learns:] / variance.sqrt()
            # F with c_skip x + c_out F = x0
            wanted = (x0[learns:] - SD**2 / variance * x_t[learns:]) / (column(own) * SD / variance.sqrt())
        rest = mlp.mlp(options, p, read, own, own, labels[learns:]) - wanted
        if norm:
            distance = lambda r: (r.square().sum(1) + 0.09).sqrt() - 0.3
        else:
            distance = lambda r: r.square().mean(1)
        # 1 / (se_t - se_s) at the rows of the first kind, 0.7 at the others
        level = lambda t: t / (1 - t) if name == "rectified" else t
        weight = 1 / (level(t) - level(s))[:learns]
        return ((weight * distance(residual)).sum() + 0.7 * distance(rest).sum()) / N

    cases = [
        mlp.case("average velocity", lambda p: loss(p, "rectified", straight_map), p),
        mlp.case("trajectory", lambda p: loss(p, "edm", trajectory_map), p),
        mlp.case("taught", lambda p: loss(p, "edm", trajectory_map, taught=True), p),
        mlp.case("taught, norm", lambda p: loss(p, "edm", trajectory_map, taught=True, norm=True), p),
    ]
    mlp.write(
        __file__,
        network=options,
        teacher_network=teacher_options,
        parameters=p,
        older=older,
        teacher=teacher,
        x0=x0,
        noise=noise,
        labels=labels,
        times=times,
        cases=cases,
    )


if __name__ == "__main__":
    main()
