"""The protocol between Lockstep and a connector, version 1: JSON-RPC 2.0, one message a line, over stdin and stdout.

Copy this file into a connector of your own. It reads requests, hands them to an object with a method for each, and writes
what that returns; it knows no PACS. Three rules are kept here, so that a connector cannot forget them:

* standard output belongs to the protocol; `print` goes to standard error, which is the log;
* when standard input ends, the program ends;
* an error that the connector does not explain is an outcome that nobody knows.
"""

import json
import os
import sys
import time

VERSION = 1
MESSAGE_BYTES_MAX = 4 * 1024 * 1024


class Fault(Exception):
    """What went wrong, in the words that Lockstep acts upon.

    `kind` is one of unreachable, throttled, unauthenticated, denied, missing, conflict, invalid, unsupported, protocol,
    cancelled. `effect` matters for `apply` alone: `not-sent` and `refused` promise that nothing was changed. When in doubt,
    leave it at `uncertain`: Lockstep then reads before it does anything else.
    """

    def __init__(self, kind, message, effect="uncertain", retry_after=None, help=None):
        super().__init__(message)
        self.data = {"kind": kind, "effect": effect, "retry_after_seconds": retry_after, "help": help}


class Deadline:
    """The time that is left for one request. Lockstep ends a program that does not answer in time."""

    def __init__(self, milliseconds):
        self.at = time.monotonic() + milliseconds / 1000

    def left(self):
        return max(0.0, self.at - time.monotonic())


def serve(connector):
    """Answers requests until the input ends.

    `connector.initialize(params)` answers the first one; every other method `a/b` is `connector.a_b(params, deadline)`.
    """
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints, prints into the log
    for line in requests:
        if len(line) > MESSAGE_BYTES_MAX:
            raise SystemExit("a request is longer than the protocol allows")
        answer = _answer(connector, json.loads(line))
        text = json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        if len(text) > MESSAGE_BYTES_MAX:
            answer = _failure(answer["id"], Fault("protocol", "the answer is longer than the protocol allows"))
            text = json.dumps(answer).encode() + b"\n"
        answers.write(text)
        answers.flush()


def _answer(connector, request):
    number, method, params = request["id"], request["method"], request["params"]
    try:
        if method == "initialize":
            oldest, newest = params["protocol"]
            if not oldest <= VERSION <= newest:
                raise Fault("unsupported", f"this connector speaks version {VERSION} of the protocol only")
            result = connector.initialize(params)
        else:
            handler = getattr(connector, method.replace("/", "_"), None)
            if handler is None or method.startswith("_"):
                return {"jsonrpc": "2.0", "id": number, "error": {"code": -32601, "message": "no such method"}}
            result = handler(params, Deadline(params["deadline_ms"]))
        return {"jsonrpc": "2.0", "id": number, "result": result}
    except Fault as fault:
        return _failure(number, fault)
    except Exception as error:  # a bug of ours: said as what it is, never with what it was about
        print(f"{method}: {type(error).__name__}", file=sys.stderr)
        return _failure(number, Fault("protocol", f"the connector has a bug ({type(error).__name__})"))


def _failure(number, fault):
    return {"jsonrpc": "2.0", "id": number, "error": {"code": -32000, "message": str(fault), "data": fault.data}}
