"""The page of a zoo: bytes, processor seconds and memory to write it, and how soon a browser shows what is asked.

Times in the browser are those of the machine as it is: nothing is passed or failed by them.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.benchmarks.tables import Table
from tests.report.browser import Opened, chromium

pytestmark = pytest.mark.benchmark

CHANGES = 7
"""Measures that are looked at after the first."""
STAGE = (sys.executable, "-m", "tests.benchmarks.page_in_process")
LOOK = """async () => {
  const [select, body] = [document.getElementById("choose-measure"), document.body];
  const [first] = performance.getEntriesByName("map");
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const changes = [];
  for (const option of [...select.options].slice(1, 8)) {
    while (body.dataset.settled !== body.dataset.drawn) await pause(5);
    await pause(100);
    const [before, start] = [performance.getEntriesByName("map").length, performance.now()];
    select.value = option.value;
    select.dispatchEvent(new Event("change"));
    while (performance.getEntriesByName("map").length === before) await pause(0);
    changes.push(performance.now() - start);
  }
  const map = document.querySelector("#map .map");
  const box = document.querySelector("#map .cells").getBoundingClientRect();
  const hovers = [];
  for (let k = 0; k < 200; k++) {
    const [x, y] = [(37 * k) % 200, (53 * k) % 200].map((part) => part / 200);
    const at = { clientX: box.left + box.width * x, clientY: box.top + box.height * y };
    const start = performance.now();
    map.dispatchEvent(new PointerEvent("pointermove", { ...at, bubbles: true }));
    body.offsetHeight;
    hovers.push(performance.now() - start);
  }
  const middle = (numbers) => numbers.sort((x, y) => x - y)[Math.floor(numbers.length / 2)];
  const times = { first: first.startTime, change: middle(changes), least: Math.min(...changes), hover: middle(hovers) };
  return { ...times, heap: performance.memory.usedJSHeapSize };
}"""


def stage(name, root, *arguments):
    """Run a stage in a process of its own; return what it tells."""
    command = [*STAGE, name, str(root), *map(str, arguments)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def looked_at(browser, url):
    """Return how soon a page shows its first map, another measure, and what is under the cursor."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    opened = Opened.of(context)
    session = context.new_cdp_session(opened.page)
    # Ticks of the page's thread are its own, whatever else the machine does.
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    opened.at(url)
    opened.page.wait_for_function("() => document.body.dataset.settled > 0")
    loaded = _busy_s(session)
    told = opened.page.evaluate(LOOK)
    changed = (_busy_s(session) - loaded) / CHANGES
    context.close()
    assert opened.complaints == []
    return {
        "first_map": f"{told['first']:.0f} ms",
        "of_it_busy": f"{1000 * loaded:.0f} ms",
        "another_measure": f"{told['change']:.0f} ms (least {told['least']:.0f})",
        "of_it_busy_": f"{1000 * changed:.0f} ms",
        "hover": f"{told['hover']:.1f} ms",
        "heap": f"{told['heap'] / 2**20:.0f} MiB",
    }


def _busy_s(session):
    """Return how long the page's thread has worked."""
    return next(
        each["value"]
        for each in session.send("Performance.getMetrics")["metrics"]
        if each["name"] == "TaskDuration"
    )


def test_one_file(tmp_path):
    """The page of 284 layers under 20 measures with intervals, in one file"""
    root = tmp_path / "run"
    written = stage("write", root, 4, 71, 20)
    told = stage("report", root, 4, 71, 20)
    table = Table(test_one_file.__doc__, f"{written['rows']:,} numbers")
    url = (root / "report" / "index.html").as_uri()
    with chromium() as browser:
        for name, fragment in (("two networks", ""), ("all", "#a=*&b=*")):
            table.add(
                shown=name,
                page=f"{told['page_bytes'] / 1e6:.1f} MB",
                written=f"{told['write_s']} CPU s",
                peak=f"{told['peak_gib']} GiB",
                **looked_at(browser, url + fragment),
            )
    table.show()


def test_served(tmp_path):
    """The page of 5,000 layers under 2 measures with intervals, through `stitchpipe serve`"""
    root = tmp_path / "run"
    told = stage("large", root, 50, 100)
    table = Table(test_served.__doc__, "50,000,000 numbers")
    command = [*STAGE, "serve", str(root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        url = json.loads(server.stdout.readline())["url"]
        with chromium() as browser:
            shown = {
                name: looked_at(browser, url + at) for name, at in (("two networks", ""), ("all", "#a=*&b=*"))
            }
        server.stdin.close()
        peak = json.loads(server.stdout.read())["peak_gib"]
    for name, seen in shown.items():
        table.add(
            shown=name,
            page=f"{told['page_bytes'] / 1e6:.1f} MB",
            beside=f"{told['beside_bytes'] / 1e6:.0f} MB",
            written=f"{told['write_s']} CPU s",
            server=f"{peak} GiB",
            **seen,
        )
    table.show()
