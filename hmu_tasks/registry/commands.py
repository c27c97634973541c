"""The commands `promote`, `rollback`, `moves` and `verify`; heavy imports stay inside them."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from hmu_tasks.runtime.errors import HmuError

app = typer.Typer()
Name = Annotated[str | None, typer.Argument(help="the registered model; required if there are several")]
Why = Annotated[str, typer.Option(help="the reason, for the journal")]
Who = Annotated[
    str | None, typer.Option(help="your name, for the journal; default: the MLflow server's user")
]


@app.command()
def promote(
    name: Name = None,
    version: Annotated[int | None, typer.Option(help="a version instead of the candidate")] = None,
    why: Why = "",
    who: Who = None,
    show: Annotated[bool, typer.Option(help="show the card and change nothing")] = False,
    repair: Annotated[bool, typer.Option(help="restore the aliases from the journal")] = False,
) -> None:
    """Make a version that passed the gate the champion."""
    from hmu_tasks.registry import promote as step
    from hmu_tasks.registry.versions import open_registry, the_only_name

    registry = open_registry(Path(), the_only_name(Path(), name))
    if repair:
        registry.follow()
    else:
        proposal = step.propose(registry, version)
        if show:
            sys.stdout.write(proposal.card)
        for line in (*proposal.notes, *proposal.deviations):
            sys.stdout.write(f"{line}\n")
        if show:
            return
        step.promote(registry, proposal, who=who or step.user(), why=why)
    step.report_moves(registry)


@app.command()
def rollback(name: Name = None, why: Why = "", who: Who = None) -> None:
    """Roll back to the previous champion."""
    from hmu_tasks.registry import promote as step
    from hmu_tasks.registry.versions import open_registry, the_only_name

    registry = open_registry(Path(), the_only_name(Path(), name))
    step.rollback(registry, who=who or step.user(), why=why)
    step.report_moves(registry)


@app.command()
def moves(name: Name = None) -> None:
    """Print who moved the champion, when and why."""
    from hmu_tasks.registry import promote as step
    from hmu_tasks.registry.versions import open_registry, the_only_name

    step.report_moves(open_registry(Path(), the_only_name(Path(), name)))


@app.command()
def verify(
    address: Annotated[str, typer.Argument(help="models:/<name>@<alias> or models:/<name>/<number>")],
) -> None:
    """Check a version's files against its signed statement; of the champion also journal, alias and gate."""
    from hmu_tasks.registry import verification
    from hmu_tasks.registry.policy import read_policy

    registry, version = verification.find_version(Path(), address)
    with verification.scratch(registry) as folder:
        found = verification.verify(registry, version, folder)
        faults = found.faults
        if verification.names_champion(address, version):
            faults += verification.champion_faults(registry, found, folder, read_policy(Path()))
    if faults:
        raise HmuError(f"version {version.number} of {registry.name}: " + "; ".join(faults))
    by = found.registered_by
    sys.stdout.write(
        f"version {version.number} of {registry.name}: all {found.files} files are those that were registered"
        f"{f' by {by}' if by else ''} and signed, and the bundle is the evaluated one\n"
    )


@app.command()
def serve(
    address: Annotated[
        str | None, typer.Argument(help="models:/<name>@<alias> or /<number>; default: the only champion")
    ] = None,
    host: Annotated[str, typer.Option(help="0.0.0.0 only inside a container")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    refuse_concept: Annotated[
        bool, typer.Option(help="refuse prompts that the concept's rule finds; this is no unlearning")
    ] = False,
) -> None:
    """Download a version once, verify that copy, its code included, and serve it; Ctrl-C ends it."""
    from hmu_tasks.registry import serve as step
    from hmu_tasks.registry.moves import CHAMPION
    from hmu_tasks.registry.versions import the_only_name

    address = address or f"models:/{the_only_name(Path(), None)}@{CHAMPION}"
    line = step.command(Path(), address, host=host, port=port, device=device, refuse_concept=refuse_concept)
    step.run(line, Path())
