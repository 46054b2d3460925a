"""The PyTorch side of the comparison: python torch_peer.py eager|compile. Started by run_bench.py."""
import math
import pathlib
import sys

import torch
import torch.nn.functional as F
from peer import Peer
from torch import nn

compiling = sys.argv[1] == "compile"
if compiling:  # draw with eager's generator: Inductor's own is ten times slower on a CPU
    import torch._inductor.config as inductor

    inductor.fallback_random = True
time_scale, points, loss_steps = 1000.0, 65536, 10  # t in [0, 1] is scaled before its sines are taken


class Mlp(nn.Module):
    """Residual blocks of width w that each see a projection of the time embedding; points in the plane in and out."""

    def __init__(self, width, blocks=2):
        super().__init__()
        self.register_buffer("frequencies", torch.exp(-math.log(10000.0) * torch.arange(64) / 64))
        self.time_1, self.time_2 = nn.Linear(128, width), nn.Linear(width, width)
        self.input, self.output = nn.Linear(2, width), nn.Linear(width, 2)
        self.first = nn.ModuleList(nn.Linear(width, width) for _ in range(blocks))
        self.project = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(blocks))
        self.second = nn.ModuleList(nn.Linear(width, width) for _ in range(blocks))

    def forward(self, x, t):
        angle = (time_scale * t)[:, None] * self.frequencies
        e = F.silu(self.time_2(F.silu(self.time_1(torch.cat([angle.sin(), angle.cos()], 1)))))
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


class MlpTraining:
    """One step of flow matching: draw a batch, noise and times; loss, gradient, Adam, moving average of the parameters."""

    def __init__(self, width, batch):
        self.batch, self.net, self.data = batch, Mlp(width), torch.randn(points, 2)
        self.parameters = self.net.in_export_order()
        self.average = [p.detach().clone() for p in self.parameters]
        self.step = self.one_graph() if compiling else self.eager_step

    def draw(self):
        rows = torch.randint(0, points, (self.batch,))
        return self.data[rows], torch.randn(self.batch, 2), torch.rand(self.batch)

    def eager_step(self):
        return self.update(*self.draw())

    def update(self, x0, z, t):
        if not hasattr(self, "adam"):
            self.adam = torch.optim.Adam(self.parameters, lr=1e-3, fused=True)
        self.adam.zero_grad(set_to_none=True)
        loss = F.mse_loss(self.net(torch.lerp(x0, z, t[:, None]), t), z - x0)
        loss.backward()
        self.adam.step()
        torch._foreach_lerp_(self.average, self.parameters, 0.001)
        return loss.detach()

    def one_graph(self):
        """Drawing, loss, gradient, Adam and average as one graph: of the ways to compile a step that were tried, the fastest."""
        names = {id(p): name for name, p in self.net.named_parameters()}
        weights = [p.detach() for p in self.parameters]
        mean, square = ([torch.zeros_like(p) for p in weights] for _ in range(2))
        count = torch.zeros(())

        def loss_of(values, x0, z, t):
            named = {names[id(p)]: value for p, value in zip(self.parameters, values)}
            return F.mse_loss(torch.func.functional_call(self.net, named, (torch.lerp(x0, z, t[:, None]), t)), z - x0)

        def update(x0, z, t):
            gradients, loss = torch.func.grad_and_value(loss_of)(weights, x0, z, t)
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

        def load(name, *shape):
            return torch.frombuffer(bytearray((pathlib.Path(folder) / name).read_bytes()), dtype=torch.float32).view(*shape)

        flat, used = load("parameters.bin", -1), 0
        with torch.no_grad():
            for p in self.parameters:
                p.copy_(flat[used : used + p.numel()].view_as(p))
                used += p.numel()
        if used != flat.numel():
            raise ValueError(f"parameters.bin holds {flat.numel()} numbers, this network has {used}")
        batch = load("x0.bin", self.batch, 2), load("z.bin", self.batch, 2), load("t.bin", self.batch)
        return [float(self.update(*batch)) for _ in range(loss_steps)]


class SamplerStep:
    """x' = a x + b F + d z with z drawn anew, or without z. Eager: written over the predicted x0, as diffusers does, coefficients known."""

    def __init__(self, shape, noise):
        self.x, self.output, self.z = torch.randn(shape), torch.randn(shape), torch.empty(shape)
        self.noise = noise
        self.step = torch.compile(self.fused, fullgraph=True) if compiling else self.eager

    @torch.inference_mode()
    def eager(self):
        x0 = (self.x - 0.6 * self.output) / 0.8
        mean = 0.2 * x0 + 0.7 * self.x
        self.x = mean + 0.1 * self.z.normal_() if self.noise else mean

    @torch.inference_mode()
    def fused(self):
        mean = 0.95 * self.x - 0.15 * self.output
        self.x.copy_(mean + 0.1 * torch.randn_like(mean) if self.noise else mean)


class Normals:
    def __init__(self, count):
        self.z = torch.empty(count)
        self.step = torch.compile(self.fill, fullgraph=True) if compiling else self.fill

    def fill(self):
        self.z.normal_()


small, large = (64, 3, 32, 32), (64, 3, 256, 256)
works = {
    "mlp_train_256x1024": lambda: MlpTraining(256, 1024),
    "mlp_train_128x256": lambda: MlpTraining(128, 256),
    "sampler_step_64x3x32x32": lambda: SamplerStep(small, True),
    "sampler_step_64x3x256x256": lambda: SamplerStep(large, True),
    "sampler_step_64x3x32x32_deterministic": lambda: SamplerStep(small, False),
    "sampler_step_64x3x256x256_deterministic": lambda: SamplerStep(large, False),
    "normals": lambda: Normals(1 << 24),
}
build = f"PyTorch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}"
Peer(build, works).serve()
