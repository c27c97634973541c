"""Names of AMASS's sub-datasets, old and new, and of the files within: how a row of index.csv finds its file.

AMASS has renamed its sub-datasets (Mahmood et al. 2019; releases for SMPL-H and SMPL-X), archives are named in a third
way, and people rename what they unpack. Files keep their names up to blanks, case and the ending.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

HUMANACT12: Final = "humanact12"
AMASS: Final = "AMASS, https://amass.is.tue.mpg.de (SMPL+H G, or SMPL-X N or G)"
HUMANACT12_FROM: Final = "pose_data/humanact12.zip of https://github.com/EricGuo5513/HumanML3D"

# Name in HumanML3D's index.csv -> other names of the same. Letters and digits count, case and the rest do not.
_OTHERS: Final[dict[str, tuple[str, ...]]] = {
    "ACCAD": (),
    "BMLhandball": (),
    "BMLmovi": (),
    "BioMotionLab_NTroje": ("BMLrub",),
    "CMU": (),
    "CNRS": (),
    "DFaust_67": ("DFaust",),
    "DanceDB": (),
    "EKUT": (),
    "Eyes_Japan_Dataset": ("Eyes_Janpan_Dataset", "Eyes_Japan"),
    "GRAB": (),
    "HUMAN4D": (),
    "HumanEva": (),
    "KIT": (),
    "MPI_HDM05": ("HDM05",),
    "MPI_Limits": ("PosePrior",),
    "MPI_mosh": ("MoSh",),
    "SFU": (),
    "SOMA": (),
    "SSM_synced": ("SSM",),
    "TCD_handMocap": ("TCDHands",),
    "TotalCapture": (),
    "Transitions_mocap": ("Transitions",),
    "WEIZMANN": (),
    HUMANACT12: (),
}

# Frames at 20 per second cut from the start of every motion of a sub-dataset before index.csv applies: calibration
# poses. Guo et al. 2022, released preparation script.
CUTS: Final = {
    "Eyes_Japan_Dataset": 60,
    "MPI_HDM05": 60,
    "TotalCapture": 20,
    "MPI_Limits": 20,
    "Transitions_mocap": 10,
}

_FILE_ENDING: Final = re.compile(r"(?:[_ ](?:poses|stageii))?\.np[yz]$", re.IGNORECASE)
_ARCHIVE_ENDING: Final = re.compile(
    r"\.(?:tar(?:\.(?:bz2|xz|gz))?|tbz2?|txz|tgz|zip)(?:\.\d+)?$", re.IGNORECASE
)
_COPY: Final = re.compile(r"\s*\(\d+\)$")  # as browsers name a second download


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


_KNOWN: Final = {_plain(name): own for own, others in _OTHERS.items() for name in (own, *others)}


@dataclass(frozen=True)
class Key:
    """What identifies a motion in any release: its sub-dataset, None where unknown, and its path within that."""

    sub: str | None
    path: tuple[str, ...]


def sub_dataset(name: str) -> str | None:
    """Name in index.csv of a sub-dataset by the name of a folder or an archive; None for an unknown one."""
    return _KNOWN.get(_plain(_COPY.sub("", _ARCHIVE_ENDING.sub("", name))))


def is_archive(name: str) -> bool:
    """Whether a file is an archive by its name."""
    return _ARCHIVE_ENDING.search(name) is not None


def is_motion(name: str) -> bool:
    """Whether a file may hold a motion by its name."""
    return name.lower().endswith((".npz", ".npy"))


def key_of(parts: Sequence[str], sub: str | None = None) -> Key:
    """Key of a file by the parts of its path; `sub` is the sub-dataset where no folder names one."""
    for place, part in enumerate(parts[:-1]):
        found = sub_dataset(part)
        if found is not None:
            rest = place
            while rest < len(parts) - 1 and sub_dataset(parts[rest]) == found:
                rest += 1
            return Key(found, _normal(parts[rest:]))
    return Key(sub, _normal([part for part in parts if part not in (".", "")]))


def _normal(parts: Sequence[str]) -> tuple[str, ...]:
    *folders, file = parts
    return tuple(re.sub(r"[\s_]+", "_", part.casefold()) for part in (*folders, _FILE_ENDING.sub("", file)))


def where_from(sub: str) -> str:
    """Say where to get a sub-dataset."""
    return HUMANACT12_FROM if sub == HUMANACT12 else AMASS
