from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from support.records import at

from returns_orchestration.state.spans import Spans
from returns_orchestration.window import Window

ELEVEN = Window(at(11))
numbers = st.integers(0, 30)
batches = st.lists(st.lists(numbers, max_size=8), max_size=6)


def window(number: int) -> Window:
    return Window(at(number))


@given(batches, numbers, numbers, st.integers(0, 35))
def test_spans_are_a_set_of_hours(
    added: list[list[int]], first: int, last: int, limit: int
) -> None:
    spans, plain = Spans(), set()
    for batch in added:
        spans.add(map(window, batch))
        plain.update(batch)
    outside = [window(n) for n in range(last, first - 1, -1) if n not in plain]
    for one in (spans, Spans(spans.pairs())):
        assert one.newest_outside(window(first), window(last), limit) == outside[:limit]
    begins = [n for n in plain if n - 1 not in plain]
    ends = [n + 1 for n in plain if n + 1 not in plain]
    assert spans.pairs() == [
        [window(a).key, window(b).key] for a, b in zip(sorted(begins), sorted(ends), strict=True)
    ]
    assert Spans(spans.pairs()).pairs() == spans.pairs()


def test_hours_that_touch_become_one_span() -> None:
    spans = Spans([["2026-11-09-05:00", "2026-11-09-07:00"]])
    spans.add([window(3), window(8)])
    assert spans.pairs() == [
        ["2026-11-09-03:00", "2026-11-09-04:00"],
        ["2026-11-09-05:00", "2026-11-09-07:00"],
        ["2026-11-09-08:00", "2026-11-09-09:00"],
    ]
    spans.add([window(4), window(7), window(5)])
    assert spans.pairs() == [["2026-11-09-03:00", "2026-11-09-09:00"]]


def test_years_of_hours_in_the_set_are_skipped_in_one_step() -> None:
    decades = Spans([["1000-01-01-00:00", "2026-11-09-11:00"]])
    first = Window.from_key("0999-12-31-23:00")
    assert decades.newest_outside(first, ELEVEN, 10) == [ELEVEN, first]
    assert decades.newest_outside(first, ELEVEN, 1) == [ELEVEN]


@given(batches, st.lists(numbers, max_size=12))
def test_hours_can_be_removed(added: list[list[int]], gone: list[int]) -> None:
    spans, plain = Spans(), Spans()
    for batch in added:
        spans.add(map(window, batch))
    spans.discard(map(window, gone))
    plain.add(window(n) for batch in added for n in batch if n not in gone)
    assert spans.pairs() == plain.pairs()


@given(batches, numbers, st.integers(0, 35))
def test_a_round_visits_every_hour_once(added: list[list[int]], first: int, limit: int) -> None:
    spans = Spans()
    for batch in added:
        spans.add(map(window, batch))
    inside = sorted({n for batch in added for n in batch})
    round_ = [*(n for n in inside if n >= first), *(n for n in inside if n < first)]
    assert spans.around(window(first), limit) == [window(n) for n in round_[:limit]]
