"""onestep's mlp in PyTorch, float64, as a function of its parameters, and what every recording of an objective shares.

    f = features(t) (, features(t - s))         e = silu(T2 silu(T1 f) + E one_hot(label))
    h = I x                                     for each block: h = h + B silu(A silu(h) + P e)          y = O silu(h)

Parameters are a dict of tensors under onestep's names, in its order, so that torch.func.grad and torch.func.jvp apply:

    options = network(data=[3], width=6, blocks=1)
    p = random_parameters(options, seed=1)
    loss, gradient = value_and_gradient(lambda p: (mlp(options, p, x, t) - target).square().mean(), p)
    y, vy = torch.func.jvp(lambda x, t: mlp(options, p, x, t), (x, t), (vx, vt))

Random numbers are rounded to four decimals: short in a file, and the same number wherever it is read.
"""

import json
import math
import pathlib

import torch

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)


def network(data=(3,), width=6, blocks=1, embedding=0, size=4, scale=3.0, classes=0, second_time=False):
    """Options under the names of mlp_options. Time features are sinusoidal."""
    return {
        "data": list(data),
        "width": width,
        "blocks": blocks,
        "embedding": embedding,
        "time": {"size": size, "scale": scale},
        "classes": classes,
        "second_time": second_time,
    }


def parameter_shapes(options):
    d, w = math.prod(options["data"]), options["width"]
    e = options["embedding"] or w
    features = options["time"]["size"] * (2 if options["second_time"] else 1)
    shapes = {
        "time.first.weight": (e, features),
        "time.first.bias": (e,),
        "time.second.weight": (e, e),
        "time.second.bias": (e,),
    }
    if options["classes"]:
        shapes["class.weight"] = (e, options["classes"] + 1)
    shapes["in.weight"] = (w, d)
    shapes["in.bias"] = (w,)
    shapes["condition.weight"] = (w * options["blocks"], e)
    for k in range(options["blocks"]):
        for layer in ("first", "second"):
            shapes[f"blocks.{k}.{layer}.weight"] = (w, w)
            shapes[f"blocks.{k}.{layer}.bias"] = (w,)
    shapes["out.weight"] = (d, w)
    shapes["out.bias"] = (d,)
    return shapes


def generator(seed):
    return torch.Generator().manual_seed(seed)


def normals(source, *extents, deviation=1.0):
    """N(0, deviation^2), rounded to four decimals."""
    return torch.round(deviation * torch.randn(*extents, generator=source), decimals=4)


def uniforms(source, *extents, low=0.0, high=1.0):
    """U(low, high), rounded to four decimals."""
    return torch.round(low + (high - low) * torch.rand(*extents, generator=source), decimals=4)


def labels(source, n, classes):
    """0 .. classes - 1."""
    return torch.randint(0, classes, (n,), generator=source)


def random_parameters(options, seed, deviation=0.4):
    source = generator(seed)
    return {name: normals(source, *extents, deviation=deviation) for name, extents in parameter_shapes(options).items()}


def features(options, t):
    half = options["time"]["size"] // 2
    frequency = options["time"]["scale"] * 10000.0 ** (-torch.arange(half) / half)
    angle = t[:, None] * frequency
    return torch.cat([torch.sin(angle), torch.cos(angle)], dim=1)


def mlp(options, p, x, t, s=None, labels=None):
    """F(x, t), or F(x, t, s) with options second_time. x [n, ...], t [n], s [n], labels [n] (None: no label), y like x."""
    silu = torch.nn.functional.silu
    f = features(options, t)
    if options["second_time"]:
        f = torch.cat([f, features(options, t - s)], dim=1)
    z = silu(f @ p["time.first.weight"].T + p["time.first.bias"]) @ p["time.second.weight"].T + p["time.second.bias"]
    if options["classes"]:
        rows = labels if labels is not None else torch.full((x.shape[0],), options["classes"])
        z = z + p["class.weight"].T[rows]
    condition = silu(z) @ p["condition.weight"].T
    w = options["width"]
    h = x.reshape(x.shape[0], -1) @ p["in.weight"].T + p["in.bias"]
    for k in range(options["blocks"]):
        u = silu(h) @ p[f"blocks.{k}.first.weight"].T + p[f"blocks.{k}.first.bias"] + condition[:, k * w : (k + 1) * w]
        h = h + silu(u) @ p[f"blocks.{k}.second.weight"].T + p[f"blocks.{k}.second.bias"]
    return (silu(h) @ p["out.weight"].T + p["out.bias"]).reshape(x.shape)


def value_and_gradient(loss, p):
    """loss(p) and its gradient by reverse mode, as a dict. Whatever `loss` must not differentiate it detaches itself."""
    leaves = {name: value.detach().clone().requires_grad_(True) for name, value in p.items()}
    value = loss(leaves)
    gradient = torch.autograd.grad(value, list(leaves.values()), allow_unused=True)
    zero = [torch.zeros_like(v) if g is None else g for v, g in zip(leaves.values(), gradient)]
    return value.detach(), dict(zip(leaves, zero))


def case(name, loss, p, plain=None, **more):
    """One entry of a file's "cases": what check_golden of golden.hpp compares. plain: the loss without weights, where it differs."""
    value, gradient = value_and_gradient(loss, p)
    entry = {"name": name, "loss": value, "gradient": gradient, **more}
    if plain is not None:
        entry["plain"] = plain
    return entry


def plain_data(value):
    """Lists and numbers of tensors in dicts and lists. A parameter dict's tensors become flat lists: their shapes are known."""
    if isinstance(value, dict):
        return {key: plain_data(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_data(inner) for inner in value]
    if isinstance(value, torch.Tensor):
        return value.detach().tolist()
    return value


def flat(p):
    return {name: value.reshape(-1) for name, value in p.items()}


def write(script, **content):
    """Writes <script>.json beside the script. Parameter dicts (and gradients in "cases") as {name: flat list}."""
    for key, value in content.items():
        if isinstance(value, dict) and "time.first.weight" in value:
            content[key] = flat(value)
    for entry in content.get("cases", []):
        entry["gradient"] = flat(entry["gradient"])
    path = pathlib.Path(script).with_suffix(".json")
    path.write_text(json.dumps(plain_data(content), separators=(",", ":")) + "\n")
    print(path.name, path.stat().st_size, "bytes")
