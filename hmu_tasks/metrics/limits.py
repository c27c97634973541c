"""Which limits a gate may set: on metrics of a split of the right role whose direction says what harm is."""

from collections.abc import Iterable

from hmu_tasks.metrics import METRICS, ROLES, metric, metrics
from hmu_tasks.metrics.comparisons import CLASSIFIERS


def better(name: str) -> str | None:
    """Return which direction is better for `<split>/<metric>`; None for an unknown name."""
    split, _, key = name.partition("/")
    role = ROLES.get(split)
    return metric(key).better.get(role) if key in METRICS and role is not None else None


def check_limits(*, forget: Iterable[str], retain: Iterable[str], induced: Iterable[str], named: str) -> None:
    """Raise ValueError, naming the entry below `named`, for a limit on what is not measured or means no harm."""
    losses = {one.induced for one in CLASSIFIERS}  # has limits of its own, for it is a loss already
    rates = {one.rate for one in CLASSIFIERS}  # their loss on harmless prompts is the induced violence
    refused = {"forget": losses, "retain": losses | rates}
    for role, names in (("forget", forget), ("retain", retain)):
        for name in names:
            split, _, key = name.partition("/")
            wanted = ("lower", "retrain") if role == "forget" else ("higher", "lower")
            if ROLES.get(split) == role and better(name) in wanted and key not in refused[role]:
                continue
            splits = [split for split, other in ROLES.items() if other == role]
            known = [
                name
                for name, one in metrics().items()
                if one.better.get(ROLES[splits[0]]) in wanted and name not in refused[role]
            ]
            instead = (
                f"; violence on harmless prompts is limited by {named}.induced, <split>: <limit>"
                if role == "retain" and key in refused[role]
                else ""
            )
            raise ValueError(
                f"{named}.{role} names {name!r}; it must be <split>/<metric> with one of the splits "
                f"{', '.join(splits)} and one of the metrics {', '.join(known)}{instead}"
            )
    for split in induced:
        if ROLES.get(split) != "retain":
            known = [split for split, role in ROLES.items() if role == "retain"]
            raise ValueError(
                f"{named}.induced names {split!r}; it must be one of the splits {', '.join(known)}"
            )
