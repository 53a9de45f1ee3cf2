#!/usr/bin/env python3
"""Plays the same orders to three autoscalers at the same time and writes docs/signals.svg, docs/signals/*.csv and the table
in docs/scaling-signals.md: docs/signals/play.py. Needs `cargo build -p sandbox -p podgauge -p demo-shop`, and 15 minutes.

Each autoscaler has a sandbox of its own, in real time: the sandbox's HPA controller, podgauge, and a shop whose pods are
processes. HOLD=SECONDS keeps the sandboxes that much longer. `docs/signals/play.py --draw` makes page and picture anew from
the samples that there are."""

import base64
import csv
import json
import os
import pathlib
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

TOP = pathlib.Path(__file__).resolve().parents[2]
WORK = TOP / "target/signals"
RUNS = {
    "pods": ("hpa.yaml", "Pods: messages"),
    "object": ("demo-shop/deploy/hpa-object.yaml", "Object: messages"),
    "wait": ("demo-shop/deploy/hpa-wait.yaml", "Pods: order_wait_seconds_p95"),
}
FIRST_PORT = 32101
# All of these are seconds, from when all of them were calm.
TURN = 2
BUSY_FROM, BURST_AT, BUSY_UNTIL, END = 60, 360, 600, 840
TRICKLE_EVERY = 10
BURST = 60
CALM_WITHIN = 300
COLUMNS = ["seconds", "pending", "wanted", "ready", "metric", "active"]


def items_at(second):
    """What is ordered in a turn: one now and then, and then what two and a half workers can do; once, many."""
    busy = BUSY_FROM <= second < BUSY_UNTIL
    return int(busy or second < BUSY_FROM and second % TRICKLE_EVERY == 0) + BURST * (second == BURST_AT)


class Run:
    """One sandbox and what is known of it."""

    def __init__(self, name, port):
        self.name, self.port, self.rows = name, port, []
        self.folder = WORK / name
        self.log = self.folder / "run.log"

    def start(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        for part in ["monitoring", "demo-shop"]:
            (self.folder / part).symlink_to(TOP / part)
        shutil.copy(TOP / RUNS[self.name][0], self.folder / "hpa.yaml")
        demo = [TOP / "target/debug/sandbox", "demo", "--pace=1", "--quantity=1", f"--port={self.port}", "--out=out"]
        self.process = subprocess.Popen(demo, cwd=self.folder, stdout=self.log.open("w"), stderr=subprocess.STDOUT)

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait()

    def is_calm(self):
        if self.process.poll() is not None:
            sys.exit(f"{self.name}: the sandbox has ended: {self.log}")
        return "ok  ordered" in self.log.read_text()

    def buy(self, items):
        form = f"quantity={items}".encode()
        urllib.request.urlopen(f"http://127.0.0.1:{self.port}/submit", data=form, timeout=30).read()

    def shop(self):
        asked = urllib.request.Request(f"http://127.0.0.1:{self.port}/", headers={"accept": "application/json"})
        return json.load(urllib.request.urlopen(asked, timeout=10))

    def connect(self):
        """The API server as the kubeconfig has it."""
        config = (self.folder / "out/kubeconfig").read_text()
        field = lambda name: re.search(rf"{name}: \"?([^\"\s]+)", config)[1]
        self.server = field("server")
        with tempfile.TemporaryDirectory() as private:
            paths = []
            for name in ["certificate-authority-data", "client-certificate-data", "client-key-data"]:
                path = pathlib.Path(private, name)
                path.write_bytes(base64.b64decode(field(name)))
                paths.append(path)
            self.tls = ssl.create_default_context(cafile=paths[0])
            self.tls.load_cert_chain(paths[1], paths[2])

    def get(self, path):
        return json.load(urllib.request.urlopen(self.server + path, context=self.tls, timeout=10))

    def sample(self, origin):
        seconds = time.monotonic() - origin
        workers = self.get("/apis/apps/v1/namespaces/default/deployments/backend")
        hpa = self.get("/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers/backend")["status"]
        active = [it for it in hpa.get("conditions", []) if it["type"] == "ScalingActive"]
        self.rows.append({
            "seconds": round(seconds, 1),
            "pending": self.shop()["queue"]["messages"],
            "wanted": workers["spec"]["replicas"],
            "ready": workers["status"].get("readyReplicas", 0),
            "metric": seen_by(hpa),
            "active": int(bool(active) and active[0]["status"] == "True"),
        })

    def write(self):
        with open(TOP / f"docs/signals/{self.name}.csv", "w", newline="") as file:
            table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            table.writeheader()
            table.writerows(self.rows)


def seen_by(hpa):
    """The number that the autoscaler acted on last: what it was served, before it is put into proportion."""
    for metric in hpa.get("currentMetrics") or []:
        current = (metric.get("pods") or metric.get("object") or {}).get("current", {})
        quantity = current.get("averageValue") or current.get("value")
        if quantity:
            return float(quantity[:-1]) / 1000 if quantity.endswith("m") else float(quantity)
    return ""


def at_pace(origin, until, do):
    """Calls `do` with the seconds since `origin` that every turn should begin at, in the first moment as well."""
    for second in range(0, until + 1, TURN):
        time.sleep(max(0, origin + second - time.monotonic()))
        do(second)


def complaining(run, what, *arguments):
    try:
        what(*arguments)
    except OSError as error:
        print(f"{run.name}: {error}", file=sys.stderr)


def play():
    runs = [Run(name, FIRST_PORT + number) for number, name in enumerate(RUNS)]
    for run in runs:
        run.start()
    try:
        # Without orders there is no wait to be seen, and no calm that the demo would believe.
        began = time.monotonic()
        while not all([run.is_calm() for run in runs]):
            if time.monotonic() - began > CALM_WITHIN:
                sys.exit(f"not all of them are calm: see {WORK}/*/run.log")
            for run in runs:
                if not run.is_calm() and "ok  shop" in run.log.read_text():
                    complaining(run, run.buy, 1)
            time.sleep(TRICKLE_EVERY)
        for run in runs:
            run.connect()
        print(f"all are calm after {time.monotonic() - began:.0f} s; {END} s from here", flush=True)
        origin = time.monotonic()
        looks = [
            threading.Thread(target=at_pace, args=(origin, END, lambda _, run=run: complaining(run, run.sample, origin)), daemon=True)
            for run in runs
        ]
        for look in looks:
            look.start()

        def order(second):
            for run in runs if items_at(second) else []:
                complaining(run, run.buy, items_at(second))

        at_pace(origin, END, order)
        for look in looks:
            look.join()
        hold = os.environ.get("HOLD")
        if hold:
            print(f"holding for {hold} s", flush=True)
            time.sleep(float(hold))
    finally:
        for run in runs:
            run.stop()
    (TOP / "docs/signals").mkdir(exist_ok=True)
    for run in runs:
        run.write()


# --- what is made of the runs


def read():
    number = lambda text: float(text) if text else None
    runs = {}
    for name in RUNS:
        with open(TOP / f"docs/signals/{name}.csv", newline="") as file:
            runs[name] = [{key: number(value) for key, value in row.items()} for row in csv.DictReader(file)]
        pending = 0
        for row in runs[name]:
            # Where the shop did not know it in time, it is drawn as it was.
            pending = row["pending"] = pending if row["pending"] is None else row["pending"]
    return runs


def table(runs):
    """What the runs came to, as Markdown."""
    lines = [
        "| | workers at most | rescaled | worker-minutes | an order was done after | one worker again |",
        "|---|---|---|---|---|---|",
    ]
    orders = sum(items_at(second) for second in range(0, END + 1, TURN))
    for name, rows in runs.items():
        spans = [(row, after["seconds"] - row["seconds"]) for row, after in zip(rows, rows[1:])]
        work = sum(row["ready"] * span for row, span in spans) / 60
        # Little's law: what is in the shop on average is what comes, times how long it stays.
        stay = sum(row["pending"] * span for row, span in spans) / orders
        rescaled = sum(row["wanted"] != after["wanted"] for row, after in zip(rows, rows[1:]))
        rest = max((row["seconds"] for row in rows if row["ready"] > 1), default=0)
        late = rest - BUSY_UNTIL
        back = f"{abs(late):.0f} s {'after' if late >= 0 else 'before'} the last order"
        if rest >= rows[-1]["seconds"] - TURN:
            back = "not within the run"
        kind, metric = RUNS[name][1].split(": ")
        most = max(row["ready"] for row in rows)
        lines.append(f"| {kind}, `{metric}` | {most:.0f} | {rescaled} times | {work:.0f} | {stay:.0f} s | {back} |")
    return "\n".join(lines) + "\n"


WIDTH, HEIGHT, LEFT, GAP = 960, 400, 44, 26
PANELS = {"pending": (58, 208), "workers": (258, 358)}
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #3d4a47 } .name { font-weight: 700; font-size: 14px; fill: #0f1a18 }
.grid { stroke: #d5dcda } .pending { fill: #0e6a5e33; stroke: #0e6a5e; stroke-width: 1.6 } .ready { fill: #9a5a0033; stroke: none }
.wanted { fill: none; stroke: #9a5a00; stroke-width: 1.6 } .end { stroke: #3d4a47; stroke-dasharray: 3 3 } .back { fill: #fff }
@media (prefers-color-scheme: dark) { text { fill: #b7c3c0 } .name { fill: #eef4f2 } .back { fill: #0d1117 } .grid { stroke: #2f3a38 }
.pending { fill: #5ad8c433; stroke: #5ad8c4 } .ready { fill: #f2b45a33 } .wanted { stroke: #f2b45a } .end { stroke: #b7c3c0 } }
"""


def draw(runs):
    width = (WIDTH - LEFT - GAP * len(runs)) / len(runs)
    end = max(row["seconds"] for rows in runs.values() for row in rows)
    most = {"pending": 100, "workers": 12}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Orders and workers over time, for three autoscalers">',
        f'<style>{STYLE}</style><rect class="back" width="{WIDTH}" height="{HEIGHT}"/>',
    ]
    for column, (name, rows) in enumerate(runs.items()):
        left = LEFT + column * (width + GAP)
        x = lambda seconds: left + width * seconds / end
        parts.append(f'<text class="name" x="{left}" y="20">{RUNS[name][1]}</text>')
        for panel, (top, bottom) in PANELS.items():
            y = lambda value: bottom - (bottom - top) * min(value, most[panel]) / most[panel]
            for step in range(0, most[panel] + 1, most[panel] // 4):
                parts.append(f'<path class="grid" d="M{left:.0f} {y(step):.1f}H{left + width:.0f}"/>')
                if column == 0:
                    parts.append(f'<text x="{left - 8}" y="{y(step) + 4:.1f}" text-anchor="end">{step}</text>')
            title = {"pending": "orders waiting or in hand", "workers": "workers: ready (area), asked for (line)"}[panel]
            parts.append(f'<text x="{left}" y="{top - 12}">{title}</text>')
            base = f"V{bottom}H{x(0):.1f}Z"
            stairs = lambda key: "".join(
                f"{'M' if not index else 'H'}{x(row['seconds']):.1f}{' ' if not index else 'V'}{y(row[key]):.1f}"
                for index, row in enumerate(rows)
            )
            if panel == "pending":
                parts.append(f'<path class="pending" d="{stairs("pending")}{base}"/>')
            else:
                parts.append(f'<path class="ready" d="{stairs("ready")}{base}"/><path class="wanted" d="{stairs("wanted")}"/>')
            parts.append(f'<path class="end" d="M{x(BUSY_FROM):.1f} {top}V{bottom}M{x(BUSY_UNTIL):.1f} {top}V{bottom}"/>')
        for minute in range(0, int(end / 60) + 1, 2):
            parts.append(f'<text x="{x(minute * 60):.1f}" y="{HEIGHT - 22}" text-anchor="middle">{minute}</text>')
        parts.append(f'<text x="{left + width / 2:.0f}" y="{HEIGHT - 4}" text-anchor="middle">minutes</text>')
    parts.append("</svg>\n")
    (TOP / "docs/signals.svg").write_text("\n".join(parts))


def main():
    if sys.argv[1:] == []:
        play()
    elif sys.argv[1:] != ["--draw"]:
        sys.exit(__doc__)
    runs = read()
    draw(runs)
    (WORK).mkdir(parents=True, exist_ok=True)
    subprocess.run([TOP / "hack/section", TOP / "docs/scaling-signals.md", "runs"], input=table(runs), text=True, check=True)
    print(table(runs))


main()
