#!/usr/bin/env python3
"""events.py CSV N [EVENT]: the first N `user,item` lines as event JSON, one view (or EVENT) each, spread over 90 days before 2026-01-10."""
import itertools
import sys
from datetime import datetime, timedelta, timezone

END, DAYS = datetime(2026, 1, 10, tzinfo=timezone.utc), 90
path, count = sys.argv[1], int(sys.argv[2])
name = sys.argv[3] if len(sys.argv) > 3 else "view"
with open(path) as pairs:
    for number, pair in enumerate(itertools.islice(pairs, count)):
        user, item = pair.rstrip("\n").split(",")
        at = END - timedelta(milliseconds=number * 7919 % (DAYS * 86_400_000))
        print(f'{{"event":"{name}","entityType":"user","entityId":"{user}","targetEntityType":"item","targetEntityId":"{item}",'
              f'"eventTime":"{at.isoformat(timespec="milliseconds")}"}}')
