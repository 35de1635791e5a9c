"""The plain relay of the bench: aiohttp on both sides, one hop, chunk by chunk, nothing else."""

from __future__ import annotations

import asyncio

from aiohttp import ClientSession, TCPConnector, web


async def relay(port: int, targets: list[int]) -> None:
    """Serve until killed."""
    session = ClientSession(connector=TCPConnector(limit=0), auto_decompress=False)
    turn = 0

    async def forward(request: web.Request) -> web.StreamResponse:
        nonlocal turn
        turn += 1
        url = f"http://127.0.0.1:{targets[turn % len(targets)]}{request.path}"
        headers = {"Content-Type": "application/json"}
        async with session.post(url, data=await request.read(), headers=headers) as found:
            if found.content_type != "text/event-stream":
                return web.Response(body=await found.read(), content_type="application/json")
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await response.prepare(request)
            async for piece in found.content.iter_any():
                await response.write(piece)
            return response

    app = web.Application(client_max_size=2**30)
    app.router.add_post("/v1/completions", forward)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
    await asyncio.Event().wait()
