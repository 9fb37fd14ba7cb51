"""Draws the rooms and the arrows between them, from rooms.yaml: docs/images/rooms.svg. After a change of rooms:
    /usr/bin/python3 tests/house/picture.py >docs/images/rooms.svg

A row stands on the rows that it uses. Only arrows that no way through other rooms says already are drawn.
"""

import pathlib
import sys

import yaml

HOUSE = pathlib.Path(__file__).resolve().parent
WIDTH, BOX, HEIGHT, GAP, ROW, MARGIN = 1080, 104, 26, 14, 54, 130
BANDS = {"partition": "#e8f1fb", "pipeline": "#eaf6ea", "agents": "#fdf3e1", "rebalancer": "#f7e9f3"}


def reachable(room, uses, skip):
    """All that a room uses by way of others, the arrow to `skip` itself left out."""
    seen, left = set(), [target for target in uses[room] if target != skip]
    while left:
        target = left.pop()
        if target not in seen:
            seen.add(target)
            left += uses[target]
    return seen


def needed(uses):
    return {room: [target for target in targets if target not in reachable(room, uses, target)] for room, targets in uses.items()}


def rows_of(uses):
    """Rooms by band and by how many rooms of the band lie below, the lowest row first."""
    depth = {}

    def depth_of(room):
        if room not in depth:
            below = [depth_of(target) for target in uses[room] if target.split("/")[0] == room.split("/")[0]]
            depth[room] = 1 + max(below, default=-1)
        return depth[room]

    for room in uses:
        depth_of(room)
    return [(band, [room for room in uses if room.split("/")[0] == band and depth[room] == level])
            for band in BANDS for level in range(1 + max(depth[room] for room in uses if room.split("/")[0] == band))]


def draw(uses):
    rows = rows_of(uses)
    height = ROW * len(rows) + GAP * (len(BANDS) + 1)
    place, bands, y = {}, {}, height - GAP
    for index, (band, rooms) in enumerate(rows):
        if index and rows[index - 1][0] != band:
            y -= GAP
        y -= ROW
        top, bottom = bands.get(band, (y, y + ROW))
        bands[band] = (min(top, y), max(bottom, y + ROW))
        step = (WIDTH - MARGIN - GAP) / len(rooms)
        for number, room in enumerate(rooms):
            place[room] = (MARGIN + step * (number + 0.5), y + ROW / 2)
    svg = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">',
           '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
           '<path d="M0 0 8 4 0 8z" fill="#777"/></marker></defs>', f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>']
    for band, (top, bottom) in bands.items():
        svg.append(f'<rect x="4" y="{top:g}" width="{WIDTH - 8}" height="{bottom - top:g}" rx="6" fill="{BANDS[band]}"/>')
        svg.append(f'<text x="16" y="{(top + bottom) / 2 + 4:g}" font-weight="bold">{band}/</text>')
    for room, targets in needed(uses).items():
        for target in targets:
            (x1, y1), (x2, y2) = place[room], place[target]
            svg.append(f'<path d="M{x1:.0f} {y1 + HEIGHT / 2:.0f} L{x2:.0f} {y2 - HEIGHT / 2:.0f}" stroke="#999" fill="none" marker-end="url(#head)"/>')
    for room, (x, y) in place.items():
        name = room.split("/")[1] if "/" in room else "place.h"
        svg.append(f'<rect x="{x - BOX / 2:.0f}" y="{y - HEIGHT / 2:.0f}" width="{BOX}" height="{HEIGHT}" rx="4" fill="#fff" stroke="#555"/>')
        svg.append(f'<text x="{x:.0f}" y="{y + 4:.0f}" text-anchor="middle">{name}</text>')
    return "\n".join([*svg, "</svg>", ""])


if __name__ == "__main__":
    sys.stdout.write(draw(yaml.safe_load((HOUSE / "rooms.yaml").read_text())))
