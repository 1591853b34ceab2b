"""The same questions put to every provider: whoever adds one learns here what is still missing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlay import errors
from outlay.model.facts import Charge, Fact, Name, Usage
from outlay.model.focus import SERVICE_CATEGORIES
from outlay.model.units import UNITS
from outlay.providers import PROVIDERS
from outlay.providers.base import CAPABILITIES, AfterId, Cursor, Dataset, Endpoint, JsonApi, PageNumber, Provider
from providers.case_files import Case, all_cases, fact_lines, problem_text

DOCS = Path(__file__).parents[2] / "docs" / "providers"
CASES = all_cases()
MAPPED = [case for case in CASES if case.outcome()[0]]
GRAINS = {"day", "month", "reading", "names"}
OFFERS = {"api", "headers", "export", "entered", "none"}
EVIDENCE = {"cost": "Charge", "usage": "Usage", "limits": "Limit", "balance": "Balance", "invoices": "Invoice",
            "budgets": "Budget", "revenue": "Revenue"}  # fmt: skip
"""What a capability offered by the API must be backed by: a dataset that yields this fact."""

each_provider = pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.id)
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def endpoints(provider: Provider) -> Iterator[tuple[Dataset, Endpoint[Any]]]:
    """Yield every endpoint with its dataset."""
    return ((dataset, endpoint) for dataset in provider.datasets for endpoint in dataset.endpoints)


def refusal_codes() -> set[str]:
    """Return the words a refusal may use."""
    kinds = [errors.ProviderError]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
    return {kind.code for kind in kinds} | {"empty", "answer"}


def words(value: object) -> Iterator[dict[str, Any]]:
    """Yield every JSON object inside a value, itself included."""
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from words(part)


def rows_in(value: object) -> Iterator[list[Any]]:
    """Yield every list of objects inside a value."""
    if isinstance(value, list) and all(isinstance(part, dict) for part in value):
        yield value
    # BigQuery's cells and columns have no names of their own: their place is what they mean.
    named = (
        {name: part for name, part in value.items() if name not in {"f", "fields"}} if isinstance(value, dict) else {}
    )
    for part in named.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from rows_in(part)


def parsed(body: bytes) -> Any:
    """Return a page as JSON values whose numbers keep their own text."""
    return json.loads(body, parse_float=_Verbatim, parse_int=_Verbatim)


def written(value: object) -> bytes:
    """Return JSON text with every number as it came."""
    if isinstance(value, _Verbatim):
        return value.encode()
    if isinstance(value, dict):
        return b"{" + b",".join(json.dumps(key).encode() + b":" + written(part) for key, part in value.items()) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(written(part) for part in value) + b"]"
    return json.dumps(value).encode()


class _Verbatim(str):
    """A number's own text, which a float would change."""

    __slots__ = ()


def multiset(case: Case, pages: list[bytes]) -> tuple[Counter[str], Counter[str]]:
    """Return what pages map to, without order."""
    facts, problems = case.outcome(pages)
    return Counter(fact_lines([fact]) for fact in facts), Counter(problem_text([problem]) for problem in problems)


def test_the_providers_are_told_apart() -> None:
    """Ids are unique and lower case, for they begin account ids and folder names."""
    ids = [provider.id for provider in PROVIDERS]
    assert len(set(ids)) == len(ids)
    assert all(name.isidentifier() and name.islower() for name in ids)


@each_provider
def test_every_capability_is_answered(provider: Provider) -> None:
    """What a provider lacks is said and not left out, and what the API is said to offer is a dataset."""
    assert set(provider.offers) == set(CAPABILITIES)
    assert {offer.how for offer in provider.offers.values()} <= OFFERS
    yielded = {kind.__name__ for dataset in provider.datasets for kind in dataset.yields}
    for capability, fact in EVIDENCE.items():
        if provider.offers[capability].how == "api":
            assert fact in yielded, f"{capability} is offered, but no dataset yields {fact}"
        elif provider.offers[capability].how in {"none", "entered"}:
            assert fact not in yielded, f"{capability} is said to be not offered, but a dataset yields {fact}"
    lacked = [name for name, offer in provider.offers.items() if offer.how != "api" and not offer.note]
    assert set(lacked) <= {"revenue", "writes"}, f"say what to do instead for {', '.join(lacked)}"


@each_provider
def test_what_it_says_can_be_looked_up(provider: Provider) -> None:
    """A provider names its sources, how to get a key, and which keys are of no use and why."""
    assert provider.sources
    assert all(source.startswith("https://") for source in provider.sources)
    assert provider.key_help
    assert provider.environment
    assert provider.base_url.startswith("https://")
    assert not provider.base_url.endswith("/")
    for shorter, longer in pairwise(provider.rates):
        assert shorter.seconds < longer.seconds
        assert shorter.requests < longer.requests
    assert all(kind.hint for kind in provider.keys if not kind.usable or kind.more_than_read)


@each_provider
def test_names_are_unique(provider: Provider) -> None:
    """A dataset's name and an endpoint's name each mean one thing within a provider."""
    for names in ([d.name for d in provider.datasets], [e.name for _, e in endpoints(provider)]):
        assert len(set(names)) == len(names), names
        assert all("-" not in name for name in names), "a case folder's name is <endpoint>-<what>"


@each_provider
def test_datasets_say_what_they_are(provider: Provider) -> None:
    """Each has a title, a known grain, at least one endpoint, and yields facts; names come in grain `names`."""
    for dataset in provider.datasets:
        assert dataset.title
        assert dataset.grain in GRAINS
        assert dataset.repeats in {"refuse", "add", "latest"}
        assert dataset.endpoints
        assert set(dataset.yields) <= set(get_args(Fact))
        assert (dataset.grain == "names") == (dataset.yields == (Name,))


@each_provider
def test_requests_can_be_built(provider: Provider) -> None:
    """Paths are rooted, loops are bounded, and the fields that lead to the next page are read from its type."""
    for _, endpoint in endpoints(provider):
        assert endpoint.path.startswith("/")
        assert endpoint.pages.pages_max > 0
        needed = []
        if isinstance(endpoint.pages, Cursor | AfterId):
            needed = [endpoint.pages.read]
        if isinstance(endpoint.pages, Cursor | AfterId | PageNumber) and endpoint.pages.more:
            needed.append(endpoint.pages.more)
        if isinstance(endpoint.pages, JsonApi):
            needed = [endpoint.pages.current, endpoint.pages.last]
        lacking = [name for name in needed if not hasattr(endpoint.page, name.split(".")[0])]
        assert not lacking, f"{endpoint.page.__name__} has no {', '.join(lacking)}, by which {endpoint.name} goes on"


@each_provider
def test_fan_outs_ask_for_names_it_reads(provider: Provider) -> None:
    """What is asked for one by one is named by a dataset of the provider that is fetched before."""
    found = [fact for case in CASES if case.provider is provider for fact in case.outcome()[0]]
    named = {fact.kind for fact in found if isinstance(fact, Name)}
    for dataset, endpoint in endpoints(provider):
        if endpoint.each is not None:
            assert endpoint.each.kind in named, f"no case of a dataset names a {endpoint.each.kind} for {endpoint.name}"
            assert dataset.order > 0, f"{dataset.name} must come after the names it fans out over"
            for each in (endpoint.each, endpoint.each.within):
                assert each is None or each.kind in named
                assert each is None or each.place != "path" or "{" + each.parameter + "}" in endpoint.path


@each_provider
def test_refusals_mean_something(provider: Provider) -> None:
    """A refusal is matched by a status that is one and means an error of the tree, or an empty answer."""
    rules = [*provider.refusals, *(rule for _, endpoint in endpoints(provider) for rule in endpoint.refusals)]
    for rule in rules:
        assert 200 <= rule.status < 600
        assert rule.means in refusal_codes(), rule.means


@each_provider
def test_services_stand_in_focus(provider: Provider) -> None:
    """Every service has a category and a subcategory FOCUS knows."""
    for service in (*provider.services.values(), provider.default_service):
        assert service.subcategory in SERVICE_CATEGORIES[service.category]


@each_case
def test_facts_are_what_the_dataset_declares(case: Case) -> None:
    """A case yields only the kinds of fact its dataset says, under services the provider lists, in known units."""
    for fact in case.outcome()[0]:
        assert type(fact) in case.dataset.yields
        if isinstance(fact, Charge | Usage):
            assert fact.service_name in case.provider.services, f"{fact.service_name} has no place in FOCUS"
        if isinstance(fact, Usage) and "unknown" not in case.path.name:
            known = fact.unit in UNITS or fact.basis is not None  # money by another name is counted in its currency
            assert known, f"{fact.unit} is no known unit; add it or say unknown in the name"


@each_case
def test_charges_follow_focus(case: Case) -> None:
    """Quantities come with units and on usage only, and a price belongs to one SKU."""
    parents: dict[str, str | None] = {}
    for fact in case.outcome()[0]:
        if not isinstance(fact, Charge):
            continue
        assert (fact.consumed_quantity is None) == (fact.consumed_unit is None)
        assert (fact.pricing_quantity is None) == (fact.pricing_unit is None)
        assert fact.consumed_quantity is None or fact.charge_category == "Usage"
        assert fact.sku_price_id is not None or fact.consumed_quantity is None
        assert (fact.resource_id is None) == (fact.resource_type is None)
        if fact.sku_price_id is not None:
            assert parents.setdefault(fact.sku_price_id, fact.sku_id) == fact.sku_id


@each_provider
def test_every_endpoint_has_a_case(provider: Provider) -> None:
    """Each endpoint has at least one recorded answer that maps to facts."""
    covered = {case.endpoint.name for case in MAPPED if case.provider is provider}
    missing = sorted({endpoint.name for _, endpoint in endpoints(provider)} - covered)
    assert not missing, f"no case with facts for {', '.join(missing)}"


@each_provider
def test_users_can_read_about_it(provider: Provider) -> None:
    """docs/providers/<id>.md exists and names every dataset and every variable `outlay init` looks for."""
    page = DOCS / f"{provider.id}.md"
    assert page.exists(), f"{page} is missing"
    text = page.read_text(encoding="utf-8")
    told = [*(d.name for d in provider.datasets), *provider.environment, *(o.name for o in provider.options)]
    unnamed = [name for name in told if f"`{name}`" not in text]
    assert not unnamed, f"{page.name} does not name {', '.join(unnamed)}"


@each_provider
def test_it_can_be_tried_without_a_key(provider: Provider) -> None:
    """The simulator has a face for it."""
    from outlay.simulator.faces import FACES

    assert provider.id in FACES, f"the simulator has no face for {provider.id}"


@each_case
def test_unknown_fields_change_nothing(case: Case) -> None:
    """A field no one has heard of, in every object of every page, leaves facts and problems as they are."""
    pages = case.pages()
    try:
        values = [parsed(page) for page in pages]
    except ValueError:
        pytest.skip("the page is no JSON, which is what the case shows")
    for value in values:
        for found in list(words(value)):
            if not _is_mapping(found):
                found["field_of_tomorrow"] = {"object": "surprise", "value": [1, None]}
    assert multiset(case, [written(value) for value in values]) == multiset(case, pages)


def _is_mapping(found: dict[str, Any]) -> bool:
    """Tell whether an object is keyed by data and not by field names: there, one key more is one entry more."""
    return bool(found) and all(isinstance(part, _Verbatim) for part in found.values())


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_the_order_of_rows_changes_nothing(data: st.DataObject) -> None:
    """Rows in any order, in any list of any page, are the same facts."""
    case = data.draw(st.sampled_from(MAPPED), label="case")
    values = [parsed(page) for page in case.pages()]
    for rows in (rows for value in values for rows in rows_in(value)):
        rows[:] = data.draw(st.permutations(rows))
    assert multiset(case, [written(value) for value in values]) == multiset(case, case.pages())
