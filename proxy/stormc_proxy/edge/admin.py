"""Administration, behind its token: instances come and go, caches are emptied."""

from __future__ import annotations

import asyncio
import json

from stormc_proxy.edge.client_keys import is_admin
from stormc_proxy.edge.connection import Request
from stormc_proxy.fleet.instance import LEAVING, Instance
from stormc_proxy.fleet.probe import Prober
from stormc_proxy.flow.exchange import exchange
from stormc_proxy.flow.router import Router
from stormc_proxy.http.failure import UpstreamError
from stormc_proxy.http.reply import Reply, json_reply
from stormc_proxy.random_ids import new_id
from stormc_proxy.settings import ROLES, Address, SettingsError, address_of
from stormc_proxy.telemetry.journal import Journal

RESET_SECONDS = 30.0
WELCOME_SECONDS = 0.05


class Admin:
    """The requests of administration; all are refused where no token is set."""

    def __init__(self, router: Router, prober: Prober, journal: Journal, alone: bool) -> None:
        """`alone`: there are no other workers, which would not hear of a change."""
        self._router, self._prober, self._journal, self._alone = router, prober, journal, alone

    def refusal(self, request: Request) -> Reply | None:
        """Why a request may not administrate: no token is set, or it shows another one; None if it may."""
        token = self._router.settings.admin_token
        if not token:
            return json_reply(403, {"error": "off: set PROXY_ADMIN_TOKEN"})
        if not is_admin(request.head, token):
            return json_reply(401, {"error": "wrong token"})
        return None

    async def reset_prefix_cache(self, request: Request) -> Reply:
        """Have all instances empty their prefix caches, at the same time; 500 names those that did not."""
        refused = self.refusal(request)
        if refused is not None:
            return refused
        query = request.head.query
        path = "/reset_prefix_cache" + (f"?{query}" if query else "")
        self._router.affinity.clear(self._router.prefill)
        instances = [i for pool in self._router.pools.values() for i in pool if i.state != LEAVING]
        were_reset = await asyncio.gather(*(self._reset_cache(instance, path) for instance in instances))
        failed = [
            f"http://{instance.address}"
            for instance, was_reset in zip(instances, were_reset, strict=True)
            if not was_reset
        ]
        return json_reply(500, {"failed": failed}) if failed else Reply(200, b"")

    async def _reset_cache(self, instance: Instance, path: str) -> bool:
        key = self._router.settings.api_key
        fields = f"Authorization: Bearer {key}\r\n".encode() if key else b""
        line = f"POST {path} HTTP/1.1\r\n".encode()
        try:
            exchanged = exchange(self._router.upstream, instance, line, fields, b"", new_id())
            return (await asyncio.wait_for(exchanged, RESET_SECONDS)).head.status == 200
        except (UpstreamError, asyncio.TimeoutError):
            return False

    async def instances(self, request: Request) -> Reply:
        """Add or remove instances; 403 with several workers, of which only one would learn of it."""
        refused = self.refusal(request)
        if refused is not None:
            return refused
        try:
            role, addresses = _named(request.body)
        except SettingsError as error:
            return json_reply(400, {"error": str(error)})
        if not self._alone:
            return json_reply(403, {"error": "off with several workers: change the config file"})
        pool = self._router.pools[role]
        verb = request.head.path.rpartition("/")[2]
        for address in addresses:
            if verb == "remove":
                pool.remove(address)
            elif address not in pool.instances or pool.instances[address].state == LEAVING:
                self._router.spawn(self._welcome(role, address))
        if verb == "add":
            await asyncio.sleep(WELCOME_SECONDS)  # one that answers is there already when the caller reads the lists
        current = {
            f"current_{each}_instances": [str(i.address) for i in self._router.pools[each] if i.state != LEAVING]
            for each in ROLES
        }
        return json_reply(200, {"message": f"{verb} {', '.join(map(str, addresses))}", **current})

    async def _welcome(self, role: str, address: Address) -> None:
        """Add an instance once it is healthy, within the reference's number of tries."""
        settings = self._router.settings
        for number in range(settings.max_waiting_retries + 1):
            if number:
                await asyncio.sleep(settings.waiting_retry_interval)
            if await self._prober.healthy(address):
                self._router.pools[role].add(address)
                return
        self._journal.event("not_added", role=role, instance=str(address))


def _named(raw: bytes) -> tuple[str, list[Address]]:
    """Role and addresses of a request to /instances. Raises SettingsError."""
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        raise SettingsError("the body is not JSON") from None
    role = value.get("type") if isinstance(value, dict) else None
    if role not in ROLES:
        raise SettingsError(f"type is neither {' nor '.join(ROLES)}")
    named = value.get("instances")
    named = [named] if isinstance(named, str) else named
    if not isinstance(named, list) or not named or not all(isinstance(text, str) for text in named):
        raise SettingsError("instances is neither host:port nor a list of them")
    return role, [address_of(text) for text in named]
