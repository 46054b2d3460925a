#!/usr/bin/env python3
"""Writes the files beside it: three small U-Nets (unet_model.py), their answers and derivatives by PyTorch's autograd.

    pip install torch safetensors
    python3 unet.py                  # writes unet_*.safetensors
    python3 unet.py --check FILE     # asks the network in FILE, which another program wrote, for y, and exits with 1 if it gives another one

A file holds "weight.NAME" of each parameter, x, t, s where there are two times and labels where there are classes, y, dy, the gradient of
sum(y dy) as dx and "gradient.NAME", and the derivative vy of y along (vx, vt, vs). x and y and what belongs to them are [n, h, w, c]. The
options are in the metadata, lists as numbers between spaces. Weights and inputs are single precision; the rest is computed from them in
double and rounded once. --check needs the weights, x, t, s, labels, y and the options.
"""

import argparse
import json
import pathlib
import sys

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch.nn.attention import SDPBackend, sdpa_kernel
from unet_model import UNet

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)

N = 3
BOUND = 2e-5
CASES = {
    "unet_attention": {
        "data": [12, 12, 2], "width": 8, "multipliers": [1, 2], "blocks": 1, "attention": [6], "head_channels": 4, "groups": 4,
        "scale_shift": False, "embedding": 0, "features": "sinusoidal", "size": 8, "scale": 10.0, "second_time": False, "classes": 0,
    },
    "unet_two_times": {
        "data": [8, 8, 3], "width": 8, "multipliers": [1, 2, 2], "blocks": 2, "attention": [4, 2], "head_channels": 8, "groups": 8,
        "scale_shift": True, "embedding": 20, "features": "sinusoidal", "size": 6, "scale": 10.0, "second_time": True, "classes": 3,
    },
    "unet_one_level": {
        "data": [7, 7, 1], "width": 16, "multipliers": [1], "blocks": 1, "attention": [], "head_channels": 8, "groups": 6,
        "scale_shift": True, "embedding": 12, "features": "sinusoidal", "size": 4, "scale": 10.0, "second_time": False, "classes": 0,
    },
}  # fmt: skip


def to_text(options):
    def text(value):
        if isinstance(value, list):
            return " ".join(map(str, value))
        return str(value).lower() if isinstance(value, bool) else str(value)

    return {key: text(value) for key, value in options.items()}


def from_text(metadata):
    read = {
        **dict.fromkeys(("data", "multipliers", "attention"), lambda text: [int(word) for word in text.split()]),
        **dict.fromkeys(("width", "blocks", "head_channels", "groups", "embedding", "size", "classes"), int),
        **dict.fromkeys(("scale_shift", "second_time"), lambda text: {"true": True, "false": False}[text]),
        "features": str,
        "scale": float,
    }
    return {key: of(metadata[key]) for key, of in read.items()}


def channels_last(x):
    return x.permute(0, 2, 3, 1)


def channels_first(x):
    return x.permute(0, 3, 1, 2)


def record(options, seed):
    source = torch.Generator().manual_seed(seed)

    def single(values):
        return values.float().double()

    def normals(*shape):
        return single(torch.randn(*shape, generator=source))

    net = UNet(**options)
    with torch.no_grad():
        for name, p in net.named_parameters():
            if p.dim() > 1:
                p.copy_(single(normals(*p.shape) * p[0].numel() ** -0.5))
            else:
                p.copy_(single(0.3 * normals(*p.shape) + (1.0 if "norm" in name and name.endswith("weight") else 0.0)))
    h, w, c = options["data"]
    x, dy, vx = (normals(N, c, h, w) for _ in range(3))
    s, t = single(torch.rand(2, N, generator=source)).sort(0).values
    vt, vs = normals(N), normals(N)
    inputs, tangents = {"x": x, "t": t}, {"vx": vx, "vt": vt}
    if options["second_time"]:
        inputs["s"], tangents["vs"] = s, vs
    labels = torch.tensor([1, options["classes"], 0]) if options["classes"] else None  # the second row has no label

    with sdpa_kernel(SDPBackend.MATH):  # the only one of the kernels for attention with a forward derivative
        leaves = [x.requires_grad_(), *net.parameters()]
        y = net(**inputs, labels=labels)
        dx, *gradients = torch.autograd.grad((y * dy).sum(), leaves)
        x.requires_grad_(False)
        at = tuple(inputs.values())
        again, vy = torch.func.jvp(lambda *at: net(**dict(zip(inputs, at)), labels=labels), at, tuple(tangents.values()))
    assert torch.allclose(y, again, rtol=1e-12)

    tensors = {f"weight.{name}": p for name, p in net.named_parameters()}
    tensors |= {f"gradient.{name}": g for (name, _), g in zip(net.named_parameters(), gradients)}
    tensors |= inputs | tangents | {"y": y, "dy": dy, "dx": dx, "vy": vy}
    for name in ("x", "vx", "y", "dy", "dx", "vy"):
        tensors[name] = channels_last(tensors[name])
    tensors = {name: value.detach().float().contiguous() for name, value in tensors.items()}
    if labels is not None:
        tensors["labels"] = labels.int()
    return tensors


def write(path, tensors, metadata):
    """save_file leaves the metadata in another order each time: here the same tensors make the same file."""
    save_file(tensors, path, metadata=metadata)
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    header["__metadata__"] = metadata
    text = json.dumps(header, separators=(",", ":")).encode().ljust(end - 8)
    path.write_bytes(content[:8] + text + content[end:])


def difference(path):
    """max |y - y of UNet| over max |y of UNet|, of the file's weights and inputs."""
    with safe_open(path, "pt") as file:
        options, tensors = from_text(file.metadata()), {name: file.get_tensor(name) for name in file.keys()}
    net = UNet(**options)
    weights = {name.removeprefix("weight."): value for name, value in tensors.items() if name.startswith("weight.")}
    net.load_state_dict(weights, strict=True)
    x, t, s = (tensors[name].double() if name in tensors else None for name in ("x", "t", "s"))
    labels = tensors["labels"].long() if "labels" in tensors else None
    with torch.no_grad():
        y = channels_last(net(channels_first(x), t, s, labels))
    if y.shape != tensors["y"].shape:
        sys.exit(f"{path}: y is {list(tensors['y'].shape)}, the network answers {list(y.shape)}")
    return float((tensors["y"] - y).abs().max() / y.abs().max())


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--check", metavar="FILE")
    given = options.parse_args()
    if given.check:
        found = difference(given.check)
        print(f"largest relative difference of y: {found:.3g}")
        sys.exit(0 if found <= BOUND else 1)  # 1 for not a number, too
    for seed, (name, case) in enumerate(CASES.items(), 1):
        path = pathlib.Path(__file__).with_name(name + ".safetensors")
        write(path, record(case, seed), to_text(case))
        print(path.name, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
