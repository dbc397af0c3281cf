"""Says in one line what this Python lacks, before anything is installed with it.

The Makefile runs it with whatever `python3` is, so it is written for old ones too.
"""

import importlib
import sys

OLDEST = (3, 11)
# Distributions split these from Python; each with what it is for here.
MODULES = (
    ("ctypes", "the numeric packages"),
    ("ensurepip", "the virtual environment"),
    ("ssl", "downloading packages"),
    ("venv", "the virtual environment"),
    ("zlib", "unpacking packages"),
)


def problem(
    version: "tuple[int, int]", modules: "tuple[tuple[str, str], ...]" = MODULES
) -> "str | None":
    """Return one line that says what is missing and how to get it, or None.

    version: (major, minor) of the Python to judge.
    modules: (name, what it is for) of each module that must be there.
    """
    if version < OLDEST:
        return (
            f"Python 3.11 or newer is needed and this is {version[0]}.{version[1]} "
            f"({sys.executable}). Install one, for example with "
            "`apt install python3.11 python3.11-venv`, and name it: `make up PYTHON=python3.11`."
        )
    for name, purpose in modules:
        try:
            importlib.import_module(name)
        except ImportError:
            return (
                f"This Python ({sys.executable}) lacks its module {name}, needed for {purpose}. "
                "On Debian and Ubuntu: `apt install python3-venv`; a Python built from source "
                "needs the library behind it first."
            )
    return None


if __name__ == "__main__":
    line = problem(sys.version_info[:2])
    if line is not None:
        sys.stderr.write(line + "\n")
        sys.exit(2)
