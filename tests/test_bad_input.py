"""Bad input from people, wherever it enters: each time one sentence, an InputError, and nothing else."""

import io
import math
from pathlib import Path

import numpy as np
import pytest
import torch

import uotlab
from uotlab import InputError
from uotlab.__main__ import main
from uotlab.data.files import read_points

X = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
Y = X[:15] + 2


def one_sentence(error: pytest.ExceptionInfo[InputError]) -> None:
    text = str(error.value)
    assert text
    assert "\n" not in text
    assert len(text) < 500


@pytest.fixture(scope="module")
def fitted() -> uotlab.Fitted:
    return uotlab.fit("uotm", uotlab.Problem.from_arrays(X, Y), steps=1, width=8)


@pytest.mark.parametrize(
    "x",
    [
        [[10**400, 1], [2, 3]],
        [[1e300, 1], [2, 3]],
        np.ma.array(X, mask=X > 0),
        torch.zeros(5, 2, dtype=torch.complex64),
        torch.eye(2).to_sparse(),
        torch.empty(5, 2, device="meta"),
    ],
    ids=["huge int", "beyond float32", "masked", "complex", "sparse", "meta"],
)
def test_strange_points(x):
    with pytest.raises(InputError) as error:
        uotlab.Problem.from_arrays(x, Y)
    one_sentence(error)


def test_sparse_matrices_say_how_to_go_on():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(InputError, match="toarray"):
        uotlab.Problem.from_arrays(sparse.csr_matrix(X), Y)


def test_half_precision_and_series_are_points():
    pandas = pytest.importorskip("pandas")
    assert uotlab.Problem.from_arrays(torch.from_numpy(X).bfloat16(), Y).d == 2
    assert uotlab.Problem.from_arrays(pandas.Series([1.0, 2.0, 4.0]), [[1.0], [2.0]]).d == 1


@pytest.mark.parametrize(
    "more",
    [{"a": np.full(20, 1e308)}, {"x_labels": [[1], [1, 2]]}, {"foo": 1}, {"marginals": ()}, {"kind": "planet"}, {"cost": "sqeuclidian"}],
    ids=str,
)
def test_strange_fields_of_a_problem(more):
    with pytest.raises(InputError) as error:
        uotlab.Problem.from_arrays(X, Y, **more)
    one_sentence(error)


@pytest.mark.parametrize(
    "more",
    [
        {"eps": "small"}, {"eps": None}, {"eps": math.nan}, {"rho1": "inf"}, {"rho2": [1.0, 2.0]}, {"tol": "a"}, {"max_iter": 1.5},
        {"max_iter": -1}, {"init": 5}, {"init": (np.zeros(20),)}, {"init": (np.zeros(15), np.zeros(20))},
    ],
    ids=str,
)  # fmt: skip
def test_strange_arguments_of_sinkhorn(more):
    with pytest.raises(InputError) as error:
        uotlab.sinkhorn(X, Y, **more)
    one_sentence(error)


def test_sinkhorn_refuses_what_no_memory_holds():
    many = np.zeros((200_000, 1), np.float32)
    with pytest.raises(InputError, match="pairs"):
        uotlab.sinkhorn(many, many)


def test_sinkhorn_refuses_costs_that_overflow():
    with pytest.raises(InputError, match="too large"):
        uotlab.sinkhorn(X.astype(np.float64) * 1e200, Y)


@pytest.mark.parametrize(("n", "rng"), [(-1, None), (1.5, None), ("a", None), (3, 5), (3, np.random.default_rng(0))])
def test_strange_pairs(n, rng):
    with pytest.raises(InputError) as error:
        uotlab.sinkhorn(X, Y).sample_pairs(n, rng)
    one_sentence(error)


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("uotm", {"tau": True}), ("uotm", {"batch_size": True}), ("uotm", {"tau": math.inf}), ("fixedmu", {"rho1": [1]}),
        ("fixedmu", {"rho1": "abc"}), ("uotm", {"cost": "power", "cost_parameter": 11}),
        ("uotm", {"cost": "wfr", "cost_parameter": math.inf}),
    ],
    ids=str,
)  # fmt: skip
def test_strange_hyper_parameters(name, more):
    with pytest.raises(InputError) as error:
        uotlab.fit(name, uotlab.Problem.from_arrays(X, Y), steps=1, **more)
    one_sentence(error)


@pytest.mark.parametrize("factor", [1e30, 1e-30])
@pytest.mark.parametrize("name", ["uotm", "uotfm"])
def test_numbers_that_float32_cannot_train_on(name, factor):
    with pytest.raises(InputError, match="Rescale"):
        uotlab.fit(name, uotlab.Problem.from_arrays(X * factor, Y * factor), steps=1)


def test_numpy_counts_are_counts():
    assert uotlab.load("moons-to-spiral", n=np.int64(5), seed=np.int64(1)).source.n == 5


@pytest.mark.parametrize(
    "call", [lambda: uotlab.Penalty("a"), lambda: uotlab.Penalty(None), lambda: uotlab.Penalty.from_tau("sinkhorn", "a", 1)]
)
def test_strange_penalties(call):
    with pytest.raises(InputError) as error:
        call()
    one_sentence(error)


@pytest.mark.parametrize("registry", [uotlab.METHODS, uotlab.DATASETS, uotlab.COSTS])
def test_long_names_are_cut(registry):
    with pytest.raises(InputError) as error:
        registry["x" * 100_000]
    one_sentence(error)


# ---- files --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", [None, 5, "", "."])
def test_fits_need_a_file(fitted, path):
    for act in (fitted.save, uotlab.Fitted.load):
        with pytest.raises(InputError) as error:
            act(path)
        one_sentence(error)


def test_a_fit_is_not_written_over_a_folder(fitted, tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        fitted.save(tmp_path)


@pytest.mark.parametrize("part", ["spec", "method", "problem", "state", "metrics", "history"])
@pytest.mark.parametrize("value", [None, 5, "missing"])
def test_fits_with_a_damaged_part(fitted, tmp_path, part, value):
    path = tmp_path / "fit.pt"
    fitted.save(path)
    parts = torch.load(path, weights_only=True)
    if value == "missing":
        del parts[part]
    else:
        parts[part] = value
    torch.save(parts, path)
    with pytest.raises(InputError) as error:
        uotlab.Fitted.load(path)
    one_sentence(error)


def test_a_fit_with_another_problem(fitted, tmp_path):
    path = tmp_path / "fit.pt"
    fitted.save(path)
    other = uotlab.Problem.from_arrays(np.c_[X, X], np.c_[Y, Y])
    for problem in (other, 5):
        with pytest.raises(InputError) as error:
            uotlab.Fitted.load(path, problem=problem)
        one_sentence(error)


def npy(descr: str, shape: str) -> bytes:
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(64)


@pytest.mark.parametrize(
    "content",
    [
        npy("<f8", "(-1, -2)"), npy("|S0", "(1000000000000, 2)"), npy("<f8", f"({'1,' * 70})"), npy("<f8", f"(0, 1{'0' * 30})"),
        npy("<f8", "(True, 2)"),
    ],
    ids=["negative", "no size", "70 axes", "endless", "bool"],
)  # fmt: skip
def test_lying_npy_headers(content):
    with pytest.raises(InputError) as error:
        read_points(content, "a.npy")
    one_sentence(error)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"", "a\nb.csv"),
        (b"", "a" * 5000 + ".csv"),
        (b'"' + b"a" * 200_000 + b'",y\n3,4\n5,6\n', "a.csv"),
        (None, None),
        (5, None),
        ("a" * 5000 + ".csv", None),
        ("~nobody-of-this-name/a.csv", None),
    ],
    ids=["name of two lines", "long name", "endless cell", "None", "number", "long path", "no such home"],
)
def test_strange_files(content, name):
    with pytest.raises(InputError) as error:
        read_points(content, name)
    one_sentence(error)


@pytest.mark.parametrize("text", ["x;y\n1,5;2,5\n3,5;4,5\n", 'x,y\n"1,5","2,5"\n"3,5","4,5"\n', "1,5;2,5\n3,5;4,5\n"])
def test_decimal_commas_are_named(text):
    with pytest.raises(InputError, match="decimals with a point"):
        read_points(text.encode(), "a.csv")


@pytest.mark.parametrize("weight", ["1e308", "1e-320"])
def test_weights_that_float32_loses(weight):
    with pytest.raises(InputError, match="Rescale"):
        read_points(f"x,w\n1,{weight}\n2,{weight}\n".encode(), "a.csv", weight_column="w")


def test_bytes_in_memory_are_a_file():
    out = io.BytesIO()
    np.save(out, X)
    assert read_points(out.getvalue(), "a.npy").points.shape == X.shape


# ---- command line -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "words", [["--data", "n=5"], ["--data", "name=5"], ["--set", "steps=5"], ["--set", "problem=5"], ["--set", "seed=1"]], ids=str
)
def test_words_that_are_no_settings(words, capsys):
    assert main(["run", "uotm", "moons-to-spiral", *words]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_an_unwritable_out_is_known_before_training(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("uotlab.cli.run.fit", lambda *_, **__: pytest.fail("it trained first"))
    file = tmp_path / "file"
    file.write_text("")
    assert main(["run", "uotm", "moons-to-spiral", "--out", str(file)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_store_that_cannot_be_made(monkeypatch, tmp_path: Path, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("UOTLAB_STORE", str(tmp_path / "file" / "store"))
    assert main(["run", "uotm", "upload", "--data", f"digest={'a' * 64}", "--steps", "1"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
