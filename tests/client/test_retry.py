"""How long the waits between attempts are, and when there are no more."""

from __future__ import annotations

import pytest

from exatrkx_client import Retry, ServerUnavailableError
from exatrkx_client.errors import ClientError, RequestRejectedError


def waits(retry: Retry, draw: float, takes_s: float = 0.0) -> list[float]:
    """The wait before each attempt after the first, where every attempt takes so long and fails."""
    elapsed_s, found = 0.0, list[float]()
    while (wait := retry.wait_s(len(found) + 1, elapsed_s, draw)) is not None:
        found.append(wait)
        elapsed_s += wait + takes_s
    return found


def test_waits_double_up_to_their_limit() -> None:
    retry = Retry(attempts=6, first_delay_s=0.5, max_delay_s=3)
    assert waits(retry, draw=1.0) == [0.5, 1, 2, 3, 3]
    assert waits(retry, draw=0.0) == [0.25, 0.5, 1, 1.5, 1.5]
    assert waits(Retry(attempts=1), draw=1.0) == []


def test_the_last_attempt_begins_when_the_time_is_over() -> None:
    assert waits(Retry(for_s=4, first_delay_s=0.5, max_delay_s=2), draw=1.0) == [0.5, 1, 2, 0.5]
    assert waits(Retry(for_s=4, first_delay_s=0.5, max_delay_s=2), draw=1.0, takes_s=3) == [0.5, 0.5]
    assert waits(Retry(for_s=0), draw=1.0) == []


@pytest.mark.parametrize("draw", [0.0, 0.3, 1.0])
def test_the_default_outlasts_a_restart_with_few_attempts(draw: float) -> None:
    found = waits(Retry(), draw)
    assert sum(found) == pytest.approx(30.0)
    assert found[0] <= 0.1
    assert max(found) <= 2.0
    assert 15 <= len(found) <= 40


def test_a_wait_of_any_number_of_failures_is_one() -> None:
    assert Retry().wait_s(5000, 0.0, 1.0) == 2.0


def asked(retry: Retry, *errors: ClientError) -> tuple[str, int]:
    """What a question ends with that fails so before it is answered, and how often it is asked."""
    left, times = list(errors), [0]

    def ask() -> str:
        times[0] += 1
        if left:
            raise left.pop(0)
        return "answer"

    try:
        return retry.asked(ask), times[0]
    except ClientError as error:
        return f"{type(error).__name__}: {error}", times[0]


def test_a_question_is_asked_again_where_that_may_help() -> None:
    retry, away, refused = (
        Retry(attempts=3, first_delay_s=0),
        ServerUnavailableError("away"),
        RequestRejectedError("no"),
    )
    assert asked(retry) == ("answer", 1)
    assert asked(retry, away, away) == ("answer", 3)
    assert asked(retry, away, away, away) == ("ServerUnavailableError: away (after 3 attempts)", 3)
    assert asked(retry, refused) == ("RequestRejectedError: no", 1)
    assert asked(retry, away, refused) == ("RequestRejectedError: no (after 2 attempts)", 2)
    assert asked(Retry(attempts=1), away) == ("ServerUnavailableError: away", 1)


@pytest.mark.parametrize("wrong", [{"attempts": 0}, {"for_s": -1}, {"first_delay_s": -1}, {"max_delay_s": -1}])
def test_what_is_no_retry(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="attempts must be at least 1 and times not negative"):
        Retry(**wrong)
