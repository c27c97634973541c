"""Files of each format as bytes: good ones, and small well-formed ones that cost much."""

import io
import itertools
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from hostile_bundles import PARTS, lying_configs
from tiny_bvh import bvh_text

DEFLATED = zipfile.ZIP_DEFLATED


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def torch_file(content: Any, *, old: bool = False) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=not old)
    return buffer.getvalue()


def tensors(**named: torch.Tensor) -> bytes:
    from safetensors.torch import save

    return save(named)


def table(frame: pd.DataFrame) -> bytes:
    return frame.to_parquet(index=False)


def zipped(members: dict[str, bytes], packing: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packing) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def script(data: bytes, storages: dict[str, bytes], packing: int = zipfile.ZIP_STORED) -> bytes:
    """A TorchScript archive with this pickle and these storages, and no code."""
    members = {"m/data.pkl": data, "m/constants.pkl": b"\x80\x02).", "m/version": b"3\n"}
    return zipped(members | {f"m/data/{name}": content for name, content in storages.items()}, packing)


def tensor_pickle(shape: tuple[int, ...], stride: tuple[int, ...], numel: int, offset: int = 0) -> bytes:
    """{"net": {"w": a tensor of this header}}, as torch.save pickles it."""

    def number(value: int) -> bytes:
        return pickle.dumps(value, 2)[2:-1]

    def numbers(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(map(number, values)) + b"t"

    storage = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
    storage += number(numel) + b"tQ"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + number(offset)
    tensor += numbers(shape) + numbers(stride) + b"\x89ccollections\nOrderedDict\n)RtR"
    return b"\x80\x02}X\x03\x00\x00\x00net}X\x01\x00\x00\x00w" + tensor + b"ss."


def module_pickle(tensor: bytes) -> bytes:
    """A TorchScript module with the parameter w, from what `tensor_pickle` made."""
    inner = tensor[tensor.index(b"}X\x01\x00\x00\x00w") : -2]
    return b"\x80\x02c__torch__\nM\n)\x81" + inner + b"b."


def checkpoint(pickled: bytes, storage: bytes = bytes(8), packing: int = zipfile.ZIP_STORED) -> bytes:
    members = {"a/data.pkl": pickled, "a/byteorder": b"little", "a/data/0": storage, "a/version": b"3\n"}
    return zipped(members, packing)


@cache
def bombs(kind: str) -> dict[str, bytes]:
    """Files of a format that are small, well-formed, and cost much."""
    return BOMBS[kind]()


def _tensors() -> dict[str, bytes]:
    header = b'{"a":{"dtype":"F32","shape":%s,"data_offsets":[0,%d]}}'
    one = b'"%s":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
    odd = (header % (b"[1]", 4)).replace(b"F32", b"F4")
    lying = {
        "a million million numbers": header % (b"[1000000000000]", 4 * 10**12),
        "a shape that overflows": header % (b"[4294967296,4294967296,4294967296]", 4),
        "a negative shape": header % (b"[-1]", 4),
        "two tensors in one place": b"{" + one % b"a" + b"," + one % b"b" + b"}",
        "a deep header": b"[" * 100_000,
        "a type of half bytes": odd,
    }
    found = {name: struct.pack("<Q", len(text)) + text + bytes(4) for name, text in lying.items()}
    return found | {"a header of exabytes": struct.pack("<Q", 1 << 62) + b"{}"}


# A key of tuples that hold one tuple twice, forty levels deep.
TUPLES = b"\x80\x02}" + b"K\x01\x85" + b"2\x86" * 40 + b"K\x01s."
MEMO = b"\x80\x02]r\xff\xff\xff\x7f."  # index 2^31 - 1


def _torch() -> dict[str, bytes]:
    shared = {"net": dict.fromkeys(map(str, range(200)), torch.ones(10_000))}
    return {
        "a stride of 0": checkpoint(tensor_pickle((10**5, 10**5), (0, 0), 2)),
        "overlapping strides": checkpoint(tensor_pickle((10**6, 10**6), (0, 1), 2)),
        "as_strided": torch_file({"net": {"w": torch.as_strided(torch.ones(1), (10**5, 10**5), (0, 0))}}),
        "a storage that lies": checkpoint(tensor_pickle((2,), (1,), 10**13)),
        "beyond its storage": checkpoint(tensor_pickle((2,), (1,), 2, offset=10**9)),
        "negative": checkpoint(tensor_pickle((-2,), (1,), 2)),
        "deflated": checkpoint(tensor_pickle((1 << 24,), (1,), 1 << 24), bytes(1 << 26), DEFLATED),
        "many names, one storage": torch_file(shared),
        "many names, old format": torch_file(shared, old=True),
        "a key of nested tuples": checkpoint(TUPLES),
        "a memo of gigabytes": checkpoint(MEMO),
        "sparse": torch_file({"net": {"w": torch.ones(2, 2).to_sparse()}}),
    }


def _script() -> dict[str, bytes]:
    wide, large = tensor_pickle((10**5, 10**5), (0, 0), 2), tensor_pickle((1 << 24,), (1,), 1 << 24)
    circle = b"\x80\x02c__torch__\nM\n)\x81q\x00}(X\x01\x00\x00\x00ah\x00X\x01\x00\x00\x00bh\x00ub."
    return {
        "a stride of 0": script(module_pickle(wide), {"0": bytes(8)}),
        "deflated": script(module_pickle(large), {"0": bytes(1 << 26)}, DEFLATED),
        "beyond its storage": script(module_pickle(tensor_pickle((2,), (1,), 2, 10**9)), {"0": bytes(8)}),
        "a memo of gigabytes": script(MEMO, {}),
        "a key of nested tuples": script(TUPLES, {}),
        "modules in a circle": script(circle, {}),
    }


def _pickle() -> dict[str, bytes]:
    return {
        "a memo of gigabytes": MEMO,
        "a key of nested tuples": TUPLES,
        "a string of exabytes": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60) + b"x.",
        "nested lists": b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
        "a long number": b"\x80\x02\x8b" + struct.pack("<i", 1 << 30) + b"1.",
        "code": b"cos\nsystem\n(S'touch ran'\ntR.",
    }


def npy_header(descr: str, shape: str) -> bytes:
    """A .npy file with this header and 16 bytes of numbers."""
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(16)


def _npy() -> dict[str, bytes]:
    deep = b"(" * 9000 + b"\n"
    return {
        "a million million rows": npy_header("'<f4'", "(1000000000000, 3)"),
        "a negative shape": npy_header("'<f4'", "(-1, 3)"),
        "rows without columns": npy_header("'<f4'", "(1000000000000, 0)"),
        "an overflowing shape": npy_header("'<f4'", "(4294967296, 4294967296, 4294967296)"),
        "objects": npy_header("'|O'", "(1,)"),
        "a wide type": npy_header("('<f4', (1000000, 1000000))", "(2,)"),
        "an expression": npy_header("'<f4'", "(9**9**9,)"),
        "a deep header": b"\x93NUMPY\x01\x00" + struct.pack("<H", len(deep)) + deep,
    }


def _text() -> dict[str, bytes]:
    body = bvh_text(8).encode()
    joint = b"JOINT %d\n{\nOFFSET 0 0 0\n"
    still = b"".join(joint % n + b"CHANNELS 0\n}\n" for n in range(900))
    return {
        "a line without end": b"a" * (1 << 22),
        "half a million fields": b"#" * (1 << 19),
        "quotes that never close": b'source_path,start_frame,end_frame,new_name\n"' + b"a" * (1 << 18),
        "columns without a row's": b"source_path,start_frame,end_frame,new_name\nKIT/3/a.npy\n",
        "digits of another script": body.replace(b"0", "٠".encode()),
        "full-width digits": body.replace(b"1", "１".encode()),
        "digits with underscores": body.replace(b"0.0", b"0_0.0"),
        "ten thousand joints": b"HIERARCHY\nROOT a\n{\nOFFSET 0 0 0\n"
        + b"".join(joint % n for n in range(10_000)),
        "joints without channels": b"HIERARCHY\nROOT r\n{\nOFFSET 0 0 0\nCHANNELS 1 Xposition\n"
        + still
        + b"}\nMOTION\nFrames: 200000\nFrame Time: 0.01\n"
        + b"1\n" * 200_000,
        "a billion frames": body.replace(b"Frames: 8", b"Frames: 999999999"),
    }


def _yaml() -> dict[str, bytes]:
    names = "abcdefghijklmnopqrstu"
    pairs = list(itertools.pairwise(names))
    nine = {name: ", ".join([f"*{name}"] * 9) for name in names}
    return {
        "aliases of aliases": (
            "a: &a [x]\n" + "".join(f"{b}: &{b} [{nine[a]}]\n" for a, b in pairs)
        ).encode(),
        "merged maps": (
            "a: &a {k: 1}\n" + "".join(f"{b}: &{b} {{<<: [{nine[a]}]}}\n" for a, b in pairs)
        ).encode(),
        "an alias of itself": b"a: &a [*a]\n",
        "a hundred thousand brackets": b"a: " + b"[" * 100_000,
        "nested in one line": b"- " * 50_000,
        "a code tag": b"a: !!python/object/apply:os.system [touch ran]\n",
        "a conflict": b"schema: '2.0'\n<<<<<<< HEAD\nstages: {}\n=======\nstages: {a: {}}\n>>>>>>> other\n",
        "no mapping": b"[1, 2]\n",
        "stages that are a list": b"schema: '2.0'\nstages: [a]\n",
        "no date": b"a: 2024-99-99\n",
        "a number of 5,000 digits": b"a: " + b"1" * 5000,
        "a list as key": b"? [a, b]\n: c\n",
        "numbers as names": b"1: {2: 3}\n",
    }


def _json() -> dict[str, bytes]:
    return {
        "a hundred thousand brackets": b"[" * 100_000,
        "a number of 5,000 digits": b"1" * 5000,
        "NaN": b'{"names": NaN}',
        "half a character": b'{"names": ["\\ud800"], "violent": [true], "strength": "\\ud800"}',
        "a list": b"[1, 2]",
        "a number": b"1",
        "null": b"null",
        "maps for lists": b'{"names": {"a": 1}, "violent": {}, "model": [], "components": 3, "absent": {}}',
    }


def marked(content: bytes, place: int, value: int) -> bytes:
    """A zip archive with another byte at a place of each entry of its directory: 8 flags, 10 packing, 24 size."""
    parts = content.split(b"PK\x01\x02")
    entries = [part[: place - 4] + bytes([value]) + part[place - 3 :] for part in parts[1:]]
    return b"PK\x01\x02".join([parts[0], *entries])


def _npz() -> dict[str, bytes]:
    zeros = {"trans.npy": npy(np.zeros((1 << 22, 3))), "mocap_framerate.npy": npy(np.array(120.0))}
    plain = zipped({"a.npy": npy(np.ones(2)), "trans.npy": npy(np.ones(2)), "fps.npy": npy(np.array(120.0))})
    return {
        "a header of a terabyte": zipped({"trans.npy": npy_header("'<f8'", "(99999999999, 3)")}),
        "zeros": zipped(zeros, DEFLATED),
        "objects": zipped({"a.npy": npy_header("'|O'", "(1,)"), "fps.npy": npy_header("'|O'", "(1,)")}),
        "no array": zipped({"a.npy": b"text", "fps.npy": b""}),
        "an unknown packing": marked(plain, 10, 0x63),
        "encrypted": marked(plain, 8, 1),
        "a size that lies": marked(plain, 26, 0x40),
    }


def _table() -> dict[str, bytes]:
    buffer = io.BytesIO()
    nulls = pa.table({"clip_id": pa.nulls(1_000_000, pa.string())})
    with pq.ParquetWriter(buffer, nulls.schema) as writer:
        for _ in range(100):
            writer.write_table(nulls)
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 3000, pa.int32()), pa.array(["x" * (1 << 20)]))
    found = {"a hundred million nulls": buffer.getvalue()}
    for kind in (pa.string(), pa.large_string(), pa.binary()):
        buffer = io.BytesIO()
        rows = pa.DictionaryArray.from_arrays(text.indices, text.dictionary.cast(kind))
        pq.write_table(pa.table({"clip_id": rows}), buffer, store_schema=kind != pa.string())
        found[f"one long {kind} for all"] = buffer.getvalue()
    return found


def _archive() -> dict[str, bytes]:
    name = "KIT/3/kick_poses.npz"
    info = tarfile.TarInfo(name)
    info.size = 1 << 29
    return {
        "a path outwards": zipped({f"../../{name}": b"x"}),
        "a member of zeros": zipped({name: bytes(1 << 26)}, DEFLATED),
        "encrypted": marked(zipped({name: b"x"}), 8, 1),
        "an unknown packing": marked(zipped({name: b"x"}), 10, 0x63),
        "a tar that lies": info.tobuf() + bytes(1024),
    }


def _database() -> dict[str, bytes]:
    return {"no database": b"SQLite format 3\0" + bytes(84), "text": b"not a database" * 100}


BOMBS: dict[str, Callable[[], dict[str, bytes]]] = {
    "tensors": _tensors,
    "torch": _torch,
    "script": _script,
    "pickle": _pickle,
    "npy": _npy,
    "npz": _npz,
    "text": _text,
    "yaml": _yaml,
    "json": _json,
    "table": _table,
    "archive": _archive,
    "database": _database,
    **{f"sizes of {part}": partial(lying_configs, part) for part in PARTS},
}
