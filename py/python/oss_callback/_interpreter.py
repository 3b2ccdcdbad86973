"""Raises ImportError in a subinterpreter, before the native module can be loaded into one.

That works in the interpreter of its first import alone, and is of no use to all others for as long as the
process lives: not even to the main one, which takes part in the program's end.
"""

from __future__ import annotations

import sys


def is_main() -> bool:
    # Private, but the standard library's own and the same from 3.10 on. What else tells (C's
    # PyInterpreterState_GetID, the signals of the main thread) needs unsafe code, ctypes or a certain thread.
    try:
        if sys.version_info >= (3, 13):
            import _interpreters
        else:
            import _xxsubinterpreters as _interpreters  # type: ignore[import-not-found]
        return bool(_interpreters.get_current() == _interpreters.get_main())
    except (ImportError, AttributeError):
        # A Python that has none, such as PyPy.
        return True


if not is_main():
    raise ImportError(
        "oss_callback works in the main interpreter alone. To have a server run the application there, "
        "tell mod_wsgi `WSGIApplicationGroup %{GLOBAL}`, and uWSGI `single-interpreter = true`.",
        name="oss_callback",
    )
