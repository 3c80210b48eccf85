"""What the operator sees: the answer on standard output, how far it is on standard error."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TextIO

import msgspec
from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

WIDE: Final = 160
"""Columns where no terminal says how wide it is."""

Advance = Callable[[int], None]
"""So many more are done."""

Draw = Callable[[Any], RenderableType]
"""Makes a picture of an answer."""


class Screen:
    """`out` gets one answer and nothing else; `err` progress, and what is asked of people."""

    def __init__(self, draw: Draw, *, is_json: bool, out: TextIO | None = None) -> None:
        self.is_json, self._draw, self._out = is_json, draw, out or sys.stdout
        self.err = Console(stderr=True, highlight=False)

    def show(self, answer: Any) -> None:
        """One JSON document, or a picture of it."""
        if self.is_json:
            self._out.write(msgspec.json.encode(answer).decode() + "\n")
            return
        self._console().print(self._draw(answer))

    def refuse(self, code: str, text: str) -> None:
        """Why there is no answer: JSON too, for who reads nothing else."""
        if self.is_json:
            self.show({"error": {"code": code, "message": text}})
        else:
            self.err.print(f"[red]✗[/] {text}", soft_wrap=True)

    @contextmanager
    def progress(self, text: str, total: int | None) -> Iterator[Advance]:
        """A bar on standard error, where somebody sees it."""
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
        )
        with Progress(
            *columns, console=self.err, transient=True, disable=not self.err.is_terminal
        ) as bar:
            task = bar.add_task(text, total=total)
            yield lambda count: bar.advance(task, count)

    @contextmanager
    def watching(self, picture: Callable[[], RenderableType]) -> Iterator[None]:
        """A picture that is drawn anew four times a second, where somebody sees it."""
        if not self.err.is_terminal:
            yield
            return
        with Live(get_renderable=picture, console=self.err, transient=True):
            yield

    def _console(self) -> Console:
        found = Console(file=self._out, highlight=False)
        return found if found.is_terminal else Console(file=self._out, highlight=False, width=WIDE)
