"""What a network may do to its process, in a module that is quick to import there."""

import os
import time

import numpy as np

from stitchpipe.census.row import Row


def misbehave(subject):
    match subject.family:
        case "dies":
            os.abort()
        case "grows":
            held = np.ones(1 << 27)  # 1 GiB
            time.sleep(60)
            return held
        case "hangs":
            while True:
                pass
    return Row(name=subject.name, library="timm", family=subject.family, outcome="split")
