"""The one way to the net: addresses that are allowed, redirects that stay within them, and servers that fall silent.

Addresses are https; http is for this machine alone. No redirect leaves these, and no handler for files or ftp is there.
"""

from __future__ import annotations

import http
import ipaddress
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import cast
from urllib.parse import urljoin, urlsplit
from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request, UnknownHandler

from neuraxis._version import __version__
from neuraxis.errors import BundleError

CHUNK = 2**20
MAX_REDIRECTS = 5
MOVED = (301, 302, 303, 307, 308)
PASSING = (408, 425, 429)  # and everything from 500: another try may do


@dataclass(frozen=True)
class Patience:
    """How long a server is waited for.

    Attributes:
        timeout_s: longest silence, and the time over which the speed is measured.
        slowest: fewest bytes a second.
        tries: at one address without getting on.
        pause_s: before another try; it doubles each time.
    """

    timeout_s: float = 30.0
    slowest: int = 1024
    tries: int = 4
    pause_s: float = 1.0


class AddressRefused(Exception):
    """An address will not do, however often it is tried; the text ends a sentence that begins with its host."""


class PassingTrouble(Exception):
    """Something that another try may mend; the server may have said how long to wait."""

    def __init__(self, reason: str, pause_s: float = 0.0) -> None:
        super().__init__(reason)
        self.pause_s = pause_s


def check_address(url: str) -> None:
    """Refuse an address that is neither https nor http of this machine.

    Raises:
        ValueError: with what is wrong with it.

    >>> check_address("https://example.org/model.nxb")
    >>> check_address("file:///etc/passwd")
    Traceback (most recent call last):
    ValueError: 'file:///etc/passwd' is no https address
    """
    shown = ascii(url)[:200]
    if not (url.isascii() and url.isprintable()) or " " in url:
        raise ValueError(f"{shown} is no address: it holds signs that are written as %XX")
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError(f"{shown} is no https address")
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"{shown} holds a user name or password; leave it out")
    if parts.port == 0:
        raise ValueError(f"{shown} names no usable port")
    if parts.scheme == "http" and not is_local(url):
        raise ValueError(f"{shown} is http, which anybody on the way can change; only https is used")


def is_local(url: str) -> bool:
    """Tell whether an address is of this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextmanager
def open_address(url: str, headers: Mapping[str, str], patience: Patience) -> Iterator[HTTPResponse]:
    """Yield the answer of an address, whatever its status, after following redirects.

    Raises:
        AddressRefused: the address or a redirect is not allowed.
        PassingTrouble: it cannot be reached.
    """
    origin, response = url, None
    try:
        for _ in range(MAX_REDIRECTS + 1):
            response = _send(url, headers, patience)
            if response.status not in MOVED:
                yield response
                return
            url = _target(origin, url, (response.headers.get("Location") or "").strip())
            response.close()
        raise AddressRefused(f"redirects more than {MAX_REDIRECTS} times")
    finally:
        if response is not None:
            response.close()


def chunks(response: HTTPResponse, patience: Patience) -> Iterator[bytes]:
    """Yield what comes until the end of the connection, which may be too early.

    Raises:
        PassingTrouble: the connection broke, or fell silent, or is slower than `patience.slowest`.
    """
    began, arrived = time.monotonic(), 0
    while True:
        try:
            chunk = response.read1(CHUNK)
        except (OSError, HTTPException, ValueError) as error:
            raise PassingTrouble(f"broke off ({_reason(error)})") from error
        if not chunk:
            return
        yield chunk
        arrived += len(chunk)
        passed = time.monotonic() - began
        if passed >= patience.timeout_s:
            if arrived < patience.slowest * passed:
                raise PassingTrouble(f"sends only {arrived / passed:.0f} bytes a second")
            began, arrived = time.monotonic(), 0


def trouble_of(response: HTTPResponse) -> AddressRefused | PassingTrouble:
    """Return what a status other than success means."""
    if response.status in PASSING or response.status >= 500:
        wait = response.headers.get("Retry-After") or ""
        return PassingTrouble(answer_of(response), float(wait) if wait.isdecimal() and len(wait) < 6 else 0.0)
    return AddressRefused(answer_of(response))


def answer_of(response: HTTPResponse) -> str:
    """Return an answer's status in words; the server's own words are not shown."""
    try:
        return f"answers {response.status} ({http.HTTPStatus(response.status).phrase})"
    except ValueError:
        return f"answers {response.status}"


def fetch_text(url: str, most: int, offline: bool = False, patience: Patience | None = None) -> str:
    """Return a small text from an address.

    Args:
        url: https, or http of this machine.
        most: largest size in bytes.
        offline: open no connection.
        patience: how long the server is waited for.

    Raises:
        BundleError: it cannot be fetched, is too large, or is no UTF-8; or `offline`.
    """
    patience = patience or Patience()
    if offline:
        raise offline_error(f"{url}: is not on this machine")
    try:
        with open_address(url, {}, patience) as response:
            if response.status != 200:
                raise AddressRefused(answer_of(response))
            content = bytearray()
            for chunk in chunks(response, patience):
                content += chunk
                if len(content) > most:
                    raise AddressRefused(f"sends more than {most} bytes")
        return content.decode("utf-8")
    except (AddressRefused, PassingTrouble) as error:
        raise BundleError(f"{url}: {error}. Check the address and the network, or name a file instead.") from error
    except ValueError as error:
        raise BundleError(f"{url}: is no text. Name the address of a JSON file.") from error


def offline_error(what: str) -> BundleError:
    """Return the refusal to open a connection; `what` says what is lacking."""
    return BundleError(
        f"{what}, and while offline (NEURAXIS_OFFLINE, or offline=True) nothing is fetched. Unset it, or bring the "
        "file there yourself."
    )


def _target(origin: str, url: str, location: str) -> str:
    try:
        target = urljoin(url, location)
        check_address(target)
    except ValueError as error:
        raise AddressRefused(f"redirects to what is refused: {error}") from error
    if is_local(target) and not is_local(origin):
        raise AddressRefused("redirects to this machine, which is refused")
    return target


def _send(url: str, headers: Mapping[str, str], patience: Patience) -> HTTPResponse:
    try:
        check_address(url)
        opener = OpenerDirector()
        proxies = ProxyHandler({}) if is_local(url) else ProxyHandler()
        for handler in (proxies, HTTPHandler(), HTTPSHandler(), UnknownHandler()):
            opener.add_handler(handler)
        opener.addheaders = [("User-Agent", f"neuraxis/{__version__}")]
        request = Request(url, headers=dict(headers))  # noqa: S310
        return cast(HTTPResponse, opener.open(request, timeout=patience.timeout_s))
    except (OSError, HTTPException) as error:
        raise PassingTrouble(f"cannot be reached ({_reason(error)})") from error
    except ValueError as error:
        raise AddressRefused(f"is refused: {error}") from error


def _reason(error: BaseException) -> str:
    """Return in one short line of plain signs what the network said."""
    inner = getattr(error, "reason", None)
    error = inner if isinstance(inner, BaseException) else error
    if isinstance(error, TimeoutError):
        return "no answer in time"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return ascii(" ".join(str(text).split()))[1:-1][:150]
