"""U-Nets in PyTorch: python torch_unet.py eager|contiguous|compile. The network is tests/golden/network/unet_model.py.

eager: images and weights lie channels last, as onestep has them; contiguous: in PyTorch's default order; compile: torch.compile, channels last.
Batches are drawn from resident images of normal numbers. Answers as peer.py says, and with "mebibytes" in place of "seconds" for
unet_train_memory.
"""
import os
import pathlib
import subprocess
import sys

import torch
import torch.nn.functional as F
from peer import Peer
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch_training import Training, compiling

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "network"))
from unet_model import UNet  # noqa: E402

memory_format = torch.contiguous_format if sys.argv[1] == "contiguous" else torch.channels_last
images = 4096  # resident
of_28 = {"data": (28, 28, 1), "width": 64, "multipliers": (1, 2, 2), "blocks": 2, "attention": (7,)}
of_32 = {"data": (32, 32, 3), "width": 128, "multipliers": (1, 2, 2, 2), "blocks": 2, "attention": (16,)}


def make_network(options):
    return UNet(**options).to(memory_format=memory_format)


def image_shape(options):
    height, width, channels = options["data"]
    return channels, height, width


def column(t):
    return t[:, None, None, None]


class UNetTraining(Training):
    """Flow matching: mean((F(x, t) - (z - x0))^2), x = (1 - t) x0 + t z."""

    def __init__(self, options, batch):
        self.batch, self.shape = batch, (batch, *image_shape(options))
        self.data = torch.randn(images, *self.shape[1:]).to(memory_format=memory_format)
        self.net, self.teacher = make_network(options), None
        self.averaged = make_network(options).requires_grad_(False)
        self.parameters, self.average = list(self.net.parameters()), list(self.averaged.parameters())
        self.follow()
        if compiling:
            # The network; a graph of the whole step, optimizer included, had not compiled after seven minutes.
            self.net = torch.compile(self.net, fullgraph=True)

    def step(self):
        self.update(*self.draw())

    def draw(self):
        rows = torch.randint(0, images, (self.batch,))
        z = torch.randn(self.shape).to(memory_format=memory_format)
        return self.data[rows], z, *self.draw_times()

    def draw_times(self):
        return (torch.rand(self.batch),)

    def loss(self, ask, x0, z, t):
        return F.mse_loss(ask.net(torch.lerp(x0, z, column(t)), t), z - x0)


class MeanFlowTraining(UNetTraining):
    """Rows with s = t, three quarters, come last and need no derivative."""

    def __init__(self, options, batch):
        self.apart = batch // 4
        super().__init__({**options, "second_time": True, "scale": 10.0}, batch)

    def draw_times(self):
        a, b = torch.sigmoid(torch.randn(self.batch) - 0.4), torch.sigmoid(torch.randn(self.batch) - 0.4)
        t = torch.maximum(a, b)
        return t, torch.cat([torch.minimum(a, b)[: self.apart], t[self.apart :]])

    def loss(self, ask, x0, z, t, s):
        x, v, k = torch.lerp(x0, z, column(t)), z - x0, self.apart
        at = tuple(rows[:k].clone() for rows in (x, t, s))  # torch.compile wants no views here
        with sdpa_kernel(SDPBackend.MATH):  # the others have no forward derivative
            u, du = torch.func.jvp(ask.net, at, (v[:k].clone(), torch.ones_like(at[1]), torch.zeros_like(at[2])))
        target = v[:k] - column(t - s)[:k] * du.detach()
        u, target = torch.cat([u, ask.net(x[k:], t[k:], s[k:])]), torch.cat([target, v[k:]])
        square = (u - target).square().sum((1, 2, 3))
        return (square / (square.detach() + 0.01)).mean()


class Forward:
    """One evaluation of a batch."""

    def __init__(self, options, batch):
        self.net = make_network(options).eval()
        if compiling:
            self.net = torch.compile(self.net, fullgraph=True)
        self.x = torch.randn(batch, *image_shape(options)).to(memory_format=memory_format)
        self.t = torch.rand(batch)

    @torch.inference_mode()
    def step(self):
        self.y = self.net(self.x, self.t)


def resident(key):
    """MiB of this process: VmRSS now, VmHWM at most."""
    line = next(line for line in open("/proc/self/status") if line.startswith(key))
    return int(line.split()[1]) / 1024


def training_memory():
    """MiB that training on images of 28x28 takes at most: images, network, its average, Adam, and what a step needs in between."""
    before = resident("VmRSS")
    work = UNetTraining(of_28, 64)
    for _ in range(3):
        work.step()
    return resident("VmHWM") - before


class UNetPeer(Peer):
    def answer(self, words):
        """Memory is a fresh process's, with glibc's defaults: the allocator that run_bench.py sets is faster and keeps what it has."""
        if words[0] != "unet_train_memory":
            return super().answer(words)
        self.forget()
        command = [sys.executable, __file__, sys.argv[1], "memory", str(torch.get_num_threads())]
        variables = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
        measured = []
        for _ in range(int(words[1])):
            child = subprocess.run(command, env=variables, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
            measured.append(float(child.stdout))
        return {"name": words[0], "mebibytes": measured}


works = {
    "unet_train_28_b64": lambda: UNetTraining(of_28, 64),
    "unet_train_32_b16": lambda: UNetTraining(of_32, 16),
    "unet_forward_28_b64": lambda: Forward(of_28, 64),
    "unet_forward_28_b1": lambda: Forward(of_28, 1),
    "unet_jvp_step": lambda: MeanFlowTraining(of_28, 64),
}
if compiling:
    del works["unet_jvp_step"]  # torch.func.jvp does not enter compiled networks
else:  # the compiler itself takes more memory than training
    works["unet_train_memory"] = training_memory
if sys.argv[2:]:  # memory THREADS
    torch.set_num_threads(int(sys.argv[3]))
    print(training_memory())
else:
    build = f"PyTorch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}"
    UNetPeer(build, works).serve()
