"""Read a file the user downloaded or wrote, whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from outlay.clock import Clock, system_clock
from outlay.errors import ConfigError
from outlay.model.facts import Fact
from outlay.model.problem import Problem, Severity
from outlay.providers.base import HEAD_BYTES, Dataset, Import, Provider
from outlay.redaction import redactor
from outlay.sync.check import check
from outlay.sync.entries import Typed, by_days
from outlay.sync.imports_csv import CSV
from outlay.sync.imports_files import Content, contents

PROBLEMS_MAX = 100
_WORKBOOK = "workbook.xml"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Read:
    """What a file holds: the form it begins with, its partitions, and what is wrong with it or worth knowing.

    Null: `partitions` is empty when anything is wrong, for then nothing of the file may be committed.
    """

    form: Import
    partitions: tuple[Typed, ...]
    problems: tuple[Problem, ...]

    @property
    def wrong(self) -> tuple[Problem, ...]:
        """Return the problems that keep the file out."""
        return tuple(problem for problem in self.problems if problem.severity is Severity.FATAL)


def forms(provider: Provider) -> tuple[Import, ...]:
    """Return the forms of file that a connection of a provider takes, the vendor's own first."""
    return (*provider.imports, CSV)


def read(path: Path, provider: Provider, *, name: str | None = None, clock: Clock = system_clock) -> Read:
    """Return what a file says, line by line, before anything is committed.

    Each form has a dataset of its own, so that a part of an archive imported alone leaves the rest as it was.
    `name` keeps several sources of one form apart: the facts stand in `import.NAME`.
    Raises: ConfigError when it cannot be opened, is of no form that is known, or of two where one was named.
    """
    found = contents(path)
    known = forms(provider)
    told = [(each, form) for each in found if (form := _form(each, known)) is not None]
    if not told:
        raise _unknown(path, found, provider)
    held = list(dict.fromkeys(form for _, form in told))
    if name is not None and len(held) > 1:
        raise ConfigError(
            f"{path.name} holds files of two forms: {held[0].title}, and {held[1].title}",
            hint="Import them without --name, or one by one.",
        )
    facts: dict[Import, list[Fact]] = {form: [] for form in held}
    problems: list[Problem] = []
    for skipped in (each for each in found if _form(each, known) is None):
        says = "it is of no form that is known, and was left out"
        problems.append(Problem(code="import_skipped", says=says, where=skipped.name, severity=Severity.NOTE))
    for content, form in told:
        _extract(form, content, facts[form], problems, content.name if len(found) > 1 else "")
    partitions: list[Typed] = []
    if not any(problem.severity is Severity.FATAL for problem in problems):
        for form in held:
            dataset = form.dataset if name is None else f"import.{name}"
            done, more = _checked(form, by_days(dataset, facts[form], clock()))
            partitions += done
            problems += more
    if any(problem.severity is Severity.FATAL for problem in problems):
        partitions = []
    return Read(held[0], tuple(partitions), tuple(problems))


def _form(content: Content, known: Sequence[Import]) -> Import | None:
    head = content.data[:HEAD_BYTES]
    return next((form for form in known if form.identify(content.name, head)), None)


def _unknown(path: Path, found: Sequence[Content], provider: Provider) -> ConfigError:
    if not any(content.data for content in found):
        return ConfigError(f"{path.name} holds nothing", hint="Download or save it again.")
    if any(content.name == _WORKBOOK for content in found):
        return ConfigError(f"{path.name} is a workbook of a spreadsheet", hint="Save the sheet as CSV, in UTF-8.")
    if any(content.data.startswith(_UTF_16) for content in found):
        return ConfigError(f"{path.name} is text in UTF-16", hint="Save it as CSV in UTF-8.")
    listed = "; ".join(f"{form.title} ({form.where})" for form in forms(provider))
    return ConfigError(f"{path.name} is of no form that is known for {provider.title}", hint=f"Known: {listed}")


def _extract(form: Import, content: Content, facts: list[Fact], problems: list[Problem], where: str) -> None:
    try:
        for found in form.extract(redactor.body(content.data)):
            if isinstance(found, Problem):
                placed = f"{where}, {found.where}".strip(", ") if where else found.where
                problems.append(msgspec.structs.replace(found, where=placed))
                if len(problems) >= PROBLEMS_MAX:
                    return
            else:
                facts.append(found)
    except (ValueError, TypeError, ArithmeticError, KeyError) as error:
        says = f"the file holds what cannot be right: {error}"
        problems.append(Problem(code="import_line", says=says, where=where, hint="Nothing was imported."))


def _checked(form: Import, partitions: Sequence[Typed]) -> tuple[tuple[Typed, ...], list[Problem]]:
    """Return partitions with repeated keys added up where the form says so, and what is wrong with them."""
    rules = Dataset(form.dataset, form.title, form.yields, (), repeats=form.repeats)
    done: list[Typed] = []
    problems: list[Problem] = []
    for each in partitions:
        result = check(rules, each.period, each.facts)
        problems += result.problems
        done.append(replace(each, facts=result.facts))
    return tuple(done), problems
