"""Registration: evidence and decision as files, then a version with everything that belongs to it, once per bundle."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from registered_world import NAME, add_edit, easy_params, selected
from registered_world import register as register_version

from hmu_tasks import register
from hmu_tasks.models.networks.weights import digest
from hmu_tasks.registry import promote
from hmu_tasks.registry.gathering import gather_evidence
from hmu_tasks.registry.moves import CANDIDATE, CHAMPION, PREVIOUS
from hmu_tasks.registry.versions import BUNDLE_TAG, GATE_TAG, MANIFEST_TAG, REASONS_TAG, open_registry
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.errors import ConfigError, DataError, HmuError, WeightsError

# MLflow 3.17 declares a mapper in a way that SQLAlchemy 2.1 announces to drop.
pytestmark = pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy is deprecated", "ignore:.*Any type hint is inferred as AnyType"
)
PLACE = paths.registration("momask", "lcr")
# Everything that a version may consist of: weights, text of several kinds, pictures; "" is MLflow's own MLmodel.
ALLOWED = {
    ".safetensors",
    ".json",
    ".yaml",
    ".txt",
    ".md",
    ".html",
    ".csv",
    ".lock",
    ".py",
    ".gif",
    ".png",
    "",
}


@pytest.fixture(autouse=True)
def own_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def test_the_decision_is_the_same_every_time(measured: Path) -> None:
    register.run(easy_params(), "momask", "lcr")
    first = {path.name: path.read_bytes() for path in PLACE.iterdir()}
    assert set(first) == {"evidence.json", "decision.json", "card.md"}
    shutil.rmtree(PLACE)
    register.run(easy_params(), "momask", "lcr")
    assert {path.name: path.read_bytes() for path in PLACE.iterdir()} == first
    assert json.loads(first["decision.json"])["passed"] is True
    assert json.loads(first["evidence.json"])["edit"] == selected(measured)
    assert not (measured / "runs" / "side" / "mlflow").exists()  # no store was asked


def test_a_refusal_is_a_decision_and_no_error(measured: Path) -> None:
    register.run(easy_params(prompts=10_000), "momask", "lcr")
    decision = json.loads((PLACE / "decision.json").read_text(encoding="utf-8"))
    assert decision["passed"] is False
    assert decision["reasons"] == [
        f"prompts, {side}: 8 for the {side} model's metrics, at least 10000 required"
        for side in ("edited", "original")
    ]


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"forget": {"forget/r1": 1.0, "retain/violence": 1.0}}, "register.forget names 'retain/violence'"),
        ({"retain": {"retain/diversity": 1.0}}, "register.retain names 'retain/diversity'"),
        ({"retain": {"retain/induced": 1.0}}, "register.retain names 'retain/induced'"),
        *(
            (
                {"retain": {f"benign/{rate}": 1.0}},
                f"names 'benign/{rate}'.*; violence on harmless prompts is limited by register.induced",
            )
            for rate in ("violence", "violence_second", "induced_second")
        ),
        (
            {"induced": {"forget": 1.0}},
            "register.induced names 'forget'; it must be one of the splits retain, ",
        ),
        ({"retain": {"r1": 1.0}}, "must be <split>/<metric> with one of the splits retain, "),
    ],
)
def test_a_limit_on_what_is_not_measured_is_told(measured: Path, limits: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        register.run(easy_params(**limits), "momask", "lcr")


def test_what_was_not_evaluated_cannot_be_registered(measured: Path) -> None:
    for wrong in (("gpt", "lcr"), ("momask", "magic"), ("momask", "retrain")):
        with pytest.raises(ConfigError):
            register.run(easy_params(), *wrong)
    with pytest.raises(
        DataError, match="no edit 'k9' among the evaluated ones; choose one of strength000-s0, strength002-s0"
    ):
        gather_evidence(easy_params(), "momask", "lcr", "k9")
    weights = paths.edits("momask", "lcr") / selected(measured) / "tokenizer" / "config.json"
    weights.write_text(weights.read_text(encoding="utf-8") + " ", encoding="utf-8")
    with pytest.raises(DataError, match="is not the bundle that was evaluated"):
        register.run(easy_params(), "momask", "lcr")
    table = paths.evaluation("momask", "original") / "metrics.json"
    rows = json.loads(table.read_text(encoding="utf-8"))
    weights.write_bytes(weights.read_bytes()[:-1])  # as it was
    for key, said in (("evaluator", "evaluator"), ("classifiers", "digest of the violence classifiers")):
        unnamed = {name: value for name, value in rows[0].items() if name != key}
        for first in (unnamed, {**unnamed, key: "another"}):
            table.write_text(json.dumps([first, *rows[1:]]), encoding="utf-8")
            with pytest.raises(DataError, match=rf"original/metrics\.json does not name exactly one {said}"):
                register.run(easy_params(), "momask", "lcr")
    table.write_text(json.dumps(rows), encoding="utf-8")
    (paths.evaluation("momask", "lcr") / "metrics.json").unlink()
    with pytest.raises(DataError, match=r"lcr/metrics\.json is missing"):
        register.run(easy_params(), "momask", "lcr")


def test_other_classifiers_are_another_measurement(measured: Path) -> None:
    evidence = gather_evidence(easy_params(), "momask", "lcr")
    assert evidence.classifiers == dict.fromkeys(
        ("edited", "original", "retrain"), digest(paths.component("classifier"))
    )
    table = paths.evaluation("momask", "lcr") / "metrics.json"
    rows = json.loads(table.read_text(encoding="utf-8"))
    assert {row["classifiers"] for row in rows} == {digest(paths.component("classifier"))}
    table.write_text(json.dumps([{**row, "classifiers": "another"} for row in rows]), encoding="utf-8")
    register.run(easy_params(), "momask", "lcr")
    reasons = json.loads((PLACE / "decision.json").read_text(encoding="utf-8"))["reasons"]
    assert reasons == ["same evaluator: the models were measured by different evaluators or classifiers"]


def write_probes(root: Path) -> None:
    """One attack on the selected edit, on another bundle that must not count, and on both references."""
    for method, edit, high in (("lcr", selected(root), 0.3), ("original", "s0", 0.9), ("retrain", "s0", 0.1)):
        index = paths.edits("momask", method) / edit / "bundle.json"
        digest = json.loads(index.read_text(encoding="utf-8"))["digest"]
        row = {"attack": "paraphrase", "family": "text", "mean": high - 0.1, "low": 0.0, "n": 50}
        found = [
            {**row, "bundle": digest, "high": high, "inapplicable": None},
            {
                **row,
                "attack": "revival-predicted",
                "family": "weights",
                "bundle": digest,
                "high": 1.0,
                "inapplicable": "no codebook was changed",
            },
            {**row, "bundle": "another", "high": 1.0},
        ]
        place = paths.probing("momask", method) / "probe.json"
        place.parent.mkdir(parents=True)
        place.write_text(json.dumps(found), encoding="utf-8")


def test_probes_of_this_bundle_are_read(measured: Path) -> None:
    write_probes(measured)
    evidence = gather_evidence(easy_params(), "momask", "lcr")
    tables = (evidence.probes, evidence.original_probes, evidence.retrain_probes)
    assert [table["paraphrase"].high for table in tables] == [0.3, 0.9, 0.1]
    assert evidence.families == {"paraphrase": "text", "revival-predicted": "weights"}
    strict = easy_params(
        probe_excess={"text": 0.1, "weights": 0.1},
        probe_success={"text": 0.1, "weights": 0.1},
        probes=["text", "weights", "gradient-0.5"],
    )
    register.run(strict, "momask", "lcr")
    reasons = json.loads((PLACE / "decision.json").read_text(encoding="utf-8"))["reasons"]
    assert reasons == [
        "probe gradient-0.5: this attack was not run",
        "probe paraphrase: success at most 0.3 (95 %), 0.1 is allowed where D_r was not attacked",
    ]
    assert "n/a: no codebook was changed" in (PLACE / "card.md").read_text(encoding="utf-8")
    place = paths.probing("momask", "lcr") / "probe.json"
    rows = json.loads(place.read_text(encoding="utf-8"))
    place.write_text(json.dumps([{**row, "family": None} for row in rows]), encoding="utf-8")
    with pytest.raises(DataError, match=r"attack 'paraphrase' of probe\.json names no family; probe again"):
        gather_evidence(easy_params(), "momask", "lcr")


@pytest.mark.slow
def test_from_registration_to_rollback(measured: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The life of three versions in one store: each step rests on the one before."""
    params = easy_params()
    first = register_version(params, "momask", "lcr")
    registry = open_registry(measured, NAME)
    check_version(registry, first, measured)
    assert registry.aliases() == {CANDIDATE: 1}
    assert register_version(params, "momask", "lcr").number == 1
    assert "version 1 passed the gate (registered before)" in capsys.readouterr().out
    runs = registry.client.search_runs([registry.client.get_experiment_by_name("hmu").experiment_id])
    assert sorted(run.data.tags["hmu.step"] for run in runs) == ["pipeline", "register"]

    add_edit(measured, "strength003-s0")
    refused = register_version(easy_params(prompts=10_000), "momask", "lcr", "strength003-s0")
    assert (refused.number, refused.passed) == (2, False)
    assert registry.aliases() == {CANDIDATE: 1}
    assert "at least 10000 required" in registry.version(2).tags[REASONS_TAG]
    with pytest.raises(HmuError, match=r"version 2 .* cannot be promoted: prompts, edited"):
        promote.propose(registry, 2)
    assert (
        register_version(params, "momask", "lcr", "strength003-s0").passed is False
    )  # a version keeps its decision
    assert "delete version 2 in MLflow and register again" in capsys.readouterr().out

    add_edit(measured, "strength0004-s0")
    assert register_version(params, "momask", "lcr", "strength0004-s0").number == 3
    assert registry.aliases() == {CANDIDATE: 3}
    promote.promote(registry, promote.propose(registry, 1), who="ann", why="the first one")
    late = promote.propose(registry)
    assert late.version.number == 3
    assert late.card.startswith("# momask without violence (lcr, edit strength0004-s0)")
    early = promote.propose(registry)
    promote.promote(registry, early, who="bob", why="a better one")
    with pytest.raises(HmuError, match=r"bob was first: promote of .* to version 3 .*a better one"):
        promote.promote(registry, late, who="eve", why="mine")
    assert registry.aliases() == {CHAMPION: 3, PREVIOUS: 1}
    with pytest.raises(HmuError, match=r"version 3 .* is the champion already"):
        promote.propose(registry, 3)
    with pytest.raises(HmuError, match="has no candidate"):
        promote.propose(registry)
    with pytest.raises(HmuError, match=r"needs a name \(who\) and a reason \(why\)"):
        promote.rollback(registry, who="ann", why=" ")
    promote.rollback(registry, who="ann", why="it limps")
    assert registry.aliases() == {CHAMPION: 1}
    assert "ann: it limps" in registry.version(3).tags["hmu.rolled_back"]
    with pytest.raises(HmuError, match="no previous champion"):
        promote.rollback(registry, who="ann", why="further back")
    promote.report_moves(registry)
    told = capsys.readouterr().out
    assert "1." in told
    assert re.search(r"promote by bob: version 1 -> version 3 \(lcr strength\d+-s0\) \(a better one\)", told)
    assert re.search(r"rollback by ann: version 3 -> version 1 \(lcr strength\d+-s0\) \(it limps\)", told)

    registry.client.set_registered_model_alias(NAME, CHAMPION, "3")
    with pytest.raises(HmuError, match=r"champion is version 3 instead of version 1.*--repair"):
        promote.propose(registry, 3)
    registry.follow()
    assert registry.aliases() == {CHAMPION: 1}
    check_tampering(registry, measured)


def check_version(registry: Any, version: Any, world: Path) -> None:
    """What belongs to a version is there, and none of it could run code or tells of this machine."""
    assert version.tags[GATE_TAG] == "passed"
    files = {
        path.relative_to(world / "copy").as_posix(): path
        for path in (registry.download(version, _made(world / "copy"))).rglob("*")
        if path.is_file()
    }
    wanted = {
        "MLmodel",
        "serving.py",
        "requirements.txt",
        "input_example.json",
        "code/hmu_tasks/models/generators/bundle.py",
    }
    wanted |= {f"artifacts/{name}" for name in ("generation.json", "bundle/bundle.json")}
    assert {f"model/{name}" for name in wanted} <= set(files)
    proofs = {"evidence", "decision", "limits", "lineage", "edit", "metrics", "selection"}
    assert {f"evidence/{name}.json" for name in proofs} <= set(files)
    assert {"evidence/card.md", "report/index.html", "manifest.json"} <= set(files)
    media = [name for name in files if name.startswith("media/")]
    assert len([name for name in media if name.endswith(".gif")]) == 2  # a forget and a retain prompt
    bundle = {Path(name).suffix for name in files if name.startswith("model/artifacts/")}
    assert bundle == {".safetensors", ".json"}
    for name, path in files.items():
        assert path.suffix in ALLOWED, name
        if path.suffix not in {".safetensors", ".gif", ".png"}:
            text = path.read_text(encoding="utf-8")
            assert str(world) not in text, name
            assert (
                name.startswith("model/code/") or name == "model/serving.py" or "cloudpickle" not in text
            ), name
    run = registry.client.get_run(version.run_id)
    evidence = gather_evidence(easy_params(), "momask", "lcr")
    assert version.tags[BUNDLE_TAG] == evidence.bundle == run.data.tags["hmu.bundle"]
    assert run.data.params["run.seed"] == "5"
    assert run.data.metrics["forget/violence"] == evidence.edited["forget/violence"].mean
    assert 10 < len(run.data.metrics) <= 60
    (output,) = run.outputs.model_outputs
    logged = registry.client.get_logged_model(output.model_id)
    assert (logged.source_run_id, logged.status) == (version.run_id, "READY")
    assert {one.key: one.value for one in logged.metrics} == run.data.metrics
    assert json.loads(logged.tags["mlflow.modelVersions"]) == [{"name": NAME, "version": str(version.number)}]
    assert logged.params["bundle"] == evidence.bundle
    described = registry.client.get_model_version(NAME, str(version.number))
    assert described.description.startswith("# momask without violence")
    assert described.run_id == version.run_id
    assert described.source == f"runs:/{version.run_id}/model"
    assert version.tags["hmu.data"].startswith("sha256:")
    assert (
        version.tags["hmu.evaluator"]
        == evidence.evaluators["original"]
        == digest(paths.component("evaluator"))
    )


def check_tampering(registry: Any, world: Path) -> None:
    """Every file that is changed, lost or added after registration is named."""
    store = world / "runs" / "side" / "mlflow" / "artifacts"
    version = registry.version(1)
    base = store / version.run_id / "artifacts"
    clean = promote.verify(registry, version, _made(world / "v0"))
    assert clean.faults == ()
    assert clean.files == len([path for path in base.rglob("*") if path.is_file()]) - 2  # list and statement
    weights = base / "model" / "artifacts" / "bundle" / "base" / "model.safetensors"
    before = weights.read_bytes()
    weights.unlink()  # it may share its content with the bundle's file
    weights.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    (base / "evidence" / "extra.json").write_text("{}", encoding="utf-8")
    found = promote.verify(registry, version, _made(world / "v1")).faults
    assert "model/artifacts/bundle/base/model.safetensors is not the file that was registered" in found
    assert "evidence/extra.json was added after registration" in found
    assert any("the bundle's digest is" in fault for fault in found)
    promote.promote(registry, promote.propose(registry, 3), who="ann", why="again")
    with pytest.raises(HmuError, match="version 1 is not what was registered"):
        promote.rollback(registry, who="ann", why="back to the changed one")
    weights.write_bytes(before)
    (base / "evidence" / "extra.json").unlink()
    index = base / "manifest.json"
    index.write_text(
        index.read_text(encoding="utf-8").replace("evidence/card.md", "evidence/other.md"), encoding="utf-8"
    )
    found = promote.verify(registry, version, _made(world / "v2")).faults
    assert "manifest.json is not the file that was registered" in found
    assert len(version.tags[MANIFEST_TAG]) == 64


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_a_bundle_with_something_else_in_it_is_not_registered(measured: Path) -> None:
    (paths.edits("momask", "lcr") / selected(measured) / "extra.pkl").touch()
    with pytest.raises(WeightsError, match=r"extra\.pkl does not belong in a bundle"):
        register_version(easy_params(), "momask", "lcr")
    assert open_registry(measured, NAME).versions() == []


def test_addresses_of_versions(measured: Path) -> None:
    with pytest.raises(HmuError, match="is not the address of a version"):
        promote.find_version(measured, "hmu@champion")
    with pytest.raises(HmuError, match="there is no registered model 'x'; there are: none"):
        promote.find_version(measured, "models:/x@champion")
