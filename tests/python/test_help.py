"""What `help()`, editors and type checkers show: the same in all places, and complete."""

from __future__ import annotations

import ast
import inspect
import pydoc
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import oss_callback
import pytest
from conftest import ROOT
from oss_callback import Callback, CallbackVerifier, Client, Signer, _native, aio

GROUPS: dict[str, list[Any]] = {
    "client": [Client.__init__, aio.Client.__init__],
    "put": [Client.put_object_with_callback, aio.Client.put_object_with_callback],
    "upload": [Client.upload_file_with_callback, aio.Client.upload_file_with_callback],
    "callback": [Callback.__new__],
    "verifier": [CallbackVerifier.__init__],
}
# What is no option of `api/options.toml`: functions, and values of other classes.
OWN = {
    "client": {"credentials_provider"},
    "put": {"length", "cancel"},
    "upload": {"progress", "length", "cancel"},
    "callback": {"seal"},
    "verifier": {"callback", "fetch_key", "first_use"},
}


def listed(group: str) -> list[dict[str, Any]]:
    tomllib = pytest.importorskip("tomllib")
    options = tomllib.loads((ROOT / "api/options.toml").read_text("utf-8"))["option"]
    groups = {"put", "upload"} if group == "upload" else {group}
    return [option for option in options if option["group"] in groups]


@pytest.mark.parametrize("group", GROUPS)
def test_signatures_name_every_option_and_no_other(group: str) -> None:
    for function in GROUPS[group]:
        parameters = inspect.signature(function).parameters.values()
        keywords = [p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]
        own = OWN.get(group, set())
        assert [name for name in keywords if name not in own] == [option["name"] for option in listed(group)]
        # Tasks are cancelled without a token.
        assert own - set(keywords) <= {"cancel"}


@pytest.mark.parametrize(
    ("group", "thing"),
    [
        ("client", Client),
        ("client", aio.Client),
        ("put", Client.put_object_with_callback),
        ("put", aio.Client.put_object_with_callback),
        ("upload", Client.upload_file_with_callback),
        ("upload", aio.Client.upload_file_with_callback),
        ("callback", Callback),
        ("verifier", CallbackVerifier),
    ],
)
def test_help_tells_meaning_and_default_of_every_option(group: str, thing: Any) -> None:
    shown = " ".join(pydoc.plain(pydoc.render_doc(thing)).replace("|", " ").split())
    for option in listed(group):
        sentence = f"{option['doc']} Default: {option['default']}."
        assert " ".join(sentence.replace("|", " ").split()) in shown, option["name"]


def test_native_classes_show_their_arguments() -> None:
    assert str(inspect.signature(Signer)).startswith(
        "(access_key_id, access_key_secret, *, security_token=None"
    )
    assert "expires_in, query=()" in str(inspect.signature(Signer.presign))
    assert "image_width=None" in str(inspect.signature(Callback.preview))


@pytest.mark.parametrize(("module", "name"), [(_native, "__init__"), (_native.receive, "receive")])
def test_the_stub_documents_what_the_module_documents(module: ModuleType, name: str) -> None:
    """The stub is what editors read, the module what `help()` reads."""
    stub = ast.parse((Path(oss_callback.__file__).parent / f"_native/{name}.pyi").read_text("utf-8"))
    compared = 0
    for node in stub.body:
        if isinstance(node, ast.FunctionDef):
            assert ast.get_docstring(node) == inspect.getdoc(getattr(module, node.name)), node.name
        if not isinstance(node, ast.ClassDef):
            continue
        cls = getattr(module, node.name)
        assert ast.get_docstring(node) == inspect.getdoc(cls), node.name
        for member in node.body:
            if isinstance(member, ast.FunctionDef) and not member.name.startswith("__"):
                found = inspect.getattr_static(cls, member.name)
                doc = inspect.getdoc(found.__func__ if isinstance(found, staticmethod) else found)
                assert ast.get_docstring(member) == doc, f"{node.name}.{member.name}"
                compared += 1
    assert compared > 30


def run(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_typed_program_passes_mypy_and_its_mistakes_do_not(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    run("mypy", "--strict", "--cache-dir", str(tmp_path), str(Path(__file__).with_name("typed_program.py")))


def test_the_types_are_those_of_the_module(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    settings = tmp_path / "mypy.ini"
    settings.write_text(f"[mypy]\nstrict = true\ncache_dir = {tmp_path}\n")
    run("mypy.stubtest", "oss_callback", "--mypy-config-file", str(settings))


def test_the_examples_in_docstrings_and_readme_agree() -> None:
    readme = (ROOT / "py/README.md").read_text("utf-8")
    example = readme.split("```python\n")[1].split("```")[0]
    assert example.strip() in inspect.cleandoc(oss_callback.__doc__ or "").replace("\n    ", "\n")


def test_the_readme_shows_an_example_that_is_tested() -> None:
    readme = (ROOT / "py/README.md").read_text("utf-8")
    example = (ROOT / "py/examples/fastapi_app.py").read_text("utf-8")
    assert f"```python\n{example}```" in readme
