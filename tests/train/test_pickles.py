import collections
import contextlib
import copyreg
import functools
import os
import pickle
import pickletools
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from train.data.pickles import RefusedPickleError, read_pickle
from train.data.samples import DataError

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
DATA = {
    "floats": np.arange(6, dtype=np.float32).reshape(2, 3),
    "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "objects": np.array(["x", None, 3], dtype=object),
    "words": np.array(["a", "bé"]),
    "bytes": np.array([b"ab", b"c"]),
    "big endian": np.array([1, 2], dtype=">i4"),
    "truths": np.array([True, False]),
    "empty": np.zeros((0, 4)),
    "no axes": np.array(3.0),
    "scalar": np.float32(3.5),
    "no words": np.str_(""),
    "whole": np.int64(4),
    "raw": [b"xyz\xff", b""],
    "ordered": collections.OrderedDict(a=1),
    "sets": ({1, 2}, frozenset([3])),
    "rest": [None, True, 2.5, 10**30, "text", (), {}],
}


class Runs:
    """What calls something when it is unpickled."""

    def __init__(self, call: Callable[..., Any], *args: object) -> None:
        self.call, self.args = call, args

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[object, ...]]:
        return self.call, self.args


def written(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "data.pkl"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_data_come_back_as_they_were(tmp_path: Path, protocol: int) -> None:
    path = written(tmp_path, pickle.dumps(DATA, protocol=protocol))
    read, expected = read_pickle(path), pickle.loads(path.read_bytes())
    assert isinstance(read, dict)
    assert list(read) == list(expected)
    for name, value in expected.items():
        np.testing.assert_equal(read[name], value)
        assert getattr(read[name], "dtype", None) == getattr(value, "dtype", None)


@pytest.mark.parametrize("protocol", range(5))
def test_arrays_can_be_written(tmp_path: Path, protocol: int) -> None:
    read: Any = read_pickle(written(tmp_path, pickle.dumps(np.zeros(3), protocol=protocol)))
    read[0] = 1
    assert read.tolist() == [1, 0, 0]


def test_numpy_may_have_its_old_names(tmp_path: Path) -> None:
    content = pickle.dumps(DATA["floats"], protocol=2).replace(b"numpy._core", b"numpy.core")
    np.testing.assert_equal(read_pickle(written(tmp_path, content)), DATA["floats"])


def test_a_file_of_python_2_reads(tmp_path: Path) -> None:
    """As Python 2 wrote {'x': array([1, 255], uint8), u'y': [1L]} with protocol 2."""
    content = (
        b"\x80\x02}(U\x01xcnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b"
        b"\x87R(K\x01K\x02\x85cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xff"
        b"J\xff\xff\xff\xffK\x00tb\x89U\x02\x01\xfftbX\x01\x00\x00\x00y]\x8a\x01\x01au."
    )
    read: Any = read_pickle(written(tmp_path, content))
    assert read["x"].tolist() == [1, 255]
    assert read["y"] == [1]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("call", "args", "name"),
    [
        (os.system, ("touch {}",), "system"),
        (eval, ("open({!r}, 'w')",), "eval"),
        (open, ("{}", "w"), "open"),
        (functools.partial, (print, "x"), "partial"),
        (getattr, (str, "mro"), "getattr"),
        (np.load, ("{}",), "load"),
        (np.fromfile, ("{}",), "fromfile"),
        (np.zeros, (10**15,), "zeros"),
        (copyreg._reconstructor, (Path, object, None), "_reconstructor"),  # type: ignore[attr-defined]
    ],
)
def test_what_runs_is_refused_by_name(
    tmp_path: Path, call: Callable[..., Any], args: tuple[Any, ...], name: str, protocol: int
) -> None:
    mark = tmp_path / "mark"
    args = tuple(a.format(str(mark)) if isinstance(a, str) else a for a in args)
    for hidden in (Runs(call, *args), {"train": [Runs(call, *args)]}, array_of(Runs(call, *args))):
        path = written(tmp_path, pickle.dumps(hidden, protocol=protocol))
        with pytest.raises(RefusedPickleError, match=rf"holds '[\w.]*{name}', .* was run$"):
            read_pickle(path)
        assert not mark.exists()


def array_of(item: object) -> np.ndarray:
    array = np.empty(1, dtype=object)
    array[0] = item
    return array


class Persists(pickle.Pickler):
    def persistent_id(self, item: object) -> object:
        return 7 if item == "outside" else None


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_reference_to_outside_is_refused(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "data.pkl"
    with path.open("wb") as file:
        Persists(file, protocol).dump(["outside"])
    with pytest.raises(RefusedPickleError, match="a reference to something outside the file"):
        read_pickle(path)


ARRAY = b"cnumpy.core.multiarray\n_reconstruct\n"
NEW = ARRAY + b"(cnumpy\nndarray\n(I0\ntVb\ntR"
FLOATS, BYTES, OBJECTS = (b"cnumpy\ndtype\n(V%s\nI0\nI1\ntR" % k for k in (b"f8", b"u1", b"O8"))
EIGHT = b"(I1\n(I8\nt" + BYTES + b"I00\nVabcdefgh\ntb"
"""What fills an array with eight bytes."""


def array_with(shape: bytes, content: bytes) -> bytes:
    """Return the instructions for an array of float64."""
    return NEW + b"(I1\n" + shape + FLOATS + b"I00\n" + content + b"tb."


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (ARRAY + b"(cnumpy\nndarray\n(I1000000000000\ntVb\ntR.", "not made as NumPy makes them"),
        (ARRAY + b"(c__builtin__\nset\n(I0\ntVb\ntR.", "not made as NumPy makes them"),
        (array_with(b"(I99999999999\nt", b"Vabcdefgh\n"), "does not fill its shape"),
        (array_with(b"(I-1\nI-1\nt", b"Vabcdefgh\n"), "does not fill its shape"),
        (array_with(b"(F1\nt", b"Vabcdefgh\n"), "does not fill its shape"),
        (array_with(b"(I1\nt", b"(" + b"I7\n" * 8 + b"l"), "of another kind than it says"),
        (b"cnumpy\ndtype\n(VV8\nI0\nI1\ntR.", "an array of 'V8'"),
        (b"cnumpy\ndtype\n(VM8[s]\nI0\nI1\ntR.", r"an array of 'M8\[s\]'"),
        (FLOATS + b"(I3\nV<\nN(Va\nt(dI8\nI8\nI0\ntb.", "an array of records"),
        (b"cnumpy\ndtype\n(Vc16\nI0\nI1\ntR.", "an array of 'c16'"),
        (b"ccollections\nOrderedDict\n(Vx\nI1\ndb.", "a state for a function"),
        (b"c_codecs\nencode\n(Vx\nVrot13\ntR.", "bytes that are written as text"),
        (b"\x82\x01.", "a registered extension"),
        (b"cbuiltins\nexec\n(Vraise SystemExit\ntR.", "'builtins.exec'"),
        (b"(cos\nsystem\nVtrue\no.", "'os.system'"),
        (b"(Vtrue\nios\nsystem\n.", "'os.system'"),
    ],
)
def test_crafted_instructions_are_refused(tmp_path: Path, content: bytes, found: str) -> None:
    with pytest.raises(RefusedPickleError, match=found):
        read_pickle(written(tmp_path, content))


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (NEW + EIGHT + EIGHT + b".", "filled twice"),
        (
            NEW
            + EIGHT
            + b"p0\n0cnumpy.core.numeric\n_frombuffer\n(g0\n"
            + BYTES
            + b"(I8\ntVC\ntR.",
            "of another kind than it says",
        ),
        (
            NEW + b"(I1\n(I8\nt" + OBJECTS + b"I00\n(" + b"N" * 8 + b"ltbp0\n0"
            b"cnumpy.core.multiarray\nscalar\n(" + FLOATS + b"g0\ntR.",
            "of another kind than it says",
        ),
        (NEW + EIGHT + b"\x98.", "a view of a buffer"),
        (NEW + EIGHT + b"I0\nI1\ns.", "items for a _Array"),
    ],
    ids=["filled again", "array as a buffer", "pointers as a number", "view", "written to"],
)
def test_memory_of_an_array_is_reached_by_nothing_else(
    tmp_path: Path, content: bytes, found: str
) -> None:
    """Of these some wrote to what was freed, and one read where Python keeps its objects."""
    with pytest.raises(RefusedPickleError, match=found):
        read_pickle(written(tmp_path, content))


NESTED = b")" + b"\x85" * 9
"""A tuple of a tuple of a tuple …: of a million, the hash would take the whole stack."""


@pytest.mark.parametrize(
    "content",
    [
        b"}" + NESTED + b"Ns.",
        b"}(" + NESTED + b"Nu.",
        b"(" + NESTED + b"Nd.",
        b"\x8f(" + NESTED + b"\x90.",
        b"(" + NESTED + b"\x91.",
        b"c__builtin__\nset\n(](" + NESTED + b"etR.",
        b"c__builtin__\nfrozenset\n(](" + NESTED + b"etR.",
        b"ccollections\nOrderedDict\n(](" + NESTED + b"N\x86etR.",
    ],
    ids=["item", "items", "dict", "add", "frozenset", "old set", "old frozenset", "ordered"],
)
def test_keys_are_plain(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(RefusedPickleError, match="a tuple as a key"):
        read_pickle(written(tmp_path, content))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>not found</html>",
        pickle.dumps(DATA)[:-40],
        pickle.dumps(DATA)[:1],
        b"\x80\x63.",
        b"0.",
        b"(((",
        b"\x8e" + struct.pack("<Q", 2**62) + b"x.",
        b"\x96" + struct.pack("<Q", 2**40) + b"x.",
        b"\x80\x05\x95" + struct.pack("<Q", 2**50) + b"N.",
        b"cnumpy\nndarray\n(I9\ntR.",
        b"cnumpy\nndarray\n)\x81.",
        b"}(V__class__\nVx\nu(d(Va\nVb\nstb."[:-3] + b".",
    ],
)
def test_what_is_no_whole_pickle_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DataError, match=r"data\.pkl: is no pickle, or not the whole of one"):
        read_pickle(written(tmp_path, content))


def test_what_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not there"):
        read_pickle(tmp_path / "none.pkl")
    with pytest.raises(DataError, match="cannot be read"):
        read_pickle(tmp_path)


def test_an_archive_of_torch_is_named(tmp_path: Path) -> None:
    with pytest.raises(RefusedPickleError, match=r"holds a zip archive, as torch\.save writes"):
        read_pickle(written(tmp_path, b"PK\x03\x04"))


def test_a_memo_of_billions_makes_no_room(tmp_path: Path) -> None:
    content = b"Nr" + struct.pack("<I", 2**32 - 1) + b"."
    assert read_pickle(written(tmp_path, content)) is None


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=8,
)


@settings(deadline=None)
@given(value=values, protocol=st.sampled_from(PROTOCOLS))
def test_any_data_come_back(
    tmp_path_factory: pytest.TempPathFactory, value: object, protocol: int
) -> None:
    path = written(tmp_path_factory.getbasetemp(), pickle.dumps(value, protocol=protocol))
    assert read_pickle(path) == value


OPCODES = b"".join(op.code.encode("latin1") for op in pickletools.opcodes)
chunks = (
    st.sampled_from([*OPCODES]).map(lambda code: bytes([code]))
    | st.binary(max_size=6)
    | st.sampled_from([b"cos\nsystem\n", b"cnumpy\nndarray\n", b"cnumpy\ndtype\n", ARRAY, FLOATS])
)


@settings(max_examples=400, deadline=None)
@given(chunks=st.lists(chunks, max_size=25))
def test_any_bytes_give_data_or_one_sentence(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes]
) -> None:
    path = written(tmp_path_factory.getbasetemp(), b"".join(chunks) + b".")
    with contextlib.suppress(DataError):
        read_pickle(path)
