#!/usr/bin/env python3
"""Checks what the quickstart left behind: the plan of day 2 and the state of the simulated PACS.

    verify.py FOLDER PLAN

Says what is wrong and ends with 1, or says that all is right. Reads only; needs nothing but Python 3.
"""

import json
import sys
from collections import Counter
from pathlib import Path


def main() -> int:
    folder, plan = Path(sys.argv[1]), Path(sys.argv[2])
    lines = [json.loads(line) for line in (folder / plan / "plan.jsonl").read_text(encoding="utf-8").splitlines()]
    entries = [line["entry"] for line in lines if "entry" in line]
    section = next(line["target"] for line in lines if "target" in line)
    pacs = {c["id"]: c for c in json.loads((folder / "pacs.json").read_text(encoding="utf-8"))["cardholders"]}
    situations = Counter(entry["action"]["because"]["situation"] for entry in entries)
    states = Counter(entry["state"]["is"] for entry in entries)
    codes = Counter(finding["code"] for finding in section["findings"])
    leavers = [e for e in entries if any(step == {"reduce": "suspend"} for step in e["action"]["steps"])]

    wrong: list[str] = []

    def expect(what: str, found: object, wanted: object) -> None:
        if found != wanted:
            wrong.append(f"{what}: {found}, expected {wanted}")

    expect("joiners", situations["absent"], 5)
    expect("leavers", len(leavers), 4)
    expect("leavers who wait for anybody", sum(e["state"]["is"] != "standing" for e in leavers), 0)
    expect("held by a guard", states["held"], 5)
    expect("people who share an employee number", codes["LS0104"], 2)
    expect("people of unknown standing", codes["LS0101"], 1)
    for entry in leavers:
        cardholder = pacs[entry["action"]["subject"]["existing"]]
        expect(f"{cardholder['id']} after sync", cardholder["status"], "suspended")
    for entry in entries:
        if entry["state"]["is"] == "held":
            cardholder = pacs[entry["action"]["subject"]["existing"]]
            expect(f"{cardholder['id']} keeps what a guard held", "trial-suite" in cardholder["levels"], True)
    for name in ("report.html", "report.csv", "worklist.html"):
        size = (folder / plan / name).stat().st_size
        expect(f"{name} is there", size > 1_000, True)

    for line in wrong:
        print(f"quickstart: {line}", file=sys.stderr)
    if not wrong:
        print("Everything came out as the README says.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
