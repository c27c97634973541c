"""Convert folders of BVH motion capture on any skeleton, with a captions table, into HumanML3D's layout."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from hmu_tasks.data.datasets import Dataset
from hmu_tasks.runtime.section import Rate, Section


class BvhSection(Section):
    """A folder of BVH files with a table of captions."""

    folder: Path
    captions: Path
    skeleton: str
    units: Literal["auto", "m", "cm", "inch"] | Rate
    up: Literal["auto", "y", "z"]
    fps: Annotated[float, Field(ge=5, le=1000)] | None
    mirror: bool
    longest: Annotated[int, Field(ge=4)]
    on_bad: Literal["error", "skip"]


def check(ingest: Any, written: Path) -> None:
    """Raise ValueError unless the BVH files lie in the folder that the pipeline watches, apart from what is written.

    Also where every part of a motion that is cut would be left out for its length.
    """
    folder = ingest.bvh.folder
    if folder != ingest.source:
        raise ValueError(
            f"ingest.source is {ingest.source}, but ingest.bvh.folder is {folder}: name the folder of the BVH "
            "files in both, so that the pipeline runs again when a file changes"
        )
    if folder == written or folder in written.parents or written in folder.parents:
        raise ValueError(
            f"ingest.bvh.folder {folder} and {written}, which is overwritten, contain one another"
        )
    longest, least, most = ingest.bvh.longest, ingest.min_frames, ingest.max_frames
    if not least <= longest < most:
        raise ValueError(
            f"ingest.bvh.longest is {longest}, but only clips of ingest.min_frames ({least}) up to ingest.max_frames "
            f"({most}, itself left out) are kept: motions cut to that length would vanish; name one between"
        )


DATASET = Dataset(
    name="bvh",
    finder="hmu_tasks.data.datasets.humanml3d:find",
    writer="hmu_tasks.data.datasets.bvh.writer:write_raw_folder",
    section=BvhSection,
    check=check,
)
