"""What a person reads on a page, for tests that do not care how it is marked up."""

from __future__ import annotations

import html
import re


def text_of(answer):
    """Give the words of a page's main part, with single spaces."""
    body = re.sub(r"</?bdi[^>]*>", "", answer.text.partition("<main")[2])
    body = html.unescape(re.sub(r"<[^>]+>", " ", body))
    return re.sub(r"\s+", " ", body)
