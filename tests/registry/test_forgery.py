"""What was forged in the registry is told by every command, and only the verified copy is served."""

import json
import socket
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from promoted import CHAMPION_ADDRESS, faults_of, files_of, other_content, own_store, told_by_moves
from registered_world import NAME, add_edit, easy_params, register
from securesystemslib.signer import CryptoSigner

from hmu_tasks.registry import attestation, promote
from hmu_tasks.registry.moves import CHAMPION, Move
from hmu_tasks.registry.versions import Registry, open_registry
from hmu_tasks.runtime.errors import HmuError

__all__ = ["own_store"]
pytestmark = pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy is deprecated", "ignore:.*Any type hint is inferred as AnyType"
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.slow
def test_what_was_forged_is_told_by_every_command(measured: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_edit(measured, "strength003-s0")
    register(easy_params(), "momask", "lcr")
    register(easy_params(), "momask", "lcr", "strength003-s0")
    registry = open_registry(measured, NAME)
    promote.promote(registry, promote.propose(registry, 1), who="ann", why="the first")
    assert faults_of() == ""

    client = registry.client
    client.set_registered_model_alias(NAME, CHAMPION, "2")
    assert "champion is version 2 instead of version 1" in faults_of()
    assert "WARNING: champion is version 2 instead of version 1" in told_by_moves(registry, capsys)
    with pytest.raises(HmuError, match=r"champion is version 2 instead of version 1.*moved by hand"):
        promote.propose(registry, 2)
    registry.follow()
    assert faults_of() == ""

    for tag, value in (("hmu.gate", "failed"), ("hmu.bundle", "0" * 64), ("hmu.manifest", "0" * 64)):
        before = registry.version(2).tags[tag]
        client.set_model_version_tag(NAME, "2", tag, value)
        assert tag in faults_of(f"models:/{NAME}/2")
        client.set_model_version_tag(NAME, "2", tag, before)
    forged_statements(registry)

    evidence = files_of(registry, 1) / "evidence" / "evidence.json"
    with (
        other_content(evidence, evidence.read_text(encoding="utf-8").replace('"n": 8', '"n": 9')),
        pytest.raises(
            HmuError, match=r"evidence\.json is not the file that was registered; nothing can be compared"
        ),
    ):
        promote.propose(registry, 2)  # a champion whose values were made worse is no rival

    run = client.get_registered_model(NAME).tags["hmu.journal"]
    move = Move(2, "promote", 1, 2, "eve", "now", "mine", "n")
    client.log_param(run, "move-000002", json.dumps(asdict(move)))
    client.set_registered_model_alias(NAME, CHAMPION, "2")
    assert "move-000002 is not signed; it is void" in faults_of()
    told = told_by_moves(registry, capsys)
    assert "WARNING: move-000002 is not signed" in told
    assert "eve" not in told
    registry.follow()
    proposal = promote.propose(registry, 2)
    assert any("move-000002 is not signed; it is void" in note for note in proposal.notes)
    assert promote.promote(registry, proposal, who="bob", why="really").number == 3

    other = client.create_run("0").info.run_id
    client.set_registered_model_tag(NAME, "hmu.journal", other)
    said = f"run {run} holds the signed moves of {NAME}, but the tag hmu.journal names {other}"
    assert said in faults_of()
    assert said in told_by_moves(registry, capsys)
    assert any(said in note for note in promote.propose(registry, 1).notes)
    assert promote.rollback(registry, who="ann", why="back").end == 1


def forged_statements(registry: Registry) -> None:
    """Statements by a stranger, of another version, of another model, and none."""
    file = files_of(registry, 2) / "attestation.json"
    index = (files_of(registry, 2) / "manifest.json").read_bytes()
    import hashlib

    said = {"registry": NAME, "run": registry.version(2).run_id, "gate": "passed", "reproduced": True}
    subject = {"manifest.json": hashlib.sha256(index).hexdigest()}
    stranger = attestation.sign("registration", subject, said, CryptoSigner.generate_ed25519())
    another = (files_of(registry, 1) / "attestation.json").read_text(encoding="utf-8")
    for content, words in (
        (stranger, "attestation.json is not signed by a trusted key"),
        (
            attestation.sign("registration", subject, said, None),
            "is not signed by a trusted key (signed by nobody)",
        ),
        (json.dumps(said), "attestation.json is not signed"),
        ("\x00", "attestation.json is not signed"),
        (another, "its statement is that of another registration"),
    ):
        with other_content(file, content):
            assert words in faults_of(f"models:/{NAME}/2")
            with pytest.raises(HmuError, match="is not what was registered"):
                promote.propose(registry, 2)


@pytest.mark.slow
def test_only_the_verified_copy_is_served(
    measured: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from hmu_tasks.registry import serve

    copies = tmp_path / "copies"
    copies.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(copies))

    def command(address: str = CHAMPION_ADDRESS, **options: Any) -> list[str]:
        given = {"host": "127.0.0.1", "port": 1, "device": "cpu", "refuse_concept": False} | options
        given["port"] = free_port()
        return serve.command(measured, address, **given)

    (measured / "params.yaml").write_text(json.dumps(easy_params().model_dump(mode="json", by_alias=True)))
    add_edit(measured, "strength003-s0")
    register(easy_params(), "momask", "lcr")
    register(easy_params(), "momask", "lcr", "strength003-s0")
    registry = open_registry(measured, NAME)
    with pytest.raises(HmuError, match="has no alias 'champion'"):
        command()
    promote.promote(registry, promote.propose(registry, 1), who="ann", why="the first")
    line = command(refuse_concept=True)
    place = Path(line[line.index("--copy") + 1])
    assert place.stat().st_mode & 0o777 == 0o700
    assert line[-4:-1] == ["violence", easy_params().filter.rule, "synthetic"]
    stored = files_of(registry, 1) / "model" / "serving.py"
    with other_content(stored, "print('swapped')"):  # after the copy was made: the copy is what it was
        assert (place / "model" / "serving.py").read_bytes() != stored.read_bytes()
        with pytest.raises(
            HmuError, match=r"is not served: model/serving\.py is not the file that was registered"
        ):
            command()
    code = files_of(registry, 1) / "model" / "code" / "hmu_tasks" / "models" / "__init__.py"
    with (
        other_content(code, "print('foreign')"),
        pytest.raises(
            HmuError, match=r"code/hmu_tasks/models/__init__\.py is not the file that was registered"
        ),
    ):
        command()
    registry.client.set_registered_model_alias(NAME, CHAMPION, "2")
    with pytest.raises(HmuError, match="is not served: champion is version 2 instead of version 1"):
        command()
    with pytest.raises(HmuError, match="champion is version 2 instead of version 1"):
        command(f"models:/{NAME}/2")  # it has the alias: the same check
    registry.follow()
    capsys.readouterr()
    run = registry.client.get_registered_model(NAME).tags["hmu.journal"]
    registry.client.log_param(run, "move-000002", "{}")
    second = command()
    assert "move-000002 is not signed; it is void" in capsys.readouterr().err
    assert set(copies.glob("hmu-serve-*")) == {
        place,
        Path(second[second.index("--copy") + 1]),
    }  # none of a refused one
