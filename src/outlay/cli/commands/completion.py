"""`outlay completion`: let the shell finish commands, options, connections and providers."""

from __future__ import annotations

import click

from outlay.cli.lazy import Command

SHELLS = ("bash", "zsh", "fish")


@click.command(
    cls=Command,
    epilog="""
    outlay completion bash >> ~/.bashrc
    outlay completion zsh >> ~/.zshrc
    outlay completion fish > ~/.config/fish/completions/outlay.fish
    """,
)
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the script that completes `outlay` in a shell."""
    from click.shell_completion import get_completion_class

    from outlay.cli.app import cli

    found = get_completion_class(shell)
    assert found is not None, f"click completes no {shell}"
    click.echo(found(cli, {}, "outlay", "_OUTLAY_COMPLETE").source())
