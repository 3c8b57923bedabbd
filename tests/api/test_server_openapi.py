"""The running server keeps to the description of its HTTP interfaces, whatever a fuzzer asks."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import msgspec
import pytest
import requests
import schemathesis
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from twinhull_hypervisor.fetch.identity import Identity, IdentityStore
from twinhull_policy.server.layout import Layout
from twinhull_policy.server.openapi import document
from twinhull_policy.server.pki import server_ca_path

from tests.support.administrators import Administrator
from tests.support.fleet_processes import WIREGUARD_KEY, FleetServer

EXAMPLES = 6
"""Requests made up for each operation; more by hand finds more."""
# A stream never ends, and after signing out nothing else would be tried.
LEFT_OUT = {("/v1/stream", "get"), ("/admin/v1/session", "delete")}
TRIED = {
    path: kept
    for path, operations in document()["paths"].items()
    if (kept := {m: o for m, o in operations.items() if (path, m) not in LEFT_OUT})
}
# Random requests, right and wrong; the library's walk over every keyword of a schema fails on arrays of
# bounded texts.
CONFIG = schemathesis.Config.from_dict({"phases": {"coverage": {"enabled": False}}})
described = schemathesis.openapi.from_dict(document() | {"paths": TRIED}, config=CONFIG)
CHECKS = (
    schemathesis.checks.not_a_server_error,
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)


class Reached:
    """A running server, an enrolled laptop's certificate, and an owner's session."""

    def __init__(self, directory: Path) -> None:
        self.server = FleetServer(directory / "server", administrators=True)
        self.server.start()
        self.ca = str(server_ca_path(Layout(self.server.directory)))
        store = IdentityStore(directory / "laptop")
        request = {
            "token": self.server.token(),
            "csr": store.request(),
            "wireguard_public_key": WIREGUARD_KEY,
        }
        answer = requests.post(f"{self.server.url}/v1/enrol", json=request, verify=self.ca, timeout=60).json()
        names = ("tenant", "device_id", "enrol_epoch", "certificate", "device_ca")
        known = {name: answer[name] for name in names} | {"server": self.server.url}
        identity = msgspec.convert(
            known | {"enrolled_at": time.time(), "server_ca": Path(self.ca).read_text()}, Identity
        )
        certificate = directory / "laptop.pem"
        certificate.write_text(identity.certificate)
        self.certificate = (str(certificate), str(store.key_path))
        self.session = Administrator(self.server, "alice", "owner").client().token


@pytest.fixture(scope="module")
def reached(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reached]:
    # The limits on whoever is not signed in are tests of their own; here they would hide everything else.
    made = Reached(tmp_path_factory.mktemp("openapi"))
    try:
        yield made
    finally:
        made.server.stop()


@described.parametrize()
@hypothesis.settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(hypothesis.HealthCheck),
)
def test_the_server_keeps_to_its_description(case: schemathesis.Case[Any], reached: Reached) -> None:
    """Whatever is asked: no failure of the server, and only answers that the description names."""
    laptops = case.path.startswith("/v1/")
    if case.path == "/v1/statement" and case.query:
        case.query = dict(case.query) | {"wait": 0}
    case.headers["Authorization"] = "" if laptops else f"Bearer {reached.session}"
    response = case.call(
        base_url=reached.server.url if laptops else reached.server.admin_url,
        verify=reached.ca,
        cert=reached.certificate if laptops else None,
        timeout=60,
    )
    case.validate_response(response, checks=list(CHECKS))


def test_unknown_paths_and_methods_are_errors_of_ours(reached: Reached) -> None:
    for url, where in ((reached.server.url, "/v1/none"), (reached.server.admin_url, "/admin/v1/none")):
        answer = requests.get(url + where, verify=reached.ca, timeout=60)
        assert (answer.status_code, json.loads(answer.text)["code"]) == (404, "TH-SRV-027")
    answer = requests.put(f"{reached.server.url}/v1/report", data=b"{}", verify=reached.ca, timeout=60)
    assert (answer.status_code, json.loads(answer.text)["code"]) == (405, "TH-SRV-055")
