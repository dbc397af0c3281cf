"""How numbers, sizes and times read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app import filters


@pytest.mark.parametrize(
    ("filter_", "value", "shown"),
    [
        ("count", None, "–"),
        ("count", 1234, "1,234"),
        ("count", 1868.7, "1,869"),
        ("percent", None, "–"),
        ("percent", 0.2654, "26.5 %"),
        ("money", None, "–"),
        ("money", 1234.4, "1,234"),
        ("money", 999_949, "999,949"),
        ("money", 999_950, "1.0 M"),
        ("money", 1_240_000, "1.2 M"),
        ("size", 1023, "1023 bytes"),
        ("size", 1024, "1 kB"),
        ("size", 1_048_063, "1023 kB"),
        ("size", 1_048_064, "1 MB"),
        ("size", 524_288_000, "500 MB"),
        ("duration", timedelta(seconds=-1), "0.0 s"),
        ("duration", timedelta(seconds=0.44), "0.4 s"),
        ("duration", timedelta(seconds=59.6), "1 min 0 s"),
        ("duration", timedelta(seconds=200), "3 min 20 s"),
        ("duration", timedelta(hours=2, minutes=5), "2 h 5 min"),
        ("moment", None, "–"),
        ("money", 9.99e11, "999,000.0 M"),
        ("money", 8.8e37, "8.8e37"),
        ("given", "<b>", "<bdi>&lt;b&gt;</bdi>"),
        ("given", " ", "–"),
        ("given", None, "–"),
        ("given", '"' * 61, f'<bdi title="{"&#34;" * 61}">{"&#34;" * 60}…</bdi>'),
        ("prose", "“<b>” and “c", "“<bdi>&lt;b&gt;</bdi>” and “c"),
        ("prose", "a `b` <c>", "a <code>b</code> &lt;c&gt;"),
        ("prose", "`<b>` and `", "<code>&lt;b&gt;</code> and `"),
    ],
)
def test_a_value_reads(filter_, value, shown):
    assert getattr(filters, filter_)(value).replace("\N{NO-BREAK SPACE}", " ") == shown


def test_a_moment_has_the_exact_one_on_hover():
    shown = filters.moment(datetime(2026, 8, 1, 14, 3, 9, tzinfo=UTC))

    assert 'datetime="2026-08-01T14:03:09Z"' in shown
    assert 'title="1 Aug 2026, 14:03:09 UTC"' in shown
    assert ">1 Aug 2026, 14:03 UTC<" in shown


def test_a_moment_can_be_told_as_an_age():
    assert ' class="ago">' in filters.moment(datetime(2026, 8, 1, tzinfo=UTC), "ago")


def test_what_is_under_way_says_since_when():
    since = datetime(2026, 8, 1, 14, 3, 9, tzinfo=UTC)

    shown = filters.elapsed(since, since + timedelta(seconds=200))

    assert 'data-since="2026-08-01T14:03:09Z"' in shown
    assert ">3\N{NO-BREAK SPACE}min 20\N{NO-BREAK SPACE}s<" in shown
