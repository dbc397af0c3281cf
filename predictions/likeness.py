"""Which of a file's columns is meant by a column that it does not have."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from operator import itemgetter

from predictions.refusals import shown

MOST_COMPARED = 100
"""Names on either side: comparing is slow, and a header may be long."""
_ALIKE = 0.65  # of the letters; MonthlyCharges and “Monthly fee” have 0.67


def most_alike(columns: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """Give each column the name most like its own: the most alike first, each name once.

    A column that is like none of the names is left out.
    """
    pairs = []
    for column in columns[:MOST_COMPARED]:
        matcher = SequenceMatcher(b=_plain(column), autojunk=False)
        for name in names[:MOST_COMPARED]:
            matcher.set_seq1(_plain(name))
            # The cheap upper bounds spare most of the exact ratios.
            if min(matcher.real_quick_ratio(), matcher.quick_ratio()) >= _ALIKE:
                pairs.append((matcher.ratio(), column, name))
    alike: dict[str, str] = {}
    for likeness, column, name in sorted(pairs, key=itemgetter(0), reverse=True):
        if likeness >= _ALIKE and column not in alike and name not in alike.values():
            alike[column] = name
    return alike


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", shown(name)).lower()
