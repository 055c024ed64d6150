"""Nothing of ours unpickles, evaluates or trusts code that comes with data or models; found in the code itself."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.app import make_app

ROOT = Path(__file__).parent.parent
ROOMS = ("cli", "producer", "broker", "worker", "db")
#: Modules that build objects of any kind from bytes, or carry them so between processes.
MODULES = {
    *("pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "jsonpickle", "marshal", "shelve"),
    *("multiprocessing", "concurrent.futures.process", "torch", "yaml", "code", "codeop", "imp"),
}
#: Calls by the end of their name: those of numpy are given away by what they allow.
CALLS = {
    *("eval", "exec", "compile", "__import__"),
    *("np.load", "numpy.load", "torch.load", "pd.read_pickle", "pandas.read_pickle", "read_pickle", "to_pickle"),
    *("yaml.load", "yaml.unsafe_load", "load_model", "load_weights", "loads_pickle", "PickleType"),
}
#: Arguments that let code in, unless they are just False.
ARGUMENTS = {"allow_pickle", "trust_remote_code", "weights_only", "custom_objects", "safe_mode"}


def offences(code: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names if _is_of(one.name, MODULES))
        elif isinstance(node, ast.ImportFrom) and node.module and _is_of(node.module, MODULES):
            yield node.module
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in CALLS or name.rpartition(".")[2] in CALLS - {"compile"}:
                yield name
            yield from (str(one.arg) for one in node.keywords if one.arg in ARGUMENTS and not _is_false(one.value))


def _is_of(module: str, modules: set[str]) -> bool:
    return any(module == one or module.startswith(f"{one}.") for one in modules)


def _is_false(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is False


@pytest.mark.parametrize("room", ROOMS)
def test_no_room_reads_pickles_or_runs_what_it_is_given(room: str) -> None:
    files = sorted((ROOT / room).rglob("*.py"))
    assert files
    found = {str(path.relative_to(ROOT)): [*offences(path.read_text())] for path in files}
    assert {path: what for path, what in found.items() if what} == {}


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "import numpy, pickle as p",
        "from pickle import loads",
        "from joblib.numpy_pickle import load",
        "import marshal",
        "def f():\n    import shelve",
        "import torch",
        "np.load(path)",
        "numpy.load(path, allow_pickle=True)",
        "f(path, allow_pickle=flag)",
        "frame = pandas.read_pickle(path)",
        "yaml.load(text)",
        "AutoTokenizer.from_pretrained(path, trust_remote_code=True)",
        "AutoTokenizer.from_pretrained(path, trust_remote_code=None)",
        "keras.models.load_model(path)",
        "eval(text)",
        "builtins.exec(text)",
    ],
)
def test_each_way_in_would_be_found(code: str) -> None:
    assert [*offences(code)] != []


def test_what_is_harmless_is_let_be() -> None:
    for code in ("model.compile(optimizer)", "re.compile(x)", "f(x, trust_remote_code=False)", "json.loads(x)"):
        assert [*offences(code)] == []


def test_messages_are_json_and_nothing_else() -> None:
    conf = make_app("redis://nowhere:1/0").conf
    assert list(conf.accept_content) == ["json"]
    assert (conf.task_serializer, conf.result_serializer, conf.event_serializer) == ("json", "json", "json")
    assert conf.result_accept_content is None or list(conf.result_accept_content) == ["json"]
    assert conf.result_backend is None
