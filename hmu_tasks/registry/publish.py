"""Step `register`, second half: register an edit as a version in the MLflow registry, with all its evidence.

A bundle is registered once: the same digest gives the same version, also when several processes register it at once.
"""

import dataclasses
import hashlib
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hmu_tasks.config.params import Params, flat
from hmu_tasks.models.networks import weights
from hmu_tasks.registry import manifest
from hmu_tasks.registry.attestation import sign
from hmu_tasks.registry.card import Origin, card_text, description
from hmu_tasks.registry.evidence import Evidence
from hmu_tasks.registry.gate import Decision
from hmu_tasks.registry.gathering import gather_evidence, limits_of
from hmu_tasks.registry.identity import account
from hmu_tasks.registry.keys import signing_key
from hmu_tasks.registry.logged import complete_log, log_model
from hmu_tasks.registry.moves import CANDIDATE
from hmu_tasks.registry.packing import Clock, pack
from hmu_tasks.registry.policy import read_policy
from hmu_tasks.registry.reproduced import check_reproduced
from hmu_tasks.registry.verification import read_evidence
from hmu_tasks.registry.versions import (
    GATE_TAG,
    MANIFEST_TAG,
    REASONS_TAG,
    Registry,
    Version,
    model_name,
    one_at_a_time,
    open_registry,
)
from hmu_tasks.registry.wording import decision_json
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.errors import DataError
from hmu_tasks.runtime.files import write_json
from hmu_tasks.tracking import lineage
from hmu_tasks.tracking.runs import step_run
from hmu_tasks.viewer import page
from hmu_tasks.viewer.inputs import MotionSample
from hmu_tasks.viewer.reading import read_inputs
from hmu_tasks.viewer.table import Selection

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner

NOTE_LIMIT = 8000  # characters that MLflow keeps of a tag
SHOWN = 1  # prompts of each kind that are animated before and after


def run(
    params: Params, model: str, method: str, edit: str | None = None, *, reproduced: bool = True
) -> Version:
    """Register the selected (or the named) edit and print the outcome; returns its version, new or existing.

    reproduced: establish that all that is read is DVC's record of present code, parameters and data; False marks the
    version "evidence not reproduced". Raises DataError naming the files that are not.
    """
    policy = read_policy(Path())
    resting_on = (f"register@{model}-{method}", "report") if reproduced else ()
    if resting_on:
        params.check(model, method)
        check_reproduced(Path(), resting_on)
    evidence = gather_evidence(params, model, method, edit)
    registry = open_registry(Path(), model_name(evidence.model, evidence.dataset, evidence.concept))
    if registry.exists():
        registry.journal()  # read before a key is made, so that nobody is trusted who did not sign it
    signer = signing_key(Path())
    registry.create(
        f"Text-to-motion model {evidence.model}, trained on {evidence.dataset}, without {evidence.concept}. Aliases: "
        "champion is in use, previous was champion before it, candidate passed the gate and awaits promotion."
    )
    # By the limits of params.yaml, as the report; whoever promotes judges by the policy of their own checkout.
    own = dataclasses.replace(policy, limits=limits_of(params))
    decision = own.judge(evidence, read_evidence(registry, registry.state().champion), reproduced=reproduced)
    with one_at_a_time(registry):
        version = registry.with_bundle(evidence.bundle)
        new = version is None
        if version is None:
            version, new = _upload(params, evidence, decision, registry, signer, resting_on)
        elif complete_log(registry, version):
            sys.stdout.write(
                f"version {version.number} was interrupted before it was on MLflow's page Models; it was added\n"
            )
        _offer(registry, version)
    result = "passed the gate" if version.passed else "was refused by the gate"
    sys.stdout.write(
        f"{registry.name} version {version.number} {result}{'' if new else ' (registered before)'}\n"
    )
    for reason in () if version.passed or not new else decision.reasons:
        sys.stdout.write(f"  {reason}\n")
    if not new and not version.passed:
        sys.stdout.write(f"  {version.tags.get(REASONS_TAG, '')}\n")
        if decision.passed:
            sys.stdout.write(
                "  With the evidence available today it would pass, but a version keeps its original decision: delete "
                f"version {version.number} in MLflow and register again\n"
            )
    return version


def _offer(registry: Registry, version: Version) -> None:
    """Make a version that passed the candidate, unless a later version is, or it was champion before."""
    before = registry.aliases().get(CANDIDATE)
    later = version.number > (before or 0)
    if version.passed and later and version.number not in {move.end for move in registry.moves()}:
        registry.set_alias(CANDIDATE, version.number)
        if before is not None:
            sys.stdout.write(
                f"version {version.number} is the candidate now; version {before} no longer is, and can still be "
                f"promoted by its number: python -m hmu_tasks promote {registry.name} --version {before}\n"
            )


def _upload(
    params: Params,
    evidence: Evidence,
    decision: Decision,
    registry: Registry,
    signer: "CryptoSigner",
    resting_on: Sequence[str],
) -> tuple[Version, bool]:
    commit = lineage.commit(Path())
    origin = Origin(commit.id, commit.dirty, lineage.read_lock(Path()).outputs())
    gate = "passed" if decision.passed else "failed"
    tags = {
        GATE_TAG: gate,
        REASONS_TAG: ("; ".join(decision.reasons) or "every clause is met")[:NOTE_LIMIT],
        "hmu.method": evidence.method,
        "hmu.edit": evidence.edit,
        "hmu.data": evidence.data,
        "hmu.evaluator": evidence.evaluators["edited"],
        "hmu.commit": (commit.id or "none") + (" (with uncommitted changes)" if commit.dirty else ""),
    }
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "version"
        _collect(params, evidence, decision, origin, folder, signer)
        if resting_on:
            check_reproduced(Path(), resting_on)  # nothing was swapped while it was read
        listed = manifest.digests(folder)
        write_json(folder / manifest.NAME, listed)
        tags[MANIFEST_TAG] = weights.digest(folder / manifest.NAME)
        with step_run(
            "register",
            f"{evidence.method} {evidence.edit} {evidence.model}",
            params=flat(params.model_dump(mode="json", by_alias=True)),
            tags={**tags, "hmu.bundle": evidence.bundle, "model": evidence.model, "method": evidence.method},
            root=Path(),
            inputs=[
                paths.edits(evidence.model, evidence.method),
                *(paths.component(name) for name in ("evaluator", "classifier")),
            ],
        ) as step:
            said = {
                "registry": registry.name,
                "run": step.run_id,
                "bundle": evidence.bundle,
                "gate": gate,
                "reproduced": bool(resting_on),
                "commit": commit.id,
                "dirty": commit.dirty,
                "by": account().to_json(),
            }
            subject = {manifest.NAME: hashlib.sha256((folder / manifest.NAME).read_bytes()).hexdigest()}
            statement = sign("registration", subject, said, signer)
            (folder / manifest.STATEMENT).write_text(f"{statement}\n", encoding="utf-8")
            step.tag("mlflow.note.content", card_text(evidence, decision, origin)[:NOTE_LIMIT])
            for part in sorted(folder.iterdir()):
                step.artifact(part)
            version, new = registry.add(
                step.run_id, evidence.bundle, tags=tags, description=description(evidence, decision)
            )
            if new:
                log_model(registry, version, evidence)
    if not new:
        registry.discard(step.run_id)
    return version, new


def _collect(
    params: Params,
    evidence: Evidence,
    decision: Decision,
    origin: Origin,
    folder: Path,
    signer: "CryptoSigner",
) -> None:
    """Write the files of a version: model, evidence, report and animations."""
    source = paths.edits(evidence.model, evidence.method) / evidence.edit
    evaluation = paths.evaluation(evidence.model, evidence.method)
    sampling = params.evaluate.sampling.model_dump()
    clock = Clock(evidence.fps, evidence.shortest, evidence.longest)
    pack(source, sampling, clock, folder / "model", signer)
    stored = folder / "evidence"
    stored.mkdir()
    write_json(stored / "evidence.json", evidence.to_json())
    write_json(stored / "decision.json", decision_json(evidence, decision))
    write_json(stored / "limits.json", params.register_.model_dump(mode="json"))
    write_json(stored / "lineage.json", dataclasses.asdict(origin))
    (stored / "card.md").write_text(card_text(evidence, decision, origin), encoding="utf-8")
    present = [
        source / "edit.json",
        evaluation / "metrics.json",
        evaluation / "selection.json",
        paths.VALIDATION,
    ]
    present += [
        paths.probing(evidence.model, evidence.method) / "probe.json",
        Path("params.yaml"),
        Path("dvc.lock"),
    ]
    for file in present:
        if file.exists():
            shutil.copyfile(file, stored / file.name)
    if not (paths.REPORTS / "index.html").exists():
        raise DataError(
            f"{paths.REPORTS / 'index.html'} is missing; run `dvc repro` so that there is a report to register"
        )
    report = folder / "report"
    report.mkdir()
    for name in ("index.html", "summary.txt", "benchmark.csv"):
        shutil.copyfile(paths.REPORTS / name, report / name)
    _draw(params, evidence, folder / "media")


def _draw(params: Params, evidence: Evidence, target: Path) -> None:
    """Animate the edit before and after, for the first prompt of each kind."""
    target.mkdir()
    inputs = read_inputs(params)
    strength = next((r["strength"] for r in inputs.records if r.get("edit") == evidence.edit), None)
    chosen = Selection(evidence.method, strength, "registered", model=evidence.model)
    samples: list[MotionSample] = []
    for split in ("forget", "retain"):
        of_split = [sample for sample in inputs.samples if sample.split == split]
        clips = list(dict.fromkeys(sample.clip_id for sample in of_split))[:SHOWN]
        samples += [sample for sample in of_split if sample.clip_id in clips]
    shown = dataclasses.replace(inputs, selection=chosen, others=(), samples=samples)
    for name, data in page.draw_animations(shown).items():
        (target / name).write_bytes(data)
