"""The services' SDKs get their role's credentials as they would from the ECS agent."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

import boto3
import pytest

from localcloud import credentials


@pytest.fixture
def agent(emulator):
    with credentials.serving(emulator.client("sts")) as serving:
        yield serving


@pytest.fixture
def task(emulator):
    emulator.bootstrap()
    [web] = [task for task in emulator.apply().tasks if task.service == "web"]
    return web


def test_an_sdk_finds_the_role_of_its_service_by_itself(emulator, agent, task, monkeypatch):
    for name, value in agent.admit(task).items():
        monkeypatch.setenv(name, value)
    session = boto3.Session(region_name="eu-west-1")
    caller = emulator.client("sts", session).get_caller_identity()["Arn"]
    assert caller.endswith(":assumed-role/local-retainwise-web-task/web")


def test_the_sdk_is_told_when_to_ask_again(agent, task, emulator):
    token = agent.admit(task)["AWS_CONTAINER_AUTHORIZATION_TOKEN"]
    first, second = agent.credentials_for(token), agent.credentials_for(token)
    assert first["Expiration"] > "20"
    assert first["AccessKeyId"] != second["AccessKeyId"]


@pytest.mark.parametrize("headers", [{}, {"Authorization": "guessed"}])
def test_without_a_service_s_token_there_is_nothing(agent, task, headers):
    address = urlsplit(agent.admit(task)["AWS_CONTAINER_CREDENTIALS_FULL_URI"])
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=20)
    connection.request("GET", "/", headers=headers)
    response = connection.getresponse()
    assert response.status == 403
    assert b"SecretAccessKey" not in response.read()
    connection.close()
