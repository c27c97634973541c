"""Nothing outlives the one who asked for it."""

import os
import signal
import subprocess
import sys
import time

import psutil

from flows.engine.guard import GUARD

SLEEP = "import time; time.sleep(300)"
TWO_SLEEPERS = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {SLEEP!r}])
print(child.pid, flush=True)
child.wait()
"""
STRAGGLER = f"""
import subprocess, sys
print(subprocess.Popen([sys.executable, "-c", {SLEEP!r}], stdout=subprocess.DEVNULL).pid, flush=True)
"""


def guard(*command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*GUARD, "--", *command], text=True, stdout=subprocess.PIPE, start_new_session=True, bufsize=1
    )


def gone(pid: int, seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def test_the_exit_status_comes_through() -> None:
    for status in (0, 3):
        process = guard(sys.executable, "-c", f"raise SystemExit({status})")
        process.communicate()
        assert process.returncode == status


def test_a_straggler_ends_with_the_command() -> None:
    process = guard(sys.executable, "-c", STRAGGLER)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert gone(int(output))


def test_telling_the_guard_to_stop_ends_the_group() -> None:
    process = guard(sys.executable, "-c", TWO_SLEEPERS)
    assert process.stdout is not None
    sleeper = int(process.stdout.readline())
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 143
    assert gone(sleeper)


def test_a_killed_parent_takes_the_group_along() -> None:
    parent_code = f"""
import subprocess, sys
subprocess.Popen({[*GUARD, "--", sys.executable, "-c", TWO_SLEEPERS]!r}, start_new_session=True).wait()
"""
    parent = subprocess.Popen([sys.executable, "-c", parent_code], text=True, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    sleeper = int(parent.stdout.readline())
    os.kill(parent.pid, signal.SIGKILL)
    parent.communicate()
    assert gone(sleeper)


def test_a_wrong_command_line_is_refused() -> None:
    done = subprocess.run(GUARD, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "usage" in done.stderr
