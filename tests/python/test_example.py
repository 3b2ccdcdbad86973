"""The program that the README shows."""

import os
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "py/examples/put_with_callback.py"


def test_the_example_prints_the_application_servers_answer(testbed: dict[str, str]) -> None:
    environment = {**os.environ, **testbed, "CALLBACK_URL": testbed["APP_URL"] + "/ok"}
    command = [sys.executable, str(EXAMPLE)]
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=True)
    assert shown.stdout == '{"Status":"OK"}\n'
