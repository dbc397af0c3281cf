"""Both sides of the environment: what the program declares is what the services read."""

from __future__ import annotations

import pytest
from annotated_types import Ge, Le, Lt

from app.settings import WebSettings
from infra import settings as infra_settings
from worker.settings import WorkerSettings

READERS = {"web": WebSettings, "worker": WorkerSettings}


def declared(graph, service):
    """The environment that the program gives to a service, its secrets by their ARNs."""
    container = graph.containers()[service]
    plain = {one["name"]: one["value"] for one in container["environment"]}
    return plain | {one["name"]: one["valueFrom"] for one in container.get("secrets", ())}


def limits(section):
    """The lowest and the highest values that a section of the stack's configuration allows."""
    lowest, highest = {}, {}
    for name, field in section.model_fields.items():
        for limit in field.metadata:
            match limit:
                case Ge(ge=value):
                    lowest[name] = value
                case Le(le=value):
                    highest[name] = value
                case Lt(lt=value):
                    highest[name] = value - 1
    return {"lowest": lowest, "highest": highest}


@pytest.fixture
def read(monkeypatch):
    """Read an environment as the service's process does."""

    def run(service, environment):
        with monkeypatch.context() as process:
            for name, value in environment.items():
                process.setenv(name, value)
            return READERS[service]()

    return run


@pytest.mark.parametrize("service", READERS)
@pytest.mark.parametrize("end", ["lowest", "highest"])
def test_whatever_a_stack_may_set_the_services_accept(declare, read, service, end):
    sections = {
        "predictions": limits(infra_settings.PredictionsSettings)[end],
        "web": limits(infra_settings.WebSettings)[end],
        "worker": limits(infra_settings.WorkerSettings)[end],
    }
    assert all(sections.values())
    settings = read(service, declared(declare("prod", sections), service))
    given = {name: value for values in sections.values() for name, value in values.items()}
    took = {name: value for name, value in settings if name in given}
    assert took
    assert took == {name: given[name] for name in took}


@pytest.mark.parametrize("name", ["job_processes", "job_threads", "poll_wait_s"])
def test_what_only_the_worker_limits_has_the_worker_s_limits(name):
    ours, theirs = limits(infra_settings.WorkerSettings), limits(WorkerSettings)
    assert {end: ours[end][name] for end in ours} == {end: theirs[end][name] for end in theirs}


@pytest.mark.parametrize("service", READERS)
@pytest.mark.parametrize("stack", ["local", "dev", "prod"])
def test_what_is_declared_is_read_and_what_is_required_is_declared(declare, service, stack):
    names = set(declared(declare(stack), service))
    fields = READERS[service].model_fields
    required = {name.upper() for name, field in fields.items() if field.is_required()}
    assert required <= names <= {name.upper() for name in fields}
