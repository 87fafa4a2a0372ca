#!/usr/bin/python3
"""Submits commands and follows sessions; prints one JSON object a line.

    client.py submit SESSION TYPE JSON [--key KEY] [--wait SECONDS]
    client.py follow SESSION [--after SEQ] [--count N]

Reads ROWCALL_DATABASE_URL, ROWCALL_NATS_URL and ROWCALL_SUBJECT_PREFIX, as `rowcall` itself does. Exit code: 0, 1 when the command
was refused, 2 for wrong arguments, 3 when --wait saw no receipt in time.
"""

import argparse
import json
import os
import re
import sys

import psycopg2

from rowcall import Client, Gone, Refused


def say(**what):
    print(json.dumps(what), flush=True)


def session_id(text):
    if len(text) > 64 or not re.fullmatch(r"[A-Za-z0-9_]{1,32}-[A-Za-z0-9_-]+", text):
        raise argparse.ArgumentTypeError(f"'{text}' is no session id: <kind>-<name>, 3 to 64 of A-Z a-z 0-9 _ -")
    return text


def json_object(text):
    try:
        data = json.loads(text)
    except ValueError as e:
        raise argparse.ArgumentTypeError(f"this is no JSON: {e}")
    if not isinstance(data, dict):
        raise argparse.ArgumentTypeError("a command's data is a JSON object")
    return data


def submit(client, arguments):
    try:
        seq, outcome = client.submit(arguments.session, arguments.type, arguments.data, arguments.key)
    except Refused as e:
        say(outcome=str(e))
        return 1
    except (psycopg2.DataError, psycopg2.IntegrityError) as e:  # a check of the table says what is wrong
        print(f"client.py: {str(e).splitlines()[0]}", file=sys.stderr)
        return 2
    say(seq=seq, outcome=outcome)
    if arguments.wait is None:
        return 0
    updates = client.receipt(arguments.session, seq, arguments.wait)
    for update in updates:
        say(**update._asdict())
    return 0 if updates else 3


def follow(client, arguments):
    left = arguments.count
    for item in client.follow(arguments.session, arguments.after):
        if isinstance(item, Gone):
            say(gone=True, seq=item.seq, state=item.state)
            continue
        say(**item._asdict())
        left -= 1
        if left == 0:
            return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(required=True)
    action = actions.add_parser("submit")
    action.set_defaults(run=submit)
    action.add_argument("session", type=session_id)
    action.add_argument("type")
    action.add_argument("data", metavar="JSON", type=json_object)
    action.add_argument("--key")
    action.add_argument("--wait", type=float, metavar="SECONDS")
    action = actions.add_parser("follow")
    action.set_defaults(run=follow)
    action.add_argument("session", type=session_id)
    action.add_argument("--after", type=int, default=0, metavar="SEQ")
    action.add_argument("--count", type=int, default=0, metavar="N", help="stop after N updates (0: never)")
    arguments = parser.parse_args()
    if "ROWCALL_DATABASE_URL" not in os.environ:
        parser.error("ROWCALL_DATABASE_URL is not set (after ./run up:  set -a; . .run/env; set +a)")
    client = Client(
        os.environ["ROWCALL_DATABASE_URL"],
        os.environ.get("ROWCALL_NATS_URL", "nats://127.0.0.1:4222"),
        os.environ.get("ROWCALL_SUBJECT_PREFIX", "rowcall"),
    )
    try:
        return arguments.run(client, arguments)
    finally:
        client.close()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (KeyboardInterrupt, BrokenPipeError):
        sys.exit(130)
