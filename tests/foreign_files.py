"""Every reader of foreign files, a good file for each, and what somebody hostile would put in its place."""

import json
import os
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from hostile_bundles import PARTS, good_config, load_with
from hostile_bytes import module_pickle, npy, npz, script, table, tensor_pickle, tensors, torch_file, zipped
from tiny_asf import amc_text, asf_text, motion
from tiny_body_model import arrays
from tiny_bvh import bvh_text

from flows.engine.lockfile import read_entries
from hmu_tasks.config import params
from hmu_tasks.data.clips.arrays import as_features, read_array, read_npz
from hmu_tasks.data.clips.id_lists import read_ids
from hmu_tasks.data.clips.labels import read_actions
from hmu_tasks.data.clips.packed import read_table
from hmu_tasks.data.concepts.concepts import load_concepts
from hmu_tasks.data.datasets.amass import archives
from hmu_tasks.data.datasets.amass.index import IndexRow, read_index
from hmu_tasks.data.datasets.amass.motion import entry_joints
from hmu_tasks.data.datasets.amass.names import key_of
from hmu_tasks.data.datasets.bvh import captions, name_maps
from hmu_tasks.data.datasets.bvh.reader import read as read_bvh
from hmu_tasks.data.datasets.caption_files import parse_line, read_lines
from hmu_tasks.data.datasets.smpl.models import read_model
from hmu_tasks.models.evaluators.words import load_glove
from hmu_tasks.models.generators.bundle import load_bundle
from hmu_tasks.models.networks.components import load_config, load_statistics
from hmu_tasks.models.networks.weights import load_state
from hmu_tasks.models.official.archive import module_state, read_checkpoint
from hmu_tasks.models.official.archive import read_array as read_numbers
from hmu_tasks.models.official.glove import read_glove
from hmu_tasks.models.official.options import read_options
from hmu_tasks.models.official.torchscript import read_parameters
from hmu_tasks.models.tokenizer.code_files import read_codes
from hmu_tasks.runtime.files import read_json, read_object
from hmu_tasks.runtime.foreign import RECORDING, open_file
from hmu_tasks.tracking.lineage import read_lock
from hmu_tasks.tracking.store import probe

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Reader:
    """A reader, the name that its file must have, the format, and the content of a good file."""

    name: str
    file: str
    format: str
    read: Callable[[Path], Any]
    good: Callable[[], bytes]

    def place(self, folder: Path) -> Path:
        """Path of the file in a folder."""
        path = folder / self.file
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def _entry(joints: bool = False) -> IndexRow:
    return IndexRow(
        "000000", key_of(["humanact12" if joints else "KIT", "3", "kick_poses.npz"]), "KIT/3/kick", 0, 40
    )


def _joints(path: Path) -> Any:
    with open_file(path, limit=RECORDING) as file:
        return entry_joints(file, _entry())


def _members(path: Path) -> list[bytes]:
    return [member.read() for member in archives.members(path)]


def _motion() -> bytes:
    random = np.random.default_rng(0)
    return npz(
        trans=random.normal(size=(400, 3)),
        poses=random.normal(size=(400, 156)),
        mocap_framerate=np.array(120.0),
    )


def _glove_data(path: Path) -> Any:
    path.with_name("our_vab_data.npy").write_bytes(npy(np.ones((3, 4), np.float32)))
    path.with_name("our_vab_idx.pkl").write_bytes(pickle.dumps({"sos": 0, "eos": 1, "unk": 2}))
    return read_glove(path.parent)


def _words(path: Path) -> Any:
    path.with_name("words.safetensors").write_bytes(tensors(vectors=torch.ones(1, 4)))
    return load_glove(path.parent)


def _store(path: Path) -> None:
    probe(f"sqlite:///{path}")


def _database() -> bytes:
    import sqlite3

    opened = sqlite3.connect(":memory:")
    opened.execute("CREATE TABLE runs (id TEXT)")
    return opened.serialize()


CPU = torch.device("cpu")
LOCK = "schema: '2.0'\nstages:\n  ingest:\n    cmd: x\n    outs:\n    - path: data/clips\n      md5: 0a\n"
BVH = bvh_text(8).encode()
CONCEPT = {
    "violence": {"description": "d", "substring": {"default": ["kick"]}, "lemma": {"default": ["kick/VERB"]}}
}

BUNDLE = b'{"model": "x", "components": {}}'
INDEX = b"source_path,start_frame,end_frame,new_name\nKIT/3/a.npy,0,9,000000.npy\n"
CAPTIONS = b"file,caption,split\na.bvh,a man kicks,train\n"
ACTIONS = b'{"names": ["a"], "violent": [true]}'


def _with_skeleton(path: Path) -> object:
    path.with_suffix(".asf").write_text(asf_text())
    return read_bvh(path, fps=30)


def _with_motion(path: Path) -> object:
    path.with_suffix(".amc").write_text(amc_text(motion(8)))
    return read_bvh(path.with_suffix(".amc"), fps=30)


def _model_arrays() -> dict[str, np.ndarray]:
    wanted = ("v_template", "shapedirs", "J_regressor", "kintree_table")
    return {name: array for name, array in arrays().items() if name in wanted}


READERS = [
    Reader(
        "bundle",
        "bundle.json",
        "json",
        lambda p: load_bundle(p.parent, CPU),
        lambda: b'{"model": "x", "components": {}}',
    ),
    *(
        Reader(
            f"sizes of {part}",
            f"{part}/config.json",
            f"sizes of {part}",
            load_with,
            partial(good_config, part),
        )
        for part in PARTS
    ),
    Reader("config.json", "config.json", "json", lambda p: load_config(p.parent), lambda: b'{"width": 3}'),
    Reader(
        "weights",
        "model.safetensors",
        "tensors",
        lambda p: load_state(p.parent),
        lambda: tensors(a=torch.ones(2)),
    ),
    Reader(
        "statistics",
        "statistics.safetensors",
        "tensors",
        lambda p: load_statistics(p.parent, CPU),
        lambda: tensors(mean=torch.ones(2), std=torch.ones(2)),
    ),
    Reader(
        "codes",
        "codes.safetensors",
        "tensors",
        read_codes,
        lambda: tensors(codes=torch.ones(3, 2, dtype=torch.int32), ends=torch.tensor([1, 3])),
    ),
    Reader("words.json", "words.json", "json", _words, lambda: b'["unk"]'),
    Reader(
        "official checkpoint",
        "net.tar",
        "torch",
        lambda p: module_state(read_checkpoint(p), p, "net"),
        lambda: torch_file({"net": {"w": torch.ones(2)}}),
    ),
    Reader(
        "TorchScript",
        "ViT-B-32.pt",
        "script",
        read_parameters,
        lambda: script(module_pickle(tensor_pickle((2,), (1,), 2)), {"0": bytes(8)}),
    ),
    Reader(
        "GloVe words", "our_vab_words.pkl", "pickle", _glove_data, lambda: pickle.dumps(["sos", "eos", "unk"])
    ),
    Reader("official statistics", "mean.npy", "npy", read_numbers, lambda: npy(np.ones(3, np.float32))),
    Reader("opt.txt", "opt.txt", "text", read_options, lambda: b"name: a\nwidth: 3\n"),
    Reader(
        "motion features",
        "000000.npy",
        "npy",
        lambda p: as_features(read_array(p), 3),
        lambda: npy(np.ones((5, 3), "f4")),
    ),
    Reader("replicates", "replicates.npz", "npz", lambda p: read_npz(p, "a"), lambda: npz(a=np.ones((2, 3)))),
    Reader("AMASS motion", "kick_poses.npz", "npz", _joints, _motion),
    Reader(
        "AMASS archive", "KIT.zip", "archive", _members, lambda: zipped({"KIT/3/kick_poses.npz": b"motion"})
    ),
    Reader("index.csv", "index.csv", "text", read_index, lambda: INDEX),
    Reader(
        "captions",
        "000000.txt",
        "text",
        lambda p: [parse_line(line) for line in read_lines(p)],
        lambda: b"a man kicks#a/DET man/NOUN kick/VERB#0.0#0.0",
    ),
    Reader(
        "captions.csv",
        "captions.csv",
        "text",
        captions.read_table,
        lambda: CAPTIONS,
    ),
    Reader("BVH", "a.bvh", "text", read_bvh, lambda: BVH),
    Reader("AMC", "a.amc", "text", _with_skeleton, lambda: amc_text(motion(8)).encode()),
    Reader("ASF", "a.asf", "text", _with_motion, lambda: asf_text().encode()),
    Reader("body model", "SMPLH_MALE.npz", "npz", read_model, lambda: npz(**_model_arrays())),
    Reader(
        "id list",
        "train-forget.txt",
        "text",
        lambda p: read_ids(p.parent, "train", "forget"),
        lambda: b"000000\n",
    ),
    Reader("params.yaml", "params.yaml", "yaml", params.load, lambda: (ROOT / "params.yaml").read_bytes()),
    Reader(
        "concepts",
        "concepts.yaml",
        "yaml",
        lambda p: load_concepts(Path(os.path.relpath(p))),
        lambda: json.dumps(CONCEPT).encode(),
    ),
    Reader(
        "skeleton map",
        "map.yaml",
        "yaml",
        name_maps.load.__wrapped__,
        (name_maps.FOLDER / "smpl.yaml").read_bytes,
    ),
    Reader("dvc.lock", "dvc.lock", "yaml", lambda p: read_lock(p.parent).outputs(), LOCK.encode),
    Reader("dvc.lock of the flow", "dvc.lock", "yaml", lambda p: read_entries(p.parent), LOCK.encode),
    Reader(
        "actions.json",
        "actions.json",
        "json",
        lambda p: read_actions(p.parent),
        lambda: ACTIONS,
    ),
    Reader(
        "JSON of a step",
        "edit.json",
        "json",
        lambda p: read_object(p, "strength"),
        lambda: b'{"strength": 3}',
    ),
    Reader("any JSON", "any.json", "json", read_json, lambda: b"[1]"),
    Reader(
        "clips.parquet",
        "clips.parquet",
        "table",
        read_table,
        lambda: table(pd.DataFrame({"clip_id": ["a"] * 3})),
    ),
    Reader("mlflow.db", "mlflow.db", "database", _store, _database),
]


def in_its_place(path: Path, content: bytes) -> Iterator[str]:
    """Put something at `path` that no reader can use, whatever its format; yields what it is, once each."""
    makers: dict[str, Callable[[], object]] = {
        "nothing": lambda: None,
        "an empty file": lambda: path.write_bytes(b""),
        "a folder": path.mkdir,
        "a named pipe": lambda: os.mkfifo(path),
        "an endless device": lambda: path.symlink_to("/dev/zero"),
        "a terminal": lambda: path.symlink_to("/dev/ptmx"),
        "a circular link": lambda: path.symlink_to(path.name),
        "a sparse terabyte": lambda: (path.touch(), os.truncate(path, 1 << 40)),
        "zeros": lambda: path.write_bytes(bytes(4096)),
        "a web page": lambda: path.write_bytes(b"<!DOCTYPE html><html>Sign in</html>"),
        "a pickle with code": lambda: path.write_bytes(b"cos\nsystem\n(S'touch ran'\ntR."),
        "no text": lambda: path.write_bytes(bytes(range(128, 256)) * 8),
        "its first half": lambda: path.write_bytes(content[: len(content) // 2]),
    }
    for name, make in makers.items():
        if path.is_symlink() or path.exists():
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        make()
        yield name
    if path.exists():
        path.unlink()
