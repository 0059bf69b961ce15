"""A connector that behaves in whatever way a test asks for: what goes wrong is its first argument."""

import json
import os
import subprocess
import sys
import time

MODE = sys.argv[1]
MARK = sys.argv[2] if len(sys.argv) > 2 else None
CAPABILITIES = {
    "granularity": "step",
    "suspend": "cardholder-flag",
    "credentials": "none",
    "validity": False,
    "revision": False,
    "idempotency": False,
    "keys": ["employee"],
    "fields": {},
    "enforcement": "database",
    "in_flight_max": 4,
    "requests_per_minute": None,
}


def send(text):
    sys.stdout.buffer.write(text.encode() if isinstance(text, str) else text)
    sys.stdout.buffer.flush()


def answer(number, result):
    send(json.dumps({"jsonrpc": "2.0", "id": number, "result": result}) + "\n")


def runs():
    """How often this program was started, for those that change when they are started again."""
    if MARK is None:
        return 0
    if MODE == "environment":
        with open(MARK, "w", encoding="utf-8") as file:
            file.write(",".join(sorted(os.environ)))
        return 0
    with open(MARK, "a", encoding="utf-8") as file:
        file.write("x")
    return os.path.getsize(MARK)


RUN = runs()
if MODE == "dies-at-once":
    print("no licence for hunter2", file=sys.stderr)
    sys.exit(3)
if MODE == "never-starts":
    time.sleep(600)
if MODE == "says-much":
    for _ in range(20_000):
        print("x" * 2_000, file=sys.stderr)

for line in sys.stdin:
    request = json.loads(line)
    number, method = request["id"], request["method"]
    if method == "initialize":
        said = {
            "protocol": 2 if MODE == "other-version" else 1,
            "connector": "child",
            "endpoint": "here",
            "fingerprint": f"child-{RUN}" if MODE == "another-each-time" else "child",
            "capabilities": CAPABILITIES,
        }
        if MODE == "paints":
            said["endpoint"] = "\x1b[2J"
        if MODE == "repeats-secrets":
            print(request["params"]["secrets"], file=sys.stderr)
        answer(number, said)
        continue
    if MODE == "hangs":
        time.sleep(600)
    elif MODE == "hangs-once" and RUN == 1:
        time.sleep(600)
    elif MODE in ("dies", "another-each-time"):
        os._exit(7)
    elif MODE == "dies-in-the-middle":
        send('{"jsonrpc":"2.0","id":')
        os._exit(0)
    elif MODE == "garbage":
        send("hello, world hunter2\n")
    elif MODE == "no-text":
        send(b"\xff\xfe\x00\n")
    elif MODE == "floods":
        while True:
            send("x" * 65_536)
    elif MODE == "long-line":
        send(json.dumps({"jsonrpc": "2.0", "id": number, "result": "x" * 5 * 1024 * 1024}) + "\n")
    elif MODE == "deep":
        send('{"jsonrpc":"2.0","id":%d,"result":%s}\n' % (number, "[" * 100_000 + "]" * 100_000))
    elif MODE == "somebody-elses-answer":
        answer(number + 1000, None)
    elif MODE == "twice":
        answer(number, None)
        answer(number, None)
    elif MODE == "both":
        send(json.dumps({"jsonrpc": "2.0", "id": number, "result": None, "error": {"code": 1, "message": ""}}) + "\n")
    elif MODE == "wrong-shape":
        answer(number, {"items": "everybody"})
    elif MODE == "another-record":
        answer(number, {"id": "other", "keys": [], "profile": {}, "status": "active", "levels": [], "credentials": [],
                        "validity": {"from": None, "until": None}, "site": None, "revision": None})
    elif MODE == "repeats-secrets":
        error = {"code": -32000, "message": "hunter2 was refused", "data": {"kind": "denied", "help": "ask hunter2"}}
        send(json.dumps({"jsonrpc": "2.0", "id": number, "error": error}) + "\n")
    elif MODE == "stops-reading":
        sys.stdin.close()
        os.close(0)
        time.sleep(600)
    elif MODE == "leaves-a-child":
        grandchild = subprocess.Popen(["/bin/sleep", "600"])
        with open(MARK, "w", encoding="utf-8") as file:
            file.write(str(grandchild.pid))
        os._exit(0)
    elif MODE == "backwards":
        # Answers come in another order than questions.
        other = json.loads(sys.stdin.readline())
        answer(other["id"], None)
        time.sleep(0.01)
        answer(number, None)
    else:
        answer(number, None)

if MODE == "stays":
    time.sleep(600)
