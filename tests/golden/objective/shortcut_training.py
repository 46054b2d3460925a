#!/usr/bin/env python3
"""Writes shortcut_training.json: losses of shortcut training and their gradients, by PyTorch's autograd in float64.

    pip install torch numpy
    python3 shortcut_training.py

The network answers with the average velocity from t to s. Of the first rows the target is the mean of two half steps of an older network;
of the others it is the path's velocity. The times are those that onestep draws from its key: Philox4x32-10 (Salmon et al. 2011) is
written out below.
"""

import torch

import mlp

N, D, LEVELS = 8, 2, 2
BOOTSTRAP = 4  # half of the rows: two at level 1, two at level 0
SEED, STEP = 8, 21
WORD = 0xFFFFFFFF


def philox(counter, key):
    x, y, z, w = counter
    k0, k1 = key
    for _ in range(10):
        p, q = 0xD2511F53 * x, 0xCD9E8D57 * z
        x, y, z, w = (q >> 32) ^ y ^ k0, q & WORD, (p >> 32) ^ w ^ k1, p & WORD
        k0, k1 = (k0 + 0x9E3779B9) & WORD, (k1 + 0xBB67AE85) & WORD
    return x, y, z, w


def stream_of_times(seed, step):
    """The key of stream (seed, step, time); the purpose `time` has number 1."""
    return philox((step, 0, 1, 0), (seed & WORD, seed >> 32))[:2]


def below(stream, count, row):
    """Uniform on {0, .., count - 1}."""
    first, second, _, _ = philox((0, 0, row, 0), stream)
    return ((second << 32 | first) * count) >> 64


def column(t):
    return t[:, None]


def main():
    options = mlp.network(data=[D], classes=3, second_time=True)
    p, older = mlp.random_parameters(options, seed=1), mlp.random_parameters(options, seed=5)
    source = mlp.generator(2)
    x0, noise = mlp.normals(source, N, D), mlp.normals(source, N, D)
    labels = mlp.labels(source, N, 3)
    stream = stream_of_times(SEED, STEP)

    def times(bootstrap):
        levels = [1, 1, 0, 0][:bootstrap] + [LEVELS] * (N - bootstrap)
        cells = [below(stream, 2**level, row) for row, level in enumerate(levels)]
        step = torch.tensor([2.0**-level for level in levels])
        s = torch.tensor(cells) * step
        return s + step, s

    def loss(p, bootstrap, clip=None, guidance=None, straight=True):
        t, s = times(bootstrap)
        if straight:
            x, target = column(1 - t) * x0 + column(t) * noise, noise - x0
            at, arrive = t, s
        else:  # x = cos(t) x0 + sin(t) noise / 2, its times up to atan(160)
            end = torch.atan(torch.tensor(160.0))
            at, arrive = end * t, end * s
            x = column(torch.cos(at)) * x0 + column(torch.sin(at)) * noise / 2
            target = -column(torch.sin(at)) * x0 + column(torch.cos(at)) * noise / 2
        bound = lambda v: v if clip is None else v.clamp(-clip, clip)
        middle = (at + arrive) / 2

        def velocity(x, t, s):
            given = mlp.mlp(options, older, x, t, s, labels)
            if guidance is None:
                return given
            none = mlp.mlp(options, older, x, t, s)
            finest = column(torch.arange(N) < 2)
            return torch.where(finest, none + guidance * (given - none), given)

        with torch.no_grad():
            first = velocity(x, at, middle)
            second = velocity(bound(x - column(at - middle) * first), middle, arrive)
            learned = column(torch.arange(N) < bootstrap)
            target = torch.where(learned, bound((first + second) / 2), target)
        return (mlp.mlp(options, p, x, at, arrive, labels) - target).square().mean()

    cases = [
        mlp.case("plain", lambda p: loss(p, BOOTSTRAP), p),
        mlp.case("clip", lambda p: loss(p, BOOTSTRAP, clip=0.4), p),
        mlp.case("guidance", lambda p: loss(p, BOOTSTRAP, guidance=1.5), p),
        mlp.case("trigonometric", lambda p: loss(p, BOOTSTRAP, straight=False), p),
        mlp.case("flow matching", lambda p: loss(p, 0), p),
    ]
    t, s = times(BOOTSTRAP)
    mlp.write(__file__, network=options, parameters=p, older=older, x0=x0, noise=noise, labels=labels, t=t, s=s, cases=cases)


if __name__ == "__main__":
    main()
