"""An organization at OpenAI: projects, people, keys, limits, and what each day used and cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from random import Random
from typing import Any

from outlay.simulator.worlds.base import Account, Diary, Plot
from outlay.simulator.worlds.openai_parts import (
    CHAT_MODELS,
    MEASURES,
    ApiKey,
    Line,
    Person,
    Project,
    Run,
    Use,
    doubled,
    epoch,
    spelled,
)
from outlay.simulator.worlds.truth import EXACT, TrueCharge, TrueLimit, TrueUsage, Truth


class OpenAIAccount(Account):
    """One organization at OpenAI."""

    def __init__(self, plot: Plot) -> None:
        super().__init__(plot)
        self.born = epoch(date(2024, 3, 1))
        self.projects = self._projects()
        self.people = self._people()
        self.keys = self._keys()
        self.runs: Diary[Run] = Diary(plot, self._day, doubled)
        self.diaries["organization"] = self.runs
        self.spend_limit_cents = None if plot.empty else 100 * plot.random("limit").randrange(500, 9000)
        self.project_limits_cents = {} if plot.empty else {self.projects[1].id: 25_000}
        self.alerts_cents = (
            [] if plot.empty else [(plot.name("alert_", n), share) for n, share in enumerate((20_000, 80_000))]
        )
        self.project_alerts_cents = {} if plot.empty else {self.projects[1].id: [(plot.name("alert_", "p"), 20_000)]}

    def _projects(self) -> list[Project]:
        name, born = self.plot.name, self.born
        projects = [Project(name("proj_", "default"), "Default project", born)]
        if self.plot.empty:
            return projects
        projects += [
            Project(name("proj_", title), title, born + 86_400 * n)
            for n, title in enumerate(("Website", "Support bot", "Søk & råd"))
        ]
        projects.append(Project(name("proj_", "nameless"), None, born + 90_000))
        projects.append(
            Project(name("proj_", "archived"), "Old experiment", born, archived_at=epoch(self.plot.today) - 86_400 * 40)
        )
        projects.append(Project(name("proj_", "deleted"), None, born, listed=False))
        extra = max(
            7 * (self.plot.scale - 1), -(-(self.plot.rows_per_day or 0) // (4 * len(CHAT_MODELS))) - len(projects)
        )
        return projects + [Project(name("proj_", "extra", n), f"Team {n:03}", born + n) for n in range(extra)]

    def _people(self) -> list[Person]:
        names: list[tuple[str | None, str]] = [
            ("Ada", "owner"),
            ("Ben", "reader"),
            (None, "reader"),
            ("Gone", "reader"),
        ]
        return [
            Person(
                self.plot.name("user-", n), name, f"person{n}@example.com", role, self.born + n, listed=name != "Gone"
            )
            for n, (name, role) in enumerate(names)
        ]

    def _keys(self) -> list[ApiKey]:
        keys = []
        for n, project in enumerate(self.projects):
            for k in range(2 if n < 4 else 1):
                owner = None if k else self.people[n % len(self.people)]
                keys.append(ApiKey(self.plot.name("key_", n, k), f"key {n}-{k}", project, owner, self.born + n,
                                   active=(n + k) % 4 != 3, listed=(n + k) % 6 != 5))  # fmt: skip
        return keys

    def _day(self, day: date, chance: Random) -> list[Run]:
        combos = [(key, model) for model in CHAT_MODELS for key in self.keys]
        if self.plot.rows_per_day is not None:
            first_keys = {key.project.id: key for key in reversed(self.keys)}.values()
            combos = [(key, model) for model in CHAT_MODELS for key in first_keys][: -(-self.plot.rows_per_day // 4)]
            return [self._chat(day, chance, key, model) for key, model in combos]
        mood = chance.random()
        if mood < 0.06:
            return []
        if mood < 0.10:
            return [self._tool(chance, self.keys[0], "moderations", "omni-moderation", None, Decimal(0))]
        runs = [self._chat(day, chance, key, model) for key, model in combos if chance.random() < 0.2]
        runs += (
            [self._chat(day, chance, self.keys[1], "gpt-6-astra", kind="decisions")] if chance.random() < 0.5 else []
        )
        runs += [make(chance, chance.choice(self.keys)) for make in self._others() if chance.random() < 0.6]
        runs += self._organization_rows(day, chance)
        chance.shuffle(runs)
        return runs

    def _organization_rows(self, day: date, chance: Random) -> list[Run]:
        nobody = {"project_id": None, "api_key_id": None, "user_id": None, "api_source": "unlabeled"}
        lines = []
        if day.day == 1:
            lines.append(Line({**nobody, "line_item": "Scale Tier, gpt-5.5-2026-04-02"}, Decimal("110.00"), None, None))
        if chance.random() < 0.07:
            amount = Decimal(-chance.randrange(1, 90_000)).scaleb(-4)
            lines.append(Line({**nobody, "line_item": "Usage adjustment"}, amount, None, None))
        return [Run((), (line,)) for line in lines]

    def _chat(self, day: date, chance: Random, key: ApiKey, model: str, kind: str = "completions") -> Run:
        prices, batch = CHAT_MODELS[model], chance.random() < 0.2
        text, audio, image = (chance.randrange(1, 900_000), chance.randrange(5000), chance.randrange(9000))
        cached = (chance.randrange(1, 400_000), chance.randrange(900), chance.randrange(700))
        out = (chance.randrange(1, 200_000), chance.randrange(3000), 0)
        writes = (
            (chance.randrange(1, 30_000), chance.randrange(9000)) if prices[2] or self.plot.rows_per_day else (0, 0)
        )
        parts = (text + audio + image, sum(cached), sum(writes), sum(out))
        dims = self._dims(key, model) | {"batch": batch, "service_tier": "flex" if batch else "default"}
        counts = {
            "input_tokens": parts[0] + parts[1] + parts[2],
            "input_uncached_tokens": parts[0],
            "input_cached_tokens": parts[1],
            "input_cache_write_tokens": parts[2],
            "input_cache_write_30m_tokens": writes[0],
            "input_cache_write_12h_tokens": writes[1],
            "input_text_tokens": text,
            "input_audio_tokens": audio,
            "input_image_tokens": image,
            "input_cached_text_tokens": cached[0],
            "input_cached_audio_tokens": cached[1],
            "input_cached_image_tokens": cached[2],
            "output_tokens": parts[3],
            "output_text_tokens": out[0],
            "output_audio_tokens": out[1],
            "output_image_tokens": out[2],
            "num_model_requests": chance.randrange(1, 900),
        }
        lines = tuple(
            self._line(
                chance,
                dims,
                spelled(day, model, label),
                EXACT.multiply(Decimal(part), price).scaleb(-6),
                Decimal(part),
                "tokens",
            )
            for label, part, price in zip(
                ("input", "cached input", "cache write", "output"), parts, prices, strict=True
            )
            if part
        )
        return Run((Use(kind, chance.randrange(1440), dims, counts),), lines)

    def _dims(self, key: ApiKey, model: str | None) -> dict[str, Any]:
        return {
            "project_id": key.project.id,
            "api_key_id": key.id,
            "user_id": key.owner.id if key.owner else None,
            "model": model,
            "api_source": "agents_api" if key.owner is None else "unlabeled",
        }

    def _line(
        self,
        chance: Random,
        dims: dict[str, Any],
        item: str,
        amount: Decimal,
        quantity: Decimal | None,
        unit: str | None,
    ) -> Line:
        kept = {name: dims[name] for name in ("project_id", "api_key_id", "user_id", "api_source")} | {
            "line_item": item
        }
        mood = 1.0 if self.plot.rows_per_day else chance.random()
        if mood < 0.30:  # the residue of binary arithmetic, as the vendor's numbers carry it
            amount = EXACT.add(amount, Decimal(chance.randrange(1, 1000)).scaleb(-18))
        elif mood < 0.38:
            amount = EXACT.add(amount, Decimal(chance.randrange(1, 10_000)).scaleb(-23))
        elif mood < 0.45:
            amount = EXACT.add(amount, Decimal("0E-10"))
        return Line(kept, amount, quantity, unit, as_text=0.45 < mood < 0.48)

    def _tool(
        self,
        chance: Random,
        key: ApiKey,
        kind: str,
        model: str | None,
        unit: str | None,
        price: Decimal,
        item: str | None = None,
        **extra: str,
    ) -> Run:
        field, step, per = MEASURES[kind]
        count = step * chance.randrange(1, 500)
        calls = chance.randrange(1, 300)
        dims = self._dims(key, model) | extra
        counts = {field: count} | ({"num_model_requests": calls} if model else {})
        quantity = Decimal(count) / per
        amount = EXACT.multiply(quantity, price)
        line = self._line(chance, dims, item or str(model), amount, quantity, unit)
        return Run((Use(kind, chance.randrange(1440), dims, counts),), (line,))

    def _others(self) -> Sequence[Callable[[Random, ApiKey], Run]]:
        tool, store = self._tool, self.plot.name("vs_", "store")
        return (
            lambda c, k: tool(c, k, "embeddings", "text-embedding-3-large", "1000_tokens", Decimal("0.00013")),
            lambda c, k: tool(c, k, "moderations", "omni-moderation", None, Decimal(0)),
            lambda c, k: tool(
                c,
                k,
                "images",
                "gpt-image-2",
                "images",
                Decimal("0.042"),
                "gpt-image-2, images",
                size=c.choice(("1024x1024", "512x512")),
                source=c.choice(("image.generation", "image.edit")),
            ),
            lambda c, k: tool(c, k, "audio_speeches", "gpt-voice-1", "characters", Decimal("0.000015")),
            lambda c, k: tool(c, k, "audio_transcriptions", "whisper-2", "duration_minutes", Decimal("0.006")),
            lambda c, k: tool(c, k, "vector_stores", None, "gibibyte_hours", Decimal("0.0041"), "vector store storage"),
            lambda c, k: tool(
                c, k, "code_interpreter_sessions", None, None, Decimal("0.03"), "code interpreter sessions"
            ),
            lambda c, k: tool(
                c,
                k,
                "file_search_calls",
                None,
                None,
                Decimal("0.0025"),
                "file search tool calls",
                vector_store_id=store,
            ),
            lambda c, k: tool(
                c,
                k,
                "web_search_calls",
                "gpt-5.5-2026-04-02",
                None,
                Decimal("0.01"),
                "web search tool calls",
                context_level=c.choice(("low", "medium", "high")),
            ),
        )

    def charges_on(self, day: date) -> list[TrueCharge]:
        """Return the cost lines of a day at the vendor's finest grain."""
        return [
            TrueCharge(day, line.dims["project_id"], line.dims["line_item"], line.dims["api_key_id"], line.amount, None,
                       "USD", line.quantity, line.unit, line.dims)
            for run in self.runs.on(day)
            for line in run.lines
        ]  # fmt: skip

    def usage_on(self, day: date) -> list[TrueUsage]:
        """Return the measurements of a day, dataset `usage.<kind>`, meter as the vendor spells the field."""
        return [
            TrueUsage(day, f"usage.{use.kind}", field, Decimal(count), use.dims)
            for run in self.runs.on(day)
            for use in run.uses
            for field, count in use.counts.items()
        ]

    def truth(self, scope: str | None = None) -> Truth:
        """Return the true facts of the organization."""
        limits = (
            []
            if self.spend_limit_cents is None
            else [TrueLimit("spend_limit", None, "spend", Decimal(self.spend_limit_cents).scaleb(-2), "USD", "month")]
        )
        limits += [
            TrueLimit("spend_limit", project, "spend", Decimal(cents).scaleb(-2), "USD", "month")
            for project, cents in self.project_limits_cents.items()
        ]
        limits += [
            TrueLimit(
                f"{model}.{field}", project.id, "rate", Decimal(quota), field, "day" if "day" in field else "minute"
            )
            for project in self.projects
            if project.listed and project.archived_at is None
            for model in CHAT_MODELS
            for field, quota in self.rate_limits(project, model).items()
        ]
        names: dict[str, dict[str, str | None]] = {
            "project": {project.id: project.name for project in self.projects if project.listed},
            "user": {person.id: person.name for person in self.people if person.listed},
            "api_key": {key.id: key.name for key in self.keys if key.listed and key.project.listed},
        }
        alerts = [
            {"id": alert, "project_id": None, "amount": Decimal(cents).scaleb(-2), "currency": "USD"}
            for alert, cents in self.alerts_cents
        ]
        alerts += [
            {"id": alert, "project_id": project, "amount": Decimal(cents).scaleb(-2), "currency": "USD"}
            for project, listed in self.project_alerts_cents.items()
            for alert, cents in listed
        ]
        return Truth(self.plot.first_day, self.plot.today, self.charges_on, self.usage_on, limits, alerts, names)

    def rate_limits(self, project: Project, model: str) -> dict[str, int]:
        """Return the rate limits of a project for a model, by the vendor's field names."""
        chance = self.plot.random("rate", project.id, model)
        limits = {
            "max_requests_per_1_minute": 500 * chance.randrange(1, 20),
            "max_tokens_per_1_minute": 30_000 * chance.randrange(1, 99),
        }
        if model.startswith("gpt-4o"):
            limits |= {"max_requests_per_1_day": 10_000, "batch_1_day_max_input_tokens": 90_000_000}
        return limits
