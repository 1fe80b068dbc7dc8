"""What the documents show works: the example client against a served plant, links, commands."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import TypeAdapter

from vpp.errors import ConfigError
from vpp.service.api.face import routes
from vpp.service.cases.case import run_case
from vpp.service.cases.casefile import read_case
from vpp.service.cases.schema import CaseSection
from vpp.service.http import serve
from vpp.service.park.config import read_yaml
from vpp.service.park.parkfile import load_park
from vpp.service.park.schemas import SCHEMAS
from vpp.service.plant import Plant
from vpp.service.runnable import require_real_market, require_runnable
from vpp.service.solving.inline import InlineExecutor

ROOT = Path(__file__).parents[2]
TERMS = ROOT / "vpp" / "service" / "cases" / "termschema.py"
PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"]


def example_client() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "example_client", ROOT / "docs" / "example_client.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_example_client_trades_a_day(plant: Plant) -> None:
    async def run() -> dict[str, object]:
        async with serve(plant, host="127.0.0.1", port=0) as address:
            answer: dict[str, object] = await asyncio.to_thread(
                example_client().play, address, "se3-day-ahead"
            )
            return answer

    answer = asyncio.run(run())

    assert answer["status"] == "booked"
    assert answer["bids"] == len(list(plant.book.all_bids())) > 90


def test_the_case_that_the_planning_page_writes_is_planned_as_it_says(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "planning.md").read_text(encoding="utf-8")
    for name, content in re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", page, re.DOTALL):
        (tmp_path / name).write_text(content, encoding="utf-8")
    ran = asyncio.run(run_case(read_case(tmp_path / "case.yaml"), InlineExecutor()))

    reasons = re.findall(r"<!-- output: (\S+)@(\S+) -->\n```text\n(.*?)```", page, re.DOTALL)
    costs = re.findall(r"<!-- cost: (.*?) -->", page)

    assert len(reasons) == len(costs) == 1
    for resource, clock, said in reasons:
        assert list(ran.why(resource, clock).sentences) == said.splitlines()
    assert ran.schedule is not None
    assert costs[0] == ", ".join(
        f"{cause} {cost:.4g}" for cause, cost in sorted(ran.schedule.cost_by_cause.items()) if cost
    )


def test_the_fleet_that_its_page_writes_is_planned_by_the_structured_solver_as_it_says(
    tmp_path: Path,
) -> None:
    page = (ROOT / "docs" / "fleet.md").read_text(encoding="utf-8")
    for name, content in re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", page, re.DOTALL):
        (tmp_path / name).write_text(content, encoding="utf-8")
    ran = asyncio.run(run_case(read_case(tmp_path / "morning.yaml"), InlineExecutor()))

    assert ran.schedule is not None
    assert ran.schedule.how is not None
    assert ran.schedule.how.method.startswith("structured")
    assert ran.schedule.how.fallbacks == 0
    assert "160 kWh at 0.05 EUR" in page
    assert ran.schedule.cost_by_cause["network energy"] == pytest.approx(160 * 0.05, rel=1e-6)


def test_the_small_park_that_the_park_page_writes_can_be_run_as_it_is(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "park-file.md").read_text(encoding="utf-8")
    ((name, content),) = re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", page, re.DOTALL)
    file = tmp_path / name
    file.write_text(content, encoding="utf-8")
    (tmp_path / "config").symlink_to(ROOT / "config")

    park = load_park(file)

    require_runnable(park)
    require_real_market(park)
    assert [str(r.resource_id) for r in park.park.resources] == ["base", "battery"]


def test_two_listeners_at_one_port_are_a_fault(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "park-file.md").read_text(encoding="utf-8")
    ((name, content),) = re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", page, re.DOTALL)
    file, page_of_people = (
        tmp_path / name,
        "people: {page: {url: http://127.0.0.1:8500, listen: {port: 8500}}}\n",
    )
    http = "http_devices: {listen: {host: 127.0.0.1, port: 8500}, gateways: []}\n"
    file.write_text(content + page_of_people + http, encoding="utf-8")
    (tmp_path / "config").symlink_to(ROOT / "config")

    with pytest.raises(ConfigError) as told:
        load_park(file)

    assert "http_devices.listen.port: 8500 is that of people.page.listen already" in str(told.value)


def test_the_terms_that_the_planning_page_shows_fit_the_schema(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "planning.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```yaml\n(terms:\n.*?)```", page, re.DOTALL)
    document = read_yaml(f"park: p\nseries: s\n{shown}".encode(), file="planning.md")

    section = document.parse(TypeAdapter(CaseSection), (), document.tree)

    assert isinstance(section, CaseSection), section
    named = set(
        re.findall(r"`([a-z_]+)`", page[page.index("*Terms*") : page.index("```yaml\nterms")])
    )
    known = {str(term) for term in re.findall(r'term: Literal\["(\w+)"\]', TERMS.read_text())}
    assert known <= named


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_json_that_a_page_sends_is_json(page: Path) -> None:
    for body in re.findall(r"-d '(\{.*?\})'", page.read_text(encoding="utf-8"), re.DOTALL):
        json.loads(body)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_that_a_page_names_are_routes(page: Path) -> None:
    known = [
        re.compile(re.sub(r"\\\{[^/]*?\\\}", "[^/]+", re.escape(route.path))) for route in routes()
    ]
    text = page.read_text(encoding="utf-8")
    named = {path.rstrip("/.,") for path in re.findall(r"/v1/[A-Za-z0-9{}_./-]+", text)}
    named = {path for path in named if not path.startswith("/v1/{")}  # MQTT topics
    assert not [path for path in named if not any(k.fullmatch(path) for k in known)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_schemas_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert set(re.findall(r"vpp schema ([a-z-]+)", text)) <= set(SCHEMAS)
