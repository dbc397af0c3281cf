"""A container's quota counts, not the processors of the machine it runs on."""

from __future__ import annotations

import os

import pytest

from model.scoring.processors import processors

USABLE = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("max 100000", USABLE),
        ("50000 100000", 1),
        ("100000 100000", 1),
        ("150000 100000", min(2, USABLE)),
        ("99900000 100000", USABLE),
        ("garbage", USABLE),
    ],
)
def test_the_quota_of_version_2(tmp_path, content, expected):
    (tmp_path / "cpu.max").write_text(content + "\n")
    assert processors(tmp_path) == expected


@pytest.mark.parametrize(("quota", "expected"), [("-1", USABLE), ("25000", 1)])
def test_the_quota_of_version_1(tmp_path, quota, expected):
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(quota)
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000")
    assert processors(tmp_path) == expected


def test_without_a_quota_the_processors_that_may_be_used_count(tmp_path, monkeypatch):
    assert processors(tmp_path) == USABLE
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    assert processors(tmp_path) == 1
