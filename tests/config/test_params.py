"""params.yaml: faults are reported with their key path; presets keep comments and validity."""

import math
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from hmu_tasks.config import presets
from hmu_tasks.config.params import Params, load, parse
from hmu_tasks.data.datasets import DATASETS
from hmu_tasks.runtime.errors import ConfigError
from hmu_tasks.runtime.yaml_files import read_yaml

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def values() -> dict[str, Any]:
    return read_yaml(ROOT / "params.yaml")


def put(values: dict[str, Any], key: str, value: object) -> dict[str, Any]:
    *path, last = key.split(".")
    inner = values
    for part in path:
        inner = inner[part]
    inner[last] = value
    return values


def refusal(values: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(values, "params.yaml")
    message = str(caught.value)
    assert message.startswith("params.yaml is not valid:\n  ")
    assert "pydantic" not in message
    return message


def test_the_shipped_file_is_valid_and_frozen(values: dict[str, Any]) -> None:
    params = load(ROOT / "params.yaml")
    assert params == parse(values, "params.yaml")
    with pytest.raises(ValueError, match="frozen"):
        params.run.seed = 1  # type: ignore[misc]
    assert params.run.dataset in DATASETS


@pytest.mark.parametrize(
    ("key", "choices"),
    [
        ("rnu", "run, ingest, filter, validate, train, codebook, unlearn, evaluate, probe, report"),
        ("run.sede", "dataset, concept, seed, device, track"),
        ("unlearn.lcr.cods", "strengths, seeds, layers, noise, support, score, target, published"),
        ("train.base.momask.head", "latent, layers, heads"),
        ("train.base.gpt", "momask, bamm"),
        ("train.pretrained.vq", "source, retrain, tokenizer, base, residual, length, evaluator"),
        ("evaluate.sampling.top_p", "steps, cfg, residual_cfg, temperature, top_k"),
        ("evaluate.samples.both", "forget, retain, disputed"),
        ("validate.bone_length", "forget_share, bone_drift, root_height"),
    ],
)
def test_an_unknown_key_is_named_with_what_is_allowed(values: dict[str, Any], key: str, choices: str) -> None:
    message = refusal(put(values, key, 1))
    assert f"\n  {key}: unknown key; allowed here: " in message
    assert choices in message


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("run.dataset", "humanml", "'kitml' or 'bvh'"),
        ("run.device", "gpu", "'auto', 'cpu' or 'cuda'"),
        ("run.seed", -1, "greater than or equal to 0"),
        ("run.seed", "ten", "valid integer"),
        ("filter.rule", "regex", "'lemma' or 'substring'"),
        ("filter.matches", 0, "greater than or equal to 1"),
        ("ingest.on_bad", "ignore", "'error' or 'skip'"),
        ("ingest.synthetic.forget_share", 1.5, "less than 1"),
        ("unlearn.lcr.score", "odds", "'ratio' or 'log_odds'"),
        ("unlearn.lcr.target", "zero", "'code' or 'retain_mean'"),
        ("unlearn.lcr.noise", -0.5, "greater than or equal to 0"),
        ("train.mode", "official", "'scratch' or 'pretrained'"),
        ("train.text.encoder", "bert", "'small', 'clip' or 'small+minilm'"),
        ("train.text.minilm_sha256", "53aa5117", "'^[0-9a-f]{64}$'"),
        ("train.text.minilm_directions", 400, "less than or equal to 384"),
        ("train.tokenizer.window", 30, "multiple of 4"),
        ("train.tokenizer.steps", 0, "greater than or equal to 1"),
        ("train.tokenizer.rate", 0, "greater than 0"),
        ("train.base.momask.dropout", 1.0, "less than 1"),
        ("evaluate.retrieval_batch", 1, "greater than or equal to 2"),
        ("evaluate.repeats", None, "valid integer"),
        ("train.classifier.convolution.rate", math.nan, "finite"),
        ("evaluate.sampling.cfg", math.inf, "finite"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(
    values: dict[str, Any], key: str, value: object, allowed: str
) -> None:
    message = refusal(put(values, key, value))
    assert f"\n  {key}: " in message
    assert allowed in message
    assert f"(given: {value!r})" in message


def test_a_missing_key_is_named(values: dict[str, Any]) -> None:
    del values["evaluate"]["repeats"]
    del values["codebook"]
    message = refusal(values)
    assert "\n  evaluate.repeats: missing key" in message
    assert "\n  codebook: missing key" in message


def test_all_faults_are_reported_at_once(values: dict[str, Any]) -> None:
    put(values, "run.seed", "ten")
    put(values, "train.text.encoder", "bert")
    assert len(refusal(values).splitlines()) == 3


@pytest.mark.parametrize("codes", [[512], [4, 600]])
def test_more_codes_than_the_codebook_has(values: dict[str, Any], codes: list[int]) -> None:
    message = refusal(put(put(values, "train.tokenizer.codes", 512), "unlearn.lcr.strengths", codes))
    assert f"unlearn.lcr.strengths is {max(codes)} codes, but train.tokenizer.codes is 512" in message


def test_clip_has_no_words(values: dict[str, Any]) -> None:
    message = refusal(put(values, "train.text.encoder", "clip"))
    assert "train.text: words is 28, but CLIP gives one vector for a caption; set words to 0" in message


def test_published_models_read_clip_alone(values: dict[str, Any]) -> None:
    message = refusal(put(put(values, "train.mode", "pretrained"), "train.text.encoder", "small+minilm"))
    assert "train: mode pretrained needs text.encoder clip" in message


def test_a_sentence_encoder_stands_beside_words_or_none(values: dict[str, Any]) -> None:
    parse(put(values, "train.text.encoder", "small+minilm"), "params.yaml")
    parse(put(values, "train.text.words", 0), "params.yaml")


def test_a_layer_that_the_tokenizer_lacks(values: dict[str, Any]) -> None:
    message = refusal(put(values, "unlearn.lcr.layers", [0, values["train"]["tokenizer"]["quantizers"]]))
    assert "unlearn.lcr.layers names layer" in message


@pytest.mark.parametrize("section", ["base.momask", "residual"])
def test_heads_that_do_not_divide(values: dict[str, Any], section: str) -> None:
    message = refusal(put(values, f"train.{section}.heads", 5))
    assert re.search(rf"train\.{section}: latent \d+ must be a multiple of heads 5", message)


@pytest.mark.parametrize("method", ["uce", "rece", "erasure"])
def test_a_linear_shift_ends_at_100_per_cent(values: dict[str, Any], method: str) -> None:
    beyond = put(values, f"unlearn.{method}.strengths", [50, 150])
    assert "strengths holds 150" in (said := refusal(beyond))
    assert "reflection: true" in said
    parse(put(beyond, f"unlearn.{method}.reflection", True), "params.yaml")


@pytest.mark.parametrize("name", ["strengths", "seeds", "layers"])
@pytest.mark.parametrize("given", [[], [1, 1]])
def test_lists_hold_distinct_numbers(values: dict[str, Any], name: str, given: list[int]) -> None:
    message = refusal(put(values, f"unlearn.lcr.{name}", given))
    assert f"unlearn.lcr: {name} must be a list of distinct numbers, with at least one" in message


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"ingest.min_frames": 250}, "min_frames 250 must be below max_frames"),
        ({"validate.forget_share": [0.5, 0.1]}, "validate.forget_share"),
        ({"validate.root_height": [2.0, 1.0]}, "validate.root_height"),
    ],
)
def test_limits_in_the_wrong_order(values: dict[str, Any], changes: dict[str, Any], expected: str) -> None:
    for key, value in changes.items():
        put(values, key, value)
    assert expected in refusal(values)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"run: [", r"is not valid YAML: .*line 1"),
        (b"run:\n\t- 1\n", r"is not valid YAML: .*line 2"),
        (b"run: 1\nrun: 2\n", "is not valid YAML: .*duplicate key"),
        (b"\xff\xfe\x00", "is not valid YAML"),
        (b"- run\n", "must hold a mapping, found list"),
        (b"", "must hold a mapping, found NoneType"),
        (b"run: !!python/object/apply:os.system [id]\n", "is not valid YAML"),
        (b"a: &a [1]\nb: *c\n", "is not valid YAML"),
    ],
)
def test_invalid_yaml_mappings(tmp_path: Path, content: bytes, expected: str) -> None:
    file = tmp_path / "params.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=f"(?s){re.escape(str(file))} {expected}"):
        load(file)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"params\.yaml is missing; run from the project's root folder"):
        load(tmp_path / "params.yaml")


def test_a_folder_instead_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path)


def comments(text: str) -> list[str]:
    return re.findall(r"#.*", text)


@pytest.mark.parametrize("name", presets.names())
def test_presets_apply_and_keep_comments_and_order(tmp_path: Path, name: str) -> None:
    file = tmp_path / "params.yaml"
    shutil.copy(ROOT / "params.yaml", file)
    before = file.read_text(encoding="utf-8")
    presets.apply(name, file)
    after = file.read_text(encoding="utf-8")
    assert isinstance(load(file), Params)
    assert comments(after) == comments(before)
    assert re.findall(r"^ *\w+(?=:)", after, re.MULTILINE) == re.findall(r"^ *\w+(?=:)", before, re.MULTILINE)
    changes = read_yaml(presets.FOLDER / f"{name}.yaml")
    assert_overlaid(read_yaml(file), changes, read_yaml(ROOT / "params.yaml"))
    presets.apply(name, file)
    assert file.read_text(encoding="utf-8") == after
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


def assert_overlaid(values: dict[str, Any], changes: dict[str, Any], base: dict[str, Any]) -> None:
    assert values.keys() == base.keys()
    for key, value in values.items():
        change = changes.get(key)
        if isinstance(value, dict):
            assert_overlaid(value, change or {}, base[key])
        else:
            assert value == (base[key] if change is None else change)


def test_an_unknown_preset_lists_the_choices(tmp_path: Path) -> None:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    with pytest.raises(ConfigError, match=r"unknown preset 'fast'; choose one of .*smoke"):
        presets.apply("fast", tmp_path / "params.yaml")
    with pytest.raises(ConfigError, match="unknown preset"):
        presets.apply("../presets/smoke", tmp_path / "params.yaml")


@pytest.mark.parametrize(
    ("overlay", "expected"),
    [
        ("unlearn:\n  lcr: {strengths: [100000]}\n", "unlearn.lcr.strengths is 100000"),
        ("unlearn:\n  lcr: {kodes: [4]}\n", "params.yaml has no key 'kodes'"),
        ("unlearn: 3\n", "'unlearn' is a section in one file and a value in the other"),
        ("run:\n  seed: {a: 1}\n", "'seed' is a section in one file and a value in the other"),
    ],
)
def test_an_invalid_overlay_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overlay: str, expected: str
) -> None:
    folder = tmp_path / "presets"
    folder.mkdir()
    (folder / "mine.yaml").write_text(overlay, encoding="utf-8")
    monkeypatch.setattr(presets, "FOLDER", folder)
    work = tmp_path / "work"
    work.mkdir()
    shutil.copy(ROOT / "params.yaml", work)
    before = (work / "params.yaml").read_bytes()
    with pytest.raises(ConfigError, match=re.escape(expected)):
        presets.apply("mine", work / "params.yaml")
    assert (work / "params.yaml").read_bytes() == before
    assert [path.name for path in work.iterdir()] == ["params.yaml"]


def test_a_preset_needs_a_valid_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"params\.yaml is missing"):
        presets.apply("smoke", tmp_path / "params.yaml")


@pytest.mark.parametrize("name", [None, *presets.names()])
def test_dvc_resolves_its_templates_with_it(tmp_path: Path, name: str | None) -> None:
    from dvc.repo import Repo

    for file in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / file, tmp_path)
    shutil.copytree(ROOT / ".dvc", tmp_path / ".dvc", ignore=shutil.ignore_patterns("tmp", "cache"))
    if name is not None:
        presets.apply(name, tmp_path / "params.yaml")
    source = load(tmp_path / "params.yaml").ingest.source.as_posix()
    (tmp_path / ".dvc" / "config.local").write_text("[core]\n    no_scm = true\n", encoding="utf-8")
    with Repo(str(tmp_path)) as repo:
        ingest = next(stage for stage in repo.index.stages if stage.name == "ingest")
        assert source in {dep.def_path for dep in ingest.deps}


def test_bvh_files_lie_in_one_folder_that_is_a_dependency(values: dict[str, Any]) -> None:
    put(put(values, "run.dataset", "bvh"), "ingest.bvh.folder", "data/raw/mocap")
    assert "ingest.source is" in refusal(values)
    for folder in ("data/raw/bvh", "data/raw", "data/raw/bvh/mine"):
        put(put(values, "ingest.source", folder), "ingest.bvh.folder", folder)
        assert "contain one another" in refusal(values)
    put(put(values, "ingest.source", "data/raw/mocap"), "ingest.bvh.folder", "data/raw/mocap")
    for units in ("mm", 0, -1):
        assert "ingest.bvh.units" in refusal(put(values, "ingest.bvh.units", units))
    assert parse(put(values, "ingest.bvh.units", 0.0564), "params.yaml").ingest.bvh.units == 0.0564
