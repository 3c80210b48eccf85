"""What people see: the steps of a start, the summary, the table of processes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from deploy.local.demo import Demo, is_simulated
from deploy.local.stack import Stack

console = Console(highlight=False)

_CURL = """curl {url}/v1/chat/completions \\
  -H "Authorization: Bearer {key}" \\
  -H "Content-Type: application/json" \\
  -d '{{"model": "sim-ok", "wait": true, "messages": [{{"role": "user", "content": "Hello"}}]}}'"""
_SIMULATED = (
    "Live keys call the bundled simulator. To call a real provider with new live keys,\n"
    "set OPENAI_API_KEY (and OPENAI_BASE_URL) and run `make up` again."
)


@contextmanager
def step(text: str) -> Iterator[None]:
    """Show one step while it runs and how long it took."""
    started = time.monotonic()
    with console.status(f"{text} …"):
        yield
    console.print(f"[green]✓[/] {text} [dim]{time.monotonic() - started:.1f} s[/]")


def summary(stack: Stack, demo: Demo, environment: Path) -> None:
    """Everything needed to go on."""
    provider = _SIMULATED if is_simulated(stack, demo) else f"Live keys call {demo.provider_url}."
    console.print("\n[bold]ReqRun is up.[/] A request went in, was kept, run and answered.\n")
    console.print(_CURL.format(url=stack.base_url, key=demo.test_key), soft_wrap=True, markup=False)
    console.print(f"\n{provider}\n", markup=False, soft_wrap=True)
    facts = Table.grid(padding=(0, 2))
    facts.add_row("Dashboard", f"{stack.url('accounts')} (sign up there)")
    facts.add_row("API", stack.base_url)
    facts.add_row("Mails to you", stack.url("mail"))
    facts.add_row("Payments", f"{stack.url('paddle')} (a stand-in for Paddle: no money moves)")
    facts.add_row("Keys and addresses", str(environment))
    facts.add_row("Logs", f"{stack.site.logs} (make logs)")
    facts.add_row("Processes", "make status; whatever dies is started again")
    facts.add_row("Operate it", ".venv/bin/reqrun doctor; .venv/bin/reqrun --help")
    facts.add_row("Stop", "make down; make reset forgets the data as well")
    console.print(facts)


def status(stack: Stack) -> bool:
    """The table of servers and processes; whether all of them are well."""
    table = Table("", "state", "pid", "port", box=None, header_style="dim")
    is_well = True
    for server in stack.servers:
        is_good = server.process.is_running and server.is_ready()
        is_well &= is_good
        _add(table, server.title, is_good, str(server.process.pid) if is_good else "", server.port)
    for name, process in stack.processes.items():
        is_good = process.is_running and stack.is_ready(name)
        is_well &= is_good
        pid = str(process.pid) if process.is_running else ""
        _add(table, name, is_good, pid, stack.site.ports[f"{name}-internal"])
    console.print(table)
    console.print(f"Mails are at {stack.url('mail')}")
    return is_well


def _add(table: Table, name: str, is_good: bool, pid: str, port: int) -> None:
    table.add_row(name, "[green]ready[/]" if is_good else "[red]not ready[/]", pid, str(port))
