"""A copy of a finished folder that one test after another changes, and that is put right in between.

Making and deleting hundreds of files for every test is slow, on ext4 the more so the more files were deleted lately.
"""

import os
import shutil
import stat
from pathlib import Path

SHARED = (".npy", ".safetensors")
State = tuple[int, int, int, int]


class ReusedFolder:
    """The copy; files of arrays and of raw data, which are most of the bytes, are links to those of the original.

    Whoever changes one of them must unlink it first. Steps do so, for they write beside and rename.
    """

    def __init__(self, original: Path, home: Path) -> None:
        """Take the original, and where the copy waits between two tests, which must not exist yet."""
        self._original, self._home = original, home
        self._as_made = states(original)
        self._copy: dict[str, State] = {}

    def lend(self, place: Path) -> None:
        """Put the copy at `place`, which must not exist."""
        if not self._home.exists():
            shutil.copytree(self._original, self._home, copy_function=copied)
            self._copy = states(self._home)
        self._home.rename(place)

    def take_back(self, place: Path) -> None:
        """Undo what was changed in the copy; one that is not taken back stays, and the next test gets a new one.

        AssertionError if the original was changed through a link.
        """
        now = states(self._original)
        changed = [path for path, state in self._as_made.items() if now.get(path) != state]
        assert changed == [], "unlink a file that is a link before writing to it"
        for path, state in states(place).items():
            if self._copy.get(path) != state and os.path.lexists(place / path):
                remove(place / path)
        for path in self._copy:
            if not os.path.lexists(place / path):
                restore(self._original / path, place / path)
        self._copy = states(place)
        place.rename(self._home)


def states(folder: Path) -> dict[str, State]:
    """Inode and mode of everything below, a folder before what it holds; of a file size and time of change, too."""
    found = {}
    pending = [""]
    while pending:
        inside = pending.pop()
        with os.scandir(folder / inside) as entries:
            for entry in entries:
                path = os.path.join(inside, entry.name)  # noqa: PTH118 quick
                state = entry.stat(follow_symlinks=False)
                if entry.is_dir(follow_symlinks=False):
                    found[path] = (state.st_ino, state.st_mode, 0, 0)
                    pending.append(path)
                else:
                    found[path] = (state.st_ino, state.st_mode, state.st_size, state.st_mtime_ns)
    return found


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with all that it holds."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def restore(source: Path, target: Path) -> None:
    """Make a folder or copy a file again."""
    if source.is_dir():
        target.mkdir()
        target.chmod(stat.S_IMODE(source.stat().st_mode))
    else:
        copied(str(source), str(target))


def copied(source: str, target: str) -> None:
    """Link a file of arrays or of raw data, and copy any other."""
    if source.endswith(SHARED) or f"{os.sep}raw{os.sep}" in source:
        os.link(source, target)
    else:
        shutil.copy2(source, target)
