"""Proves from the map logs of all ranks that no step ran with two maps.

Usage: check_maps.py MAP-LOG..., one for each rank. Prints the epochs with their first steps; exit code 1 where a step had two
maps, a rank went back, or an epoch had two maps.
"""

import json
import sys


class TwoMaps(Exception):
    pass


def read(path):
    with open(path, encoding="utf-8") as log:
        return [json.loads(line) for line in log if line.endswith("\n")]


def check(logs):
    """Epochs in order as (first step, epoch, digest); raises TwoMaps."""
    map_of_step, digest_of_epoch, changes = {}, {}, []
    for path in logs:
        last_epoch, next_step = -1, None
        for line in read(path):
            span = (line["step_begin"], line["step_end"])
            epoch = -1 if line["epoch"] is None else line["epoch"]
            if next_step is not None and span[0] < next_step:
                raise TwoMaps(f"{path}: step {span[0]} ran twice")
            if epoch < last_epoch:
                raise TwoMaps(f"{path}: step {span[0]} ran with epoch {epoch} after {last_epoch}")
            seen = map_of_step.setdefault(span, (epoch, line["digest"], path))
            if seen[:2] != (epoch, line["digest"]):
                raise TwoMaps(f"step {span[0]} ran with epoch {seen[0]} in {seen[2]} and with {epoch} in {path}")
            if digest_of_epoch.setdefault(epoch, line["digest"]) != line["digest"]:
                raise TwoMaps(f"epoch {epoch} had two maps")
            last_epoch, next_step = epoch, span[1]
    spans = sorted(map_of_step)
    for before, after in zip(spans, spans[1:]):
        if after[0] < before[1]:
            raise TwoMaps(f"steps {before} and {after} overlap")
    for span in spans:
        epoch, digest, _ = map_of_step[span]
        if not changes or changes[-1][1] != epoch:
            changes.append((span[0], epoch, digest))
    return changes


def main(arguments):
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        for step, epoch, digest in check(arguments):
            print(f"from step {step}: epoch {epoch} {digest}")
    except TwoMaps as error:
        print(f"check_maps: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
