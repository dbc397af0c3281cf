"""The bytes of a customer file as text: what kind of file it is, its encoding, its lines.

The encoding is decided as late as it must be. Up to the first byte that is not ASCII all of them
read alike; whether that byte begins a character of UTF-8 then tells UTF-8 from Windows-1252, which
holds Latin-1. So one pass is enough, and a stream needs no way back.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterable, Iterator

from predictions.errors import BadCustomerFile
from predictions.refusals import CHOOSE_ANOTHER, SAVE_AS_CSV, SAVE_OR_UNPACK, UNPACK, bad_file

HEAD = 64 * 1024
"""Bytes or characters, enough to hold any header: the format and the delimiter are told from it."""
LONGEST_ROW = 1024 * 1024
"""Characters. A file without line ends would otherwise be read into memory whole."""

_UTF8, _UTF16, _WINDOWS = "UTF-8", "UTF-16", "Windows-1252"
_NOT_ASCII = re.compile(rb"[\x80-\xff]")
_LONGEST_CHARACTER = 4  # bytes, in UTF-8

_OTHER_FORMATS = (
    (b"PK\x03\x04", "a workbook or an archive", SAVE_OR_UNPACK),
    (b"\xd0\xcf\x11\xe0", "a workbook", SAVE_AS_CSV),
    (b"\x1f\x8b", "a gzip archive", UNPACK),
    (b"BZh", "an archive", UNPACK),
    (b"7z\xbc\xaf", "an archive", UNPACK),
    (b"\xfd7zXZ", "an archive", UNPACK),
    (b"\x28\xb5\x2f\xfd", "an archive", UNPACK),
    (b"Rar!", "an archive", UNPACK),
    (b"%PDF", "a PDF document", CHOOSE_ANOTHER),
    (b"\x89PNG", "a picture", CHOOSE_ANOTHER),
    (b"\xff\xd8\xff", "a picture", CHOOSE_ANOTHER),
    (b"GIF8", "a picture", CHOOSE_ANOTHER),
    (b"PAR1", "a Parquet file", SAVE_AS_CSV),
)
"""How files start that people take for CSV files, or rename to .csv, and what to do with each."""
_JSON = re.compile(r'\s*(\{\s*["}]|\[\s*[\[{])')
_MARKUP = re.compile(r"\s*<[!?a-zA-Z]")


class FileText:
    """A customer file's text, in pieces of whole lines, read once."""

    def __init__(self, chunks: Iterable[bytes], *, is_cut_off: bool = False) -> None:
        """Read the head.

        is_cut_off: the chunks are the start of a file; a line without an end is left out.
        Raises BadCustomerFile when it is not that of a text file.
        """
        self.bytes_read = 0
        self.encoding = _UTF8
        """UTF-8, UTF-16 or Windows-1252, as far as the file has been read."""
        self._chunks = iter(chunks)
        self._is_cut_off = is_cut_off
        self._lines_decoded = 0
        head = b""
        for chunk in self._counted():
            head += chunk
            if len(head) >= HEAD:
                break
        for start, kind, hint in _OTHER_FORMATS:
            if head.startswith(start):
                raise bad_file("not-text", f"The file is {kind}, not CSV text.", hint)
        self._pieces = self._decoded(head)
        self._head = next(self._pieces, "")
        if _JSON.match(self._head):
            raise _not_csv("JSON")
        if _MARKUP.match(self._head):
            raise _not_csv("HTML or XML")

    @property
    def head(self) -> str:
        """The first `HEAD` characters at most, perhaps with a part of a line at the end."""
        return self._head[:HEAD]

    def whole_lines(self) -> Iterator[str]:
        """Yield the text in pieces that end where a line ends. Can be called once.

        Raises BadCustomerFile where it stops being text, or has a line that never ends.
        """
        rest = ""
        for piece in self._all_pieces():
            text = rest + piece
            # A \r\n that is cut in two leaves a \n: a line with nothing on it, which is no row.
            end = max(text.rfind("\n"), text.rfind("\r")) + 1
            if end:
                yield text[:end]
            rest = text[end:]
            if len(rest) > LONGEST_ROW:
                raise row_too_long(f"Line {self._lines_decoded + 1:,}")
        if rest and not self._is_cut_off:
            yield rest

    def _all_pieces(self) -> Iterator[str]:
        yield self._head
        yield from self._pieces

    def _counted(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self.bytes_read += len(chunk)
            yield chunk

    def _decoded(self, head: bytes) -> Iterator[str]:
        """Yield the text, the head's first and whole; refuse what no text holds."""
        ends_in_cr = False
        for piece in self._pieces_of(head):
            if "\0" in piece:
                line = self._lines_decoded + _line_ends(piece[: piece.index("\0")], ends_in_cr) + 1
                raise _not_text(line)
            self._lines_decoded += _line_ends(piece, ends_in_cr)
            ends_in_cr = piece.endswith("\r")
            yield piece

    def _pieces_of(self, head: bytes) -> Iterator[str]:
        if codec := _utf16_codec(head):
            self.encoding = _UTF16
            yield from self._decode(codecs.getincrementaldecoder(codec)(), head)
            return
        if (nul := head.find(0)) >= 0:  # before it is called text in the wrong encoding
            raise _not_text(_line_ends(head[:nul].decode("latin-1")) + 1)
        yield from self._ascii_then_decode(head.removeprefix(codecs.BOM_UTF8))

    def _ascii_then_decode(self, head: bytes) -> Iterator[str]:
        """Pass ASCII on until a byte is none, then let the character it begins decide."""
        chunk = head
        while chunk.isascii():
            yield chunk.decode("ascii")
            following = next(self._counted(), None)
            if following is None:
                return
            chunk = following
        first = _NOT_ASCII.search(chunk)
        start = first.start() if first else 0
        # The character may go on in the next chunk.
        while len(chunk) - start < _LONGEST_CHARACTER:
            following = next(self._counted(), b"")
            if not following:
                break
            chunk += following
        if not _begins_utf8(chunk[start:]):
            self.encoding = _WINDOWS
        codec = "utf-8" if self.encoding == _UTF8 else "cp1252"
        yield from self._decode(codecs.getincrementaldecoder(codec)(), chunk)

    def _decode(self, decoder: codecs.IncrementalDecoder, first: bytes) -> Iterator[str]:
        chunk, is_end = first, False
        while not is_end:
            try:
                piece = decoder.decode(chunk)
                if piece:
                    yield piece
                following = next(self._counted(), None)
                is_end = following is None
                chunk = following or b""
                if is_end:
                    decoder.decode(b"", final=True)
            except UnicodeDecodeError as exc:
                raise self._undecodable(exc) from exc

    def _undecodable(self, exc: UnicodeDecodeError) -> BadCustomerFile:
        before = exc.object[: exc.start].decode(exc.encoding, errors="replace")
        line = self._lines_decoded + _line_ends(before) + 1
        said = (
            f"neither {_UTF8} nor {_WINDOWS}"
            if self.encoding == _WINDOWS
            else "not " + self.encoding
        )
        return bad_file(
            "not-utf-8",
            f"Line {line:,} is {said} text: it has the byte 0x{exc.object[exc.start]:02X}.",
            SAVE_AS_CSV,
        )


def lines(text: str) -> Iterator[str]:
    r"""Split at \n, \r\n and \r, and at nothing else that `str.splitlines` takes for a line end."""
    return io.StringIO(text, newline="")


def row_too_long(where: str, row: int | None = None) -> BadCustomerFile:
    """Refuse a line that does not end, or quoted cells that together hold as much."""
    return bad_file(
        "row-too-long",
        f"{where} is longer than {LONGEST_ROW:,} characters.",
        "Write one row per customer, each on its own line.",
        row=row,
    )


def _utf16_codec(head: bytes) -> str | None:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    # Without a mark: of the letters that a header begins with, every second byte is zero.
    match [byte != 0 for byte in head[:4]]:
        case [True, False, True, False]:
            return "utf-16-le"
        case [False, True, False, True]:
            return "utf-16-be"
    return None


def _begins_utf8(text: bytes) -> bool:
    """Say whether the first character is one of UTF-8, as far as it is there."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        return bool(decoder.decode(text[:_LONGEST_CHARACTER]))
    except UnicodeDecodeError as exc:
        return exc.start > 0


def _line_ends(text: str, after_cr: bool = False) -> int:
    r"""Count \n, \r\n and \r; a \n that comes first belongs to a \r before it."""
    ends = text.count("\n")
    if "\r" in text:
        ends += text.count("\r") - text.count("\r\n")
    return ends - (after_cr and text.startswith("\n"))


def _not_text(line: int) -> BadCustomerFile:
    return bad_file(
        "not-text", f"The file is not text: line {line:,} holds a NUL byte.", SAVE_AS_CSV
    )


def _not_csv(kind: str) -> BadCustomerFile:
    return bad_file("not-a-csv", f"The file is {kind}, not CSV.", SAVE_AS_CSV)
