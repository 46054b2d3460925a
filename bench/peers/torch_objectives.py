"""onestep's objectives in PyTorch, one training step each (torch_training.py), on points in the plane.

`draw_times` returns t, and s where there is one, of each row; `loss` is the method's formula. Where a method differentiates the network along
a path, torch.func.jvp makes the prediction and the derivative in one call; the gradient goes through the prediction alone.
"""
import math

import torch
import torch.nn.functional as F
from torch_training import ReferenceMlp, Training

deviation, lowest = 0.5, 0.002  # of the data; the noise level at which a consistency model stops


class Objective(Training):
    two_times = False

    def __init__(self, batch, blocks):
        super().__init__(lambda: ReferenceMlp(self.two_times, blocks=blocks), batch)


class FlowMatching(Objective):
    def draw_times(self):
        return (torch.rand(self.batch),)

    def loss(self, ask, x0, z, t):
        return F.mse_loss(ask.net(torch.lerp(x0, z, t[:, None]), t), z - x0)


def karras_levels(count):
    low, high = lowest ** (1 / 7), 80 ** (1 / 7)
    return ((low + torch.arange(count, dtype=torch.float64) / (count - 1) * (high - low)) ** 7).float()


def clean_sample(net, x, sigma, shift):
    """By Karras's preconditioning, shifted so that it is x itself at the noise level `shift`."""
    sigma = sigma[:, None]
    total = sigma * sigma + deviation**2
    skip, out = deviation**2 / ((sigma - shift) ** 2 + deviation**2), deviation * (sigma - shift) / total.sqrt()
    return skip * x + out * net(x / total.sqrt(), sigma[:, 0].log() / 4)


class ConsistencyTraining(Objective):
    """Improved consistency training at its beginning: 11 levels, chosen log-normally; pseudo-Huber distance, weight 1 / gap."""

    levels = karras_levels(11)
    c = 0.00054 * math.sqrt(2)

    def __init__(self, batch, blocks):
        place = torch.erf((self.levels.double().log() + 1.1) / (2 * math.sqrt(2)))
        self.edges = ((place[1:-1] - place[0]) / (place[-1] - place[0])).float()
        super().__init__(batch, blocks)

    def draw_times(self):
        i = torch.bucketize(torch.rand(self.batch), self.edges)
        return self.levels[i + 1], self.levels[i]

    def loss(self, ask, x0, z, t, s):
        target = clean_sample(ask.same, x0 + s[:, None] * z, s, lowest)
        square = (clean_sample(ask.net, x0 + t[:, None] * z, t, lowest) - target).square().sum(1)
        return (((square + self.c**2).sqrt() - self.c) / (t - s)).mean()


class ConsistencyDistillation(Objective):
    """18 levels, each as often; a step of Heun's method along the teacher's flow."""

    levels = karras_levels(18)

    def draw_times(self):
        i = torch.randint(0, 17, (self.batch,))
        return self.levels[i + 1], self.levels[i]

    def loss(self, ask, x0, z, t, s):
        x, step = x0 + t[:, None] * z, (s - t)[:, None]
        here = (x - clean_sample(ask.teacher, x, t, 0)) / t[:, None]
        euler = x + step * here
        ahead = (euler - clean_sample(ask.teacher, euler, s, 0)) / s[:, None]
        target = clean_sample(ask.same, x + step * (here + ahead) / 2, s, lowest)
        return F.mse_loss(clean_sample(ask.net, x, t, lowest), target)


class ContinuousConsistencyTraining(Objective):
    """sCT after its warm-up: arXiv:2410.11081, algorithm 1, with the prior weight alone."""

    def draw_times(self):
        return (torch.atan(torch.exp(1.4 * torch.randn(self.batch) - 1) / deviation),)

    def slope(self, ask, x, x0, z, t):
        return t.cos()[:, None] * deviation * z - t.sin()[:, None] * x0

    def loss(self, ask, x0, z, t):
        cos, sin = t.cos()[:, None], t.sin()[:, None]
        x = cos * x0 + sin * deviation * z
        dx = self.slope(ask, x, x0, z, t)
        f, df = torch.func.jvp(ask.net, (x / deviation, t), (cos * sin * dx / deviation, (cos * sin)[:, 0]))
        fixed = f.detach()
        g = -cos * cos * (deviation * fixed - dx) - (cos * sin * x + deviation * df.detach())
        target = fixed + g / (g.square().mean(1, keepdim=True).sqrt() + 0.1)
        return ((f - target).square().mean(1) / (deviation * t.tan())).mean()


class ContinuousConsistencyDistillation(ContinuousConsistencyTraining):
    def slope(self, ask, x, x0, z, t):
        return deviation * ask.teacher(x / deviation, t)


class ShortcutTraining(Objective):
    """A quarter of the rows learns from two half steps of the average, in equal shares for 7 levels; the others follow the flow."""

    two_times = True

    def __init__(self, batch, blocks):
        self.learning = batch // 4
        share = self.learning // 7
        levels = [6 - r // share if r < 7 * share else 0 for r in range(self.learning)] + [7] * (batch - self.learning)
        self.steps = 0.5 ** torch.tensor(levels)
        super().__init__(batch, blocks)

    def draw_times(self):
        s = (torch.rand(self.batch) / self.steps).floor() * self.steps
        return s + self.steps, s

    def loss(self, ask, x0, z, t, s):
        x, k = torch.lerp(x0, z, t[:, None]), self.learning
        half = ((t - s) / 2)[:k]
        first = ask.average(x[:k], t[:k], t[:k] - half)
        second = ask.average(x[:k] - half[:, None] * first, t[:k] - half, s[:k])
        return F.mse_loss(ask.net(x, t, s), torch.cat([(first + second) / 2, (z - x0)[k:]]))


class MeanFlow(Objective):
    """Rows with s = t, three quarters, come last and need no derivative."""

    two_times, share = True, 0.75

    def __init__(self, batch, blocks):
        self.apart = batch - int(self.share * batch)
        super().__init__(batch, blocks)

    def draw_times(self):
        a, b = torch.sigmoid(torch.randn(self.batch) - 0.4), torch.sigmoid(torch.randn(self.batch) - 0.4)
        t = torch.maximum(a, b)
        return t, torch.cat([torch.minimum(a, b)[: self.apart], t[self.apart :]])

    def loss(self, ask, x0, z, t, s):
        x, v, k = torch.lerp(x0, z, t[:, None]), z - x0, self.apart
        at = tuple(rows[:k].clone() for rows in (x, t, s))  # torch.compile wants no views here
        u, du = torch.func.jvp(ask.net, at, (v[:k].clone(), torch.ones_like(at[1]), torch.zeros_like(at[2])))
        target = v[:k] - (t - s)[:k, None] * du.detach()
        if k < len(x):
            u, target = torch.cat([u, ask.net(x[k:], t[k:], s[k:])]), torch.cat([target, v[k:]])
        square = (u - target).square().sum(1)
        return (square / (square.detach() + 0.01)).mean()


class MeanFlowOfEveryRow(MeanFlow):
    share = 0


class ProgressiveDistillation(Objective):
    """From eight steps to four, of a network that predicts v on a quarter turn; weight max(SNR, 1)."""

    def draw_times(self):
        t = 1 - torch.randint(0, 4, (self.batch,)) / 4
        return t, t - 0.25

    def loss(self, ask, x0, z, t, s):
        def turn(t):
            angle = (math.pi / 2 * t)[:, None]
            return angle.cos(), angle.sin()

        m = (t + s) / 2
        (cos, sin), (cos_m, sin_m), (cos_s, sin_s) = turn(t), turn(m), turn(s)
        x = cos * x0 + sin * z
        clean = cos * x - sin * ask.teacher(x, t)
        half = cos_m * clean + sin_m / sin * (x - cos * clean)
        clean = cos_m * half - sin_m * ask.teacher(half, m)
        end = cos_s * clean + sin_s / sin_m * (half - cos_m * clean)
        target = (end - sin_s / sin * x) / (cos_s - sin_s / sin * cos)
        weight = torch.clamp((cos / sin).square(), min=1)
        return (weight * (cos * x - sin * ask.net(x, t) - target).square()).mean()


objectives = {
    "flow_matching": FlowMatching,
    "consistency_training": ConsistencyTraining,
    "consistency_distillation": ConsistencyDistillation,
    "continuous_consistency_training": ContinuousConsistencyTraining,
    "continuous_consistency_distillation": ContinuousConsistencyDistillation,
    "shortcut_training": ShortcutTraining,
    "mean_flow": MeanFlow,
    "mean_flow_every_row": MeanFlowOfEveryRow,
    "progressive_distillation": ProgressiveDistillation,
}
