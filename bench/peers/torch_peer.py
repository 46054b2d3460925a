"""The PyTorch side of the comparison: python torch_peer.py eager|compile. Started by run_bench.py."""
import torch
import torch.nn.functional as F
from peer import Peer
from torch_objectives import objectives
from torch_training import Mlp, Training, compiling


class MlpTraining(Training):
    """Flow matching on a network as wide as its embedding."""

    def __init__(self, width, batch):
        super().__init__(lambda: Mlp(width), batch)

    def draw_times(self):
        return (torch.rand(self.batch),)

    def loss(self, ask, x0, z, t):
        return F.mse_loss(ask.net(torch.lerp(x0, z, t[:, None]), t), z - x0)


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
for name, objective in objectives.items():
    works["objective_" + name] = lambda objective=objective: objective(1024, blocks=3)
    works["toy_" + name] = lambda objective=objective: objective(256, blocks=1)
build = f"PyTorch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}"
Peer(build, works).serve()
