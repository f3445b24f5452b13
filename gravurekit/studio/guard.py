"""Who may ask the studio, and how it says no.

A page of somebody else, open in the same browser, can send requests to this machine. So a request must be sent to a
name that is ours (else a stranger's name, pointed at this machine, would make a stranger's page one of ours), must not
come from another page (browsers say so), and whatever changes something must carry a header that other pages can't send
without asking. Beyond this machine a token is needed as well.
"""

import ipaddress
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Middleware

from gravurekit.errors import DataError, GravurekitError, PictureError, UsageError
from gravurekit.studio.refusals import Refusal

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

COOKIE = "gravurekit-studio"
MARK = "X-Gravurekit"  # the header of requests that change something
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
LOG = logging.getLogger(__name__)
OURS = "a fault of the studio: the terminal that it was started in says more"
NOTHING = "there is nothing at this address"
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@dataclass(frozen=True)
class Guard:
    """Lets requests in. `token`: what must be shown, or ""."""

    token: str

    def refusal(self, request: web.Request) -> str:
        """Why a request is refused; "" if it isn't."""
        if not self.token and not is_loopback(_name_of(request.host)):
            return f"{_name_of(request.host)} is no name of this machine: open http://127.0.0.1 with the studio's port"
        if self.token and not self._has_token(request):
            return "a token is needed: open the address that `gravurekit studio` printed"
        if _is_strange(request):
            return "another page may not ask this: open the studio itself"
        if request.method not in ("GET", "HEAD") and MARK not in request.headers:
            return f"the header {MARK} is missing"
        return ""

    def _has_token(self, request: web.Request) -> bool:
        words = [
            request.cookies.get(_cookie(request), ""),
            request.headers.get("Authorization", "").removeprefix("Bearer "),
        ]
        return any(self._is_token(word) for word in words)

    def shows_token(self, request: web.Request) -> bool:
        """Whether a request has the token in its address, as the link does that was printed."""
        return bool(self.token) and self._is_token(request.query.get("token", ""))

    def _is_token(self, word: str) -> bool:
        return secrets.compare_digest(word.encode(errors="replace"), self.token.encode())  # bytes that are no UTF-8


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _cookie(request: web.Request) -> str:
    """Its name: a browser has one of a name for all ports of a machine, so a second studio would lock out the first."""
    place = request.get_extra_info("sockname")
    return f"{COOKIE}-{place[1]}" if place else COOKIE


def _name_of(host: str) -> str:
    """A host without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_strange(request: web.Request) -> bool:
    """Whether another page sent it. To open the studio by a link on another page is all that one may do."""
    site = request.headers.get("Sec-Fetch-Site", "none")
    opens = request.method == "GET" and request.path == "/" and request.headers.get("Sec-Fetch-Mode") == "navigate"
    if site not in ("none", "same-origin") and not opens:
        return True
    origin = request.headers.get("Origin")
    return origin is not None and origin.partition("://")[2] != request.host


def middleware(guard: Guard) -> Middleware:
    """Refuses who may not ask, and turns errors into answers."""

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        if guard.shows_token(request) and request.path == "/":
            return _welcomed(guard, request)
        if refused := guard.refusal(request):
            return answer(refused, 403)
        try:
            return await handler(request)
        except web.RequestPayloadError:  # chunks, or a Content-Encoding, that are none
            response = answer("what was sent can't be read", 400)
            response.force_close()  # nobody knows where the next request begins
            return response
        except web.HTTPException as error:
            return answer(NOTHING if error.status == 404 else error.reason, error.status)
        except ConnectionError:  # whoever asked went away
            raise
        except Exception as error:  # noqa: BLE001 (whoever asked gets an answer, the terminal what nobody foresaw)
            return answer(*explained(error))

    return guarded


def _welcomed(guard: Guard, request: web.Request) -> web.Response:
    """From now on the browser shows the token by itself, and it doesn't stay in the address."""
    response = web.Response(status=303, headers={"Location": "/"})
    response.set_cookie(_cookie(request), guard.token, httponly=True, samesite="Strict")
    return response


async def sign(_: web.Request, response: web.StreamResponse) -> None:
    """What is said with every answer."""
    for name, value in HEADERS.items():
        response.headers[name] = value
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers["Server"] = "gravurekit"


def explained(error: Exception) -> tuple[str, int]:
    """An error in words, and the status of HTTP for it. One that nobody foresaw is told the terminal in full."""
    if isinstance(error, PictureError):
        return f"this picture can't be used: {error.detail}", status_of(error)
    if isinstance(error, GravurekitError):
        return str(error), status_of(error)
    LOG.error("a fault of the studio", exc_info=error)
    return OURS, 500


def answer(message: str, status: int) -> web.Response:
    """An error as the page reads it."""
    return web.json_response({"error": message}, status=status)


def status_of(error: Exception) -> int:
    """The status of HTTP that says what kind of error it is."""
    if isinstance(error, Refusal):
        return error.status
    kinds: Mapping[type[Exception], int] = {PictureError: 422, UsageError: 400, DataError: 409}
    return next((status for kind, status in kinds.items() if isinstance(error, kind)), 500)
