"""Archives of real captions, unpacked."""

import tarfile
from collections.abc import Collection
from pathlib import Path

import pytest
from made_once import made_once


def unpack(archive: Path, folder: Path, *, wanted: Collection[str] | None = None) -> None:
    """Unpack a tar archive of plain files, or those of the names `wanted`, into a folder."""
    # `filter` came with Python 3.11.4; Debian 12 has 3.11.2.
    safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    with tarfile.open(archive) as opened:
        for one in opened:  # each as it is read: going back would decompress everything again
            if wanted is None or one.name.removeprefix("./") in wanted:
                opened.extract(one, folder, **safe)


@pytest.fixture(scope="session")
def kit_texts(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of all caption files of KIT-ML; read only."""

    def make(folder: Path) -> None:
        unpack(shared / "data" / "captions" / "kitml_texts_dev.tar.gz", folder)

    return made_once(tmp_path_factory, "kit", make) / "texts"
