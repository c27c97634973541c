"""How many stages run at once: a number of CPU slots of one flow, and seats on each GPU of the machine."""

import fcntl
import itertools
import math
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hmu_tasks.runtime.errors import HmuError

PER_DEVICE_VARIABLE = "HMU_STAGES_PER_GPU"
_POLL_SECONDS = 0.3
PATIENCE_SECONDS = 5.0
"""How long a free slot is kept for a stage that could start and has not come yet; it takes some tenths of a second."""


@dataclass(frozen=True)
class Slot:
    """Permission to run one stage; `environment` is what its process needs to stay on its own device."""

    label: str
    environment: dict[str, str]


@dataclass
class _Ticket:
    """A stage's place among those that wait for a CPU slot; until it comes, the place is kept up to `until`."""

    way: float
    number: int
    until: float

    @property
    def counts(self) -> bool:
        return time.monotonic() < self.until


class Slots:
    """Hands out slots to threads; a stage marked `gpu` waits for a seat on a device, every other one for a CPU slot.

    A seat is a locked file, so that all flows of one user on one machine share the devices and the kernel gives
    back the seats of a process that is gone. Where there is no device, stages marked `gpu` take CPU slots. Where
    there are devices, the others do not see them, so that no stage lands beside another on the same device.
    """

    def __init__(self, workers: int, devices: list[str], *, per_device: int = 1) -> None:
        hidden = {"CUDA_VISIBLE_DEVICES": ""} if devices else {}
        self._free = [Slot(f"CPU slot {number}", hidden) for number in range(workers)]
        self._waiting: dict[str, _Ticket] = {}
        self._numbers = itertools.count()
        self._moved = threading.Condition()
        # Every device once before any device twice.
        self._seats = [(device, number) for number in range(per_device) for device in devices]

    def expect(self, stages: Iterable[tuple[str, str, float]]) -> None:
        """Keep places for stages that can start from now on, as (name, resource, way), so that no other is faster."""
        with self._moved:
            for name, resource, way in stages:
                if resource != "gpu" or not self._seats:
                    self._waiting[name] = self._ticket(way, time.monotonic() + PATIENCE_SECONDS)

    @contextmanager
    def take(
        self, name: str, resource: str, *, way: float = 0.0, given_up: Callable[[], bool] = lambda: False
    ) -> Iterator[Slot]:
        """Wait for a slot and give it back afterwards; raises HmuError when `given_up` says so meanwhile.

        way: of those that wait for a CPU slot the one with the longest way to go gets it, the first come at a draw
        """
        if resource == "gpu" and self._seats:
            with self._take_seat(given_up) as slot:
                yield slot
            return
        with self._moved:
            ticket = self._waiting.setdefault(name, self._ticket(way, 0.0))
            ticket.until = math.inf
            while not self._free or self._first() is not ticket:
                self._moved.wait(_POLL_SECONDS)
            del self._waiting[name]
            slot = self._free.pop(0)
            self._moved.notify_all()
        try:
            yield slot
        finally:
            with self._moved:
                self._free.append(slot)
                self._moved.notify_all()

    def _ticket(self, way: float, until: float) -> _Ticket:
        return _Ticket(way, next(self._numbers), until)

    def _first(self) -> _Ticket:
        return min(
            (ticket for ticket in self._waiting.values() if ticket.counts),
            key=lambda ticket: (-ticket.way, ticket.number),
        )

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
