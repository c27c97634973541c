"""The promoter's policy: what a version must meet to become champion here, whatever limits it brought along."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from hmu_tasks.config.sections.evaluation import RegisterSection
from hmu_tasks.registry.evidence import Evidence
from hmu_tasks.registry.gate import Clause, Decision, decide
from hmu_tasks.registry.gathering import gate_limits
from hmu_tasks.registry.limits import GateLimits
from hmu_tasks.runtime.errors import ConfigError
from hmu_tasks.runtime.section import Section
from hmu_tasks.runtime.yaml_files import read_yaml

FILE = "policy.yaml"


class PolicySection(Section):
    """Contents of policy.yaml.

    reproduced: required: versions registered without DVC's record are refused. two_people: whether the approver must
    differ from who registered: always, in a store that several machines share, or never; approval on a page always
    demands it. limits: as in the section register of params.yaml.
    """

    version: Literal[1]
    reproduced: Literal["required", "optional"]
    two_people: Literal["always", "shared", "never"]
    limits: RegisterSection


@dataclass(frozen=True)
class Policy:
    """A policy as read, and the SHA-256 of its file."""

    content: PolicySection
    limits: GateLimits
    digest: str

    def judge(self, evidence: Evidence, champion: Evidence | None, *, reproduced: bool) -> Decision:
        """Decide about evidence by this policy alone.

        reproduced: whether the evidence was DVC's record when it was registered.
        """
        said = "DVC's record was checked at registration" if reproduced else "evidence not reproduced"
        if not reproduced and self.content.reproduced == "optional":
            said += f"; {FILE} allows it"
        met = reproduced or self.content.reproduced == "optional"
        decision = decide(evidence, champion, self.limits)
        return Decision((Clause("reproduced", met, said), *decision.clauses))


def read_policy(root: Path) -> Policy:
    """Read policy.yaml of the checkout; raises ConfigError naming what is wrong with it."""
    file = root / FILE
    values = read_yaml(file, advice="restore it with git: versions are judged by it")
    try:
        content = PolicySection.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or FILE
        raise ConfigError(f"{file}: {place}: {first['msg']}; restore it with git") from error
    limits = gate_limits(content.limits, f"{FILE}: limits")
    return Policy(content, limits, hashlib.sha256(file.read_bytes()).hexdigest())


def deviations(own: Mapping[str, Any], policy: Policy) -> tuple[str, ...]:
    """Say where the limits that a version was registered with differ from the policy, one sentence per limit."""
    return tuple(_differences("", own, policy.content.limits.model_dump(mode="json")))


def _differences(place: str, own: Any, ours: Any) -> Iterator[str]:
    if isinstance(own, Mapping) and isinstance(ours, Mapping):
        for key in sorted({*own, *ours}):
            yield from _differences(f"{place}.{key}" if place else str(key), own.get(key), ours.get(key))
    elif own != ours:
        before, after = ("no limit" if one is None else one for one in (own, ours))
        yield f"{place}: registered under {before}, judged by {after}"
