"""Pickles that others wrote, of which nothing runs: arrays, lists, strings and numbers only.

A pickle is a program. This machine knows the instructions that make data and those that NumPy
writes for its arrays, each rebuilt by our own code; what asks for anything else is refused.
"""

import math
import pickle
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Final

import numpy as np
import numpy.typing as npt

from train.data.samples import DataError

Array = npt.NDArray[Any]

_KINDS: Final = re.compile(r"[biu][1248]|f(2|4|8)|[SU]\d{1,6}|O[48]?")
"""Of arrays: truth values, real numbers, strings, and lists of whatever else is admitted here."""


class RefusedPickleError(DataError):
    """A pickle that holds something else than data."""

    def __init__(self, path: Path, found: str) -> None:
        super().__init__(
            path,
            f"holds {found}, and only arrays, lists, dicts, strings and numbers are read;"
            " nothing of it was run",
        )
        self.found = found


def read_pickle(path: Path) -> object:
    """Return what a pickle of any protocol, Python 2's too, holds.

    That is: dict, list, tuple, set, frozenset, str, bytes, int, float, bool, None, NumPy arrays
    and scalars; keys, and what is in sets, are strings, bytes, numbers or None. Arrays of protocols
    0 to 4 lie in the memory that was read, and can be written. Raises RefusedPickleError for
    anything else, DataError for what is no whole pickle.
    """
    try:
        with path.open("rb") as file:
            return _Machine(path, file).load()
    except FileNotFoundError as error:
        raise DataError(path, "is not there") from error
    except OSError as error:
        raise DataError(path, f"cannot be read ({error.strerror})") from error
    except _RefusedError as error:
        raise RefusedPickleError(path, str(error)) from error
    except MemoryError as error:
        raise DataError(path, "needs more memory than there is") from error
    except Exception as error:  # the instructions are anyone's: they may stumble in any way
        raise DataError(path, "is no pickle, or not the whole of one; get it again") from error


class _RefusedError(Exception):
    """Says what was found."""


class _File:
    """A file that never gives, nor makes room for, more than it holds."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._left = file, size

    def read(self, size: int) -> bytes:
        if size > self._left:
            raise EOFError
        self._left -= size
        return self._file.read(size)

    def readline(self) -> bytes:
        line = self._file.readline()
        self._left -= len(line)
        return line


class _Kind:
    """A dtype in the making: NumPy tells its byte order only afterwards."""

    __slots__ = ("dtype",)

    def __init__(self, name: object) -> None:
        if not isinstance(name, str) or not _KINDS.fullmatch(name):
            raise _RefusedError(f"an array of {name!r:.40}" if isinstance(name, str) else "a dtype")
        self.dtype: np.dtype[Any] = np.dtype(name.rstrip("48") if name[0] == "O" else name)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, order, subarray, names, fields, *_ = state
        if (subarray, names, fields) != (None, None, None) or order not in ("<", ">", "|", "="):
            raise _RefusedError("an array of records")
        self.dtype = self.dtype.newbyteorder(order)


class _Array(np.ndarray[Any, Any]):
    """An array in the making: NumPy tells its shape and its content only afterwards."""

    _told = False

    def __setstate__(self, state: Any) -> None:
        if self._told:  # NumPy would free what other arrays may look at
            raise _RefusedError("an array that is filled twice")
        self._told = True
        _, shape, kind, fortran, content = state
        objects = kind.dtype.hasobject
        content = _exactly(list, content) if objects else _raw(content)
        _check_shape(shape, len(content) if objects else len(content) / kind.dtype.itemsize)
        super().__setstate__((1, shape, kind.dtype, fortran, content))


_NDARRAY: Final = object()
"""What the name `numpy.ndarray` stands for: something that cannot be called."""


def _array(subtype: object, shape: object, kind: object) -> Array:
    if subtype is not _NDARRAY or shape != (0,):
        raise _RefusedError("an array that is not made as NumPy makes them")
    return _Array((0,))


def _array_of_buffer(buffer: object, kind: _Kind, shape: tuple[int, ...], order: str) -> Array:
    content = _raw(buffer)
    _check_shape(shape, len(content) / kind.dtype.itemsize)
    return np.frombuffer(content, kind.dtype).reshape(shape, order="F" if order == "F" else "C")


def _scalar(kind: _Kind, content: object) -> Any:
    data = _raw(content)
    if not kind.dtype.itemsize and not data:
        return kind.dtype.type()  # an empty string
    _check_shape((), len(data) / kind.dtype.itemsize)
    return np.frombuffer(data, kind.dtype)[0]


def _raw(content: object) -> bytes:
    """Return content as bytes, which Python 2 wrote as text; never another array's memory."""
    found: bytes = _exactly(bytes, content.encode("latin1") if type(content) is str else content)
    return found


def _exactly(kind: type, content: object) -> Any:
    if type(content) is not kind:
        raise _RefusedError("an array whose content is of another kind than it says")
    return content


def _check_shape(shape: tuple[int, ...], size: float) -> None:
    if not all(type(n) is int and n >= 0 for n in shape) or math.prod(shape) != size:
        raise _RefusedError("an array whose content does not fill its shape")


def _bytes(text: str = "", coding: str = "latin1") -> bytes:
    if coding != "latin1":
        raise _RefusedError("bytes that are written as text")
    return text.encode("latin1")


def _key(item: object) -> Any:
    """Return what may be looked up: a tuple of tuples can take the stack, or for ever."""
    if item is not None and not isinstance(item, str | bytes | int | float | np.generic):
        raise _RefusedError(f"a {type(item).__name__:.40} as a key")
    return item


def _dict(pairs: Iterable[tuple[object, object]] = ()) -> dict[Any, Any]:
    return {_key(key): value for key, value in pairs}


def _set(items: Iterable[object] = ()) -> set[Any]:
    return {_key(item) for item in items}


def _frozenset(items: Iterable[object] = ()) -> frozenset[Any]:
    return frozenset(_set(items))


_ADMITTED: Final[dict[str, Any]] = {
    "numpy.ndarray": _NDARRAY,
    "numpy.dtype": lambda name, *_: _Kind(name),
    "numpy.core.multiarray._reconstruct": _array,
    "numpy.core.multiarray.scalar": _scalar,
    "numpy.core.numeric._frombuffer": _array_of_buffer,
    "collections.OrderedDict": _dict,
    "builtins.set": _set,
    "builtins.frozenset": _frozenset,
    "builtins.bytes": _bytes,
    "_codecs.encode": _bytes,
}
"""What each name stands for here: nothing of NumPy's, and nothing that makes room as it is told."""

# NumPy 2 moved its names, Python 3 did.
_MOVED: Final = (("numpy._core.", "numpy.core."), ("__builtin__.", "builtins."))

# The one in C, `pickle.Unpickler`, makes room for whatever number a file names.
_InPython: Final[Any] = pickle._Unpickler


class _Machine(_InPython):  # type: ignore[misc]
    """Python's machine, which reads every protocol, without the instructions that run things."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        if file.read(2) == b"PK":
            raise _RefusedError("a zip archive, as torch.save writes")
        file.seek(0)
        super().__init__(_File(file, path.stat().st_size), encoding="latin1")

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a name; raise _RefusedError for one that nothing stands for."""
        full = f"{module}.{name}"
        for new, old in _MOVED:
            if full.startswith(new):
                full = old + full.removeprefix(new)
        if full not in _ADMITTED:
            raise _RefusedError(f"{f'{module}.{name}'!r:.80}")
        return _ADMITTED[full]

    def persistent_load(self, pid: object) -> Any:
        """Refuse what lies outside the file."""
        raise _RefusedError("a reference to something outside the file")

    def load_build(self) -> None:
        """Give a state to an array or a dtype in the making, and to nothing else."""
        if not isinstance(self.stack[-2], _Array | _Kind):
            raise _RefusedError(f"a state for a {type(self.stack[-2]).__name__}")
        super().load_build()

    def load_dict(self) -> None:
        """Make a dict of keys and values, by turns."""
        items = self.pop_mark()
        self.append(_dict(zip(items[::2], items[1::2], strict=True)))

    def load_setitem(self) -> None:
        """Put a value into a dict, and into nothing else."""
        value, key = self.stack.pop(), self.stack.pop()
        self._put([key, value])

    def load_setitems(self) -> None:
        """Put keys and values, by turns, into a dict, and into nothing else."""
        self._put(self.pop_mark())

    def _put(self, items: list[Any]) -> None:
        into = self.stack[-1]
        if type(into) is not dict:
            raise _RefusedError(f"items for a {type(into).__name__:.40}")
        into.update(_dict(zip(items[::2], items[1::2], strict=True)))

    def load_additems(self) -> None:
        """Add members to a set."""
        items = self.pop_mark()
        self.stack[-1].update(_set(items))

    def load_frozenset(self) -> None:
        """Make a set that cannot be changed."""
        items = self.pop_mark()
        self.append(_frozenset(items))

    def load_readonly_buffer(self) -> None:
        """Refuse a view of what was read."""
        raise _RefusedError("a view of a buffer")

    def load_bytearray8(self) -> None:
        """Take a bytearray for bytes."""
        self.append(self.read(int.from_bytes(self.read(8), "little")))

    def load_extension(self) -> None:
        """Refuse what another program gave a number."""
        raise _RefusedError("a registered extension")

    dispatch: ClassVar = _InPython.dispatch | {
        pickle.BUILD[0]: load_build,
        pickle.DICT[0]: load_dict,
        pickle.SETITEM[0]: load_setitem,
        pickle.SETITEMS[0]: load_setitems,
        pickle.ADDITEMS[0]: load_additems,
        pickle.FROZENSET[0]: load_frozenset,
        pickle.READONLY_BUFFER[0]: load_readonly_buffer,
        pickle.BYTEARRAY8[0]: load_bytearray8,
        **dict.fromkeys((pickle.EXT1[0], pickle.EXT2[0], pickle.EXT4[0]), load_extension),
    }
