"""What cannot be converted, by sub-dataset: how many clips each costs, why, and where to get it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from hmu_tasks.data.datasets.amass.index import IndexRow
from hmu_tasks.data.datasets.amass.names import where_from

_SHOWN: Final = 3  # examples per sub-dataset
ABSENT: Final = "neither a folder nor an archive of this sub-dataset is there"


class Missing:
    """Rows of the index without a motion, with the reasons; counts are of listed clips, mirrored twins included."""

    def __init__(self, listed: Mapping[str, Sequence[str]]) -> None:
        self._listed = {clip_id for ids in listed.values() for clip_id in ids}
        self._rows: dict[str, list[tuple[IndexRow, str]]] = {}

    def __len__(self) -> int:
        """Number of rows."""
        return sum(map(len, self._rows.values()))

    def add(self, entry: IndexRow, reason: str = ABSENT) -> None:
        """Add a row."""
        self._rows.setdefault(entry.sub, []).append((entry, reason))

    def clips(self, sub: str) -> int:
        """Return the number of clips that a sub-dataset costs."""
        twins = (f"{letter}{entry.clip_id}" for entry, _ in self._rows[sub] for letter in ("", "M"))
        return sum(twin in self._listed for twin in twins)

    def lines(self) -> tuple[str, ...]:
        """Return a line per sub-dataset, the costliest first, with examples of single faults."""
        found = []
        for sub in sorted(self._rows, key=lambda sub: (-self.clips(sub), sub)):
            rows = self._rows[sub]
            found.append(
                f"{sub}: {self.clips(sub)} clips of {len(rows)} motions; get it from {where_from(sub)}"
            )
            single = [f"    {entry.clip_id}: {reason}" for entry, reason in rows if reason != ABSENT]
            found += single[:_SHOWN] + ["    …"] * (len(single) > _SHOWN)
        return tuple(found)

    def as_json(self) -> dict[str, object]:
        """Return every row by sub-dataset, for amass.json."""
        return {
            sub: {
                "clips": self.clips(sub),
                "from": where_from(sub),
                "motions": {
                    entry.clip_id: {"source_path": entry.source_path, "reason": reason}
                    for entry, reason in rows
                },
            }
            for sub, rows in self._rows.items()
        }


def refusal(source: Path, missing: Missing, total: int) -> str:
    """Message of a conversion that stops because motions are missing or damaged."""
    lines = "\n".join(f"  {line}" for line in missing.lines())
    return (
        f"{source}: {len(missing)} of {total} motions cannot be converted; nothing was ingested\n{lines}\n"
        "Add them, or set ingest.on_bad: skip to continue without them; what is converted already is kept"
    )
