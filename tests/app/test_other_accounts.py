"""Another account's prediction answers exactly as one that does not exist, on every route.

The routes are read from the application, so a new one is tried without being named here.
"""

from __future__ import annotations

import re

import pytest

from finished import brought_to
from predictions.record import Status, new_id
from signed_in import headers_for

OF_THIS_ANSWER = {"X-Request-Id", "Date", "Content-Length"}
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")


@pytest.fixture(params=["demo", "load-balancer"])
def behind_either(request, app, behind):
    """The application with each identity provider."""
    return app if request.param == "demo" else behind


@pytest.fixture
def routes(behind_either):
    """Each route on one prediction with each of its methods."""
    return [
        (rule.endpoint, method)
        for rule in behind_either.url_map.iter_rules()
        if "prediction_id" in rule.arguments
        for method in sorted(rule.methods)
    ]


@pytest.fixture
def ask(behind_either, app):
    """Call a route on a prediction: what can be told from the answer, whenever it is given.

    The caller's account is demo, with either provider.
    """
    addresses = behind_either.url_map.bind("localhost")
    client = behind_either.test_client()

    def run(endpoint, method, prediction_id):
        path = addresses.build(endpoint, {"prediction_id": prediction_id}, method=method)
        own = {"Sec-Fetch-Site": "same-origin"}
        headers = own if behind_either is app else own | headers_for(path, "demo")
        with client.open(path, method=method, headers=headers) as answer:
            body = answer.text.replace(answer.headers["X-Request-Id"], "REQUEST")
            headers = dict(answer.headers)
        body = MOMENT.sub("MOMENT", body.replace(prediction_id, "ID"))
        kept = {name: value for name, value in headers.items() if name not in OF_THIS_ANSWER}
        return answer.status_code, kept, body

    return run


def kept_for(account, cloud):
    """All that the table and the buckets hold of an account."""
    items = [item for item in cloud.table.scan()["Items"] if item["account"] == account]
    versions = [
        (version["Key"], version["VersionId"])
        for bucket in (cloud.uploads_bucket, cloud.results_bucket)
        for version in cloud.s3.list_object_versions(Bucket=bucket).get("Versions", ())
        if f"/{account}/" in version["Key"]
    ]
    return items, versions


@pytest.mark.parametrize("status", Status)
def test_another_accounts_prediction_is_like_none(routes, ask, cloud, tmp_path, status):
    theirs = brought_to(status, cloud, tmp_path, account="other")
    before = kept_for("other", cloud)
    for endpoint, method in routes:
        none = ask(endpoint, method, new_id())
        assert none[0] == 404 or method == "OPTIONS"
        assert ask(endpoint, method, theirs.id) == none, (endpoint, method)
    assert kept_for("other", cloud) == before
    assert before[0]


def test_what_is_no_id_is_like_none(routes, ask, cloud):
    cloud.store.remember_column_matches("demo", {"tenure": "months"})
    for endpoint, method in routes:
        none = ask(endpoint, method, new_id())
        for no_id in ("no-id", new_id().lower(), "columns", "x" * 3000, "%00", "ü"):
            assert ask(endpoint, method, no_id) == none, (endpoint, method, no_id)


def test_ones_own_prediction_is_there(routes, ask, cloud, tmp_path):
    for endpoint, method in routes:
        ours = brought_to(Status.COMPLETED, cloud, tmp_path)
        assert ask(endpoint, method, ours.id)[0] != 404, (endpoint, method)
