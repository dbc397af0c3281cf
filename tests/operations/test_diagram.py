"""The diagram says what the graph says: who is there, and who talks to whom."""

from __future__ import annotations

import json
import re

import pytest

from operations.diagram import BEGIN, DOCUMENT, END, draw, write, written_into
from operations.graph import Graph


@pytest.fixture(scope="module")
def diagram(prod):
    return draw(prod)


def test_the_document_has_what_make_diagram_draws(prod):
    text = DOCUMENT.read_text("utf-8")
    assert written_into(text, prod) == text, "run `make diagram`"


def test_only_the_marked_block_is_written(prod, tmp_path):
    path = tmp_path / "text.md"
    path.write_text(f"before\n{BEGIN}\nold\n{END}\nafter {END}\n")
    write(path)
    text = path.read_text()
    assert text.startswith(f"before\n{BEGIN}\n\n```mermaid\nflowchart")
    assert text.endswith(f"```\n\n{END}\nafter {END}\n")
    assert "old" not in text


def test_a_document_without_the_block_is_refused(prod):
    with pytest.raises(ValueError, match="there is no block"):
        written_into("a text", prod)


def test_it_is_small_enough_to_read(diagram):
    assert len(diagram.nodes) <= 30
    assert len(diagram.arrows) <= 45


def test_two_runs_draw_the_same():
    assert draw(Graph.of("prod")).mermaid() == draw(Graph.of("prod")).mermaid()


def test_every_box_talks_to_somebody(diagram):
    assert {end for arrow in diagram.arrows for end in arrow} == set(diagram.nodes)


@pytest.mark.parametrize(
    ("source", "target", "label"),
    [
        ("People_people", "LoadBalancer", "HTTPS"),
        ("WebAcl", "LoadBalancer", "filters"),
        ("LoadBalancer", "UserPool", "who is it?"),
        ("LoadBalancer", "Service_web", "forwards"),
        ("Service_web", "Queue_predictions_queue", "sends"),
        ("Service_web", "Bucket_uploads", "reads, writes"),
        ("Service_web", "Bucket_results", "reads"),
        ("Service_web", "Stack_session", "is started with"),
        ("Service_worker", "Queue_predictions_queue", "receives, sends"),
        ("Service_worker", "VpcEndpoint_Interface", ""),
        ("Service_worker", "VpcEndpoint_Gateway", ""),
        ("Queue_predictions_queue", "Queue_predictions_dlq", "after 50 receives"),
        ("Bucket_uploads", "Bucket_uploads_recovery", "every version"),
        ("Table_predictions", "Table_predictions_eu_central_1", "every write"),
        ("Table_predictions", "Vault_backup", "daily, 35 days"),
        ("MetricAlarm_alarms", "Topic_alarms", ""),
        ("MetricAlarm_alarms", "Runbooks", ""),
        ("Topic_alarms", "People_operators", "email"),
    ],
)
def test_who_talks_to_whom(diagram, source, target, label):
    assert diagram.arrows[source, target] == label


def test_nobody_from_outside_talks_to_a_task(diagram):
    into = {source for source, target in diagram.arrows if target.startswith("Service_")}
    assert into == {"LoadBalancer"}


def test_a_third_service_appears_by_itself(with_reports, diagram):
    drawn = draw(with_reports)
    assert set(drawn.nodes) - set(diagram.nodes) == {"Service_reports"}
    assert drawn.nodes["Service_reports"].group == "services"
    new = {arrow: label for arrow, label in drawn.arrows.items() if arrow not in diagram.arrows}
    assert new == {
        ("Service_reports", "Table_predictions"): "reads",
        ("Service_reports", "VpcEndpoint_Gateway"): "",
        ("Service_reports", "VpcEndpoint_Interface"): "",
        ("Service_reports", "LogGroup"): "",
    }


# ---- the twins: what leaves the graph leaves the diagram -------------------------------------


def test_without_its_grant_a_service_does_not_reach_the_queue(prod, altered):
    def take_away(inputs):
        policy = json.loads(inputs["policy"])
        kept = [one for one in policy["Statement"] if "sqs:SendMessage" not in one["Action"]]
        inputs["policy"] = json.dumps(policy | {"Statement": kept})

    arrows = draw(altered(prod, "RolePolicy", take_away)).arrows
    assert ("Service_web", "Queue_predictions_queue") not in arrows
    assert ("Service_web", "Bucket_uploads") in arrows


@pytest.mark.parametrize(
    ("kind", "change", "source", "target"),
    [
        (
            "MetricAlarm",
            {"alarmActions": [], "okActions": []},
            "MetricAlarm_alarms",
            "Topic_alarms",
        ),
        ("MetricAlarm", {"tags": {}}, "MetricAlarm_alarms", "Runbooks"),
        ("Service", {"loadBalancers": []}, "LoadBalancer", "Service_web"),
        ("SecurityGroupIngressRule", {"cidrIpv4": None}, "People_people", "LoadBalancer"),
        ("Listener", {"defaultActions": []}, "LoadBalancer", "UserPool"),
        ("Table", {"replicas": []}, "Table_predictions", "Table_predictions_eu_central_1"),
        ("Selection", {"resources": []}, "Table_predictions", "Vault_backup"),
        ("Queue", {"redrivePolicy": "{}"}, "Queue_predictions_queue", "Queue_predictions_dlq"),
        (
            "SecurityGroupEgressRule",
            {"referencedSecurityGroupId": None},
            "Service_web",
            "VpcEndpoint_Interface",
        ),
    ],
)
def test_an_arrow_goes_with_its_reason(prod, altered, kind, change, source, target):
    broken = altered(prod, kind, lambda inputs: inputs.update(change))
    if kind == "Listener":  # its rules ask the pool as well
        broken = altered(broken, "ListenerRule", lambda inputs: inputs.update(actions=[]))
    assert (source, target) not in draw(broken).arrows


def test_the_document_goes_out_of_date_with_the_program(with_reports):
    text = DOCUMENT.read_text("utf-8")
    assert written_into(text, with_reports) != text


def test_the_made_up_account_is_not_in_it(diagram):
    assert not re.search(r"\d{12}", diagram.mermaid())
