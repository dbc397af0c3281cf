"""What an emulator is known to do otherwise than AWS documents, test by test.

`docs/reliability.md` says of each why the product does not rely on it. An entry goes when its test
says that the emulator does as AWS does.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from botocore.exceptions import ClientError


@dataclass(frozen=True)
class Difference:
    """A test of tests/contract/cloud that a cloud does not pass.

    `fails_with` None: it passes at times, so that it is not asked.
    """

    cloud: str
    test: str
    does: str
    aws: str
    fails_with: type[Exception] | None

    def mark(self) -> pytest.MarkDecorator:
        """Give the mark for that test on that cloud."""
        reason = f"{self.cloud}: {self.does}; AWS: {self.aws}"
        if self.fails_with is None:
            return pytest.mark.skip(reason=reason)
        return pytest.mark.xfail(strict=True, raises=self.fails_with, reason=reason)


TWO_WINNERS = "two writes at one moment may both be accepted, or be answered by an error of its own"
ONE_WINNER = "a condition is judged and its write made as one step"

DIFFERENCES = (
    Difference(
        cloud="embedded",
        test="test_deleting_by_an_old_receipt_is_no_error",
        does="refuses it",
        aws="the request succeeds, but the message might not be deleted",
        fails_with=ClientError,
    ),
    Difference(
        cloud="embedded",
        test="test_a_range_of_a_version_is_that_range_alone",
        does="answers with the whole version",
        aws="a range and a version may be asked for together",
        fails_with=AssertionError,
    ),
    Difference(
        cloud="moto",
        test="test_a_transaction_that_is_sent_twice_is_written_once",
        does="takes no notice of the token and judges the second as a new one",
        aws="identical calls with one token have the effect of one, for ten minutes",
        fails_with=ClientError,
    ),
    *(
        Difference("moto", test, does=TWO_WINNERS, aws=ONE_WINNER, fails_with=None)
        for test in (
            "test_of_two_claims_at_one_moment_exactly_one_wins",
            "test_of_two_uploads_at_one_moment_under_one_key_exactly_one_is_recorded",
            "test_of_two_changes_at_one_moment_none_is_lost",
        )
    ),
)
