"""Release records in the emulator's S3: in the order of time, and what is none is named."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import count

import pytest
from ulid import ULID

from localcloud.cloud import ACCOUNT_ID
from operations.releases import DamagedRelease, Releases

BUCKET = f"local-retainwise-state-{ACCOUNT_ID}"
WEB = {"web": f"sha256:{'1' * 64}"}
_numbers = count()


@pytest.fixture(scope="module")
def s3(bootstrapped):
    return bootstrapped.client("s3")


@pytest.fixture
def releases(s3) -> Releases:
    """Of a stack of the test's own."""
    return Releases(s3, BUCKET, f"released{next(_numbers)}")


def start(releases, **changes):
    given = {
        "revision": "1a2b3c4d" * 5,
        "dirty": False,
        "images": WEB,
        "configuration": {"aws:region": "eu-west-1", "x:password": {"secure": "v1:abc"}},
        "who": "alice@host",
        "what": "deploy",
    }
    return releases.start(**(given | changes))


def key_of(releases, release):
    return f"releases/retainwise/{release.stack}/{release.id}.json"


def put(s3, release, releases, text):
    s3.put_object(Bucket=BUCKET, Key=key_of(releases, release), Body=text)


def test_a_release_is_written_as_running_before_anything_changes(s3, releases):
    before = datetime.now(UTC)
    release = start(releases)
    [found] = releases.newest_first()
    assert found == release
    assert (found.result, found.ended, found.puts_back) == ("running", None, None)
    assert before <= found.started <= datetime.now(UTC)
    # For those who read it without this program.
    answer = s3.get_object(Bucket=BUCKET, Key=key_of(releases, release))
    written = json.loads(answer["Body"].read())
    assert written["images"] == WEB
    assert written["configuration"]["x:password"] == {"secure": "v1:abc"}
    assert answer["ContentType"] == "application/json"


def test_how_it_ended_is_written_over_it(releases):
    release = start(releases, revision=None, dirty=True)
    finished = releases.finish(release, "failed", "web: 0 of 3 tasks became healthy")
    [found] = releases.newest_first()
    assert found == finished
    assert (found.result, found.reason) == ("failed", "web: 0 of 3 tasks became healthy")
    assert found.ended >= found.started
    assert (found.revision, found.dirty, found.started) == (None, True, release.started)


def test_the_newest_comes_first_and_another_stack_s_not_at_all(s3, releases):
    other = Releases(s3, BUCKET, f"released{next(_numbers)}")
    started = []
    for _ in range(3):
        started.append(start(releases).id)
        start(other)
    ids = [one.id for one in releases.newest_first()]
    assert ids == sorted(started, reverse=True)
    assert [one.id for one in releases.newest_first(before=ids[1])] == [ids[2]]


def test_more_than_a_page_of_them_is_listed(bootstrapped, releases):
    started = [start(releases) for _ in range(5)]
    s3 = bootstrapped.client("s3", bootstrapped.cloud.session("eu-west-1"))
    asked = []

    def two_at_a_time(params, **_):
        asked.append(params)
        return params | {"MaxKeys": 2}

    s3.meta.events.register("provide-client-params.s3.ListObjectsV2", two_at_a_time)
    paged = Releases(s3, BUCKET, started[0].stack)
    assert {one.id for one in paged.newest_first()} == {one.id for one in started}
    assert len(asked) == 3


def test_a_release_is_the_newest_though_another_machine_s_clock_was_ahead(s3, releases):
    ahead = start(releases)
    later = str(ULID.from_timestamp(datetime.now(UTC).timestamp() + 600))
    text = ahead.model_copy(update={"id": later}).model_dump_json()
    s3.put_object(Bucket=BUCKET, Key=key_of(releases, ahead).replace(ahead.id, later), Body=text)
    newest = [start(releases).id for _ in range(20)][::-1]
    assert [one.id for one in releases.newest_first()] == [*newest, later, ahead.id]


def test_an_id_that_is_none_is_of_no_release(releases):
    assert releases.get("01M0000000\n000") is None


def test_the_last_good_one_is_neither_failed_nor_running_nor_put_back(releases):
    assert releases.last_good() is None
    ended = {}
    for result in ("good", "failed", "good", "put back", "failed"):
        ended[result] = releases.finish(start(releases), result)
    start(releases)
    assert releases.last_good() == ended["good"]
    older = releases.last_good(before=ended["good"].id)
    assert older is not None
    assert older.id < ended["good"].id
    assert releases.last_good(before=older.id) is None


def test_what_a_later_version_adds_is_passed_over(s3, releases):
    release = start(releases)
    later = json.loads(release.model_dump_json()) | {"tickets": [1]}
    put(s3, release, releases, json.dumps(later))
    assert [*releases.newest_first()] == [release]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text[:-10], "Invalid JSON"),
        (lambda text: text.replace('"running"', '"splendid"'), "result: Input should be"),
        (lambda text: text.replace('"images"', '"pictures"'), "images: Field required"),
        (lambda text: text.replace('"released', '"other'), "it is the record .* of other"),
        (lambda text: text.replace('"id": "0', '"id": "9'), "it is the record 9"),
    ],
)
def test_what_is_no_record_is_named_by_its_key(s3, releases, change, said):
    release = releases.finish(start(releases), "good")
    damaged = start(releases)
    put(s3, damaged, releases, change(damaged.model_dump_json(indent=1)))
    with pytest.raises(DamagedRelease, match=said) as found:
        releases.last_good()
    assert f"s3://{BUCKET}/{key_of(releases, damaged)}" in str(found.value)
    # What is older than it can be asked for.
    assert next(releases.newest_first(before=damaged.id)) == release
