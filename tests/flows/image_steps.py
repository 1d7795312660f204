"""The steps of a Dockerfile, carried out below a folder instead of in a container.

What a container would have at an absolute path lies at that path below the folder, and the Python of this machine
stands for the one of the base image. Steps that make users need a root of their own and are left out; who the user is
can be read off the text.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: Absolute paths that the steps write to.
_OURS = ("/build", "/opt/stitchpipe", "/srv/stitchpipe", "/root/.cache")

_OF_PYTHON = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME")


class Image:
    """An image that is being made below a folder."""

    def __init__(self, dockerfile, root):
        self.root, text = root, dockerfile.read_text("utf-8")
        joined = re.sub(r"\\\n\s*", " ", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
        self.steps = [line.split(maxsplit=1) for line in joined.splitlines() if line.strip()]
        self._stage, self._workdir, self._set = {}, "/", {}
        base = self.path("/usr/local")  # what the base image has: an interpreter with pip
        subprocess.run([sys.executable, "-m", "venv", str(base)], check=True)
        self._set["PATH"] = f"{base / 'bin'}:{os.environ['PATH']}"

    def path(self, absolute):
        """Where a path of the image lies."""
        return self.root / str(absolute).lstrip("/")

    @property
    def environment(self):
        # Certificates and mirrors of this machine hold; its environment of Python does not.
        inherited = {name: value for name, value in os.environ.items() if name not in _OF_PYTHON}
        # A copy of each package for the image's layer would be the same files once more on this disk.
        return inherited | self._set | {"UV_LINK_MODE": "hardlink"}

    def replay(self):
        """Carry out every step; a step that fails raises."""
        for word, rest in self.steps:
            match word:
                case "FROM" | "ARG" | "USER" | "CMD":
                    pass
                case "ENV":
                    given = dict(pair.split("=", 1) for pair in shlex.split(rest))
                    self._set |= {name: self._expanded(value) for name, value in given.items()}
                case "WORKDIR":
                    self._workdir = rest
                case "COPY":
                    self._copy(rest.split())
                case "RUN":
                    self._run(rest)
                case _:
                    raise AssertionError(f"a step that is not known: {word}")

    def _expanded(self, value):
        return self._moved(value).replace("${PATH}", self._set["PATH"])

    def _moved(self, text):
        paths = "|".join(map(re.escape, _OURS))
        return re.sub(rf"(?<![\w.])({paths})(?=[/\s:]|$)", lambda found: str(self.path(found[0])), text)

    def _copy(self, words):
        if words[0].startswith("--from="):
            return  # both stages lie below the same folder
        *sources, target = words
        for source in sources:
            into = self.path(target) / Path(source).name if target.endswith("/") else self.path(target)
            into.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, into, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / source, into)

    def _run(self, command):
        if command.startswith("groupadd"):
            return
        command = self._moved(re.sub(r"^--mount=\S+ ", "", command))
        done = subprocess.run(
            ["sh", "-ec", command],
            env=self.environment,
            cwd=self.path(self._workdir),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
