"""The pages at /docs, which try the interface out; all that they load comes from here, and nothing from elsewhere."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse, HTMLResponse, Response

router = APIRouter(include_in_schema=False)

PACKAGE = "fastapi_swagger"  # only its files are used, Swagger UI's own script and style
SCRIPT, STYLE = "swagger-ui-bundle.js", "swagger-ui.css"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PAGE = f"""<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <title>Churn scores</title>
  <link rel="stylesheet" href="docs/{STYLE}">
</head>
<body>
  <div id="docs"></div>
  <script src="docs/{SCRIPT}"></script>
  <script src="docs/start.js"></script>
</body>
</html>
"""
# The policy lets no script stand inside the page, hence one more file.
START = """SwaggerUIBundle({ url: "openapi.json", dom_id: "#docs", deepLinking: true, validatorUrl: null });
"""


@router.get("/docs")
async def page() -> HTMLResponse:
    """The page."""
    return HTMLResponse(PAGE, headers={"content-security-policy": POLICY})


@router.get("/docs/start.js")
async def start() -> Response:
    """The few words that begin it."""
    return Response(START, media_type="text/javascript")


@router.get(f"/docs/{SCRIPT}")
async def script() -> FileResponse:
    """Swagger UI."""
    return FileResponse(_resource(SCRIPT), media_type="text/javascript")


@router.get(f"/docs/{STYLE}")
async def style() -> FileResponse:
    """How it looks."""
    return FileResponse(_resource(STYLE), media_type="text/css")


def _resource(name: str) -> Path:
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(PACKAGE)
    return Path(spec.origin).parent / "resources" / name
