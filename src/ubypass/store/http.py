# SPDX-License-Identifier: GPL-2.0-only
"""A store behind HTTP: GET and PUT of objects, plain or as S3 asks for it.

urllib3 makes the requests, within limits of time and size and without redirects;
botocore, the base of Amazon's own client, signs them for S3-compatible services.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ubypass.errors import UbError
from ubypass.store.backend import StoreError, check_name
from ubypass.store.wire import MOST_BYTES

if TYPE_CHECKING:
    import urllib3

__all__ = ["Http", "Sign", "s3_signature"]

_MOST = MOST_BYTES + 4096
_FOUND, _MISSING = (200,), (404, 410)
_KEPT, _EXISTS = (200, 201, 204), (409, 412)

#: Headers of a request, by method, URL and body.
Sign = Callable[[str, str, bytes], Mapping[str, str]]


class Http:
    """Objects below ``url``; ``sign`` makes headers that authorize a request.

    Raises UbError without the library for requests.
    """

    def __init__(self, url: str, sign: Sign | None = None) -> None:
        self._url = url.rstrip("/")
        self._sign = sign
        self._pool = _pool()

    def get(self, name: str, seconds: float) -> bytes | None:
        """See :class:`~ubypass.store.backend.Backend`."""
        with _Reply(self._request("GET", name, b"", {}, seconds)) as reply:
            if reply.status in _MISSING:
                return None
            if reply.status not in _FOUND:
                raise StoreError(f"{self._url}: status {reply.status}")
            return reply.body()

    def put(self, name: str, data: bytes, seconds: float, *, if_absent: bool) -> bool:
        """See :class:`~ubypass.store.backend.Backend`.

        A service that does not know ``If-None-Match`` replaces what there is.
        """
        headers = {"If-None-Match": "*"} if if_absent else {}
        with _Reply(self._request("PUT", name, data, headers, seconds)) as reply:
            if if_absent and reply.status in _EXISTS:
                return False
            if reply.status not in _KEPT:
                raise StoreError(f"{self._url}: status {reply.status}")
            return True

    def _request(
        self,
        method: str,
        name: str,
        body: bytes,
        headers: Mapping[str, str],
        seconds: float,
    ) -> urllib3.BaseHTTPResponse:
        import urllib3

        url = f"{self._url}/{check_name(name)[:2]}/{name}"
        signed = self._sign(method, url, body) if self._sign is not None else {}
        try:
            return self._pool.request(
                method,
                url,
                body=body or None,
                headers={**signed, **headers},
                timeout=urllib3.Timeout(total=seconds),
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise StoreError(f"{self._url}: {error}") from error


class _Reply:
    """A response, which is read in bounds and given back to the pool."""

    def __init__(self, response: urllib3.BaseHTTPResponse) -> None:
        self._response = response
        self.status = response.status

    def __enter__(self) -> _Reply:
        return self

    def __exit__(self, *_: object) -> None:
        # Not drained: a hostile server could send for ever.
        self._response.close()

    def body(self) -> bytes:
        """At most as much as a stored translation may have. Raises ``StoreError``."""
        import urllib3

        try:
            return self._response.read(_MOST, decode_content=False)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise StoreError(f"the answer ended early: {error}") from error


def _pool() -> urllib3.PoolManager:
    try:
        import urllib3
    except ImportError as error:
        raise UbError(
            "a store behind HTTP needs the Python package urllib3",
            "apt install python3-urllib3, or: pip install 'ubypass[store]'",
        ) from error
    return urllib3.PoolManager(num_pools=1, maxsize=2, cert_reqs="CERT_REQUIRED")


def s3_signature(region: str) -> Sign:
    """Signs for S3 with the credentials of the usual places (environment, files).

    Raises UbError without botocore, or without credentials.
    """
    try:
        from botocore.auth import S3SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.session import Session
    except ImportError as error:
        raise UbError(
            "a store in S3 needs the Python package botocore, for signatures",
            "apt install python3-botocore, or: pip install 'ubypass[s3]'",
        ) from error
    credentials: Any = Session().get_credentials()
    if credentials is None:
        raise UbError(
            "there are no credentials for S3",
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write "
            "~/.aws/credentials",
        )

    def sign(method: str, url: str, body: bytes) -> Mapping[str, str]:
        request = AWSRequest(method=method, url=url, data=body)
        frozen = credentials.get_frozen_credentials()
        S3SigV4Auth(frozen, "s3", region).add_auth(request)
        return {str(name): str(value) for name, value in request.headers.items()}

    return sign
