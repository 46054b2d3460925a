"""Networks and the training step that every training work of torch_peer.py shares."""
import math
import pathlib
import sys
import types

import torch
import torch.nn.functional as F
from torch import nn

compiling = sys.argv[1] == "compile"
if compiling:  # draw with eager's generator: Inductor's own is ten times slower on a CPU
    import torch._inductor.config as inductor

    inductor.fallback_random = True
points, loss_steps = 65536, 10


def waves(t, frequencies):
    angle = t[:, None] * frequencies
    return torch.cat([angle.sin(), angle.cos()], 1)


def frequencies(size, scale):
    half = size // 2
    return scale * torch.exp(-math.log(10000.0) * torch.arange(half) / half)


class Mlp(nn.Module):
    """Residual blocks of width w that each see a projection of the time embedding; points in the plane in and out."""

    def __init__(self, width, blocks=2):
        super().__init__()
        self.register_buffer("frequencies", frequencies(128, 1000.0))  # t in [0, 1]
        self.time_1, self.time_2 = nn.Linear(128, width), nn.Linear(width, width)
        self.input, self.output = nn.Linear(2, width), nn.Linear(width, 2)
        self.first = nn.ModuleList(nn.Linear(width, width) for _ in range(blocks))
        self.project = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(blocks))
        self.second = nn.ModuleList(nn.Linear(width, width) for _ in range(blocks))

    def forward(self, x, t):
        e = F.silu(self.time_2(F.silu(self.time_1(waves(t, self.frequencies)))))
        h = self.input(x)
        for first, project, second in zip(self.first, self.project, self.second):
            h = h + second(F.silu(first(F.silu(h)) + project(e)))
        return self.output(F.silu(h))

    def in_export_order(self):
        """The parameters in the order of parameters.bin: see docs/benchmarks.md."""
        layers = [self.time_1, self.time_2, self.input]
        for block in zip(self.first, self.project, self.second):
            layers += block
        return [p for layer in layers + [self.output] for p in (layer.weight, layer.bias) if p is not None]


class ReferenceMlp(nn.Module):
    """The network of the objectives' works: a small embedding of one time or two, projected for all blocks at once."""

    def __init__(self, two_times, width=256, blocks=3, embedding=64, features=64, scale=1.0):
        super().__init__()
        self.width, self.two_times = width, two_times
        self.register_buffer("frequencies", frequencies(features, scale))
        self.time_1, self.time_2 = nn.Linear(features * (2 if two_times else 1), embedding), nn.Linear(embedding, embedding)
        self.input, self.condition = nn.Linear(2, width), nn.Linear(embedding, width * blocks, bias=False)
        self.blocks = nn.ModuleList(nn.ModuleList([nn.Linear(width, width), nn.Linear(width, width)]) for _ in range(blocks))
        self.output = nn.Linear(width, 2)

    def forward(self, x, t, s=None):
        f = waves(t, self.frequencies)
        if self.two_times:
            f = torch.cat([f, waves(t - s, self.frequencies)], 1)
        shifts = self.condition(F.silu(self.time_2(F.silu(self.time_1(f))))).split(self.width, 1)
        h = self.input(x)
        for (first, second), shift in zip(self.blocks, shifts):
            h = h + second(F.silu(first(F.silu(h)) + shift))
        return self.output(F.silu(h))

    def in_export_order(self):
        return list(self.parameters())


def load(folder, name, *shape):
    return torch.frombuffer(bytearray((pathlib.Path(folder) / name).read_bytes()), dtype=torch.float32).view(*shape)


def load_parameters(parameters, folder, name):
    flat, used = load(folder, name, -1), 0
    with torch.no_grad():
        for p in parameters:
            p.copy_(flat[used : used + p.numel()].view_as(p))
            used += p.numel()
    if used != flat.numel():
        raise ValueError(f"{name} holds {flat.numel()} numbers, this network has {used}")


class Training:
    """One training step: `draw` a batch, its noise and times; `loss`, gradient, Adam, moving average of the parameters.

    loss(ask, *batch) asks networks by ask.net (to be trained), ask.same (its weights, constant), ask.average (the average's) and
    ask.teacher.
    """

    def __init__(self, make_network, batch):
        self.batch, self.net, self.data = batch, make_network(), torch.randn(points, 2)
        self.averaged, self.teacher = make_network().requires_grad_(False), make_network().requires_grad_(False)
        self.parameters, self.average = self.net.in_export_order(), self.averaged.in_export_order()
        self.follow()
        self.step = self.one_graph() if compiling else lambda: self.update(*self.draw())

    def follow(self):
        with torch.no_grad():
            for a, p in zip(self.average, self.parameters):
                a.copy_(p)

    def draw(self):
        rows = torch.randint(0, points, (self.batch,))
        return self.data[rows], torch.randn(self.batch, 2), *self.draw_times()

    def update(self, *batch):
        if not hasattr(self, "adam"):
            self.adam = torch.optim.Adam(self.parameters, lr=1e-3, fused=True)
        self.adam.zero_grad(set_to_none=True)
        ask = types.SimpleNamespace(net=self.net, same=torch.no_grad()(self.net.forward), average=self.averaged, teacher=self.teacher)
        loss = self.loss(ask, *batch)
        loss.backward()
        self.adam.step()
        with torch.no_grad():  # else the averages drag a graph behind them that grows from step to step
            torch._foreach_lerp_(self.average, self.parameters, 0.001)
        return loss.detach()

    def one_graph(self):
        """Drawing, loss, gradient, Adam and average as one graph: of the ways to compile a step that were tried, the fastest."""
        names = {id(p): name for name, p in self.net.named_parameters()}
        weights = [p.detach() for p in self.parameters]
        mean, square = ([torch.zeros_like(p) for p in weights] for _ in range(2))
        count = torch.zeros(())

        def with_weights(values):
            named = {names[id(p)]: value for p, value in zip(self.parameters, values)}
            return lambda *inputs: torch.func.functional_call(self.net, named, inputs)

        def loss_of(values, *batch):
            ask = types.SimpleNamespace(net=with_weights(values), same=with_weights(weights), average=with_weights(self.average))
            ask.teacher = self.teacher
            return self.loss(ask, *batch)

        def update(*batch):
            gradients, loss = torch.func.grad_and_value(loss_of)(weights, *batch)
            count.add_(1)
            rate, correction = 1e-3 / (1 - 0.9**count), (1 - 0.999**count).sqrt()
            for p, g, m, v, a in zip(weights, gradients, mean, square, self.average):
                m.lerp_(g, 0.1)
                v.mul_(0.999).addcmul_(g, g, value=0.001)
                p.sub_(rate * m / (v.sqrt() / correction + 1e-8))
                a.lerp_(p, 0.001)
            return loss

        self.update = torch.compile(update, fullgraph=True)
        return torch.compile(lambda: update(*self.draw()), fullgraph=True)

    def losses(self, folder):
        """The losses of the first steps from exported weights on one exported batch: the other side must give the same."""
        load_parameters(self.parameters, folder, "parameters.bin")
        self.follow()
        if (pathlib.Path(folder) / "teacher.bin").exists():
            load_parameters(self.teacher.in_export_order(), folder, "teacher.bin")
        times = [load(folder, name, self.batch) for name in ("t.bin", "s.bin") if (pathlib.Path(folder) / name).exists()]
        batch = load(folder, "x0.bin", self.batch, 2), load(folder, "z.bin", self.batch, 2), *times
        return [float(self.update(*batch)) for _ in range(loss_steps)]
