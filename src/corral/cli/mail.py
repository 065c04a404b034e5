"""`corral mail templates | preview | suppressed | suppress | unsuppress`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cyclopts import App
from rich.table import Table
from rich.text import Text

from corral.cli.jobs import run_command
from corral.cli.output import console, errors, moment, print_fields, print_json
from corral.data import decode_json
from corral.errors import InvalidInput
from corral.mail.render import Renderer, renderer
from corral.mail.suppression import PAGE, SuppressionList
from corral.mail.templates import TemplateFault
from corral.settings import Settings

app = App(name="mail", help="Look at mail templates, and at who must not be written to.")


@app.command
def templates(*, json: bool = False) -> int:
    """Show the templates that a mail can name, and what each asks of its data. Exit code 1: one is broken.

    Parameters
    ----------
    json: print a JSON list
    """
    render = renderer(Settings.load().mail_templates)
    rows = [_template(render, name) for name in render.folders.names()]
    if json:
        print_json(rows)
    else:
        table = Table(box=None, pad_edge=False)
        for column in ("template", "variables", "folder"):
            table.add_column(column, overflow="fold")
        for row in rows:
            # Text: a mistake that is shown may have brackets, which are markup in a plain cell.
            table.add_row(row["name"], Text(row["fault"] or ", ".join(row["variables"])), Text(row["folder"]))
        console.print(table)
    return 1 if any(row["fault"] for row in rows) else 0


def _template(render: Renderer, name: str) -> dict[str, Any]:
    row: dict[str, Any] = {"name": name, "folder": "", "subject": "", "variables": [], "ownText": False}
    try:
        found = render.folders.find(name)
        row["folder"] = "shipped with Corral" if found.shipped else str(found.folder)
        row |= {"subject": found.head.subject, "ownText": bool(found.text)}
        row["variables"] = render.variables(found)
    except TemplateFault as fault:
        return row | {"fault": str(fault)}
    return row | {"fault": None}


@app.command
def preview(
    name: str,
    *,
    data: str | None = None,
    subject: str = "",
    output: Path | None = None,
    json: bool = False,
) -> None:
    """Fill a template and show the mail, without sending it.

    Parameters
    ----------
    name: the template
    data: a JSON object, or @FILE; without it, the template's own sample (NAME.json beside it)
    subject: in place of the template's own
    output: write the HTML part to this file; without it, the text part is shown
    json: print subject, preview, html and text as JSON
    """
    render = renderer(Settings.load().mail_templates)
    mail = render.render(name, _data(name, data), subject=subject)
    if output is not None:
        output.write_text(mail.html, encoding="utf-8")
    if json:
        print_json({"subject": mail.subject, "preview": mail.preview, "html": mail.html, "text": mail.text})
        return
    print_fields(f"Mail template {name}", {"subject": mail.subject, "preview": mail.preview})
    if output is not None:
        console.print(f"The HTML part is in {output}.", markup=False)
    else:
        console.print(f"\n{mail.text}", markup=False, soft_wrap=True)


@app.command
def suppressed(*addresses: str, start: int = 0, count: int = PAGE, json: bool = False) -> None:
    """Show who must not be written to, the newest first; or only the given addresses.

    Parameters
    ----------
    addresses: look these up
    start: number of the first entry to show, from 0
    count: how many to show, at most 1,000
    json: print JSON
    """

    async def run() -> None:
        known = SuppressionList()
        if addresses:
            found = await known.reasons(addresses)
            rows: list[dict[str, Any]] = [{"address": a, "reason": found.get(a)} for a in addresses]
            total = len(rows)
        else:
            page = await known.list(start=start, count=count)
            rows = [{"address": e.address, "reason": e.reason, "at": moment(e.at)} for e in page.entries]
            total = page.total
        if json:
            print_json({"total": total, "entries": rows})
            return
        table = Table(box=None, pad_edge=False, show_header=False)
        for row in rows:
            table.add_row(row["address"], row["reason"] or "not suppressed", row.get("at", ""))
        console.print(table)
        if not addresses:
            errors.print(f"{len(rows)} of {total:,} suppressed addresses.")

    run_command(run())


@app.command
def suppress(address: str, *, reason: str = "manual", json: bool = False) -> None:
    """Write no more to an address.

    Parameters
    ----------
    address: the mail address
    reason: one lower-case word: bounce, complaint, unsubscribe, manual
    json: print JSON
    """

    async def run() -> None:
        await SuppressionList().add(address, reason)
        if json:
            print_json({"address": address, "reason": reason})
        else:
            console.print(f"{address} is suppressed ({reason}).", markup=False)

    run_command(run())


@app.command
def unsuppress(address: str, *, json: bool = False) -> int:
    """Allow mail to an address again. Exit code 1: it was not suppressed.

    Parameters
    ----------
    address: the mail address
    json: print JSON
    """
    met: list[bool] = []

    async def run() -> None:
        met.append(await SuppressionList().remove(address))
        if json:
            print_json({"address": address, "removed": met[0]})
        elif met[0]:
            console.print(f"{address} is written to again.", markup=False)
        else:
            errors.print(f"{address} was not suppressed.", markup=False)

    run_command(run())
    return 0 if met[0] else 1


def _data(name: str, given: str | None) -> dict[str, Any]:
    """The data of a preview. Raises InvalidInput if it is no JSON object."""
    if given is None:
        sample = renderer(Settings.load().mail_templates).folders.find(name).sample
        given = sample.read_text(encoding="utf-8") if sample.is_file() else "{}"
    elif given.startswith("@"):
        given = Path(given[1:]).read_text(encoding="utf-8")
    data = decode_json(given.encode())
    if not isinstance(data, dict):
        raise InvalidInput('--data is a JSON object: \'{"name": "…"}\', or @FILE.')
    return data
