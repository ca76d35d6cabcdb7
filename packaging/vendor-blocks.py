#!/usr/bin/env python3
"""Makes src/net/vendor/blocks.tsv of IEEE's public registries.

    packaging/vendor-blocks.py oui.csv oui28.csv oui36.csv iab.csv > src/net/vendor/blocks.tsv

The files are what the IEEE Registration Authority publishes as MA-L, MA-M, MA-S and
IAB: Registry,Assignment,Organization Name,Organization Address. Each line of the
table is a block's hexadecimal digits (6, 7 or 9), a tab, and its owner; the lines are
sorted bytewise, for they are searched where they lie. Left out: blocks whose owner is
not public, and those that the authority keeps in order to divide them.
"""

import csv
import re
import sys

NOT_AN_OWNER = {"Private", "IEEE Registration Authority"}
REGISTRIES = {"MA-L": 6, "MA-M": 7, "MA-S": 9, "IAB": 9}


def owners(paths):
    found = {}
    for path in paths:
        with open(path, newline="", encoding="utf-8") as file:
            for row in csv.reader(file):
                registry, block = row[0], row[1].strip().upper()
                digits = REGISTRIES.get(registry)
                if digits is None:
                    continue
                if not re.fullmatch(f"[0-9A-F]{{{digits}}}", block):
                    sys.exit(f"{path}: {block!r} is not a block of {registry}")
                name = " ".join("".join(c if c.isprintable() else " " for c in row[2]).split())[:100].strip()
                if name and name not in NOT_AN_OWNER:
                    found.setdefault(block, name)
    return found


if len(sys.argv) < 2:
    sys.exit(__doc__)
for block, name in sorted(owners(sys.argv[1:]).items()):
    sys.stdout.buffer.write(f"{block}\t{name}\n".encode())
