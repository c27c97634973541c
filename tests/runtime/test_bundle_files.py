"""Bundles that cannot work are refused before a network is built from them."""

import json
import re
import shutil
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from registered_world import selected
from safetensors.torch import load_file, save_file

from hmu_tasks.models.evaluators.classifier import load_classifiers
from hmu_tasks.models.evaluators.evaluator import load_evaluator
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.bundle_files import check_parts
from hmu_tasks.runtime.errors import WeightsError


@pytest.fixture
def bundle(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished / paths.edits("momask", "lcr") / selected(finished), tmp_path / "bundle")
    return tmp_path / "bundle"


def filled(value: float, *names: str) -> Callable[[Path], None]:
    """Put a number into the last place of a tensor, of the first floating one without a name."""

    def change(file: Path) -> None:
        state = load_file(file)
        for name in names or [next(name for name in sorted(state) if state[name].is_floating_point())]:
            tensor = state[name].clone()
            tensor.view(-1)[-1] = value
            state[name] = tensor
        save_file(state, file)

    return change


def entries(**values: object) -> Callable[[Path], None]:
    def change(file: Path) -> None:
        file.write_text(json.dumps(json.loads(file.read_text()) | values))

    return change


def narrow(file: Path) -> None:
    save_file({name: torch.ones(259) for name in ("mean", "std")}, file)


def whole(file: Path) -> None:
    save_file({name: tensor.abs().ceil().long() for name, tensor in load_file(file).items()}, file)


def typed(kind: str, data: bytes, *shape: int) -> Callable[[Path], None]:
    """Write a further tensor of a type, by its name in safetensors, without torch: it knows fewer types."""

    def change(file: Path) -> None:
        blob = file.read_bytes()
        end = 8 + int.from_bytes(blob[:8], "little")
        header, held = json.loads(blob[8:end]), blob[end:]
        header["scale"] = {"dtype": kind, "shape": shape, "data_offsets": [len(held), len(held) + len(data)]}
        text = json.dumps(header).encode()
        file.write_bytes(len(text).to_bytes(8, "little") + text + held + data)

    return change


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-4])


CASES: list[tuple[str, Callable[[Path], None], str]] = [
    ("base/model.safetensors", filled(float("nan")), "numbers that are not finite"),
    ("residual/model.safetensors", filled(float("inf")), "numbers that are not finite"),
    ("base/model.safetensors", typed("F16", b"\x00\x7c", 1), "scale has numbers that are not finite"),
    ("base/model.safetensors", typed("BF16", b"\x80\xff", 1), "scale has numbers that are not finite"),
    ("base/model.safetensors", typed("F8_E4M3", b"\x01\x7f", 2), "scale has numbers that are not finite"),
    ("base/model.safetensors", typed("F8_E8M0", b"\xff", 1), "scale has numbers that are not finite"),
    ("base/model.safetensors", typed("F4", b"\x01", 2), "numbers of the type F4, which torch cannot read"),
    ("base/model.safetensors", typed("F6_E2M3", b"\x01" * 3, 4), "the type F6_E2M3, which torch cannot read"),
    ("text/model.safetensors", filled(float("-inf")), "numbers that are not finite"),
    ("tokenizer/statistics.safetensors", filled(0.0, "std"), "a standard deviation is not above 0"),
    ("tokenizer/statistics.safetensors", filled(-1.0, "std"), "a standard deviation is not above 0"),
    ("tokenizer/statistics.safetensors", filled(float("nan"), "std"), "a standard deviation is not above 0"),
    ("tokenizer/statistics.safetensors", filled(float("inf"), "std"), "numbers that are not finite"),
    ("tokenizer/statistics.safetensors", filled(float("nan"), "mean"), "numbers that are not finite"),
    ("tokenizer/statistics.safetensors", whole, "std must be floating-point numbers"),
    ("tokenizer/statistics.safetensors", narrow, "has 259 features, but the network reads 263"),
    ("base/config.json", entries(layers=10**6), "layers is 1000000, but no tensor beside it is larger than"),
    ("base/config.json", entries(layers=60), "60 layers of width 16 hold more"),
    ("base/config.json", entries(latent=10**9), "latent is 1000000000"),
    ("base/config.json", entries(feedforward=-1), "feedforward is -1"),
    ("base/config.json", entries(layers=float("nan")), "layers is nan"),
    ("base/config.json", entries(dropout=float("inf")), "dropout is inf"),
    ("tokenizer/config.json", entries(width=10**6), "width is 1000000"),
    ("tokenizer/config.json", entries(quantizers=10**5), "quantizers is 100000"),
    ("text/config.json", entries(buckets=10**9), "buckets is 1000000000"),
    ("residual/config.json", lambda file: file.write_text("[1]") and None, "must hold a JSON object"),
    ("residual/config.json", lambda file: file.write_text("[" * 10**5) and None, "cannot be read"),
    ("base/model.safetensors", cut, "is truncated or not a safetensors file"),
]


@pytest.mark.parametrize(("name", "change", "words"), CASES, ids=[f"{one[0]} {one[2][:24]}" for one in CASES])
def test_what_cannot_work_is_named(
    bundle: Path, name: str, change: Callable[[Path], None], words: str
) -> None:
    check_parts(bundle)
    change(bundle / name)
    tracemalloc.start()
    with pytest.raises(WeightsError) as caught:
        check_parts(bundle)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert words in str(caught.value)
    assert str(bundle / name) in str(caught.value)
    assert peak < 50e6


def test_every_shipped_kind_of_bundle_passes(finished: Path) -> None:
    found = sorted((finished / "runs" / "unlearn").rglob("bundle.json"))
    assert found
    for index in found:
        check_parts(index.parent)


@pytest.mark.parametrize("kind", ["BF16", "F8_E5M2"])
def test_numbers_of_types_that_numpy_lacks_are_read(bundle: Path, kind: str) -> None:
    typed(kind, b"\x01\x00", *([1] if kind == "BF16" else [2]))(bundle / "base" / "model.safetensors")
    check_parts(bundle)


def test_a_check_does_not_wait_for_torch(bundle: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from hmu_tasks.runtime.bundle_files import check_parts; "
        "check_parts(Path(sys.argv[1])); sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(bundle)], check=True)


@pytest.mark.parametrize(
    ("component", "part", "change"),
    [
        ("evaluator", ".", {"width": 10**6}),
        ("evaluator", ".", {"motion_hidden": -1}),
        ("classifier", "recurrent", {"network": {"features": 263, "width": 10**6, "pool": 5}}),
        ("classifier", "convolution", {"network": {"features": 263, "width": None, "pool": 5}}),
    ],
)
def test_networks_beside_bundles_are_refused_alike(
    finished: Path, tmp_path: Path, component: str, part: str, change: dict[str, object]
) -> None:
    folder = tmp_path / component
    shutil.copytree(finished / "runs" / "train" / component, folder)
    entries(**change)(folder / part / "config.json")
    load = {"evaluator": load_evaluator, "classifier": load_classifiers}[component]
    tracemalloc.start()
    with pytest.raises(WeightsError, match=re.escape(str(folder / part / "config.json"))):
        load(folder, torch.device("cpu"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50e6
