"""A Lockstep connector for Doorman, complete: it passes the conformance suite.

    lockstep connector conform -- /usr/bin/python3 -I connector.py

It reports and never decides. It translates between Lockstep's words and Doorman's, does what one action says and nothing
else, and says honestly what it knows about the outcome.
"""

import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from doorman import BrokenOff, Busy, Doorman, Forbidden, NotLoggedIn, NotReached, Rejected, TimedOut, no_data
from lockstep_connector import VERSION, Fault, serve

KEYS = ["directory", "employee", "upn", "mail", "account", "card"]
FIELDS = {
    "given_name": {"required": False, "chars_max": 64},
    "family_name": {"required": True, "chars_max": 64},
    "display_name": {"required": False, "chars_max": 128},
    "employee_number": {"required": False, "chars_max": 32},
    "department": {"required": False, "chars_max": 64},
    "mail": {"required": False, "chars_max": 254},
    "upn": {"required": False, "chars_max": 254},
}
# A field that people are found by, and the kind of key that it is.
MIRRORED = {"employee_number": "employee", "mail": "mail", "upn": "upn"}
FOLDED = {"upn", "mail", "account", "directory"}

CAPABILITIES = {
    "granularity": "whole-cardholder",
    "suspend": "cardholder-flag",
    "credentials": "status",
    "validity": True,
    "revision": False,
    "idempotency": False,
    "keys": KEYS,
    "fields": FIELDS,
    "enforcement": "database",
    "in_flight_max": 1,
    "requests_per_minute": None,
}


class Connector:
    """One method for each of the protocol."""

    def initialize(self, params):
        file = params["settings"].get("file")
        if params["conformance"]:
            self.doorman = Doorman()
        elif isinstance(file, str):
            self.doorman = Doorman(os.path.abspath(file))
        else:
            raise Fault("invalid", "settings.file is missing: where Doorman keeps its data")
        return {
            "protocol": VERSION,
            "connector": "doorman-example 1.0",
            "endpoint": self.doorman.path or "in memory",
            "fingerprint": f"doorman:{self.doorman.path or 'memory'}",
            "capabilities": CAPABILITIES,
            "conformance": {"cannot": {}, "records": True} if params["conformance"] else None,
        }

    def probe(self, params, deadline):
        groups = self._ask(deadline, lambda wait: self.doorman.groups(wait))
        seen = {"name": "groups", "outcome": "pass", "detail": f"{len(groups)} groups are visible", "help": None}
        return {"checks": [seen], "server": None}

    def catalog(self, params, deadline):
        groups = self._ask(deadline, lambda wait: self.doorman.groups(wait))
        return {"levels": {number: {**group, "site": None} for number, group in groups.items()}}

    def list(self, params, deadline):
        # The cursor: the last number that was handed out, and how many were.
        after, sent = (int(part) for part in (params["cursor"] or "0.0").split("."))
        people, more, total = self._ask(deadline, lambda wait: self.doorman.people(after, wait))
        if any(int(one["number"]) <= after for one in people):
            raise Fault("protocol", "Doorman sent a page twice")
        sent += len(people)
        if more:
            following = {"more": f"{people[-1]['number']}.{sent}"}
        else:
            following = {"end": {"sent": sent, "server_total": total}}
        return {"items": [cardholder(one) for one in people], "next": following}

    def find(self, params, deadline):
        key = params["key"]
        people = self._ask(deadline, lambda wait: self.doorman.search(key["kind"], key["value"], wait))
        if any(key not in one["ids"] for one in people):
            raise Fault("protocol", "Doorman ignores what it is asked to look for")
        return [cardholder(one) for one in people]

    def read(self, params, deadline):
        person = self._ask(deadline, lambda wait: self.doorman.person(params["id"], wait))
        return cardholder(person) if person else None

    def apply(self, params, deadline):
        action = params["action"]
        subject = action["subject"]
        if "existing" in subject:
            before = self._ask(deadline, lambda wait: self.doorman.person(subject["existing"], wait), "not-sent")
            if before is None:
                raise Fault("missing", "there is no such cardholder", "refused")
        else:
            if not any("provision" in step for step in action["steps"] if isinstance(step, dict)):
                raise Fault("invalid", "nobody is named, and nobody is to be created", "refused")
            before = nobody(subject["new"])
        person = before
        for step in action["steps"]:
            person = changed(person, step)
        number = before["number"]
        if number is None or person != before:
            number = self._ask(deadline, lambda wait: self.doorman.save(person, wait), "uncertain")
        return {"cardholder": number, "enforced": "database"}

    # For the suite.

    def conformance_fresh(self, params, deadline):
        data = no_data()
        for index, level in enumerate(params["levels"], 1):
            data["groups"][str(index)] = level
        for index, one in enumerate(params["cardholders"], 1):
            person = {
                **nobody(None),
                "number": str(index),
                "ids": one["keys"],
                "fields": {name: value for name, value in one["profile"].items() if name in FIELDS},
                "blocked": one["status"] == "suspended",
                "groups": [str(level + 1) for level in one["levels"]],
                "cards": [
                    {"id": f"{index}-{nth}", "number": number, "state": "active"}
                    for nth, number in enumerate(one["cards"])
                ],
                "from": one["validity"]["from"],
                "until": one["validity"]["until"],
            }
            data["people"][str(index)] = person
        data["next"] = len(params["cardholders"]) + 1
        self.doorman.data = data
        return {"levels": list(data["groups"]), "cardholders": list(data["people"])}

    def conformance_trouble(self, params, deadline):
        self.doorman.trouble = params["trouble"]
        return {}

    def conformance_heal(self, params, deadline):
        self.doorman.trouble = None
        return {}

    def conformance_record(self, params, deadline):
        person = self.doorman.data["people"].get(params["id"])
        return cardholder(person) if person else None

    @staticmethod
    def _ask(deadline, request, unanswered="uncertain"):
        """One request to Doorman. `unanswered` is what a lost answer means for the effect of the whole action."""
        try:
            return request(deadline.left() * 0.9)
        except NotReached:
            raise Fault("unreachable", "Doorman does not answer on its address", "not-sent") from None
        except TimedOut:
            raise Fault("unreachable", "Doorman did not answer in time", unanswered) from None
        except BrokenOff:
            raise Fault("unreachable", "the connection to Doorman broke off", unanswered) from None
        except NotLoggedIn:
            raise Fault("unauthenticated", "Doorman does not know this account", "refused") from None
        except Forbidden:
            raise Fault("denied", "Doorman forbids it", "refused", help="the rights of its account") from None
        except Busy as busy:
            raise Fault("throttled", "Doorman asks to wait", "refused", retry_after=busy.seconds) from None
        except Rejected as rejected:
            raise Fault("invalid", str(rejected), "refused") from None


# Doorman's words to Lockstep's.


def cardholder(person):
    return {
        "id": person["number"],
        "keys": person["ids"],
        "profile": person["fields"],
        "status": "suspended" if person["blocked"] else "active",
        "levels": sorted(person["groups"]),
        "credentials": [
            {"id": card["id"], "kind": "card", "number": card["number"], "status": card_status(card["state"])}
            for card in person["cards"]
        ],
        "validity": {"from": person["from"], "until": person["until"]},
        "site": None,
        "revision": None,
    }


def card_status(state):
    if state == "active":
        return "active"
    if state in ("disabled", "lost", "stolen", "expired", "returned"):
        return {"inactive": state}
    return {"other": state}


# Lockstep's words to Doorman's.


def nobody(key):
    return {
        "number": None,
        "ids": [key] if key else [],
        "fields": {},
        "blocked": False,
        "groups": [],
        "cards": [],
        "from": None,
        "until": None,
    }


def changed(person, step):
    """The person as one step leaves it. What the step does not name stays as it is."""
    name, what = (step, None) if isinstance(step, str) else next(iter(step.items()))
    if name == "reduce":
        name, what = (what, None) if isinstance(what, str) else next(iter(what.items()))
    if name == "suspend":
        return {**person, "blocked": True}
    if name == "reinstate":
        return {**person, "blocked": False}
    if name == "deactivate":
        return with_card(person, what["credential"], what["status"])
    if name == "activate":
        return with_card(person, what["credential"], "active")
    if name == "revoke":
        return {**person, "groups": [group for group in person["groups"] if group != what["level"]]}
    if name == "grant":
        others = [group for group in person["groups"] if group != what["level"]]
        return {**person, "groups": [*others, what["level"]]} if len(others) == len(person["groups"]) else person
    if name in ("narrow", "widen"):
        return {**person, "from": what["validity"]["from"], "until": what["validity"]["until"]}
    if name == "amend":
        return with_fields(person, what["profile"])
    if name == "provision":
        lacking = [field for field, rule in FIELDS.items() if rule["required"] and not what["profile"].get(field)]
        if lacking:
            raise Fault("invalid", f"a new person needs the field {lacking[0]}", "refused")
        named = [key for key in what["keys"] if key not in person["ids"]]
        return with_fields({**person, "ids": person["ids"] + named}, what["profile"])
    raise Fault("unsupported", f"this connector does not know the step {name}", "refused")


def with_card(person, card, state):
    if all(one["id"] != card for one in person["cards"]):
        raise Fault("missing", "this person has no such card", "refused")
    cards = [{**one, "state": state} if one["id"] == card else one for one in person["cards"]]
    return {**person, "cards": cards}


def with_fields(person, profile):
    for name, value in profile.items():
        if name not in FIELDS:
            raise Fault("unsupported", f"Doorman has no place for the field {name}", "refused")
        if len(value) > FIELDS[name]["chars_max"]:
            raise Fault("invalid", f"the field {name} holds at most {FIELDS[name]['chars_max']} characters", "refused")
    ids = person["ids"]
    for name, kind in MIRRORED.items():
        # A key that mirrors a field follows it.
        if name in profile and any(key["kind"] == kind for key in ids):
            value = profile[name].lower() if kind in FOLDED else profile[name]
            ids = [key for key in ids if key["kind"] != kind] + ([{"kind": kind, "value": value}] if value else [])
    return {**person, "ids": ids, "fields": {**person["fields"], **profile}}


if __name__ == "__main__":
    serve(Connector())
