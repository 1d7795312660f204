"""A page as a browser would have it: elements, references, scripts, words, and the numbers of its blocks.

The blocks are decoded here from what DESIGN.md says of them, by numpy and nothing of the package.
"""

from __future__ import annotations

import base64
import json
import zlib
from html.parser import HTMLParser

import numpy as np


class Page(HTMLParser):
    """What a browser would make of the page."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.scripts, self.words, self._inside = [], [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._inside = tag if tag in {"script", "style"} else None
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag):
        self._inside = None

    def handle_data(self, data):
        if self._inside == "script":
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)
        elif self._inside is None:
            self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def run(self):
        """The scripts that are run, not those that hold data."""
        return [text for attributes, text in self.scripts if "type" not in attributes]

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    @property
    def about(self):
        return json.loads(next(text for attributes, text in self.scripts if attributes.get("id") == "data"))

    @property
    def blocks(self):
        return {
            attributes["id"].removeprefix("block-"): base64.b64decode(text)
            for attributes, text in self.scripts
            if attributes.get("id", "").startswith("block-")
        }


def codes(block, n_bytes):
    """Return the codes of a block in the order in which they were laid down."""
    plain = np.frombuffer(zlib.decompress(block, -15), np.uint8)
    if n_bytes == 2:
        plain = plain[: len(plain) // 2].astype(np.uint16) | plain[len(plain) // 2 :].astype(np.uint16) << 8
    return np.cumsum(plain, dtype=plain.dtype)


def whole(blocks, name, about, size, side):
    """Return the codes of a plane as a square, ``[size, size]``."""
    square = np.zeros((size, size), np.uint16 if about["bytes"] == 2 else np.uint8)
    for i in range(0, size, side):
        for j in range(i if about["symmetric"] else 0, size, side):
            place = square[i : i + side, j : j + side]
            part = codes(blocks[f"{name}-{i // side}.{j // side}"], about["bytes"])
            if about["symmetric"] and i == j:
                above = np.triu_indices(len(place))
                place[above] = part
                place.T[above] = part
            else:
                place[:] = part.reshape(place.shape)
                if about["symmetric"]:
                    square[j : j + side, i : i + side] = place.T
    return square


def values(page, number, name="value", *, blocks=None):
    """Return the numbers of a plane of the page's measure of that number; NaN where there is none."""
    told, about = page.about, page.about["measures"][number]["planes"][name]
    size = len(told["axis"]["layers"])
    square = whole(
        page.blocks if blocks is None else blocks, f"{number}-{name}", about, size, told["codes"]["block"]
    )
    if name in ("low", "high"):
        shown, code = values(page, number, blocks=blocks), square.astype(float)
        away = about["least"] + about["span"] * (code / about["steps"]) ** 2
        return np.where(
            square == told["codes"]["noLimit"], np.nan, shown + (away if name == "high" else -away)
        )
    made = np.where(
        square < told["codes"]["firstReason"], (square + about["offset"]) / about["divisor"], np.nan
    )
    for i, j, value in about.get("beyond", []):
        made[i, j] = value
    return made


def reasons(page, number):
    """Return why pairs have no number, by (source, target)."""
    told, about = page.about, page.about["measures"][number]["planes"]["value"]
    codes_ = told["codes"]
    square = whole(page.blocks, f"{number}-value", about, len(told["axis"]["layers"]), codes_["block"])
    has = (square >= codes_["firstReason"]) & (square < codes_["beyond"])
    return {
        (int(i), int(j)): about["reasons"][square[i, j] - codes_["firstReason"]] for i, j in np.argwhere(has)
    }
