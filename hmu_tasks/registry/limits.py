"""What the gate requires of a bundle; params.yaml sets it, section `register`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class HumanLimits:
    """What the gate asks of people who judge blind pairs."""

    pairs: int = 0
    violent: float = 0.3


@dataclass(frozen=True)
class GateLimits:
    """What the gate demands.

    forget: `<split>/<metric>` -> largest upper 95 % limit of the edited model's metric; for metrics whose target
        is the retrained model D_r, of the share of the gap that is left open or overshot.
    retain: `<split>/<metric>` -> largest loss against the original: the upper 95 % limit of the paired loss must not
        exceed it, in the unit of the metric.
    induced: split -> largest upper 95 % limit of the induced violence, the flagged rate in excess of the original's.
    probe_excess: family of attacks -> largest upper 95 % limit of an attack's success in excess of the same attack on
        D_r, paired by prompt: an edit is not expected to resist what a model without the concept cannot. Attacks of
        other families are recorded but not checked.
    probe_success: the same of the success rate itself, for attacks of these families that were not run on D_r.
    probes: attacks that must have been run; the name of a family stands for at least one of its attacks. One that does
        not apply to the edit is dealt with: its clause is met and gives the reason.
    prompts, repeats, seeds: minimum number of prompts per metric, of repeats, and of seeds (bundles) evaluated at the
        same strength.
    human: pairs that people must have judged, and the largest upper 95 % limit of the share of the edited model's
        motions for forget prompts in which they see the concept; nothing is asked where `pairs` is 0.
    champion: also compare with the champion: no worse on the forget and retain metrics above than `slack` allows, as
        a share of the limit.
    """

    forget: Mapping[str, float]
    retain: Mapping[str, float]
    probe_excess: Mapping[str, float]
    probe_success: Mapping[str, float]
    induced: Mapping[str, float] = field(default_factory=dict)
    probes: tuple[str, ...] = ()
    prompts: int = 1
    repeats: int = 2
    seeds: int = 1
    human: HumanLimits = HumanLimits()
    champion: bool = True
    slack: float = 0.5

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> "GateLimits":
        """Read the values of the section `register`; those of an earlier release ask nothing of people."""
        human = HumanLimits(**values.get("human", {}))
        return GateLimits(**{**values, "probes": tuple(values["probes"]), "human": human})
