"""Where a stage runs on this machine: CPU slots of one flow, and GPU seats that all flows of a user share."""

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
POLL_SECONDS = 0.3
"""Polling interval in seconds for a seat that another flow may release."""


@dataclass(frozen=True)
class Slot:
    """Permission to run one stage.

    environment: what keeps the stage's process on its own device
    lock: file descriptor of a GPU seat; None for a CPU slot
    """

    label: str
    environment: dict[str, str]
    lock: int | None = None


class Slots:
    """The slots of one flow; not thread-safe, its scheduler is the only one to ask.

    A GPU seat is a locked file, so that all flows of one user on one machine share the devices and the kernel frees
    the seats of a dead process. Without a device, stages marked `gpu` take CPU slots. With devices, all other stages
    see none, so that no stage lands beside another on the same device.
    """

    def __init__(self, workers: int, devices: list[str], *, per_device: int = 1) -> None:
        hidden = {"CUDA_VISIBLE_DEVICES": ""} if devices else {}
        self._free = [Slot(f"CPU slot {number}", hidden) for number in range(workers)]
        # Every device once before any device twice.
        self.most = workers + len(devices) * per_device
        self._seats = [(device, number) for number in range(per_device) for device in devices]

    def on_gpu(self, resource: str) -> bool:
        """Return whether a stage with this resource takes a GPU seat."""
        return resource == "gpu" and bool(self._seats)

    def take(self, resource: str) -> Slot | None:
        """Take a slot for a stage; None if all are taken."""
        if self.on_gpu(resource):
            return self._take_seat()
        return self._free.pop(0) if self._free else None

    def give_back(self, slot: Slot) -> None:
        """Return a slot for the next stage."""
        if slot.lock is None:
            self._free.append(slot)
        else:
            os.close(slot.lock)

    @contextmanager
    def hold(self, resource: str, *, stopped: Callable[[], bool]) -> Iterator[Slot]:
        """Wait for a slot and give it back afterwards; raises HmuError when `stopped` says so in the meantime."""
        while (slot := self.take(resource)) is None:
            if stopped():
                raise HmuError("stopped while waiting for a GPU")
            time.sleep(POLL_SECONDS)
        try:
            yield slot
        finally:
            self.give_back(slot)

    def _take_seat(self) -> Slot | None:
        folder = _seat_folder()
        for device, number in self._seats:
            handle = os.open(folder / f"gpu-{device}-{number}", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
                continue
            return Slot(f"GPU {device}", {"CUDA_VISIBLE_DEVICES": device}, handle)
        return None


def _seat_folder() -> Path:
    """Return the folder of the seats' files, which belongs to this user alone."""
    folder = Path(tempfile.gettempdir()) / f"hmu-gpu-seats-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise HmuError(f"{folder} belongs to another user; remove it, or set TMPDIR to a folder of your own")
    return folder


def stages_per_device() -> int:
    """Read how many stages share one GPU: HMU_STAGES_PER_GPU, by default 1."""
    given = os.environ.get(PER_DEVICE_VARIABLE, "1")
    if not given.isdigit() or int(given) < 1:
        raise HmuError(f"{PER_DEVICE_VARIABLE} is {given!r}; it must be a number of at least 1")
    return int(given)


def visible_devices() -> list[str]:
    """List the CUDA devices of this machine: CUDA_VISIBLE_DEVICES if set, otherwise what nvidia-smi lists."""
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
