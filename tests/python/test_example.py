"""The programs in `py/examples/`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

EXAMPLES = ROOT / "py/examples"
ANSWER = '{"Status":"OK"}\n'

# As much of tqdm as the example uses, where it is not installed.
TQDM = """
class tqdm:
    n = 0
    def __init__(self, total, **options):
        self.total = total
    def __enter__(self):
        return self
    def __exit__(self, *error):
        print(self.n, "of", self.total, "by tqdm")
    def update(self, more):
        self.n += more
"""


def run(
    testbed: dict[str, str], name: str, *arguments: str, path: Path | None = None, callback: str = "/ok"
) -> tuple[str, str]:
    environment = {**os.environ, **testbed, "CALLBACK_URL": testbed["APP_URL"] + callback}
    if path is not None:
        before = os.environ.get("PYTHONPATH")
        environment["PYTHONPATH"] = os.pathsep.join([str(path)] + ([before] if before else []))
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=True)
    return shown.stdout, shown.stderr


def test_the_example_prints_the_application_servers_answer(testbed: dict[str, str]) -> None:
    assert run(testbed, "put_with_callback.py") == (ANSWER, "")


def test_streams_are_uploaded(testbed: dict[str, str]) -> None:
    assert run(testbed, "put_stream.py") == (ANSWER * 2, "")


@pytest.mark.parametrize("with_tqdm", [False, True])
def test_a_file_is_uploaded_with_its_progress(
    testbed: dict[str, str], tmp_path: Path, with_tqdm: bool
) -> None:
    (tmp_path / "film.mp4").write_bytes(b"x" * (20 << 20))
    (tmp_path / "modules").mkdir()
    code = TQDM if with_tqdm else 'raise ImportError("not installed")'
    (tmp_path / "modules/tqdm.py").write_text(code)
    out, err = run(testbed, "upload_file.py", str(tmp_path / "film.mp4"), path=tmp_path / "modules")
    if with_tqdm:
        assert out == f"{20 << 20} of {20 << 20} by tqdm\n" + ANSWER
    else:
        assert out == ANSWER
        assert err.startswith("0 of 20971520 bytes\n")
        assert err.endswith("20971520 of 20971520 bytes\n")
    assert not (tmp_path / "film.mp4.checkpoint").exists()
