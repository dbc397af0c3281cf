"""What a linter for IAM policies finds in one."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():  # it leaves its data files open
    warnings.simplefilter("ignore", ResourceWarning)

NEWER_THAN_THE_LINTER = {
    "kms:ReEncryptFrom", "kms:ReEncryptTo",
}  # fmt: skip
