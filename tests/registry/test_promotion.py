"""Promotion judges by its own policy, and the way back is open whatever happened."""

import errno
from pathlib import Path
from typing import Any

import pytest
from promoted import faults_of, files_of, other_content, own_store, told_by_moves
from registered_world import NAME, add_edit, easy_params, register, write_policy

from hmu_tasks.registry import promote
from hmu_tasks.registry.identity import account, approver
from hmu_tasks.registry.moves import CHAMPION, PREVIOUS
from hmu_tasks.registry.policy import read_policy
from hmu_tasks.registry.versions import Registry, open_registry
from hmu_tasks.runtime.errors import DataError, HmuError
from hmu_tasks.tracking.store import DiskFullError

__all__ = ["own_store"]
pytestmark = pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy is deprecated", "ignore:.*Any type hint is inferred as AnyType"
)


@pytest.mark.slow
def test_the_promoters_policy_decides(measured: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A version that brought lax limits, registered without DVC's record."""
    register(easy_params(), "momask", "lcr")
    registry = open_registry(measured, NAME)
    write_policy(measured, reproduced="required")
    with pytest.raises(HmuError, match=r"the gate by policy\.yaml: reproduced: evidence not reproduced"):
        promote.propose(registry)
    write_policy(measured, limits={"prompts": 9_999, "forget": {"forget/violence": 0.0}})
    with pytest.raises(HmuError) as caught:
        promote.propose(registry)
    said = str(caught.value)
    assert "prompts, edited: 8 for the edited model's metrics, at least 9999 required" in said
    assert "forget.forget/violence: registered under 100.0, judged by 0.0" in said
    assert "prompts: registered under 1, judged by 9999" in said
    write_policy(measured, two_people="always")
    proposal = promote.propose(registry)
    assert proposal.registered_by == account()
    for same in (
        promote.user(),
        "ann",
        account().name,
    ):  # a typed name under the same account is no second person
        with pytest.raises(HmuError, match="somebody else must approve it"):
            promote.promote(registry, proposal, who=same, why="it is good")
    with pytest.raises(HmuError, match="may be the same person"):
        promote.promote(registry, proposal, who=approver(account().name.upper()), why="me", approval=True)
    write_policy(measured, limits={"slack": 0.25})
    proposal = promote.propose(registry)
    assert proposal.deviations == ("slack: registered under 0.5, judged by 0.25",)
    promote.promote(registry, proposal, who="ann", why="it is good")
    (move,) = registry.moves()
    assert move.policy == read_policy(measured).digest
    assert (move.who, move.source, move.registered_by) == (
        "ann",
        f"typed by {account().name}",
        account().name,
    )
    assert f"policy {move.policy[:12]}" in told_by_moves(registry, capsys)
    assert faults_of() == ""
    write_policy(measured, limits={"prompts": 9_999})
    assert "does not pass the gate by this checkout's policy" in faults_of()


@pytest.mark.slow
def test_the_way_back_is_always_open(
    measured: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    register(easy_params(), "momask", "lcr")
    for edit in ("strength003-s0", "strength0004-s0"):
        add_edit(measured, edit)
        register(easy_params(), "momask", "lcr", edit)
    registry = open_registry(measured, NAME)
    for number in (1, 2, 3):
        promote.promote(registry, promote.propose(registry, number), who="ann", why="next")
    registry.client.delete_model_version(NAME, "2")
    registry.client.set_registered_model_alias(NAME, CHAMPION, "1")  # by hand, in the panic
    (measured / "policy.yaml").unlink()  # a rollback judges nothing

    def full(*arguments: Any, **keywords: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(registry.client, "download_artifacts", full)
        with pytest.raises(DiskFullError, match=r"no space is left on a disk.*set TMPDIR"):
            promote.verify(registry, registry.version(1), measured)
        move = promote.rollback(registry, who="ann", why="it kicks")
    told = capsys.readouterr().err
    assert "version 2 was champion, and is deleted or refused; it is skipped" in told
    assert "alias moved by hand: champion is version 1 instead of version 3" in told
    assert "the files of version 1 were not verified: no space is left" in told
    assert (move.start, move.end, move.verified) == (3, 1, False)
    assert registry.aliases() == {CHAMPION: 1}

    trust = measured / "trusted-keys.json"
    kept = trust.read_bytes()
    trust.unlink()
    write_policy(measured)
    for act in (
        lambda: promote.propose(registry, 3),
        lambda: promote.rollback(registry, who="ann", why="b"),
        lambda: register(easy_params(), "momask", "lcr"),
    ):
        with pytest.raises(HmuError, match=r"trusted-keys\.json is missing"):
            act()
        assert not trust.exists()  # a stranger's journal makes nobody trusted
    trust.write_bytes(kept)

    proposal = promote.propose(registry, 3)
    with monkeypatch.context() as patch:
        patch.setattr(Registry, "follow", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            promote.promote(registry, proposal, who="ann", why="killed")
    assert registry.aliases()[CHAMPION] == 1
    assert "the last move was interrupted; the aliases follow it now" in told_by_moves(registry, capsys)
    assert registry.aliases() == {CHAMPION: 3, PREVIOUS: 1}

    register(easy_params(), "momask", "lcr", "strength003-s0")  # the deleted one again
    promote.promote(registry, promote.propose(registry), who="ann", why="again")
    changed = files_of(registry, 3) / "evidence" / "card.md"
    with other_content(changed, "# all is well"):
        assert promote.rollback(registry, who="ann", why="both are bad").end == 1
    assert "skipped: version 3 is not what was registered: evidence/card.md" in capsys.readouterr().err


def test_registration_demands_dvcs_record(measured: Path) -> None:
    from hmu_tasks.registry import publish

    with pytest.raises(DataError, match=r"not inside of a DVC repository.*--not-reproduced"):
        publish.run(easy_params(), "momask", "lcr")
