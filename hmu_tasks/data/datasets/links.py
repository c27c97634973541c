"""Links within raw folders: they may lead to files of the same folder, or into the cache of DVC, which links files."""

import configparser
import re
from functools import cache
from pathlib import Path
from typing import Final

from hmu_tasks.runtime.errors import DataError

# Place of a file within a cache of DVC 3, by the MD5 of its content.
_CACHED: Final = re.compile(r"files/md5/[0-9a-f]{2}/[0-9a-f]{30}")
_QUOTES: Final = "'\""


def check_inside(file: Path, root: Path) -> None:
    """Raise DataError if `file`, links followed, is outside the resolved folder `root`, or a circular link.

    With `cache.type symlink` DVC itself replaces raw files by links into its cache; those are allowed.
    """
    try:
        target = file.resolve()
        inside = target.is_relative_to(root) or _in_cache(target, root)
    except (OSError, RuntimeError):  # a circular link
        inside = False
    if not inside:
        raise DataError(f"{file} is a link that leads out of its folder; put the file itself there")


def _in_cache(target: Path, root: Path) -> bool:
    return any(
        target.is_relative_to(place) and _CACHED.fullmatch(target.relative_to(place).as_posix())
        for place in _caches(root)
    )


@cache
def _caches(root: Path) -> tuple[Path, ...]:
    """Caches of the DVC project that a folder lies in: its own, and the one that its configuration names."""
    project = next((at for at in root.parents if (at / ".dvc").is_dir()), None)
    if project is None:
        return ()
    places = [project / ".dvc" / "cache"]
    for name in ("config", "config.local"):
        config = configparser.ConfigParser(interpolation=None, strict=False)
        try:
            config.read(project / ".dvc" / name, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError):  # DVC itself reports it
            continue
        given = config.get("cache", "dir", fallback="").strip().strip(_QUOTES)
        if given:
            places.append(project / ".dvc" / given)
    return tuple(place.resolve() for place in places)
