"""The page: one HTML file without scripts, which asks for nothing from anywhere.

It leads with what other reports cannot show: whether the returns are all there. Every text of a
customer, a merchant or a courier is truncated, without what looks like a number or an address, and
escaped. There is no field of a person.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from returns_orchestration.report import charts, counts, standouts, summary
from returns_orchestration.report.markup import (
    document,
    id_text,
    name_text,
    section,
    shaded,
    shaded_text,
    table,
)
from returns_orchestration.report.numbers import (
    NONE,
    day_text,
    grouped,
    hours_text,
    percent,
    points,
    share,
    span_text,
    wait,
)
from returns_orchestration.words import be, count, listed, plain_id, redacted_name, utc

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    import polars as pl

    from returns_orchestration.report.counts import Matrix
    from returns_orchestration.report.figures import Figures
    from returns_orchestration.report.standouts import Standout

    Flagged = Collection[tuple[str, ...]]

WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MEAN_DAYS: Final = 7
LISTED_HOURS: Final = 24
FOOTER: Final = (
    "Made by returns-orchestration. It has only days that are over. A return counts once, on the "
    "day it was requested."
)
LISTED_STUCK: Final = 200
"""Rows of the stuck returns in the CSV; `open_returns` has all."""


def page(figures: Figures) -> str:
    """The whole page. The same figures give the same bytes."""
    of_account = f"{figures.options.account}: " if figures.options.account else ""
    title = f"{of_account}{summary.title(figures)}"
    found = standouts.find(figures)
    flagged = {one.subject for one in found}
    parts = [
        f"<h1>{title}</h1>",
        f'<p class="note">{_about(figures)}</p>',
        _standouts(found),
        _tiles(figures),
        _completeness(figures),
        _webhooks(figures),
        _by_day(figures),
        _reasons(figures),
        _styles(figures, flagged),
        _modes(figures),
        _open(figures),
        _couriers(figures, flagged),
        _funnel(figures),
        _weekdays(figures),
        f'<footer class="note"><p>{FOOTER}</p></footer>',
    ]
    return document(title, "\n".join(parts))


def nothing() -> str:
    """The page of a lake that has no whole day yet."""
    says = "The lake has no whole day yet. The first report is made when a day is over."
    return document("Returns", f"<h1>Returns</h1>\n<p>{says}</p>")


# ---- the parts


def _standouts(found: Sequence[Standout]) -> str:
    if not found:
        return '<div class="standouts none"><p>Nothing stands out.</p></div>'
    items = "".join(f'<li><a href="#{one.section}">{escape(one.text)}</a></li>' for one in found)
    return f'<div class="standouts"><strong>What stands out</strong><ul>{items}</ul></div>'


def _tiles(figures: Figures) -> str:
    tiles = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}<small>{escape(more)}</small></dd></div>"
        for name, value, more in summary.lines(figures)
    )
    return f'<dl class="tiles">{tiles}</dl>'


def _completeness(figures: Figures) -> str:
    hours, good, waived_ones = figures.whole_hours
    cells, rows = [], []
    for of_day in figures.hours:
        waived = of_day.states["waived"]
        kind = (
            "lacking" if of_day.lacking else "waived" if waived else "late" if of_day.late else ""
        )
        named = hours_text(of_day.lacking, figures.zone, 3) or (
            f"{waived} waived" if waived else "complete"
        )
        says = f"{day_text(of_day.day)}: {named}"
        cells.append(f'<span class="{kind}" title="{escape(says)}"></span>')
        whole = of_day.states["complete"] + of_day.states["empty"]
        rows.append(
            [of_day.day.isoformat(), sum(of_day.states.values()), whole, waived,
             len(of_day.lacking), of_day.late,
             "; ".join(f"{window.text} {state}" for window, state in of_day.lacking)]
        )  # fmt: skip
    lacking = figures.lacking
    if lacking:
        days = listed(day_text(day) for day in figures.partial)
        says = (
            f'<p class="bad">{count(len(lacking), "hour")} {be(len(lacking))} not complete: '
            f"{hours_text(lacking, figures.zone, LISTED_HOURS)}. "
            f"The figures of {days} may be too low.</p>"
        )
    else:
        all_of = "All" if not waived_ones else f"{grouped(good)} of"
        says = f'<p class="good">{all_of} {grouped(hours)} hours are complete.</p>'
    if waived_ones:
        says += f"<p>{grouped(waived_ones)} hours were waived: they were not asked for.</p>"
    late = sum(of_day.late for of_day in figures.hours)
    more = f"{count(late, 'return')} came late, when an hour was asked for again, and count."
    more = more if late else "No return came late."
    label = f"{good} of {hours} hours are complete"
    ends = "".join(f"<span>{day_text(day)}</span>" for day in (figures.now.first, figures.now.last))
    strip = (
        f'<div class="strip" role="img" aria-label="{label}">{"".join(cells)}</div>'
        f'<p class="ends note">{ends}</p>'
    )
    titles = (
        "day",
        "hours",
        "complete",
        "waived",
        "not complete",
        "late returns",
        "which hours (UTC)",
    )
    return section(
        "completeness",
        "Is everything there?",
        f'{says}<p class="note">{more}</p>{strip}',
        titles,
        rows,
        in_details=True,
    )


def _webhooks(figures: Figures) -> str:
    frame = figures.now.delivery
    came, lost = counts.delivered(figures.now)
    lacking = int(frame.get_column("webhook_only").sum())
    if not (came + lost + lacking + int(frame.get_column("deliveries").sum())):
        note = '<p class="note">No webhooks came in this time.</p>'
        return section("webhooks", "Webhooks of ClickPost", note)
    by_day = {row["day"]: row for row in frame.iter_rows(named=True)}
    days = figures.now.days
    both, poll_only = (
        [by_day[day][name] if day in by_day else 0 for day in days]
        for name in ("both", "poll_only")
    )
    says = (
        f"<p>{grouped(came)} of {grouped(came + lost)} returns came by webhook, "
        f"{share(came, came + lost)}; the other {grouped(lost)} came by the API alone, so their "
        f"webhooks were lost. {_undecided(frame)}</p>"
    )
    if lacking:
        says += (
            f'<p class="bad">{count(lacking, "return")} came by webhook alone: the API did not '
            "serve what it should.</p>"
        )
    titles = ("day", "returns", "both", "API only", "webhook only", "too new to say", "delivered",
              "half came after", "99 of 100 after")  # fmt: skip
    rows = [
        [day.isoformat(), *(row[name] for name in ("returns", "both", "poll_only", "webhook_only",
         "undecided")), percent(row["rate"]), wait(row["lag_p50_s"]), wait(row["lag_p99_s"])]
        for day in days if (row := by_day.get(day))
    ]  # fmt: skip
    chart = charts.delivery_by_day(days, both, poll_only)
    return section("webhooks", "Webhooks of ClickPost", says + chart, titles, rows, in_details=True)


def _undecided(frame: pl.DataFrame) -> str:
    """The returns for which a webhook may still come."""
    number = int(frame.get_column("undecided").sum())
    return f"For {count(number, 'more return')} it is too early to say." if number else ""


def _by_day(figures: Figures) -> str:
    days, numbers = figures.now.days, counts.returns_by_day(figures.now)
    earlier = counts.returns_by_day(figures.before) if figures.before else []
    line = [*earlier, *numbers]
    means: list[float | None] = [
        sum(line[at - MEAN_DAYS + 1 : at + 1]) / MEAN_DAYS if at >= MEAN_DAYS - 1 else None
        for at in range(len(earlier), len(line))
    ]
    partial = set(figures.partial)
    chart = charts.returns_by_day(days, numbers, means, partial)
    note = "The line is the mean of seven days."
    if partial:
        note += f" Hatched days are not complete: {listed(map(day_text, sorted(partial)))}."
    items = dict(figures.now.items.group_by("day").len().iter_rows())
    rows = [
        [day.isoformat(), number, items.get(day, 0), "no" if day in partial else "yes"]
        for day, number in zip(days, numbers, strict=True)
    ]
    body = f'{chart}<p class="note">{note}</p>'
    return section(
        "days",
        "Returns a day",
        body,
        ("day", "returns", "items", "complete"),
        rows,
        in_details=True,
    )


def _reasons(figures: Figures) -> str:
    found = counts.reasons(figures)
    most = max((one.share for one in found), default=1)
    shown = found[: counts.REASONS_SHOWN + 3]
    lines = [
        f'<tr><td class="text">{name_text(one.name)}</td><td>{grouped(one.items)}</td>'
        f"<td>{percent(one.share)}</td><td>{points(one.share, one.share_before) or NONE}</td>"
        f'<td class="bar"><span style="width:{one.share / most:.0%}"></span></td></tr>'
        for one in shown
    ]
    rest = found[len(shown) :]
    if rest:
        items, part = sum(one.items for one in rest), sum(one.share for one in rest)
        lines.append(
            f'<tr><td class="text">{count(len(rest), "other")}</td><td>{grouped(items)}</td>'
            f"<td>{percent(part)}</td><td></td><td></td></tr>"
        )
    counted = table("Items by return reason", ("reason", "items", "share", "change", ""), lines)
    rows = [[redacted_name(one.name), one.items, round(one.share, 4)] for one in found]
    return section("reasons", "Why", counted, ("reason", "items", "share"), rows)


def _styles(figures: Figures, flagged: Flagged) -> str:
    found: Matrix = counts.matrix(figures, {subject[-1] for subject in flagged if subject})
    most = max((cell for *_, cells in found.rows for cell in cells), default=1) or 1
    lines = []
    for style, description, total, cells in found.rows:
        shades = "".join(
            shaded(cell, most, flag=(style, reason) in flagged)
            for reason, cell in zip(found.reasons, cells, strict=True)
        )
        name = id_text(style) + (
            f"<br><small>{name_text(description)}</small>" if description else ""
        )
        lines.append(f'<tr><td class="text">{name}</td><td>{grouped(total)}</td>{shades}</tr>')
    titles = ("style", "items", *map(redacted_name, found.reasons))
    counted = table(
        f"Items of the {count(len(found.rows), 'style')} with most, by reason",
        titles,
        lines,
        kind="grid",
    )
    rows = [
        [plain_id(style), redacted_name(description), total, *cells]
        for style, description, total, cells in found.rows
    ]
    names = ("style", "description", *titles[1:])
    return section("styles", "What comes back, and why", counted, names, rows)


def _modes(figures: Figures) -> str:
    names, weeks = counts.modes(figures.now)
    names = [redacted_name(name) for name in names]
    drawn = [(last, cells) for _, last, total, cells in weeks if total]
    chart = charts.shares_by_week(drawn, names)
    rows = [
        [f"{first.isoformat()} to {last.isoformat()}", total, *cells]
        for first, last, total, cells in weeks
    ]
    kept = listed(map(redacted_name, figures.options.kept_modes))
    chart += f'<p class="note">Kept as credit or exchange are: {escape(kept)}.</p>'
    return section(
        "modes", "How it is refunded", chart, ("week", "returns", *names), rows, in_details=True
    )


def _open(figures: Figures) -> str:
    if figures.open_returns is None:
        why = (
            "They are counted once a day; the first count is still to come."
            if figures.is_newest
            else "A report of earlier days does not have them."
        )
        return section("open", "Open returns", f'<p class="note">{why}</p>')
    by_state = counts.open_by_age(figures.open_returns)
    if not by_state:
        return section("open", "Open returns", '<p class="note">No return is open.</p>')
    most = max(cell for _, cells in by_state for cell in cells) or 1
    lines = [
        f'<tr><td class="text">{name_text(state)}</td><td>{grouped(sum(cells))}</td>'
        + "".join(shaded(cell, most) for cell in cells)
        + "</tr>"
        for state, cells in by_state
    ]
    titles = ("state", "open", *(name for _, name in counts.AGES))
    counted = table("Open returns by state and age", titles, lines, kind="grid")
    stuck = counts.stuck(figures.open_returns)
    shown = stuck.head(counts.STUCK_SHOWN)
    oldest = [
        f'<tr><td class="text">{id_text(row["return_reference_number"])}</td>'
        f'<td class="text">{row["stuck"]}</td><td>{wait(row["age_h"] * 3600)}</td>'
        f'<td class="text">{name_text(row["state"])}</td>'
        f'<td class="text">{name_text(row["cp_name"])}</td>'
        f"<td>{_day(figures, row['since'])}</td>"
        f"<td>{_day(figures, row['last_looked_at'])}</td></tr>"
        for row in shown.iter_rows(named=True)
    ]
    names = ("return", "stuck", "age", "state", "courier", "since", "last check")
    list_of = '<p class="good">No return is stuck.</p>'
    if oldest:
        caption = f"Stuck: {grouped(stuck.height)}; the oldest"
        list_of = table(caption, names, oldest, texts=(0, 1, 3, 4))
    courier, pickup, state = figures.options.stuck_hours
    note = (
        f'<p class="note">As of {_as_of(figures)}. '
        f"Stuck is a return without a courier {wait(courier * 3600)} after the "
        f"request, without a pickup {wait(pickup * 3600)} after the AWB (air waybill), or without "
        f"a new state for {wait(state * 3600)}. Each return is checked at fixed ages, the last "
        "time 30 days after its request by default. What happened to it after its last check is "
        "not known.</p>"
    )
    rows = [
        [
            row["return_reference_number"],
            row["stuck"],
            row["age_h"],
            row["state"],
            redacted_name(row["cp_name"] or ""),
        ]
        for row in stuck.head(LISTED_STUCK).iter_rows(named=True)
    ]
    return section(
        "open",
        "Open returns",
        counted + note + list_of,
        ("return", "stuck", "age in hours", "state", "courier"),
        rows,
    )


def _couriers(figures: Figures, flagged: Flagged) -> str:
    found = counts.couriers(figures.now, figures.options.pickup, figures.open_returns)
    limit = wait(figures.options.pickup.total_seconds())
    lines, rows = [], []
    for one in found:
        name = redacted_name(one.name) or "no courier yet"
        cells = (
            grouped(one.returns),
            share(one.with_awb, one.returns),
            *map(wait, (*one.awb_s, *one.pickup_s)),
            share(one.late, one.due),
            share(one.received, one.returns),
        )
        flag = ' class="flag"' if (one.name,) in flagged else ""
        lines.append(
            f'<tr{flag}><td class="text">{escape(name)}</td>'
            + "".join(f"<td>{cell}</td>" for cell in cells)
            + "</tr>"
        )
        rows.append([name, one.returns, one.with_awb, *one.awb_s, *one.pickup_s, one.late, one.due,
                     one.received])  # fmt: skip
    titles = ("courier", "returns", "with AWB", "AWB: half after", "9 of 10 after",
              "pickup: half after", "9 of 10 after", f"over {limit}", "received")  # fmt: skip
    note = (
        '<p class="note">The waits are from the request to the AWB (air waybill), and from the AWB '
        f"to the pickup, as far as these came. Over {limit}: the returns that waited longer "
        "for a pickup, or still do, of those that had that much time.</p>"
    )
    counted = table("Returns by courier, and their waits", titles, lines) + note
    names = ("courier", "returns", "with AWB", "AWB p50 s", "AWB p90 s", "pickup p50 s",
             "pickup p90 s", "late pickups", "due pickups", "received")  # fmt: skip
    return section("couriers", "Couriers", counted, names, rows)


def _funnel(figures: Figures) -> str:
    weeks = counts.funnel(figures.now)
    lines, rows = [], []
    for first, last, total, reached, halves in weeks:
        if not total:
            continue
        cells = "".join(
            shaded_text(f"{share(number, total)}<br><small>{wait(half)}</small>", number / total)
            for number, half in zip(reached, halves, strict=True)
        )
        lines.append(f"<tr><td>{span_text(first, last)}</td><td>{grouped(total)}</td>{cells}</tr>")
        rows.append([f"{first.isoformat()} to {last.isoformat()}", total, *reached, *halves])
    titles = ("requested", "returns", *counts.STEPS)
    counted = table(
        "Returns that reached a step, and the time in which half of these did",
        titles,
        lines,
        kind="grid",
    )
    names = (*titles, *(f"{step}: half after s" for step in counts.STEPS))
    note = '<p class="note">Newer weeks had less time to get there, so their shares are lower.</p>'
    return section("funnel", "From request to receipt", counted + note, names, rows)


def _weekdays(figures: Figures) -> str:
    grid = counts.by_weekday(figures.now, figures.zone.key)
    most = max(map(max, grid)) or 1
    lines = [
        f"<tr><td>{name}</td>" + "".join(shaded(cell, most) for cell in row) + "</tr>"
        for name, row in zip(WEEKDAYS, grid, strict=True)
    ]
    titles = ("", *(f"{hour}" for hour in range(24)))
    counted = table(
        f"Returns by weekday and hour, in {figures.zone.key}", titles, lines,
        kind="grid hours",
    )  # fmt: skip
    rows = [[name, *row] for name, row in zip(WEEKDAYS, grid, strict=True)]
    return section(
        "weekdays",
        "When they are requested",
        counted,
        ("weekday", *titles[1:]),
        rows,
    )


def _both(figures: Figures, moment: datetime) -> str:
    there = moment.astimezone(figures.zone)
    return f"{there:%Y-%m-%d %H:%M} ({utc(moment)} UTC)"


def _about(figures: Figures) -> str:
    """By which day, until when, and compared with what."""
    ends = f"By the day requested, in {figures.zone.key}. The data end at "
    ends += f"{_both(figures, figures.as_of)}."
    if figures.before is None:
        return f"{ends} There are no days before it to compare with."
    text = f"{ends} Changes are against {span_text(figures.before.first, figures.before.last)}"
    if figures.lacking_before:
        text += f", of which {count(figures.lacking_before, 'hour')} are not complete"
    return f"{text}."


def _as_of(figures: Figures) -> str:
    """The time to which the ages of open returns count."""
    found = figures.open_returns
    moment = figures.as_of if found is None or not found.height else found["as_of"][0]
    return _both(figures, moment)


def _day(figures: Figures, moment: datetime | None) -> str:
    return day_text(moment.astimezone(figures.zone)) if moment else NONE
