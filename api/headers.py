"""What every answer says to browsers: that it is data, to be neither kept, framed nor taken for anything else."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.admission import arrival_of

# An answer of the interface is never a page, so nothing may run or load in it. The pages of /docs say what they need.
SECURITY: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
CLOSE = (b"connection", b"close")


class Headers:
    """Adds these headers to every answer that does not say otherwise, and tells a client when its connection ends."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = message.setdefault("headers", [])
                names = {name for name, _ in given}
                added = [header for header in SECURITY if header[0] not in names]
                message["headers"] = [*given, *added, CLOSE] if arrival_of(scope).last else [*given, *added]
            await send(message)

        return await self.app(scope, receive, with_headers)
