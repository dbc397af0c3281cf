"""Files on their way in: what is taken, what is refused, and that nothing is held whole."""

from __future__ import annotations

import gzip
import io
import tracemalloc

import pytest
from botocore.awsrequest import AWSResponse
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

from app.uploads import LONGEST_NAME, incoming
from finished import CONTENT, SCHEMA
from predictions.aws import s3_client
from predictions.file_check import FileCheck
from predictions.files import Files

MAX_UPLOAD_BYTES = 300_000  # as the settings fixture has it
BOUNDARY = "b0undary"
HEADER = b"a,tenure\n\n\n\n"  # twelve bytes, so that rows of four fill any limit


def form(*parts, end="--\r\n"):
    """A form by hand: parts of (name, file name or None, content)."""
    body = b""
    for name, file_name, content in parts:
        named = f'; filename="{file_name}"' if file_name is not None else ""
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'
        body += head.encode() + content + b"\r\n"
    return body + f"--{BOUNDARY}{end}".encode()


def post_form(client, body, **more):
    content_type = f"multipart/form-data; boundary={BOUNDARY}"
    return client.post("/api/predictions", data=body, content_type=content_type, **more)


def post_csv(client, body, **more):
    return client.post("/api/predictions", data=body, content_type="text/csv", **more)


def as_chunked(body):
    """What a server hands on when no length was announced."""
    return {
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
        "CONTENT_LENGTH": "",
        "HTTP_TRANSFER_ENCODING": "chunked",
    }


def announcing(length):
    return {"CONTENT_LENGTH": str(length), "wsgi.input_terminated": True}


def nothing_is_left(cloud):
    uploads = cloud.s3.list_object_versions(Bucket=cloud.uploads_bucket)
    unfinished = cloud.s3.list_multipart_uploads(Bucket=cloud.uploads_bucket)
    return (
        "Versions" not in uploads
        and "Uploads" not in unfinished
        and not cloud.store.page("demo").predictions
    )


def refused(answer):
    return answer.status_code, answer.json["code"]


def test_other_fields_before_and_after_the_file_are_skipped(client, cloud):
    body = form(("note", None, b"hi"), ("file", "may.csv", CONTENT), ("more", "x.bin", b"\0"))

    answer = post_form(client, body)

    assert answer.status_code == 202
    assert cloud.store.get("demo", answer.json["id"]).input.size_bytes == len(CONTENT)


@pytest.mark.parametrize("size", [3, 100, MAX_UPLOAD_BYTES - 10])
def test_the_file_arrives_byte_for_byte(client, cloud, size):
    # What looks like the end of the form, inside a quoted cell or as rows.
    content = b"id,tenure\n" + (f"\r\n--{BOUNDARY[:-1]}\r\n--\r\n-".encode() * size)[:size]

    answer = post_form(client, form(("file", "may.csv", content)))

    record = cloud.store.get("demo", answer.json["id"])
    stored = cloud.s3.get_object(Bucket=cloud.uploads_bucket, Key=record.input.key)
    assert stored["Body"].read() == content


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("over", [1, 2_000_000])
def test_a_file_over_the_limit_is_refused_and_the_limit_named(client, cloud, chunked, over):
    content = HEADER + b"1,2\n" * ((MAX_UPLOAD_BYTES + over) // 4)
    for post, body in ((post_csv, content), (post_form, form(("file", "may.csv", content)))):
        how = {"environ_overrides": as_chunked(body)} if chunked else {}

        answer = post(client, body, **how)

        assert refused(answer) == (413, "file-too-large")
        assert "293\N{NO-BREAK SPACE}kB" in answer.json["detail"]
    assert nothing_is_left(cloud)


def test_a_file_of_just_the_limit_is_taken(client):
    content = HEADER + b"1,2\n" * ((MAX_UPLOAD_BYTES - len(HEADER)) // 4)
    assert len(content) == MAX_UPLOAD_BYTES

    assert post_csv(client, content).status_code == 202
    assert post_form(client, form(("file", "may.csv", content))).status_code == 202


def test_a_form_with_too_much_beside_its_file_is_refused(client, cloud):
    big = ("note", None, b"x" * 2_000_000)
    many = [("note", None, b"x")] * 30

    assert refused(post_form(client, form(big, ("file", "a.csv", CONTENT))))[0] in {400, 413}
    assert refused(post_form(client, form(*many))) == (400, "bad-request")
    assert nothing_is_left(cloud)


def test_a_client_that_goes_away_leaves_nothing(client, cloud):
    whole = form(("file", "may.csv", CONTENT), ("note", None, b"hi"))
    for length in range(1, len(whole) - 4):  # the last line end may be missing
        answer = post_form(client, whole[:length], environ_overrides=announcing(len(whole)))
        assert refused(answer) == (400, "incomplete-upload")
    answer = post_csv(client, CONTENT[:-5], environ_overrides=announcing(len(CONTENT)))
    assert refused(answer) == (400, "incomplete-upload")
    assert nothing_is_left(cloud)


@pytest.mark.parametrize("error", [OSError("reset"), ValueError("no such chunk")])
def test_a_connection_that_breaks_leaves_nothing(client, cloud, error):
    class Breaks(io.BytesIO):
        def read(self, size=-1):
            if self.tell():
                raise error
            return super().read(20)

    how = as_chunked(b"") | {"wsgi.input": Breaks(CONTENT)}
    answer = client.post(
        "/api/predictions", content_type="text/csv", data=b"", environ_overrides=how
    )

    assert refused(answer) == (400, "incomplete-upload")
    assert nothing_is_left(cloud)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (form(("other", "may.csv", CONTENT)), (400, "missing-file")),
        (form(("file", "", b"")), (422, "empty-file")),
        (form(("file", "may.csv", CONTENT), ("file", "june.csv", CONTENT)), (400, "bad-request")),
        (f"--{BOUNDARY}--\r\n".encode(), (400, "missing-file")),
        (f"--{BOUNDARY}\r\n\r\nx\r\n--{BOUNDARY}--".encode(), (400, "incomplete-upload")),
    ],
)
def test_a_form_without_one_file_is_refused(client, cloud, body, expected):
    assert refused(post_form(client, body)) == expected
    assert nothing_is_left(cloud)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty-file"),
        (b"PK\x03\x04\0\0\n,", "not-text"),
        (b"customers\nC1\n", "not-a-csv"),
        (b"id,tenor\n1,2\n", "missing-columns"),
        (b"id,tenure\n", "no-rows"),
        (b"id,tenure\n" + b"1,2\n" * 60_000 + b'1,"2\n', "unclosed-quote"),
    ],
)
def test_a_file_that_cannot_be_scored_is_refused_and_nothing_is_left(client, cloud, content, code):
    for answer in (post_csv(client, content), post_form(client, form(("file", "a", content)))):
        assert refused(answer) == (422, code)
        assert nothing_is_left(cloud)


def test_what_the_file_turned_out_to_be_is_recorded(client, cloud):
    content = "Kundennr;Dauer\r\nÄ1;3\r\nÄ2;\r\n".encode("utf-16")
    cloud.store.remember_column_matches("demo", {"tenure": "Dauer", "customerID": "Kundennr"})

    answer = post_csv(client, content)

    facts = cloud.store.get("demo", answer.json["id"]).input.facts
    assert (facts.rows, facts.columns, facts.encoding, facts.delimiter) == (2, 2, "UTF-16", ";")
    assert facts.matches == {"tenure": "Dauer", "customerID": "Kundennr"}


def test_a_name_in_another_encoding_is_taken_as_far_as_it_can_be_read(client, cloud):
    body = form(("file", "Kunden-März.csv", CONTENT)).replace("ä".encode(), "ä".encode("cp1252"))

    answer = post_form(client, body)

    assert answer.status_code == 202
    name = cloud.store.get("demo", answer.json["id"]).input.name
    assert name == "Kunden-M\N{REPLACEMENT CHARACTER}rz.csv"


def test_a_folded_header_in_another_encoding_is_refused(client, cloud):
    body = form(("file", "may.csv", CONTENT)).replace(b"; filename", b";\r\n x=\xe4; filename")

    assert refused(post_form(client, body)) == (400, "incomplete-upload")
    assert nothing_is_left(cloud)


@pytest.mark.parametrize("content_type", ["application/json", "", "text/html"])
def test_other_content_types_are_refused(client, content_type):
    answer = client.post("/api/predictions", data=CONTENT, content_type=content_type)

    assert refused(answer) == (415, "unsupported-media-type")


def test_a_packed_upload_is_refused(client, cloud):
    packed = post_csv(client, gzip.compress(CONTENT), headers={"Content-Encoding": "gzip"})

    assert refused(packed) == (415, "unsupported-media-type")
    assert "Content-Encoding" in packed.json["detail"]
    assert post_csv(client, CONTENT, headers={"Content-Encoding": "identity"}).status_code == 202


def test_a_form_that_names_no_boundary_is_refused(client):
    answer = client.post("/api/predictions", data=b"x", content_type="multipart/form-data")

    assert refused(answer) == (400, "bad-request")


NAMES = [
    ("../../etc/passwd", "passwd"),
    ("C:\\Data\\may.csv", "may.csv"),
    ("ma\u202eyvsc.exe\u0007", "mayvsc.exe"),
    ("x" * 300, "x" * LONGEST_NAME),
    ("Kündigungen 日本.csv", "Kündigungen 日本.csv"),
    ("/", "upload.csv"),
    ("", "upload.csv"),
]


def test_a_name_is_cleaned_and_never_part_of_a_key(client, cloud):
    for given, shown in NAMES:
        quoted = given.replace("\\", "\\\\")
        for answer in (
            client.post(
                "/api/predictions",
                query_string={"name": given},
                data=CONTENT,
                content_type="text/csv",
            ),
            post_form(client, form(("file", quoted, CONTENT))),
        ):
            assert answer.json["file"]["name"] == shown
            record = cloud.store.get("demo", answer.json["id"])
            assert record.input.key == f"uploads/demo/{record.id}/input.csv"


def test_a_body_of_csv_may_carry_its_name_in_a_header(client):
    header = {"Content-Disposition": "attachment; filename*=UTF-8''M%C3%A4rz.csv"}

    assert post_csv(client, CONTENT, headers=header).json["file"]["name"] == "März.csv"


class Endless(io.RawIOBase):
    """A request's body of `size_bytes` that exists nowhere whole."""

    def __init__(self, head, size_bytes, tail):
        self.head, self.left, self.tail = head, size_bytes, tail

    def read(self, size=-1):
        if self.head:
            piece, self.head = self.head, b""
        elif self.left:
            piece = b"C1,some text,123.45\n" * (min(size, self.left) // 20)
            self.left -= len(piece)
        else:
            piece, self.tail = self.tail, b""
        return piece


class Accepted:
    """S3 as far as a transfer needs it: takes every part and keeps none."""

    def __init__(self):
        self.received = 0

    def __call__(self, request, **_kwargs):
        answer = b""
        if request.method == "PUT":
            request.body.seek(0)
            while piece := request.body.read(65536):
                self.received += len(piece)
        elif request.url.endswith("?uploads"):
            answer = b"<InitiateMultipartUploadResult><UploadId>u</UploadId>"
            answer += b"</InitiateMultipartUploadResult>"
        elif request.method == "POST":
            answer = b"<CompleteMultipartUploadResult><ETag>e</ETag>"
            answer += b"</CompleteMultipartUploadResult>"

        class Raw(io.BytesIO):
            def stream(self, **_kwargs):
                yield self.getvalue()

        return AWSResponse(request.url, 200, {"ETag": '"e"'}, Raw(answer))


def test_64_mib_pass_through_less_than_24(monkeypatch):
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "REGION"):
        monkeypatch.setenv(f"AWS_{name}", "test")
    s3, accepted = s3_client(), Accepted()
    s3.meta.events.register("before-send.s3", accepted)
    files = Files(s3, uploads_bucket="uploads", results_bucket="results")
    size_bytes = 64 * 2**20 // 20 * 20
    head, tail = form(("file", "may.csv", b"id,text,tenure\n")).split(b"\r\n--", 1)
    environ = EnvironBuilder(method="POST").get_environ() | as_chunked(b"")
    environ["CONTENT_TYPE"] = f"multipart/form-data; boundary={BOUNDARY}"
    environ["wsgi.input"] = Endless(head, size_bytes, b"\r\n--" + tail)

    tracemalloc.start()
    try:
        with incoming(Request(environ), 2 * size_bytes) as upload:
            stream = FileCheck(upload.chunks, SCHEMA, {}).stream()
            stored = files.put_upload("demo", "x", stream, name=upload.name)
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert stored.size_bytes == size_bytes + len(b"id,text,tenure\n")
    assert accepted.received >= stored.size_bytes
    assert peak < 24 * 2**20, f"{peak / 2**20:.1f} MiB"


def test_a_sender_is_listened_to_until_it_comes_to_the_answer():
    class Counting(io.BytesIO):
        def read(self, size=-1):
            self.most = max(getattr(self, "most", 0), self.tell())
            return super().read(size)

    def to_nowhere(request):
        with incoming(request, 4_000_000) as upload:
            next(upload.chunks)
            raise ConnectionError("S3 is away")

    def bytes_read_of(size_bytes):
        body = Counting(b"id,tenure\n" * (size_bytes // 10))
        environ = EnvironBuilder(method="POST", content_type="text/csv").get_environ()
        environ |= as_chunked(b"") | {"wsgi.input": body}
        with pytest.raises(ConnectionError):
            to_nowhere(Request(environ))
        return body.most

    assert bytes_read_of(3_000_000) == 3_000_000
    assert 8_000_000 < bytes_read_of(30_000_000) < 9_000_000
