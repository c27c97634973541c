"""`python -m …` in a fork of the test process: a process of its own that need not import everything again."""

import os
import runpy
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, NoReturn


def run_forked(
    folder: Path, arguments: list[str], environment: Mapping[str, str], *, module: str = "hmu_tasks"
) -> subprocess.CompletedProcess[str]:
    """Run a module's command line in a folder; its exit status, and what it printed."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        sys.stdout.flush()
        sys.stderr.flush()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python 3.12 warns of threads; those of pytest hold no locks
            pid = os.fork()
        if pid == 0:
            _become(folder, [module, *arguments], environment, output, errors)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        texts = []
        for stream in (output, errors):
            stream.seek(0)
            texts.append(stream.read().decode())
    return subprocess.CompletedProcess([module, *arguments], status, *texts)


def _become(
    folder: Path, command: list[str], environment: Mapping[str, str], output: BinaryIO, errors: BinaryIO
) -> NoReturn:
    """End this process as the command line; nothing of pytest runs in it any more."""
    status = 1
    try:
        os.chdir(folder)
        os.dup2(output.fileno(), 1)
        os.dup2(errors.fileno(), 2)
        os.environ.clear()
        os.environ.update(environment)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
        sys.argv = list(command)
        warnings.resetwarnings()
        warnings.simplefilter("ignore")
        runpy.run_module(command[0], run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as end:
        if isinstance(end.code, str):
            sys.stderr.write(f"{end.code}\n")
        else:
            status = end.code or 0
    except Exception:  # noqa: BLE001 printed, and told by the status, as an interpreter does
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
