#!/usr/bin/env python3
"""Measures `riskform get users` on a summary of 100,000 users, against `riskform sandbox`.

    cargo build --release && tests/bench/users.py [USERS]

Prints, for each format, the wall-clock seconds and the peak memory of the client, and fails where one is above its bound.
"""

import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time
import uuid

PROGRAM = pathlib.Path(__file__).parents[2] / "target/release/riskform"
ACCOUNT = "f037e56e89293a057740de681ac9abbe"
SECONDS = 2.0
MEGABYTES = 300


def write_world(file, users, seed=1):
    """Writes a sandbox's file with so many users, one at a time: a child's peak memory never counts as less than this process's own."""
    dice = random.Random(seed)
    file.write('{"format": "riskform.sandbox/1", "serials": 0, "accounts": {"%s": ' % ACCOUNT)
    file.write('{"behaviors": {}, "integrations": {}, "users": {')
    for number in range(users):
        events = [
            {
                "id": str(uuid.UUID(int=dice.getrandbits(128))),
                "name": "Impossible Travel",
                "risk_level": dice.choice(["low", "low", "low", "medium", "medium", "high"]),
                "timestamp": f"2026-{dice.randint(1, 11):02}-{dice.randint(1, 28):02}T{dice.randint(0, 23):02}:00:00Z",
            }
            for _ in range(dice.randint(1, 3))
        ]
        person = {"name": f"Person Number {number}", "email": f"person.{number}@example.com", "events": events}
        user_id = uuid.UUID(int=dice.getrandbits(128), version=4)
        file.write(f'{"," if number else ""}\n"{user_id}": {json.dumps(person)}')
    file.write("}}}}\n")


def measure(arguments, environment):
    """Runs the program; answers its seconds and the most memory, in megabytes, that it held."""
    start = time.monotonic()
    pid = os.posix_spawn(
        PROGRAM,
        [str(PROGRAM), *arguments],
        environment,
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)],
    )
    _, status, usage = os.wait4(pid, 0)
    assert status == 0, f"{arguments} ended with {os.waitstatus_to_exitcode(status)}"
    return time.monotonic() - start, usage.ru_maxrss / 1024


def main():
    users = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    good = True
    with tempfile.TemporaryDirectory() as folder:
        data = pathlib.Path(folder) / "sandbox.json"
        with data.open("w") as file:
            write_world(file, users)
        sandbox = subprocess.Popen([PROGRAM, "sandbox", "--data", data], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            environment = dict(os.environ, CLOUDFLARE_ACCOUNT_ID=ACCOUNT)
            while "CLOUDFLARE_BASE_URL" not in environment or "CLOUDFLARE_API_TOKEN" not in environment:
                line = sandbox.stdout.readline()
                assert line, "the sandbox ended"
                name, _, value = line.strip().removeprefix("export ").partition("=")
                environment[name] = value.strip("'\"")
            for arguments in (["table"], ["json"], ["csv"], ["yaml"], ["table", "--redact", "--search", "99"]):
                seconds, megabytes = measure(["get", "users", "--format", *arguments], environment)
                fits = seconds < SECONDS and megabytes < MEGABYTES
                good = good and fits
                print(f"{' '.join(arguments):28} {seconds:6.2f} s {megabytes:6.0f} MB  {'ok' if fits else 'ABOVE THE BOUND'}")
        finally:
            sandbox.terminate()
            sandbox.wait()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
