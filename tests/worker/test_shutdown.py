"""Signals and the budget of time that they start."""

import os
import signal

import pytest

from worker.shutdown import HAND_BACK_S, Shutdown


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def shutdown():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    clock = Clock()
    shutdown = Shutdown(30, clock=clock)
    shutdown.clock = clock
    shutdown.listen()
    yield shutdown
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_stops_receiving_and_leaves_the_budget_for_work(shutdown, number):
    shutdown.notice()
    assert not shutdown.requested
    os.kill(os.getpid(), number)
    shutdown.notice()
    assert shutdown.requested
    shutdown.clock.now = 30 - HAND_BACK_S - 0.1
    assert not shutdown.hand_back_now
    shutdown.clock.now = 30 - HAND_BACK_S
    assert shutdown.hand_back_now


def test_the_second_signal_hurries(shutdown):
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGTERM)
        shutdown.notice()
    assert shutdown.hand_back_now


def test_a_second_request_does_not_start_the_budget_again(shutdown):
    shutdown.request()
    shutdown.clock.now = 20
    shutdown.request()  # a part of the worker died meanwhile
    shutdown.clock.now = 30 - HAND_BACK_S
    assert shutdown.hand_back_now
