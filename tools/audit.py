"""Audit what Corral depends on, without a network: pinned, hashed, under a licence that is allowed.

    .venv/bin/python tools/audit.py            # exit 1 and a line for each fault
    .venv/bin/python tools/audit.py --write    # docs/licences.md anew

Python: each requirement of the lock files has one exact version and SHA-256 hashes. Its licence is what the
installed package says of itself; of one that is not installed here (another system's, say) what
docs/licences.md says of it, so that the list does not depend on the machine. Node: each package of a
package-lock.json has one version, a SHA-512 and a licence.

Limit: it asks nobody for known weaknesses. There are no advisories to be had without a network; a scanner of
one's own reads the same lock files.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = "docs/licences.md"
PYTHON_LOCKS = tuple(f"requirements{kind}.lock" for kind in ("-runtime", "-build", "-node", ""))
NODE_LOCKS = ("ui/package-lock.json", "tests/interop/package-lock.json")

#: What a dependency may be under. LGPL and MPL are for libraries that stay files of their own.
ALLOWED = {
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "LGPL-3.0-or-later", "MIT",
    "MIT-0", "MPL-2.0", "OFL-1.1", "PSF-2.0", "Python-2.0", "Unlicense",
}  # fmt: skip

#: SPDX names for what older metadata says in words.
WORDS = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}

#: What the metadata leaves out, and where it was read instead.
READ_BY_HAND = {
    "mrml": "MIT",  # the metadata says nothing; its repository does
    "pgserver": "Apache-2.0",  # LICENSE in the package
}

_REQUIREMENT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(.*)")
_PINNED = re.compile(r"(\[[a-z0-9,_-]+\])?==[A-Za-z0-9.!+_-]+")
_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}\b")
_ROW = re.compile(r"^\| `([^`]+)` \| ([^|]+) \| ([^|]+) \|$")

HEAD = """# Licences of what Corral depends on

Made by `tools/audit.py --write` from the lock files and the packages' own metadata; `make lint` compares.
Corral itself is under the [MIT licence](../LICENSE). *Runtime* is what an installed Corral has; *development*
is what its tests, builds and bench have beside that; *pages* is what the dashboard is built from.
"""


@dataclass(frozen=True, slots=True)
class Package:
    """One locked package. `licence` is an SPDX expression, '' if nobody knows it."""

    name: str
    licence: str
    use: str


def main() -> int:
    faults: list[str] = []
    packages = sorted(
        {*python_packages(recorded(), faults), *node_packages(faults)}, key=lambda one: (one.use, one.name)
    )
    faults += [
        f"{package.name}: its licence is {package.licence or 'not known'}; see ALLOWED and READ_BY_HAND"
        for package in packages
        if not allowed(package.licence)
    ]
    text = page(packages)
    if "--write" in sys.argv[1:]:
        (ROOT / PAGE).write_text(text)
    elif not (ROOT / PAGE).exists() or (ROOT / PAGE).read_text() != text:
        faults.append(
            f"{PAGE} is not what the lock files say; run tools/audit.py --write and read the difference"
        )
    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"{len(packages)} locked packages, {len(faults)} faults")
    return 1 if faults else 0


# Python


def python_packages(known: dict[str, str], faults: list[str]) -> Iterator[Package]:
    runtime: set[str] = set()
    for lock in PYTHON_LOCKS:
        text = (ROOT / lock).read_text()
        names = set()
        for name, fault in requirements(text):
            names.add(name)
            if fault:
                faults.append(f"{lock}: {name}: {fault}")
        if lock == "requirements-runtime.lock":
            runtime = names
        use = "runtime" if lock == "requirements-runtime.lock" else "development"
        for name in names if use == "runtime" else names - runtime:
            yield Package(name, licence_of(name) or known.get(name, ""), use)


def requirements(text: str) -> Iterator[tuple[str, str]]:
    """Each requirement of a lock file, and what is wrong with how it is locked ('' if nothing)."""
    for block in re.split(r"\n(?=[^\s#])", "\n" + text):
        first = block.split("\n")[0].removesuffix("\\").partition(" ;")[0].strip()
        found = _REQUIREMENT.fullmatch(first)
        if found is None:
            if first and not first.startswith("#"):
                yield (
                    first[:60],
                    "neither a requirement nor a comment; a lock is to be read the same everywhere",
                )
        elif not _PINNED.fullmatch(found[2]):
            yield found[1], "not pinned to one version"
        else:
            yield found[1], "" if _HASH.search(block) else "no SHA-256 hash"


def licence_of(name: str) -> str:
    """What an installed package says of itself; '' if it is not installed or says nothing that we know."""
    if name in READ_BY_HAND:
        return READ_BY_HAND[name]
    try:
        about = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return ""
    if expression := _field(about, "License-Expression"):
        return expression
    said = [
        row.rpartition(" :: ")[2] for row in about.get_all("Classifier") or [] if row.startswith("License ::")
    ]
    words = dict.fromkeys(WORDS[word] for word in said if word in WORDS)
    if words:
        return " OR ".join(words)
    first = _field(about, "License").strip().split("\n")[0]
    return WORDS.get(first, first if first in ALLOWED else "")


def _field(about: metadata.PackageMetadata, name: str) -> str:
    """The first one of that name, or ''."""
    return str((about.get_all(name) or [""])[0])


# Node


def node_packages(faults: list[str]) -> Iterator[Package]:
    for lock in NODE_LOCKS:
        for path, about in json.loads((ROOT / lock).read_text())["packages"].items():
            if not path:
                continue  # the project itself
            name = path.rpartition("node_modules/")[2]
            if not re.fullmatch(r"\d+\.\d+\.\d+\S*", about.get("version", "")):
                faults.append(f"{lock}: {name}: not pinned to one version")
            if not about.get("integrity", "").startswith("sha512-"):
                faults.append(f"{lock}: {name}: no SHA-512 hash")
            if about.get("hasInstallScript") and name not in SCRIPTS:
                faults.append(f"{lock}: {name}: runs a script when it is installed; see SCRIPTS")
            yield Package(
                f"{name} (npm)",
                about.get("license", ""),
                "pages" if lock.startswith("ui/") else "development",
            )


#: Node packages that would run a script when installed. `npm ci` runs none of them: see .npmrc.
SCRIPTS = {"msgpackr-extract"}


# The list


def allowed(licence: str) -> bool:
    """Whether an SPDX expression can be met by what is allowed: of OR one side, of AND both."""
    either = [part.strip(" ()") for part in licence.split(" OR ")]
    return any(all(word.strip(" ()") in ALLOWED for word in part.split(" AND ")) for part in either)


def page(packages: list[Package]) -> str:
    rows = [f"| `{one.name}` | {one.licence or '?'} | {one.use} |" for one in packages]
    counts: dict[str, int] = {}
    for one in packages:
        counts[one.licence] = counts.get(one.licence, 0) + 1
    many = ", ".join(f"{name} {count}" for name, count in sorted(counts.items(), key=lambda item: -item[1]))
    return (
        f"{HEAD}\n{len(packages)} packages: {many}.\n\n| package | licence | use |\n|---|---|---|\n"
        + "\n".join([*rows, ""])
    )


def recorded() -> dict[str, str]:
    """Licences by package, as the list has them."""
    file = ROOT / PAGE
    lines = file.read_text().splitlines() if file.exists() else []
    return {row[1]: row[2].strip() for line in lines if (row := _ROW.match(line))}


if __name__ == "__main__":
    raise SystemExit(main())
