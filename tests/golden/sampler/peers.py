"""diffusers' schedulers and k-diffusion's samplers, made to compute in double and to draw fixed noise.

Both packages name float32 in many places; here their modules see a torch and a numpy whose float32 is float64, so that
tables, noise levels and states are doubles throughout. Nothing else of them is changed.
"""

import importlib
import importlib.util
import pathlib
import sys
import types

import numpy as np
import torch

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)

DIM = 4
NOISE_SEED = 20240611
NOISE_ROWS = 32
# Multiples of 1/256, so that the file is short and has the very numbers.
NOISE = np.round(np.random.default_rng(NOISE_SEED).standard_normal((NOISE_ROWS, DIM)) * 256) / 256


class noise_stream:
    """The k-th draw of a run is row k modulo NOISE_ROWS of NOISE, from first_row on."""

    def __init__(self, first_row=0):
        self.first_row, self.draws = first_row, 0

    def __call__(self, shape, **_):
        row = NOISE[(self.first_row + self.draws) % NOISE_ROWS]
        self.draws += 1
        return torch.tensor(row).reshape(shape)


class in_double:
    """A module with some of its names replaced."""

    def __init__(self, module, **replaced):
        self.__dict__.update(replaced)
        self._module = module

    def __getattr__(self, name):
        return getattr(self._module, name)


def scheduler_class(name):
    import diffusers

    found = getattr(diffusers, name)
    module = sys.modules[found.__module__]
    module.torch = in_double(torch, float32=torch.float64)
    module.np = in_double(np, float32=np.float64)
    return found, module


def k_diffusion_sampling(stream):
    """k_diffusion.sampling alone: the rest of the package asks for torchvision, CLIP and more."""
    if "k_diffusion.sampling" not in sys.modules:
        folder = pathlib.Path(importlib.util.find_spec("k_diffusion").origin).parent
        package, helpers = types.ModuleType("k_diffusion"), types.ModuleType("k_diffusion.utils")
        package.__path__, package.utils = [str(folder)], helpers
        helpers.append_dims = lambda x, dims: x[(...,) + (None,) * (dims - x.ndim)]
        sys.modules["k_diffusion"], sys.modules["k_diffusion.utils"] = package, helpers
    module = importlib.import_module("k_diffusion.sampling")
    module.torch = in_double(torch, randn_like=lambda x: stream(x.shape))
    return module
