"""onestep's U-Net in PyTorch, under onestep's names. unet.py records it, bench/peers/torch_unet.py measures it.

    net = UNet(data=(28, 28, 1), width=64, multipliers=(1, 2, 2), blocks=2, attention=(7,))
    y = net(x, t)                # x [n, c, h, w], t [n]
    y = net(x, t, s, labels)     # with second_time and classes; labels None: no label

Levels are joined by one convolution, of stride 2 on the way down and of the doubled map on the way up. Attention follows each residual block
on feature maps of the given heights and lies between the two middle blocks. A fresh network has the weights that training begins with.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F


def group_norm(channels, groups):
    return nn.GroupNorm(max(g for g in range(1, groups + 1) if channels % g == 0), channels, eps=1e-5)


def convolution(before, after, **more):
    return nn.Conv2d(before, after, 3, padding=1, **more)


class TimeEmbedding(nn.Module):
    """second(silu(first(features))); the features of t, then with two times those of t - s, are [sin..., cos...] of the angles."""

    def __init__(self, embedding, features, size, scale, second_time, fourier):
        super().__init__()
        half, self.second_time = size // 2, second_time
        if features == "sinusoidal":
            frequencies = scale * 10000.0 ** (-torch.arange(half) / half)
        elif features == "fourier":
            frequencies = 2 * math.pi * scale * torch.as_tensor(fourier, dtype=torch.get_default_dtype())
        else:
            raise ValueError(f"features is {features}, it must be sinusoidal or fourier")
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.first = nn.Linear(size * (2 if second_time else 1), embedding)
        self.second = nn.Linear(embedding, embedding)

    def forward(self, t, s):
        angles = [t[:, None] * self.frequencies]
        if self.second_time:
            angles.append((t - s)[:, None] * self.frequencies)
        features = torch.cat([wave for angle in angles for wave in (angle.sin(), angle.cos())], 1)
        return self.second(F.silu(self.first(features)))


class Attention(nn.Module):
    """x + out(softmax(q k^T / sqrt(channels of a head)) v), its tokens being the pixels in the order of rows."""

    def __init__(self, channels, head_channels, groups):
        super().__init__()
        self.heads = max(1, channels // head_channels)
        if channels % self.heads != 0:
            raise ValueError(f"{channels} channels do not divide into {self.heads} heads")
        self.norm = group_norm(channels, groups)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, x):
        tokens = self.norm(x).flatten(2).transpose(1, 2)
        q, k, v = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in self.qkv(tokens).chunk(3, 2))
        tokens = self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return x + tokens.transpose(1, 2).unflatten(2, x.shape[2:])


class Block(nn.Module):
    """skip(x) + conv2(silu(norm2(conv1(silu(norm1(x))), shifted by the embedding before norm2 or scaled and shifted after it)))."""

    def __init__(self, before, after, embedding, groups, scale_shift, dropout, attention):
        super().__init__()
        self.scale_shift, self.dropout = scale_shift, dropout
        self.norm1, self.conv1 = group_norm(before, groups), convolution(before, after)
        self.emb = nn.Linear(embedding, 2 * after if scale_shift else after)
        self.norm2, self.conv2 = group_norm(after, groups), convolution(after, after)
        self.skip = nn.Conv2d(before, after, 1) if before != after else nn.Identity()
        if attention is not None:
            self.attention = attention

    def forward(self, x, e):
        h, e = self.conv1(F.silu(self.norm1(x))), self.emb(e)[:, :, None, None]
        if self.scale_shift:
            scale, shift = e.chunk(2, 1)
            h = self.norm2(h) * (1 + scale) + shift
        else:
            h = self.norm2(h + e)
        y = self.skip(x) + self.conv2(F.dropout(F.silu(h), self.dropout, self.training))
        return self.attention(y) if hasattr(self, "attention") else y


class UNet(nn.Module):
    """The options are unet_options'; time features are `features` with `size` and `scale`, and `fourier` are the drawn numbers w."""

    def __init__(
        self, data, width, multipliers, blocks, attention=(), head_channels=64, groups=32, scale_shift=False, embedding=0,
        features="sinusoidal", size=64, scale=1000.0, fourier=None, second_time=False, classes=0, dropout=0.0,
    ):  # fmt: skip
        super().__init__()
        height, _, channels = data
        e = embedding or 4 * width
        heights = [height]
        for _ in multipliers[1:]:
            heights.append((heights[-1] + 1) // 2)

        def block(before, after, level):
            attends = Attention(after, head_channels, groups) if heights[level] in attention else None
            return Block(before, after, e, groups, scale_shift, dropout, attends)

        self.classes = classes
        self.time = TimeEmbedding(e, features, size, scale, second_time, fourier)
        if classes:
            self.add_module("class", nn.Linear(classes + 1, e, bias=False))
        self.add_module("in", convolution(channels, width))
        last, skips = width, [width]
        self.down = nn.ModuleList()
        for level, multiplier in enumerate(multipliers):
            layers = nn.ModuleDict()
            for b in range(blocks):
                layers[str(b)] = block(last, width * multiplier, level)
                last = width * multiplier
                skips.append(last)
            if level + 1 < len(multipliers):
                layers["reduce"] = convolution(last, last, stride=2)
                skips.append(last)
            self.down.append(layers)
        self.middle = nn.ModuleDict({"0": Block(last, last, e, groups, scale_shift, dropout, None)})
        if attention:
            self.middle["attention"] = Attention(last, head_channels, groups)
        self.middle["1"] = Block(last, last, e, groups, scale_shift, dropout, None)
        up = []
        for level in reversed(range(len(multipliers))):
            layers = nn.ModuleDict()
            for b in range(blocks + 1):
                layers[str(b)] = block(last + skips.pop(), width * multipliers[level], level)
                last = width * multipliers[level]
            if level > 0:
                layers["enlarge"] = convolution(last, last)
            up.append(layers)
        self.up = nn.ModuleList(reversed(up))
        self.out = nn.ModuleDict({"norm": group_norm(last, groups), "conv": convolution(last, channels)})
        self.blocks = blocks
        self.initialise()

    @torch.no_grad()
    def initialise(self):
        """Weights N(0, 1 / fan in), biases 0, norms 1 and 0; what ends a residual branch, and the network, is zero."""
        for name, p in self.named_parameters():
            if p.dim() == 1:
                p.fill_(1.0 if "norm" in name and name.endswith("weight") else 0.0)
            elif name.endswith(("conv2.weight", "attention.out.weight")) or name == "out.conv.weight":
                p.zero_()
            else:
                p.normal_(0, p[0].numel() ** -0.5)

    def embed(self, t, s, labels):
        z = self.time(t, s)
        if self.classes:
            table = getattr(self, "class").weight
            z = z + (table[:, self.classes] if labels is None else table[:, labels].T)
        return F.silu(z)

    def forward(self, x, t, s=None, labels=None):
        e = self.embed(t, s, labels)
        h = getattr(self, "in")(x)
        skips = [h]
        for layers in self.down:
            for b in range(self.blocks):
                h = layers[str(b)](h, e)
                skips.append(h)
            if "reduce" in layers:
                h = layers["reduce"](h)
                skips.append(h)
        h = self.middle["0"](h, e)
        if "attention" in self.middle:
            h = self.middle["attention"](h)
        h = self.middle["1"](h, e)
        for layers in reversed(self.up):
            for b in range(self.blocks + 1):
                h = layers[str(b)](torch.cat([h, skips.pop()], 1), e)
            if "enlarge" in layers:
                h = layers["enlarge"](F.interpolate(h, scale_factor=2, mode="nearest"))
        return self.out["conv"](F.silu(self.out["norm"](h)))
