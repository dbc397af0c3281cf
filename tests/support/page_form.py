"""The forms of a page, for tests that send them back as a browser does."""

from __future__ import annotations

from html.parser import HTMLParser

ODD = "<script>alert('1')</script>\"&amp;\n,"
"""A name of a column as nobody would choose it."""


class Form(HTMLParser):
    """What a browser would send of one form of a page."""

    def __init__(self, page, form_id):
        super().__init__()
        self.form_id = form_id
        self.fields = {}
        self.action = None
        self._inside = False
        self._select = None
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "form":
            self._inside = attrs.get("id") == self.form_id
            if self._inside:
                self.action = attrs["action"]
        elif not self._inside:
            return
        elif tag == "input":
            self.fields[attrs["name"]] = attrs["value"]
        elif tag == "select":
            self._select = attrs["name"]
        elif tag == "option" and (self._select not in self.fields or "selected" in attrs):
            self.fields[self._select] = attrs["value"]

    def handle_endtag(self, tag):
        if tag == "form":
            self._inside = False
