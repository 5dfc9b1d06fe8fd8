"""Every bad file gets its one sentence; good ones come back as they are; uploads are found again by digest."""

import io
import struct
import zipfile

import numpy as np
import pytest

from uotlab.data.base import load
from uotlab.data.files import read_points
from uotlab.data.npz import MEMBERS_LIMIT
from uotlab.data.upload import store_upload
from uotlab.errors import InputError

X = np.array([[1.5, 2], [3, 4], [5, -6]], np.float32)
CSV = "u,v,type,mass\n1.5,2,a,1\n3,4,b,0\n5,-6,a,2.5\n"


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("UOTLAB_STORE", str(tmp_path / "store"))


def npy(array, **options):
    out = io.BytesIO()
    np.save(out, array, **options)
    return out.getvalue()


def npz(compressed=False, **arrays):
    out = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(out, **arrays)
    return out.getvalue()


def header(shape, descr="<f4"):
    text = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"1.5,2\n3,4\n5,-6\n", "p.csv"),
        (b"\xef\xbb\xbfu;v\r\n1.5;2\r\n3;4\r\n5;-6\r\n", "p.csv"),
        (b"u\tv\n1.5\t2\n3\t4\n5\t-6\n", "p.tsv"),
        (b"1.5 2\n3 4\n5   -6\n", "p.txt"),
        (b"\n1.5,2\n\n3,4\n5,-6", "P.TXT"),
        (b",u,v\n0,1.5,2\n1,3,4\n2,5,-6\n", "pandas.csv"),
        (npy(X), "p.npy"),
        (npy(np.asfortranarray(X.astype(">f8"))), "p.npy"),
        (npy(X.astype(np.float64)[:, :, None][..., 0]), "p.npy"),
        (npz(x=X, other=X * 2), "p.npz"),
        (npz(points=X, compressed=True, mass=np.ones(3)), "p.npz"),
    ],
)
def test_good_files_come_back_as_they_are(content, name, tmp_path):
    table = read_points(content, name)
    assert np.array_equal(table.points, X)
    assert table.points.dtype == np.float32
    assert len(table.names) == 2
    path = tmp_path / name
    path.write_bytes(content)
    assert np.array_equal(read_points(path).points, X)


def test_columns_are_chosen_by_name():
    table = read_points(CSV.encode(), "p.csv", label_column="type", weight_column="mass")
    assert np.array_equal(table.points, X)
    assert table.names == ("u", "v")
    assert table.labels.tolist() == ["a", "b", "a"]
    assert table.weights.tolist() == [1, 0, 2.5]
    assert table.columns == ("u", "v", "type", "mass")
    table = read_points(npz(x=X, kind=np.array(["a", "b", "a"]), w=np.ones(3)), "p.npz", label_column="kind", weight_column="w")
    assert table.labels.tolist() == ["a", "b", "a"]
    assert table.weights.tolist() == [1, 1, 1]


BAD = {
    "empty": (b"", "p.csv", {}, r"p.csv is empty \(0 bytes\)"),
    "blank": (b"\n \n", "p.csv", {}, "blank lines"),
    "header only": (b"u,v\n", "p.csv", {}, "no rows of numbers"),
    "one point": (b"u,v\n1,2\n", "p.csv", {}, "one point; a map needs at least 2"),
    "one point npy": (npy(X[:1]), "p.npy", {}, "one point"),
    "no points": (npy(X[:0]), "p.npy", {}, "no rows of numbers"),
    "text cell": (b"u,v\n1,2\n3,oops\n5,6\n", "p.csv", {}, "text where a number belongs: 'oops' in row 3, column 'v'"),
    "text column": (CSV.encode(), "p.csv", {"weight_column": "mass"}, "'a' in row 2, column 'type'.*Use column 'type' as labels"),
    "no header": (b"1,2\nx,3\n", "p.csv", {}, "'x' in row 2, column 'column 1'"),
    "nan": (b"u,v\n1,2\n3,\n,nan\n", "p.csv", {}, "3 missing, NaN or infinite cells, the first in row 3, column 'v'"),
    "inf": (b"1,2\n3,inf\n", "p.csv", {}, "1 missing, NaN or infinite cell, the first in row 2, column 'column 2'"),
    "huge number": (b"1,2\n3,1e60\n", "p.csv", {}, "infinite cell"),
    "nan npy": (npy(np.array([[1, np.nan], [2, 3]])), "p.npy", {}, "first in row 0"),
    "nothing left": (b"u,v\n1,\n,2\n", "p.csv", {"drop_missing": True}, "no complete row"),
    "ragged": (b"u,v\n1,2\n3,4,5\n", "p.csv", {}, "not a regular table"),
    "long rows": (b"u,v\n1,2,9\n3,4,8\n", "p.csv", {}, "not a regular table"),
    "unclosed quote": (b'u,v\n1,2\n"3,4\n5,6\n', "p.csv", {}, "p.csv"),
    "not utf-8": (b"u,v\n1,\xff\xfe\n", "p.csv", {}, "not UTF-8 text"),
    "binary": (b"u,v\n1,2\x00\x01\n", "p.csv", {}, "binary, not text"),
    "unknown column": (CSV.encode(), "p.csv", {"label_column": "typ"}, "no column 'typ'. Did you mean 'type'"),
    "all used up": (b"l,w\na,1\nb,2\n", "p.csv", {"label_column": "l", "weight_column": "w"}, "no columns of numbers left"),
    "negative weights": (b"u,w\n1,-2\n3,1\n", "p.csv", {"weight_column": "w"}, "negative weights, the first -2 at point 1"),
    "zero weights": (b"u,w\n1,0\n3,0\n", "p.csv", {"weight_column": "w"}, "All 2 weights of p.csv are zero"),
    "text weights": (b"u,w\n1,x\n3,1\n", "p.csv", {"weight_column": "w"}, "'x' in row 2, column 'w'"),
    "nan weights": (b"u,w\n1,\n3,1\n", "p.csv", {"weight_column": "w"}, "column 'weights'"),
    "wrong ending": (b"1,2\n3,4\n", "p.xlsx", {}, "does not end in .csv"),
    "no ending": (b"1,2\n3,4\n", "p", {}, "does not end in"),
    "npz as csv": (npz(x=X), "p.csv", {}, "ends in .csv but is a zip or npz archive"),
    "csv as npy": (b"1,2\n", "p.npy", {}, "ends in .npy but is something else"),
    "gzip": (b"\x1f\x8b\x08\x00", "p.csv", {}, "gzip"),
    "pickle": (b"\x80\x04\x95\x10\x00", "p.npy", {}, "pickle, which can run code"),
    "pickle as csv": (b"\x80\x03}q\x00.", "p.csv", {}, "pickle, which can run code"),
    "pickle in npy": (npy(np.array([{}, []], dtype=object), allow_pickle=True), "p.npy", {}, "Python objects, that is a pickle"),
    "pickle in npz": (npz(x=np.array([{}, []], dtype=object)), "p.npz", {}, "'x' in p.npz holds Python objects"),
    "text npy": (npy(np.array([["a", "b"], ["c", "d"]])), "p.npy", {}, "numbers only"),
    "records": (npy(np.zeros(3, [("a", "f4"), ("b", "f4")])), "p.npy", {}, "numbers only"),
    "cube": (npy(np.zeros((3, 3, 3))), "p.npy", {}, r"shape \(n, d\)"),
    "scalar": (npy(np.float32(3)), "p.npy", {}, r"shape \(n, d\)"),
    "cut off": (npy(X)[:-3], "p.npy", {}, "cut off"),
    "lying npy": (header((2**20, 2**20)), "p.npy", {}, "GB unpacked; at most 1 GB"),
    "negative npy": (header((-4, 4)), "p.npy", {}, "p.npy"),
    "damaged header": (b"\x93NUMPY\x01\x00\x10\x00garbagegarbage!!", "p.npy", {}, "damaged"),
    "damaged zip": (npz(x=X)[:-30], "p.npz", {}, "damaged"),
    "several tables": (npz(s=X, t=X), "p.npz", {}, "several tables: s, t"),
    "no table": (npz(s=np.ones(3)), "p.npz", {}, "no table of numbers"),
    "labels in npy": (npy(X), "p.npy", {"label_column": "type"}, "without named columns"),
    "short labels": (npz(x=X, k=np.ones(2)), "p.npz", {"label_column": "k"}, "one value a point"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_get_one_sentence(case):
    content, name, options, says = BAD[case]
    with pytest.raises(InputError, match=says) as error:
        read_points(content, name, **options)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


def test_a_300_mb_file_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "big.csv"
    with path.open("wb") as file:
        file.truncate(300 * 2**20)  # sparse
    with pytest.raises(InputError, match=r"big.csv has 300 MB; at most 200 MB"):
        read_points(path)
    with pytest.raises(InputError, match=r"no file gone.csv"):
        read_points(tmp_path / "gone.csv")


def test_a_zip_bomb_is_refused_by_its_declared_sizes(monkeypatch):
    bomb = npz(compressed=True, x=np.zeros((20_000_000, 4), np.float32))
    assert len(bomb) < 2**20
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *a, **k: pytest.fail("the bomb was opened"))
    with pytest.raises(InputError, match=r"would unpack from 0.3 MB to 305 MB, as a zip bomb does"):
        read_points(bomb, "p.npz")


def test_an_npz_that_lies_about_its_sizes_is_refused():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", header((3_000_000, 4)) + b"\x00" * 100)  # says 48 MB, holds 100 bytes
    with pytest.raises(InputError, match="cut off"):
        read_points(out.getvalue(), "p.npz")
    content = bytearray(npz(compressed=True, x=np.zeros((100_000, 4), np.float32)))
    size = struct.pack("<I", 128 + 1_600_000)
    assert content.count(size) == 2 or content.count(size) == 1
    with pytest.raises(InputError):  # the zip header says 200 bytes, the stream goes on
        read_points(bytes(content).replace(size, struct.pack("<I", 200)), "p.npz")


def test_too_many_members_are_refused():
    many = npz(**{f"a{i}": np.zeros(1) for i in range(MEMBERS_LIMIT + 1)})
    with pytest.raises(InputError, match="1 to 100 arrays; it holds 101"):
        read_points(many, "p.npz")


def test_rows_with_missing_cells_can_be_dropped():
    table = read_points(b"u,v,k,w\n1,2,a,1\n3,,b,1\n5,6,c,2\n7,8,d,\n", "p.csv", label_column="k", weight_column="w", drop_missing=True)
    assert table.points.tolist() == [[1, 2], [5, 6]]
    assert table.labels.tolist() == ["a", "c"]
    assert table.weights.tolist() == [1, 2]
    assert "2 of 4 rows" in table.notes[0]


def test_a_constant_column_is_a_note_and_no_error():
    table = read_points(b"u,v\n1,7\n2,7\n", "p.csv")
    assert table.notes == ("1 column of p.csv (v) has the same value in every point.",)


def test_uploads_come_back_by_digest_and_equal_files_are_kept_once():
    source = read_points(CSV.encode(), "p.csv", label_column="type", weight_column="mass")
    target = read_points(npy(X + 1), "q.npy")
    digest = store_upload(source, target)
    assert store_upload(source, target) == digest
    p = load("upload", digest=digest)
    assert np.array_equal(p.source.points, X)
    assert np.array_equal(p.target.points, X + 1)
    assert p.source.weights.tolist() == [1, 0, 2.5]
    assert p.target.weights is None
    assert p.source.labels["label"].tolist() == ["a", "b", "a"]
    assert p.source.names == ("u", "v")
    assert p.kind == "plane"
    assert p.origin["params"] == {"digest": digest}
    assert load("upload", n=2, digest=digest).target.n == 2


def test_upload_errors_are_sentences(tmp_path):
    two, three = read_points(npy(X), "p.npy"), read_points(npy(np.eye(3)), "q.npy")
    with pytest.raises(InputError, match="the source has 2 and the target 3"):
        store_upload(two, three)
    with pytest.raises(InputError, match="digest"):
        load("upload", digest="../../etc/passwd")
    with pytest.raises(InputError, match="upload it again"):
        load("upload", digest="0" * 64)
    digest = store_upload(two, two)
    path = tmp_path / "store" / "uploads" / f"{digest}.npz"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(InputError, match="changed or damaged"):
        load("upload", digest=digest)


def test_a_constant_column_of_both_sides_is_noted_on_the_problem():
    a = read_points(b"u,v\n1,7\n2,7\n", "p.csv")
    assert "column" in load("upload", digest=store_upload(a, a)).notes[0]
