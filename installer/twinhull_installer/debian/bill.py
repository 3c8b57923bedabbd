"""The bill of materials (SBOM) that a package carries: CycloneDX 1.5 JSON (ECMA-424's predecessor).

Format: https://cyclonedx.org/docs/1.5/json/. Nothing in it depends on when or where it was written.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

from twinhull_installer.debian.libraries import Library

_SPDX = re.compile(r"[A-Za-z0-9.+-]+(?: (?:OR|AND|WITH) [A-Za-z0-9.+-]+)*")
"""SPDX licence expressions without parentheses; anything else is given as words."""


def bill(name: str, version: str, libraries: Sequence[Library], when: int) -> str:
    """The document.

    Args:
        name: of the package.
        version: of the package.
        libraries: what it carries.
        when: seconds since 1970 that the package is dated.
    """
    identity = f"{name} {version} " + " ".join(f"{item.name}={item.sha256}" for item in libraries)
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, identity)}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {
                "type": "application",
                "bom-ref": name,
                "name": name,
                "version": version,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            },
        },
        "components": [_component(item) for item in libraries],
        "dependencies": [
            {"ref": name, "dependsOn": [_url(item) for item in libraries]},
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=True) + "\n"


def _url(item: Library) -> str:
    """Its package URL (https://github.com/package-url/purl-spec, type pypi)."""
    return f"pkg:pypi/{item.name}@{item.version}"


def _component(item: Library) -> dict[str, object]:
    words: dict[str, object] = {"license": {"name": item.licence}}
    licence = {"expression": item.licence} if _SPDX.fullmatch(item.licence) and " " in item.licence else words
    return {
        "type": "library",
        "bom-ref": _url(item),
        "name": item.name,
        "version": item.version,
        "purl": _url(item),
        "hashes": [{"alg": "SHA-256", "content": item.sha256}],
        "licenses": [licence],
    }
