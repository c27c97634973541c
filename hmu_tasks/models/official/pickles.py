"""Look through a pickle before it is read: what it would cost, not only what it would run.

Without a class in it a pickle can still fill the memory (a memo index of two billion makes Python's reader allocate as
many places) or never end (a key of tuples that hold one tuple twice, forty levels deep, is hashed 2^40 times).
"""

import io
import pickle
import pickletools
from typing import Any, BinaryIO, Final, cast

LARGEST_KEY: Final = 10_000
"""Values in a tuple with all that are in it, at most."""
_PUTS: Final = {"PUT", "BINPUT", "LONG_BINPUT"}
_GETS: Final = {"GET", "BINGET", "LONG_BINGET"}
_HASHABLE: Final = {"TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "FROZENSET", "REDUCE", "NEWOBJ", "NEWOBJ_EX"}
_MARK: Final = -1


class CostlyPickleError(pickle.UnpicklingError):
    """A pickle that would fill the memory or never end."""


def check_pickle(stream: BinaryIO) -> None:
    """Read one pickle from a stream without building anything.

    Raises CostlyPickleError for what costs too much, pickle.UnpicklingError for what is cut off or no pickle.
    Follows the stack of the pickle machine with the number of values that each object on it holds.
    """
    start = stream.tell()
    end = stream.seek(0, io.SEEK_END)
    stream.seek(start)
    stack: list[int] = []
    memo: dict[Any, int] = {}
    try:
        for opcode, given, _ in pickletools.genops(stream):
            name, argument = opcode.name, cast(Any, given)
            if name in _PUTS and not 0 <= int(argument) <= end - start:
                raise CostlyPickleError(f"it numbers an object {argument}, more than it can hold")
            if name in _PUTS:
                memo[int(argument)] = stack[-1]
            elif name == "MEMOIZE":
                memo[len(memo)] = stack[-1]
            elif name in _GETS:
                stack.append(memo[int(argument)])
            elif name == "MARK":
                stack.append(_MARK)
            else:
                _step(stack, opcode)
    except (ValueError, LookupError, EOFError, UnicodeDecodeError, OverflowError) as error:
        raise pickle.UnpicklingError(f"it is cut off or no pickle ({error})") from error


def _step(stack: list[int], opcode: pickletools.OpcodeInfo) -> None:
    before = opcode.stack_before
    if pickletools.markobject in before:
        place = len(stack) - 1 - stack[::-1].index(_MARK)
        taken = stack[place + 1 :]
        below = before.index(pickletools.markobject)
        if place < below:
            raise ValueError(f"{opcode.name} finds nothing to work on")
        del stack[place - below :]
    elif opcode.name in ("POP", "POP_MARK") and stack and stack[-1] == _MARK:
        taken = [stack.pop()]
    else:
        if len(before) > len(stack):
            raise ValueError(f"{opcode.name} finds nothing to work on")
        taken = stack[len(stack) - len(before) :]
        del stack[len(stack) - len(before) :]
    size = 1
    if opcode.name in _HASHABLE:
        size += sum(taken)
        if size > LARGEST_KEY:
            raise CostlyPickleError(f"it holds a tuple of more than {LARGEST_KEY:,} values")
    if opcode.name == "DUP":
        size = max(taken, default=1)
    stack.extend([size] * len(opcode.stack_after))
