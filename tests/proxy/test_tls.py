"""TLS towards clients and engines, from files that are renewed while the proxy runs."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
from aiohttp import web

from stormc_proxy.edge.server import Server
from stormc_proxy.settings import from_arguments
from tests.proxy.client import ask, question
from tests.proxy.service import Service, service, until

MODES = pytest.mark.parametrize("mode", ["layerwise", "standard"])


def certified(ca: trustme.CA, directory: Path, name: str, host: str = "127.0.0.1") -> dict[str, str]:
    """Files with a certificate and its key."""
    made = ca.issue_cert(host)
    chain, key = directory / f"{name}.crt", directory / f"{name}.key"
    chain.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
    key.write_bytes(made.private_key_pem.bytes())
    return {"cert": str(chain), "key": str(key)}


def authority(ca: trustme.CA, directory: Path, name: str) -> str:
    """A file with a CA's certificate."""
    ca.cert_pem.write_to_path(str(directory / name))
    return str(directory / name)


def trusting(ca: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
    ca.configure_trust(context)
    return context


async def told(s: Service, context: ssl.SSLContext, body: dict[str, Any] | None = None) -> tuple[int, bytes]:
    url = f"https://127.0.0.1:{s.port}/v1/completions"
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, json=body or question(False, True), ssl=context) as answer,
    ):
        return answer.status, await answer.read()


async def shown(port: int) -> bytes:
    """The certificate that a server shows now."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    shown: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return shown


@MODES
async def test_clients_speak_tls(mode: str, tmp_path: Path) -> None:
    ca = trustme.CA()
    files = certified(ca, tmp_path, "proxy")
    async with service(mode, tls_cert_file=files["cert"], tls_key_file=files["key"]) as s:
        status, said = await told(s, trusting(ca))
        assert status == 200 and said.endswith(b"data: [DONE]\n\n")
        status, said = await told(s, trusting(ca), {**question(False, False), "prompt": "x" * 2_000_000})
        assert status == 200
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await told(s, trusting(trustme.CA()))
        plain = await asyncio.wait_for(s.ask(question(False, False)), 5.0)
        assert plain.status == 0
        await s.settled()


async def test_a_renewed_certificate_holds_from_the_next_connection_on(tmp_path: Path) -> None:
    ca = trustme.CA()
    files = certified(ca, tmp_path, "proxy")
    async with service("standard", tls_cert_file=files["cert"], tls_key_file=files["key"]) as s:
        first = await shown(s.port)
        Path(files["key"]).write_text("no key")
        await until(lambda: any(r["event"] == "reload_failed" for r in s.records()), 5.0)
        assert await shown(s.port) == first
        certified(ca, tmp_path, "proxy")
        await until(lambda: any(r["event"] == "tls_reloaded" for r in s.records()), 5.0)
        assert await shown(s.port) != first
        assert (await told(s, trusting(ca)))[0] == 200


async def test_clients_may_need_a_certificate(tmp_path: Path) -> None:
    ca, clients = trustme.CA(), trustme.CA()
    files = certified(ca, tmp_path, "proxy")
    own = certified(clients, tmp_path, "client")
    settings: dict[str, Any] = {"tls_cert_file": files["cert"], "tls_key_file": files["key"],
                "tls_client_ca_file": authority(clients, tmp_path, "clients.crt")}  # fmt: skip
    async with service("standard", **settings) as s:
        with pytest.raises(aiohttp.ClientError):
            await told(s, trusting(ca))
        context = trusting(ca)
        context.load_cert_chain(own["cert"], own["key"])
        assert (await told(s, context))[0] == 200


async def test_decode_calls_back_by_tls_where_that_is_wished(tmp_path: Path) -> None:
    files = certified(trustme.CA(), tmp_path, "proxy")
    for wished, scheme in ((False, "http"), (True, "https")):
        named: dict[str, Any] = {
            "tls_cert_file": files["cert"],
            "tls_key_file": files["key"],
            "metaserver_tls": wished,
        }
        async with service("layerwise", **named) as s:
            assert s.server.router.callback_url.startswith(f"{scheme}://127.0.0.1:{s.server.callback_port}/")
            assert not wished or await shown(s.server.callback_port)


@pytest.mark.parametrize("trusted", [True, False])
async def test_engines_are_asked_by_tls(trusted: bool, tmp_path: Path) -> None:
    """One engine of each role speaks TLS and wants a certificate of the proxy; its own is right, or it is not."""
    ca, other = trustme.CA(), trustme.CA()
    own = certified(ca, tmp_path, "proxy")
    heard: list[str] = []

    async def answer(request: web.BaseRequest) -> web.Response:
        heard.append(request.path)
        if request.method == "GET":
            return web.json_response({})
        body = await request.json()
        offer = {"remote_block_ids": [1], "remote_host": "h"} if body.get("max_tokens") == 1 else None
        return web.json_response({"choices": [{"index": 0, "text": "secret"}], "kv_transfer_params": offer})

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    (ca if trusted else other).issue_cert("127.0.0.1").configure_cert(context)
    ca.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    port = runner.addresses[0][1]
    arguments = [
        "--mode", "standard", "--port", "0", "--host", "127.0.0.1", "--probe-interval", "0.1", "--engine-tls",
        "--prefiller-hosts", "127.0.0.1", "--prefiller-ports", str(port), "--decoder-hosts", "127.0.0.1",
        "--decoder-ports", str(port), "--engine-cert-file", own["cert"], "--engine-key-file", own["key"],
        "--engine-ca-file", authority(ca, tmp_path, "ca.crt"),
    ]  # fmt: skip
    server = Server(from_arguments(arguments)[0], None, asyncio.get_running_loop())
    await server.start()
    await server.listen()
    try:
        reply = await ask(server.port, "POST", "/v1/completions", question(False, False))
        if trusted:
            assert reply.json["choices"][0]["text"] == "secret"
            assert heard.count("/health") >= 2 and all(i.seen for i in server.router.decode)
        else:
            assert reply.status in (502, 503) and not heard
            (instance,) = server.router.decode
            assert instance.last_failure == "its TLS handshake failed"
    finally:
        await server.stop()
        await runner.cleanup()
