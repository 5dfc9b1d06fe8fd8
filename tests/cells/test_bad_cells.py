"""Bad cells: one clear sentence each, before anything is trained."""

import pickle  # noqa: TID251 - made here to see it refused

import anndata
import h5py
import numpy as np
import pytest
import scipy.sparse as sp

from tests.cells import files
from uotlab import cells
from uotlab.cells.files import store_upload
from uotlab.errors import InputError


def changed(change):
    adata = files.raw()
    adata.X = adata.X.toarray()
    return change(adata) or adata


def no_obs(adata):
    adata.obs = adata.obs[[]]


def one_time(adata):
    adata.obs["day"] = "E14.5"


def put(value):
    def change(adata):
        adata.X[3, 2] = value

    return change


def objects(adata):
    adata.X = adata.X.astype(object)


def of_identifiers(adata):
    adata.X = adata.X.astype(np.int64)
    adata.X[:, 4] = 9_007_199_254_740_993


def turned(adata):
    return anndata.AnnData(np.resize(adata.X, (12, 60)), var=adata.obs, obs=adata.var.assign(day=np.resize(["1", "2"], 12)))


def alike(adata):
    adata.X[:] = 1


def numbers_as_types(adata):
    adata.obs["score"] = np.arange(60) / 7


def no_values(adata):
    return anndata.AnnData(None, adata.obs)


def counted_twice(adata):
    adata.X = sp.csr_matrix(adata.X)
    adata.X.indices[5] = 100_000


BAD = {
    "no obs column": (no_obs, {}, "no obs column, so that nothing says"),
    "one time point": (one_time, {"time": "day"}, "has one value only, 'E14.5'"),
    "one time point, guessed": (
        lambda a: one_time(a) or a.obs.drop(columns="cell_type", inplace=True),
        {},
        "No obs column has two or more",
    ),
    "unknown column": (lambda a: None, {"time": "days"}, "Did you mean 'day'"),
    "unknown value": (lambda a: None, {"source": "E13.5"}, "No cell has 'E13.5'"),
    "the same twice": (lambda a: None, {"source": "E14.5", "target": "E14.5"}, "are the same cells"),
    "negative counts": (put(-3), {}, "1 values are negative, the smallest -3"),
    "negative values as counts": (put(-0.5), {"values": "counts"}, "values are negative"),
    "NaN": (put(np.nan), {}, "1 NaN or infinite value;"),
    "infinite": (put(np.inf), {}, "1 NaN or infinite value;"),
    "huge integers": (of_identifiers, {}, "more than any cell holds"),
    "objects": (objects, {}, "Python objects"),
    "genes as rows": (turned, {}, "rows look like genes"),
    "nothing passes": (lambda a: None, {"min_genes": 500}, "No cell passes the quality control"),
    "no gene": (lambda a: None, {"min_cells": 500}, "No gene is found in 500 cells"),
    "all cells alike": (alike, {}, "All cells have the same values"),
    "numbers as types": (numbers_as_types, {"type": "score"}, "holds 60 different numbers, which are no cell types"),
    "no values": (no_values, {}, "hold no expression values and name no space"),
    "places outside": (counted_twice, {}, "sparse matrix of these cells is damaged"),
    "no such setting": (lambda a: None, {"pc": 3}, "has no setting 'pc'"),
}


@pytest.mark.parametrize(("change", "settings", "says"), BAD.values(), ids=BAD)
def test_bad_cells_get_a_sentence(change, settings, says):
    with pytest.raises(InputError, match=says) as told:
        cells.prepare(changed(change), pcs=3, **settings) if "pc" not in settings else cells.prepare(changed(change), **settings)
    assert str(told.value).endswith((".", "?"))


ON_DISK = ("negative counts", "NaN", "huge integers", "one time point", "no obs column", "nothing passes", "no gene", "all cells alike")


@pytest.mark.parametrize("name", ON_DISK)
def test_bad_cells_on_disk_get_a_sentence(name, tmp_path, store, monkeypatch):
    monkeypatch.setattr("uotlab.cells.reading.IN_MEMORY", 0)
    change, settings, says = BAD[name]
    with pytest.raises(InputError, match=says.replace("1 NaN or infinite value;", "NaN or infinite values;")):
        cells.prepare(files.h5ad(tmp_path, changed(change)), pcs=3, **settings)


def test_what_can_be_mended_is_mended_and_said():
    adata = changed(lambda a: a.X.__setitem__(slice(0, 2), 0))
    adata.var_names = ["Sox9", *files.GENES[:-1]]
    study = cells.prepare(adata, pcs=3)
    assert "2 cells have no counts at all and were left out." in study.notes
    assert "1 gene name stands more than once; -1, -2, ... were added to tell them apart." in study.notes
    assert len(study.source) == 28
    assert "Sox9-1" in study.genes


def test_batch_and_time_that_are_the_same_are_told():
    adata = files.raw()
    adata.obs["batch"] = adata.obs["day"].astype(str) + "x"
    assert "'batch' and 'day' are the same thing here" in cells.prepare(adata, pcs=3).notes[0]


def test_counts_taken_for_logs_and_logs_for_counts_are_told():
    adata = files.raw()
    assert "look like counts, but log values are needed" in cells.prepare(adata, pcs=3, values="log").notes[0]
    adata.X = adata.X.log1p()
    assert "look like logarithms already" in cells.prepare(adata, pcs=3, values="counts").notes[0]
    assert cells.prepare(adata, pcs=3).notes == ()


# ---- files --------------------------------------------------------------------------------------------
def with_parts(tmp_path, write):
    path = files.h5ad(tmp_path)
    with h5py.File(path, "a") as file:
        write(file)
    return path


def pickled():
    return np.frombuffer(pickle.dumps({"a": [1, 2, 3]}), np.uint8)


def object_x(file):
    del file["X"]
    file.create_dataset("X", (60, 12), dtype=h5py.vlen_dtype(np.uint8))


def text_x(file):
    del file["X"]
    file["X"] = np.full((60, 12), b"1.0")
    file["X"].attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})


def cut(tmp_path):
    path = files.h5ad(tmp_path)
    path.write_bytes(path.read_bytes()[:-3000])
    return path


def named(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    return path


def shifted(part, place, value):
    """A file whose sparse matrix points outside itself: scipy's own code would write beside its memory."""

    def write(file):
        values = file[f"X/{part}"][...]
        values[place] = value
        file[f"X/{part}"][...] = values

    return lambda tmp_path: with_parts(tmp_path, write)


POINTERS = {
    "column too large": (shifted("indices", 5, 100_000), "sparse matrix of .* is damaged"),
    "column below 0": (shifted("indices", 5, -1), "sparse matrix of .* is damaged"),
    "rows that fall": (shifted("indptr", 5, 10**7), "damaged"),
}

BAD_FILES = {
    **POINTERS,
    "cut off": (cut, "damaged"),
    "no HDF5": (lambda t: named(t, "a.h5ad", b"hello"), "cannot be opened as HDF5"),
    "vlen X": (lambda t: with_parts(t, object_x), "Python objects or raw bytes at 'X'"),
    "text X": (lambda t: with_parts(t, text_x), "must hold numbers"),
    "raw bytes": (
        lambda t: with_parts(t, lambda f: f.create_dataset("uns/model", data=np.void(pickled().tobytes()))),
        "raw bytes at 'uns/model'",
    ),
    "pickle as bytes": (
        lambda t: with_parts(t, lambda f: f.create_dataset("uns/model", data=pickled())),
        "holds a Python pickle at 'uns/model'",
    ),
    "pickle": (lambda t: named(t, "a.h5ad", pickle.dumps({"a": 1})), "is a Python pickle"),
    "link out": (lambda t: with_parts(t, lambda f: f.__setitem__("uns/x", h5py.ExternalLink("/etc/passwd", "/"))), "has a link at 'uns/x'"),
    "link in": (lambda t: with_parts(t, lambda f: f.__setitem__("uns/x", h5py.SoftLink("/"))), "has a link at 'uns/x'"),
    "no parts": (lambda t: with_parts(t, lambda f: f.__delitem__("obs")), "neither an .h5ad, a 10x .h5 nor a loom"),
    "no such ending": (lambda t: named(t, "a.rds", b"x"), "does not end in"),
    "no table": (lambda t: named(t, "a.csv", b"a,b\nc,d\n"), "no columns of numbers"),
    "ragged table": (lambda t: named(t, "a.csv", b"cell,A,B\nc,1,2\nd,1,2,3,4\n"), "no table of numbers"),
    "cut off table": (lambda t: named(t, "a.tsv.gz", files.table(t, ".tsv.gz").read_bytes()[:200]), "cut off"),
    "mtx alone": (
        lambda t: named(t, "a.mtx", b"%%MatrixMarket matrix coordinate real general\n1 1 1\n1 1 1\n"),
        "needs the names of cells",
    ),
    "nothing there": (lambda t: t / "none.h5ad", "no file or folder"),
    "a name too long": (lambda t: t / ("a" * 5000 + ".h5ad"), "no file or folder a"),
    "no name": (lambda t: t / "a\0b.h5ad", "no file or folder a"),
    "no matrix": (lambda t: with_parts(t, lambda f: f.__delitem__("X")), "hold no expression values and name no space"),
}


@pytest.mark.parametrize(("make", "says"), BAD_FILES.values(), ids=BAD_FILES)
def test_bad_files_get_a_sentence(make, says, tmp_path, store):
    path = make(tmp_path)
    with pytest.raises(InputError, match=says) as told:
        cells.prepare(path, pcs=3)
    assert str(tmp_path) not in str(told.value)


@pytest.mark.parametrize(("make", "says"), POINTERS.values(), ids=POINTERS)
def test_pointers_astray_are_told_of_a_matrix_that_stays_on_disk(make, says, tmp_path, store, monkeypatch):
    monkeypatch.setattr("uotlab.cells.reading.IN_MEMORY", 0)
    with pytest.raises(InputError, match=says):
        cells.prepare(make(tmp_path), pcs=3)


def test_a_matrix_whose_names_do_not_fit_is_told(tmp_path):
    path = files.tenx_folder(tmp_path, packed=False)
    (path / "barcodes.tsv").write_text("a\nb\n")
    with pytest.raises(InputError, match="but there are 2 names of cells"):
        cells.read(path)


def test_a_table_of_other_cells_is_told(tmp_path):
    other = named(tmp_path, "known.csv", b"cell,day\nx,1\ny,2\n")
    with pytest.raises(InputError, match="None of the 2 names"):
        cells.read(files.mtx(tmp_path), obs=other)


def test_uploads_have_a_limit(store, monkeypatch):
    monkeypatch.setattr("uotlab.cells.files.UPLOAD_LIMIT", 2**20)
    with pytest.raises(InputError, match="at most 1 MB can be uploaded"):
        store_upload({"a.h5ad": b"x" * (2**20 + 1)})


def test_text_that_unpacks_without_end_is_stopped(tmp_path, monkeypatch):
    path = files.table(tmp_path, ".tsv.gz")
    monkeypatch.setattr("uotlab.cells.tables.UNPACKED", 500)
    monkeypatch.setattr("uotlab.cells.tables.Bounded.__init__.__defaults__", (500,))
    with pytest.raises(InputError, match="unpacks to too much text"):
        cells.read(path)
