"""Who promotes, and by which policy."""

from pathlib import Path

import pytest
from promoted import own_store

from hmu_tasks.registry.identity import Person, account, approver, person
from hmu_tasks.registry.policy import read_policy
from hmu_tasks.runtime.errors import ConfigError, HmuError

__all__ = ["own_store"]
pytestmark = pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy is deprecated", "ignore:.*Any type hint is inferred as AnyType"
)
ROOT = Path(__file__).resolve().parents[2]


def test_people() -> None:
    here = account()
    assert person(None) == person(here.name) == here
    assert person("ann") == Person("ann", "typed", here.name)
    assert person("ann").same_as(here)
    assert person("ann").same_as(person("bob"))
    assert not approver("ann").same_as(here)
    assert approver("Ann").same_as(approver("ann"))
    for wrong in ("", " ", "a\nb", "x" * 201):
        with pytest.raises(HmuError, match="a name has 1 to 200 printable characters"):
            approver(wrong)


def test_the_account_is_the_servers_where_it_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ann")
    assert account().source == "operating system"  # nobody checks the name
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "secret")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://localhost:1")
    assert account() == Person("ann", "MLflow server")
    monkeypatch.setenv("USER", "root-of-all")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert account().name != "root-of-all"


def test_the_shipped_policy_is_that_of_the_report(tmp_path: Path) -> None:
    """Until somebody changes one of them; and a broken policy is told."""
    from hmu_tasks.config.params import load

    policy = read_policy(ROOT)
    assert policy.content.limits == load(ROOT / "params.yaml").register_
    assert policy.content.reproduced == "required"
    text = (ROOT / "policy.yaml").read_text(encoding="utf-8")
    with pytest.raises(ConfigError, match=r"policy\.yaml is missing; restore it with git"):
        read_policy(tmp_path)
    for before, after, words in (
        ("reproduced: required", "reproduced: no", "reproduced: Input should be 'required' or 'optional'"),
        ("version: 1", "version: 2", "version: Input should be 1"),
        ("retain/r1", "retain/r9", r"policy\.yaml: limits\.retain names 'retain/r9'"),
        ("slack: 0.5", "slack: .nan", "limits.slack"),
        ("seeds: 1", "seads: 1", "limits.se"),
    ):
        assert before in text
        (tmp_path / "policy.yaml").write_text(text.replace(before, after), encoding="utf-8")
        with pytest.raises(ConfigError, match=words):
            read_policy(tmp_path)
