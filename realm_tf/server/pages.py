"""The page at /: files of the package, read once; nothing of a request names a file."""

import importlib.resources

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_FILES = {"/": ("index.html", "text/html"), "/page.css": ("page.css", "text/css"),
          "/page.js": ("page.js", "text/javascript"),
          "/icon.svg": ("icon.svg", "image/svg+xml")}


def page_routes() -> list[Route]:
  """GET of each."""
  folder = importlib.resources.files("realm_tf.server") / "page"
  return [_route(path, (folder / name).read_bytes(), kind)
          for path, (name, kind) in _FILES.items()]


def _route(path: str, content: bytes, kind: str) -> Route:
  async def page(request: Request) -> Response:
    request.state.endpoint = "page"
    return Response(content, headers={"cache-control": "no-cache"}, media_type=kind)
  return Route(path, page)
