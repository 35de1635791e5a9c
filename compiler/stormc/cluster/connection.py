"""One API server: requests go in, objects come out, and whatever fails is one line that says what to do."""

from __future__ import annotations

import json
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from stormc.cluster.kinds import SERVICE, Kind, Manifest
from stormc.failure import Failure
from stormc.phrase import phrase

INSTALL = phrase(
    "talking to a cluster needs the Python package kubernetes: run make cluster in stormc's checkout, elsewhere "
    "pip install 'kubernetes>=37' (or pipx inject stormc 'kubernetes>=37')"
)
CONNECT_SECONDS, READ_SECONDS = 5.0, 30.0
ASK_SECONDS = 3.0
"""For an answer that is nice to have."""
MANAGER = "stormc"
APPLY = "application/apply-patch+yaml"  # JSON is YAML; the type is what asks for server-side apply


class Cluster:
    """A connection to the API server of one kubeconfig context."""

    def __init__(self, kubeconfig: Path | None = None, context: str | None = None) -> None:
        """Reads the kubeconfig; connects only with the first request. Raises Failure when there is none to use."""
        try:
            from kubernetes import config
            from yaml import YAMLError
        except ImportError:
            raise Failure(INSTALL) from None
        try:
            self._client = config.new_client_from_config(  # type: ignore[no-untyped-call]
                config_file=str(kubeconfig) if kubeconfig else None, context=context, persist_config=False
            )
        except (config.ConfigException, OSError, ValueError, YAMLError) as error:
            raise Failure(phrase("no usable kubeconfig: {line}", line=_line(error))) from None
        except (TypeError, AttributeError, KeyError, RecursionError):  # the client takes its shape for granted
            raise Failure(phrase("no usable kubeconfig: it is YAML, but no Config")) from None
        self.server = str(self._client.configuration.host)
        if not self._client.configuration.verify_ssl:
            import urllib3

            # insecure-skip-tls-verify is the user's own word: kubectl, too, does not repeat it with every request.
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

    def get(self, kind: Kind, namespace: str | None, name: str) -> Manifest | None:
        """One object, or None when it does not exist. Raises Failure, also when its kind does not exist."""
        status, answer = self._request("GET", kind.path(namespace, name))
        if status == 404 and "details" in answer and answer["details"].get("name") == name:
            return None
        return self._checked(status, answer, "get", kind, namespace)

    def find(self, kind: Kind, namespace: str | None, labels: Mapping[str, str] | None = None) -> list[Manifest] | None:
        """All objects with these labels, or None when the cluster does not have the kind. Raises Failure."""
        selector = ",".join(f"{key}={value}" for key, value in (labels or {}).items())
        status, answer = self._request("GET", kind.path(namespace), {"labelSelector": selector} if selector else {})
        if status == 404:
            return None
        listed = self._checked(status, answer, "list", kind, namespace)
        return [{"kind": kind.name, "apiVersion": kind.version, **item} for item in listed.get("items") or ()]

    def apply(self, kind: Kind, namespace: str | None, manifest: Manifest, *, dry_run: bool, force: bool) -> Manifest:
        """Server-side apply as field manager `stormc`; the object as the server has it then. Raises Failure.

        `force` takes over fields that another manager owns; otherwise such a conflict is a Failure.
        """
        query = {"fieldManager": MANAGER, "force": "true" if force else "false", "fieldValidation": "Strict"}
        if dry_run:
            query["dryRun"] = "All"
        path = kind.path(namespace, manifest["metadata"]["name"])
        status, answer = self._request("PATCH", path, query, manifest, APPLY)
        return self._checked(status, answer, "patch", kind, namespace)

    def ask_service(self, namespace: str, service: str, port: str, path: str) -> dict[str, Any] | None:
        """The JSON object that a Service's pod answers, through the API server; None when it cannot be had."""
        where = f"{SERVICE.path(namespace, f'{service}:{port}')}/proxy/{path}"
        try:
            status, answer = self._request("GET", where, seconds=ASK_SECONDS)
        except Failure:
            return None
        return answer if status == 200 else None

    def create(self, kind: Kind, manifest: Manifest, *, dry_run: bool) -> None:
        """Creates an object without a namespace. Raises Failure."""
        status, answer = self._request("POST", kind.path(None), {"dryRun": "All"} if dry_run else {}, manifest)
        self._checked(status, answer, "create", kind, None)

    def delete(self, kind: Kind, namespace: str, name: str) -> bool:
        """Asks for deletion, dependents first; False when there was nothing to delete. Raises Failure."""
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Foreground"}
        status, answer = self._request("DELETE", kind.path(namespace, name), body=body)
        if status == 404:
            return False
        self._checked(status, answer, "delete", kind, namespace)
        return True

    def _request(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Manifest | None = None,
        content_type: str = "application/json", seconds: float | None = None,
    ) -> tuple[int, dict[str, Any]]:  # fmt: skip
        from urllib3 import Timeout, exceptions

        url = self.server + path + (f"?{urlencode(query)}" if query else "")
        headers = {"Accept": "application/json", "Content-Type": content_type}
        try:
            self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
            text = json.dumps(body) if body is not None else None
            response = self._client.rest_client.pool_manager.request(
                method, url, body=text, headers=headers, retries=False,
                timeout=Timeout(connect=CONNECT_SECONDS, read=seconds or READ_SECONDS),
            )  # fmt: skip
        except exceptions.HTTPError as error:
            raise Failure(
                phrase("{server}: {unreachable}", server=self.server, unreachable=_unreachable(error))
            ) from None
        except ValueError:  # http.client names the value, which is a secret
            raise Failure(phrase("no usable kubeconfig: the token holds a line break")) from None
        return response.status, _object(response.data)

    def _checked(
        self, status: int, answer: dict[str, Any], verb: str, kind: Kind, namespace: str | None
    ) -> dict[str, Any]:
        if status < 300:
            return answer
        raise Failure(
            phrase("{server}: {problem}", server=self.server, problem=problem(status, answer, verb, kind, namespace))
        )


def problem(status: int, answer: Mapping[str, Any], verb: str, kind: Kind, namespace: str | None) -> str:
    """One line for an answer that is an error; it names what a role lacks and which definition is missing."""
    message = _line(answer.get("message") or f"HTTP {status}")
    if status == 401:
        return "the credentials are not accepted; the token may have expired: log in again, or name another --context"
    details = answer.get("details") or {}
    if status == 403:  # a missing Role, a full quota or an admission policy: only the message tells which
        where = f" in namespace {namespace}" if kind.namespaced and namespace else ""
        return f"not allowed to {verb} {kind.resource}{where}; docs/cluster.md has the Role that grants it ({message})"
    if status == 404 and not details.get("kind"):
        return f"the cluster has no {kind.resource}; stormc preflight says what is missing"
    if status == 404 and details["kind"] == "namespaces":
        return f"{message}; create it, or deploy with --create-namespace"
    if status == 409 and answer.get("reason") == "Conflict":
        return f"{message}; --force takes the fields over"
    return message


def _unreachable(error: Exception) -> str:
    from urllib3 import exceptions

    meanings: dict[type[BaseException], str] = {
        exceptions.NameResolutionError: "the name does not resolve",
        socket.gaierror: "the name does not resolve",
        ConnectionRefusedError: "connection refused",
        ssl.SSLCertVerificationError: "its certificate is not signed by the kubeconfig's authority",
        exceptions.TimeoutError: "no answer in time",  # to urllib3, any failed connection is one
    }
    causes = list(_causes(error))
    return next((text for kind, text in meanings.items() for c in causes if isinstance(c, kind)), _line(error))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and all that it was raised for; urllib3 keeps some as an argument."""
    while error is not None:
        yield error
        inner = (argument for argument in error.args if isinstance(argument, BaseException))
        error = error.__cause__ or error.__context__ or next(inner, None)


def _object(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(raw)
    except ValueError:
        return {"message": raw.decode(errors="replace")[:200]}
    return value if isinstance(value, dict) else {}


def _line(value: object) -> str:
    return re.sub(r"\s+", " ", str(value)).strip()
