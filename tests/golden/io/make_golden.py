"""Writes the files beside it, from which tests/io/*.cpp learn what other programs write.

Made with Python 3.11, numpy 2.4.6, safetensors 0.8.0, zlib 1.2.13:
    pip install numpy==2.4.6 safetensors==0.8.0 && python3 make_golden.py
"""
import gzip
import pathlib

import numpy as np
from numpy.lib import format as npy
from safetensors.numpy import save_file

here = pathlib.Path(__file__).parent

# safetensors: what the reference implementation writes
save_file({}, here / "empty.safetensors")
save_file(
    {
        "weight": np.arange(6, dtype=np.float32).reshape(2, 3) / 4,
        "bias": np.array([-1.5, 2.5], dtype=np.float32),
        "b.double": np.array([[1e300], [-0.1]]),
        "step": np.array(12, dtype=np.int64),
        "seed": np.array([2**64 - 1, 0], dtype=np.uint64),
        "labels": np.array([1, -2, 3], dtype=np.int32),
        "bytes": np.array([[1, 2, 3], [253, 254, 255]], dtype=np.uint8),
        "empty": np.zeros((0, 7), dtype=np.float32),
        'gr\u00fc\u00dfe "quoted" \\ \u0001\n\t\u007f': np.array([0.5], dtype=np.float32),
    },
    here / "mixed.safetensors",
    metadata={"note": 'a "quoted" \u00e9\n\u001f/'},
)
save_file(
    {"half": np.array([1, 2, 3], dtype=np.float16), "flag": np.array([True, False]), "short": np.array([-1, 300], dtype=np.int16)},
    here / "other_types.safetensors",
    metadata={"format": "pt"},
)

# npy
np.save(here / "matrix_f4.npy", np.arange(6, dtype="<f4").reshape(2, 3))
np.save(here / "scalar_f8.npy", np.array(-0.1))
np.save(here / "vector_i8.npy", np.array([1, -2, 3], dtype="<i8"))
np.save(here / "rank6_i4.npy", np.arange(16, dtype="<i4").reshape(2, 1, 2, 1, 2, 2))
np.save(here / "empty_u1.npy", np.zeros((0, 3), dtype="u1"))
np.save(here / "long_u1.npy", np.arange(100, dtype="u1").reshape(100, 1, 1, 1, 1, 1))
np.save(here / "fortran_f4.npy", np.asfortranarray(np.arange(6, dtype="<f4").reshape(2, 3)))
np.save(here / "big_endian_f4.npy", np.arange(3, dtype=">f4"))
np.save(here / "fields.npy", np.zeros(2, dtype=[("a", "<f4"), ("b", "<i4")]))
np.save(here / "rank7_f4.npy", np.zeros((1,) * 7, dtype="<f4"))
for version in (2, 3):
    with open(here / f"version{version}_f4.npy", "wb") as out:
        npy.write_array(out, np.arange(6, dtype="<f4").reshape(2, 3), version=(version, 0))

# IDX, gzipped by Python: colour images, and the same in two members
images = bytes([0, 0, 8, 4]) + np.array([2, 2, 3, 3], dtype=">u4").tobytes() + bytes(range(0, 252, 7))
(here / "colour.idx.gz").write_bytes(gzip.compress(images, mtime=0))
(here / "two_members.idx.gz").write_bytes(gzip.compress(images[:30], mtime=0) + gzip.compress(images[30:], mtime=0))
