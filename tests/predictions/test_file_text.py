"""The bytes of a file as text, whatever encoding they are in and wherever the chunks end."""

import tracemalloc
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictions import file_text
from predictions.errors import BadCustomerFile
from predictions.file_text import HEAD, LONGEST_ROW, FileText

TEXT = 'id;name\r\n1;"Müller, Zoë"\r\n2;Łódź – 日本 😀\n3;x\r4;end'
WESTERN = 'id;name\r\n1;"Müller, Zoë"\r\n2;€ 5 “quoted”\n3;x\r4;end'


def text_of(content: bytes, size: int = 1024) -> FileText:
    return FileText(content[start : start + size] for start in range(0, len(content), size))


def read(content: bytes, size: int = 1024) -> tuple[str, str]:
    with mock.patch.object(file_text, "HEAD", 4):  # else all of a small text is its head
        text = text_of(content, size)
        pieces = list(text.whole_lines())
    for piece in pieces[:-1]:
        assert piece.endswith(("\n", "\r"))
    return "".join(pieces), text.encoding


def refusal(content: bytes, size: int = 1024):
    with pytest.raises(BadCustomerFile) as caught:
        read(content, size)
    return caught.value.failure


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(
    ("content", "text", "encoding"),
    [
        (b"id,a\n1,2\n", "id,a\n1,2\n", "UTF-8"),
        (TEXT.encode(), TEXT, "UTF-8"),
        (TEXT.encode("utf-8-sig"), TEXT, "UTF-8"),
        (TEXT.encode("utf-16"), TEXT, "UTF-16"),
        (b"\xfe\xff" + TEXT.encode("utf-16-be"), TEXT, "UTF-16"),
        (TEXT.encode("utf-16-le"), TEXT, "UTF-16"),
        (TEXT.encode("utf-16-be"), TEXT, "UTF-16"),
        (WESTERN.encode("cp1252"), WESTERN, "Windows-1252"),
        ("id,a\n1,é".encode("latin-1"), "id,a\n1,é", "Windows-1252"),
        (b"", "", "UTF-8"),
    ],
)
def test_each_encoding_is_told_from_the_bytes(content, text, encoding, size):
    assert read(content, size) == (text, encoding)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_first_byte_that_is_not_ascii_may_come_far_behind_the_head(size):
    rows = "1,x\n" * (HEAD // 2)
    for codec, encoding in (("utf-8", "UTF-8"), ("cp1252", "Windows-1252")):
        content = (rows + "2,é\n").encode(codec)
        assert read(content, size) == (rows + "2,é\n", encoding)


@given(
    text=st.text(st.sampled_from('a,\n\r"é€😀\u2028\x85'), max_size=60),
    size=st.integers(1, 9),
    codec=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_no_character_is_lost_between_chunks(text, size, codec):
    assert read(("id,a\n" + text).encode(codec), size)[0] == "id,a\n" + text


@pytest.mark.parametrize("size", [3, 1000, 100_000])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize(
    ("line", "byte", "said"),
    [
        ("é".encode() + b" M\xfcller", "0xFC", "not UTF-8"),
        ("é".encode() + b"\xc3", "0xC3", "not UTF-8"),
        ("é".encode() + b"\xc3(", "0xC3", "not UTF-8"),
        (b"M\xfcller \x81", "0x81", "neither UTF-8 nor Windows-1252"),
    ],
)
def test_what_is_in_no_encoding_is_refused_with_its_line(line, byte, said, line_end, size):
    content = line_end.join([b"id,name", *(b"%d,x" % n for n in range(5_000)), b"9," + line])

    failure = refusal(content, size)

    assert failure.code == "not-utf-8"
    assert failure.message == f"Line 5,002 is {said} text: it has the byte {byte}."


@pytest.mark.parametrize("codec", ["utf-8", "utf-16"])
def test_a_nul_is_refused_with_its_line(codec):
    failure = refusal(("id,a\n" + "1,2\r\n" * 50_000 + "1,\0\n").encode(codec))

    assert (failure.code, "line 50,002 " in failure.message) == ("not-text", True)


@pytest.mark.parametrize(
    ("head", "code", "said", "hint"),
    [
        (b"PK\x03\x04 rest", "not-text", "a workbook or an archive", "or unpack the archive"),
        (b"\xd0\xcf\x11\xe0 rest", "not-text", "a workbook", "Save it as “CSV UTF-8”"),
        (b"\x1f\x8b\x08 bomb", "not-text", "a gzip archive", "Unpack it"),
        (b"Rar! rest", "not-text", "an archive", "Unpack it"),
        (b"\x89PNG\r\n\x1a\n", "not-text", "a picture", "Choose the file with the customers."),
        (b"%PDF-1.7", "not-text", "a PDF", "Choose the file with the customers."),
        (b'\n[ {"id": 1, "tenure": 2}]', "not-a-csv", "JSON", "Save it as “CSV UTF-8”"),
        (b'{"id": 1}', "not-a-csv", "JSON", "Save it as “CSV UTF-8”"),
        (b"\xef\xbb\xbf<!doctype html><p>a, b", "not-a-csv", "HTML", "Save it as “CSV UTF-8”"),
    ],
)
def test_another_format_is_called_what_it_is_and_what_helps_is_said(head, code, said, hint):
    failure = refusal(head + b" " * 100)

    assert failure.code == code
    assert said in failure.message
    assert hint in failure.hint


@pytest.mark.parametrize("header", ["[id],[tenure]", "{id},tenure", "<3 months,b", "BZ,hour"])
def test_a_header_that_only_begins_like_another_format_is_read(header):
    assert read(header.encode())[0] == header


def test_a_line_without_an_end_is_refused_in_bounded_memory():
    def chunks():
        yield b"id,a\n"
        for _ in range(400):
            yield b"x" * 262_144

    tracemalloc.start()
    try:
        with pytest.raises(BadCustomerFile) as caught:
            list(FileText(chunks()).whole_lines())
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert caught.value.failure.code == "row-too-long"
    assert caught.value.failure.message.startswith("Line 2 is longer than 1,048,576")
    assert peak < 8 * LONGEST_ROW
