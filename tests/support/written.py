"""What a command writes into a document: the lines between two marks, of which one names it."""

from __future__ import annotations

END = "<!-- end -->"


def with_written(document: str, command: str, text: str) -> str:
    """Put the text between `<!-- written by COMMAND -->` and the next `<!-- end -->`."""
    begin = f"<!-- written by {command} -->"
    before, rest = document.split(begin)
    _, after = rest.split(END, 1)
    return f"{before}{begin}\n{text}\n{END}{after}"
