"""Seats on the GPUs of this machine, shared by all flows of a user."""

import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hmu_tasks.runtime.errors import HmuError

PER_DEVICE_VARIABLE = "HMU_STAGES_PER_GPU"
_POLL_SECONDS = 0.3


@dataclass(frozen=True)
class Slot:
    """Permission to run one stage; `environment` is what its process needs to stay on its own device."""

    label: str
    environment: dict[str, str]


class Seats:
    """Seats on the GPUs of this machine; a stage marked `gpu` takes one where there is a device.

    A seat is a locked file, so that all flows of one user on one machine share the devices and the kernel gives back
    the seats of a process that is gone. Where there are devices, stages without a seat do not see them, so that no
    stage lands beside another on the same device.
    """

    def __init__(self, devices: list[str], *, per_device: int = 1) -> None:
        self._hidden = {"CUDA_VISIBLE_DEVICES": ""} if devices else {}
        # Every device once before any device twice.
        self._seats = [(device, number) for number in range(per_device) for device in devices]

    def __len__(self) -> int:
        """Number of stages that the GPUs take at once."""
        return len(self._seats)

    @contextmanager
    def take(self, resource: str, *, given_up: Callable[[], bool] = lambda: False) -> Iterator[Slot]:
        """Wait for a seat where the resource asks for one; raises HmuError when `given_up` says so meanwhile."""
        if resource == "gpu" and self._seats:
            with self._take_seat(given_up) as slot:
                yield slot
        else:
            yield Slot("CPU", self._hidden)

    @contextmanager
    def _take_seat(self, given_up: Callable[[], bool]) -> Iterator[Slot]:
        folder = _seat_folder()
        while not given_up():
            for device, number in self._seats:
                handle = os.open(folder / f"gpu-{device}-{number}", os.O_RDWR | os.O_CREAT, 0o600)
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    os.close(handle)
                    continue
                try:
                    yield Slot(f"GPU {device}", {"CUDA_VISIBLE_DEVICES": device})
                    return
                finally:
                    os.close(handle)
            time.sleep(_POLL_SECONDS)
        raise HmuError("stopped while it waited for a GPU")


def _seat_folder() -> Path:
    """Return the folder of the seats' files, which belongs to this user alone."""
    folder = Path(tempfile.gettempdir()) / f"hmu-gpu-seats-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise HmuError(f"{folder} belongs to somebody else; remove it, or set TMPDIR to a folder of your own")
    return folder


def stages_per_device() -> int:
    """Read how many stages share one GPU: HMU_STAGES_PER_GPU, 1 where it is not set."""
    given = os.environ.get(PER_DEVICE_VARIABLE, "1")
    if not given.isdigit() or int(given) < 1:
        raise HmuError(f"{PER_DEVICE_VARIABLE} is {given!r}; it must be a number of at least 1")
    return int(given)


def visible_devices() -> list[str]:
    """Name the CUDA devices of this machine: CUDA_VISIBLE_DEVICES where set, else what nvidia-smi lists."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [device for device in given.split(",") if device not in {"", "-1"}]
    if shutil.which("nvidia-smi") is None:
        return []
    listing = subprocess.run(
        ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"],
        capture_output=True,
        text=True,
        check=False,
    )
    return listing.stdout.split() if listing.returncode == 0 else []
