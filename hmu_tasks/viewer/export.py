"""Motions as files for other programs: joints in an NPZ archive of the same bytes every time."""

import io
import zipfile
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date a zip entry can carry; numpy.savez does the same


def npz(motions: Mapping[str, NDArray[np.floating]]) -> bytes:
    """Pack motions by name into a compressed NPZ that numpy.load reads.

    motions: name -> joints [F, J, 3] in metres, Y up. Returns the bytes of the archive, entries
    sorted by name and without a date.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(motions):
            entry = io.BytesIO()
            np.lib.format.write_array(
                entry, np.ascontiguousarray(motions[name], np.float32), allow_pickle=False
            )
            info = zipfile.ZipInfo(f"{name}.npy", date_time=_EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, entry.getvalue())
    return buffer.getvalue()
