"""Doorman, the access control system that this example speaks to. It does not exist: it stands for the vendor's SDK, its
database or its web API. In your connector this file is replaced by calls to the real thing.

It keeps people, cards and groups in a file, or in memory only. It can also get into trouble, which is what the conformance
suite needs: a real system has a simulator in this place.
"""

import copy
import json
import os
import time


class NotReached(Exception):
    """No request could be sent."""


class TimedOut(Exception):
    """A request was sent, and no answer came in time."""


class BrokenOff(Exception):
    """The connection broke in the middle."""


class NotLoggedIn(Exception):
    """Doorman does not know us."""


class Forbidden(Exception):
    """We may not do that."""


class Busy(Exception):
    """Doorman asks to wait so many seconds."""

    def __init__(self, seconds):
        super().__init__("busy")
        self.seconds = seconds


class Rejected(Exception):
    """Doorman says no, and did nothing."""


def no_data():
    return {"next": 1, "groups": {}, "people": {}}


class Doorman:
    """People by number, groups by number. A person: name fields, ids, `blocked`, cards, groups, `from` and `until`."""

    PAGE = 10

    def __init__(self, path=None):
        self.path = path
        self.trouble = None
        self.data = no_data()
        if path is not None and os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                self.data = json.load(file)

    # What a vendor's interface offers.

    def groups(self, patience):
        self._request(patience)
        return copy.deepcopy(self.data["groups"])

    def people(self, after, patience):
        """People after that number, in order of their numbers: a page of them, whether there are more, and how many there
        are in all."""
        self._request(patience)
        numbers = sorted(self.data["people"], key=int)
        rest = [number for number in numbers if int(number) > after]
        if self.trouble == "cut-list" and after:
            raise BrokenOff
        if self.trouble == "repeated-page" and after:
            rest = numbers
        page = rest[: self.PAGE]
        more = len(rest) > len(page)
        if self.trouble == "short-list" and not more:
            page = page[:-1]
        return [copy.deepcopy(self.data["people"][number]) for number in page], more, len(numbers)

    def search(self, kind, value, patience):
        self._request(patience)
        people = self.data["people"].values()
        if self.trouble == "ignored-filter":
            return copy.deepcopy(list(people))
        return copy.deepcopy([one for one in people if {"kind": kind, "value": value} in one["ids"]])

    def person(self, number, patience):
        self._request(patience)
        return copy.deepcopy(self.data["people"].get(number))

    def save(self, person, patience):
        """Writes a person whole; one without a number is new. Returns the number."""
        self._request(patience)
        if self.trouble == "refuse":
            raise Rejected("Doorman accepts no changes now")
        unknown = [group for group in person["groups"] if group not in self.data["groups"]]
        if unknown:
            raise Rejected(f"there is no group {unknown[0]}")
        if person.get("number") is None:
            person = {**person, "number": str(self.data["next"])}
            self.data["next"] += 1
        elif person["number"] not in self.data["people"]:
            raise Rejected("there is no such person")
        self.data["people"][person["number"]] = copy.deepcopy(person)
        self._store()
        if self.trouble == "lost-answer":
            raise BrokenOff
        return person["number"]

    # What stands behind it.

    def _request(self, patience):
        if self.trouble == "down":
            raise NotReached
        if self.trouble == "hang":
            time.sleep(patience)
            raise TimedOut
        if self.trouble == "deny":
            raise Forbidden
        if self.trouble == "unauthenticated":
            raise NotLoggedIn
        if self.trouble == "throttle":
            raise Busy(7)

    def _store(self):
        if self.path is None:
            return
        beside = f"{self.path}.new"
        with open(beside, "w", encoding="utf-8") as file:
            json.dump(self.data, file, ensure_ascii=False, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, self.path)
