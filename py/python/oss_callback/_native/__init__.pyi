# Types of the native module. Its documentation is repeated here for editors; a test holds both equal.

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, final

from typing_extensions import Self, disjoint_base

from .._sources import _Source
from . import receive as receive
from .receive import CallbackEvent, Confirmation

__all__ = [
    "Call",
    "CallbackBase",
    "CallbackReply",
    "Cancel",
    "Client",
    "Credentials",
    "Later",
    "Mailbox",
    "PresignedRequest",
    "Progress",
    "Signer",
    "__version__",
    "live_handles",
    "receive",
]

__version__: str

def live_handles() -> int:
    """How many clients, callbacks, verifiers, replies and the like, running calls, and sources under way
    exist.
    """

@disjoint_base
class CallbackBase:
    """What a Callback is made of."""

    def __new__(
        cls,
        url: str | Sequence[str] | None,
        options: dict[str, Any],
        seal: tuple[str, float | timedelta] | None = None,
    ) -> Self: ...
    @property
    def encoded(self) -> str:
        """Base64 of the callback's JSON: the value of `x-oss-callback` or of the query's `callback`."""

    @property
    def encoded_vars(self) -> str | None:
        """Base64 of the variables' JSON: `x-oss-callback-var` or `callback-var`; None without variables."""

    @property
    def json(self) -> str:
        """The JSON text that `encoded` holds."""

    @property
    def vars_json(self) -> str | None:
        """The JSON text that `encoded_vars` holds; None without variables."""

    @property
    def urls(self) -> tuple[str, ...]:
        """The URLs, in the order in which OSS tries them. None with a policy."""

    @property
    def body(self) -> str | None:
        """The body's template. None with a policy."""

    @property
    def body_type(self) -> str:
        """Media type of the body: `form` or `json`."""

    @property
    def host(self) -> str | None:
        """The `Host` header, where it is not that of the URL."""

    @property
    def sni(self) -> bool:
        """Whether OSS names the server in the TLS handshake."""

    @property
    def headers(self) -> dict[str, str]:
        """Additional headers of the callback request."""

    @property
    def vars(self) -> dict[str, str]:
        """Custom variables, names with `x:`. A form upload sends them as fields of these names."""

    @property
    def policy(self) -> str | None:
        """Name of the policy that is stored with the bucket."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was noticed when the callback was built: legal, but seldom meant, such as a variable that the
        body never uses.
        """

    def seal(self, secret: str, expires_in: float | timedelta) -> Self:
        """The same callback, but every upload with it is sealed by a secret that your application server
        shares, so that a CallbackVerifier with this `seal_secret` can tell your uploads from a forger's.

        `secret` has at least 16 bytes. `expires_in` is seconds or a timedelta, 1 s to 365 days, from the
        upload's start (or the signing of a URL or form) to the arrival of the callback. A client makes a
        seal for each upload; for presigned URLs and forms, use `sealed_for`. The seal travels as the
        variable `x:seal`, which the default body and one built from `fields` carry by themselves. A `body`
        that is written out needs the seal from the start: `Callback(…, seal=(secret, expires_in))`.

        Raises InvalidArgumentError for a weak secret, an odd expiry, or a body that cannot carry a seal.
        """

    def sealed_for(self, bucket: str, key: str, *, time: datetime | float | None = None) -> Self:
        """The callback for one upload, with a new seal among its variables: for presigned URLs and forms,
        whose signature fixes bucket and key. Without `seal` it is the callback itself.

        `time` is an aware datetime or Unix seconds, from which on the expiry counts; now by default. The
        expiry must cover the time until the upload ends.

        Raises InvalidArgumentError for an empty bucket or key.
        """

    @property
    def to_be_sealed(self) -> bool:
        """Whether each upload gets a seal; false for a callback that is sealed already."""

    def preview(
        self,
        *,
        bucket: str | None = None,
        object: str | None = None,
        etag: str | None = None,
        size: int | None = None,
        mime_type: str | None = None,
        image_width: int | None = None,
        image_height: int | None = None,
        image_format: str | None = None,
        crc64: int | str | None = None,
        content_md5: str | None = None,
        vpc_id: str | None = None,
        client_ip: str | None = None,
        request_id: str | None = None,
        operation: str | None = None,
        **values: str | int,
    ) -> str:
        """The exact body that OSS would send for an upload with these values.

        What is not given is as OSS has it for an upload without it: size 0, text empty, and the image's
        values nothing at all. `values` takes OSS's own names: `preview(**{"imageInfo.width": 4})`.

        Raises InvalidArgumentError for a policy, whose body lies with the bucket, and for a malformed
        template that was built unchecked.
        """

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __getnewargs_ex__(self) -> tuple[tuple[Any, ...], dict[str, Any]]: ...

@final
class CallbackReply:
    """The application server's answer to the callback, and what OSS said of the stored object.

    It can also be made by hand, to test code that takes one.
    """

    def __new__(
        cls,
        body: bytes,
        *,
        content_type: str | None = None,
        etag: str | None = None,
        crc64: int | None = None,
        version_id: str | None = None,
        request_id: str | None = None,
        server_time: float | None = None,
    ) -> Self: ...
    @property
    def body(self) -> bytes:
        """The callback body: what the application server answered, byte for byte."""

    @property
    def text(self) -> str:
        """The callback body as text, with U+FFFD for what is not UTF-8."""

    def json(self) -> Any:
        """The callback body as JSON, by `json.loads`.

        Raises InvalidArgumentError if it is not JSON: the upload and the callback succeeded all the same.
        """

    @property
    def content_type(self) -> str | None:
        """Media type of the callback body."""

    @property
    def etag(self) -> str | None:
        """ETag of the object, without quotes."""

    @property
    def crc64(self) -> int | None:
        """CRC-64 of the object. It was compared with that of the data sent."""

    @property
    def version_id(self) -> str | None:
        """Version of the object, in a versioned bucket."""

    @property
    def request_id(self) -> str | None:
        """OSS's id of the request."""

    @property
    def server_time(self) -> float | None:
        """How long OSS worked on the request, callback included, in seconds."""

    def __getnewargs_ex__(self) -> tuple[tuple[Any, ...], dict[str, Any]]: ...

@final
class Credentials:
    """What a `credentials_provider` returns: an AccessKey pair, and the token and end of a temporary one.

    `expires_at` is an aware datetime or Unix seconds. Without it, a pair without a token is kept for good,
    and one with a token is asked for again every 15 minutes.

    Raises CredentialsError for what is empty or cannot be sent.
    """

    def __new__(
        cls,
        access_key_id: str,
        access_key_secret: str,
        security_token: str | None = None,
        expires_at: datetime | float | None = None,
    ) -> Self: ...
    @property
    def access_key_id(self) -> str:
        """AccessKey id."""

    @property
    def expires_at(self) -> float | None:
        """When the pair ends, in Unix seconds."""

@final
class Progress:
    """How far an upload is.

    It can also be made by hand, to test code that takes one.
    """

    def __new__(
        cls,
        bytes_done: int = 0,
        bytes_total: int | None = None,
        parts_done: int = 0,
        parts_total: int | None = None,
    ) -> Self: ...
    @property
    def bytes_done(self) -> int:
        """Bytes handed to the network, and bytes that were there from an earlier run. Never goes back, even
        when a part is sent again.
        """

    @property
    def bytes_total(self) -> int | None:
        """Bytes of the whole, where that is known."""

    @property
    def parts_done(self) -> int:
        """Parts that OSS has acknowledged; 0 for an upload in one request."""

    @property
    def parts_total(self) -> int | None:
        """Parts of the whole, where that is known; None for an upload in one request."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __getnewargs__(self) -> tuple[Any, ...]: ...

@final
class Cancel:
    """Ends calls from another thread: those that it was given to as `cancel`, now and later. They raise
    CancelledError; an upload in parts first removes its parts, or with a `checkpoint` remembers them.
    """

    def __new__(cls) -> Self: ...
    def cancel(self) -> None:
        """Ends the calls, at once and for good: use a new one for the next call."""

    @property
    def cancelled(self) -> bool:
        """Whether cancel() was called."""

@final
class Client:
    """What the clients of `oss_callback` and `oss_callback.aio` are made of."""

    def __new__(
        cls, options: dict[str, Any], credentials_provider: Callable[[], Credentials | Later] | None
    ) -> Self: ...
    def put(
        self,
        bucket: str,
        key: str,
        data: _Source,
        callback: CallbackBase,
        options: dict[str, Any],
        length: int | None,
        cancel: Cancel | None,
    ) -> CallbackReply:
        """Uploads in one request, and waits for the callback's answer."""

    def start_put(
        self,
        bucket: str,
        key: str,
        data: _Source,
        callback: CallbackBase,
        options: dict[str, Any],
        length: int | None,
        settle: Callable[[CallbackReply | None, BaseException | None], object] | tuple[Mailbox, object],
    ) -> Call:
        """Starts an upload in one request. `settle(reply, error)` is called on a thread of the library's,
        with one of both None; or `settle` is a Mailbox, into which they are put, and what stands for the
        call there.
        """

    def upload(
        self,
        bucket: str,
        key: str,
        source: _Source,
        callback: CallbackBase,
        options: dict[str, Any],
        length: int | None,
        progress: Callable[[Progress], object] | None,
        cancel: Cancel | None,
    ) -> CallbackReply:
        """Uploads in as many requests as it takes, and waits for the callback's answer. `progress` is called
        on the same thread.
        """

    def start_upload(
        self,
        bucket: str,
        key: str,
        source: _Source,
        callback: CallbackBase,
        options: dict[str, Any],
        length: int | None,
        progress: Callable[[Progress], object] | None,
        settle: Callable[[CallbackReply | None, BaseException | None], object] | tuple[Mailbox, object],
    ) -> Call:
        """Starts an upload in as many requests as it takes. `progress` is called on a thread of
        the library's, `settle` is as for `start_put`.
        """

    def confirm(self, event: CallbackEvent, cancel: Cancel | None) -> Confirmation:
        """Asks OSS whether a callback's object is there and is the one that it tells of."""

    def start_confirm(
        self,
        event: CallbackEvent,
        settle: Callable[[Confirmation | None, BaseException | None], object] | tuple[Mailbox, object],
    ) -> None:
        """Starts to ask. `settle` is as for `start_put`."""

    def close(self) -> None:
        """Closes the connections. Calls under way end as they would have."""

    @property
    def closed(self) -> bool:
        """Whether close() was called."""

    @property
    def region(self) -> str | None:
        """The region that requests are signed for, if one is known."""

    @property
    def endpoint(self) -> str:
        """Where requests go."""

@final
class Call:
    """An upload that was started."""

    def cancel(self) -> None:
        """Ends the call, if it is still under way, with an error of kind `cancelled`."""

@final
class Later:
    """What a credentials function gives that cannot be asked before the client's next call, as the event
    loops of the calls so far have ended. For the core it is still being asked: that is no failure, which the
    next call would meet.
    """

    def __new__(cls) -> Self: ...

@final
class Mailbox:
    """What the calls of one event loop came to."""

    def __new__(cls) -> Self:
        """Raises OSError where there are no descriptors for it."""

    def descriptors(self) -> list[int]:
        """One of them can be read from while there is something to collect. They are the mailbox's: neither
        to be read from nor to be closed.
        """

    def collect(self) -> list[tuple[Any, Any, BaseException | None]]:
        """What has come: each with what stands for its call, a value or None, and an exception or None."""

@final
class Signer:
    """Signs requests for any HTTP client. One serves all threads.

    `region`, such as `cn-hangzhou`, is needed by version `v4`; with `v1` it only tells where signed URLs
    go. `product` is `oss`, or such as `oss-cloudbox`. `security_token` belongs to temporary credentials.

    Raises CredentialsError for credentials that cannot be sent, and InvalidArgumentError for the rest.
    """

    def __new__(
        cls,
        access_key_id: str,
        access_key_secret: str,
        *,
        security_token: str | None = None,
        region: str | None = None,
        product: str = "oss",
        version: Literal["v4", "v1"] = "v4",
    ) -> Self: ...
    def sign(
        self,
        method: str,
        *,
        bucket: str | None = None,
        key: str | None = None,
        query: Iterable[tuple[str, str | None]] | Mapping[str, str | None] = (),
        headers: Mapping[str, str] | None = None,
        additional_headers: Iterable[str] = (),
        time: datetime | float | None = None,
    ) -> dict[str, str]:
        """Signs by headers, and returns those to send beside your own, `Authorization` among them.

        `headers` are those that will be sent, `query` is pairs with None for a name without a value (or a
        mapping), both as they are before encoding. `additional_headers` are further names to sign (V4).
        `time` is an aware datetime or Unix seconds; now by default.

        Raises InvalidArgumentError for what OSS would refuse, or what could not be sent as it is signed.
        """

    def presign(
        self,
        method: str,
        *,
        endpoint: str | None = None,
        addressing: Literal["auto", "virtual", "path", "cname"] = "auto",
        bucket: str | None = None,
        key: str | None = None,
        expires_in: float | timedelta,
        query: Iterable[tuple[str, str | None]] | Mapping[str, str | None] = (),
        headers: Mapping[str, str] | None = None,
        additional_headers: Iterable[str] = (),
        time: datetime | float | None = None,
    ) -> PresignedRequest:
        """Signs by URL: whoever holds it can make the request until it expires.

        `expires_in` is seconds or a timedelta, from `time` on: by V4 at most 7 days, or 12 hours with a
        `security_token`. `endpoint` is the region's by default, `addressing` says where the bucket's name
        goes: `auto`, `virtual`, `path` or `cname`. The rest is as for `sign`.

        Raises InvalidArgumentError as `sign` does.
        """

    def policy_conditions(self, *, time: datetime | float | None = None) -> dict[str, str]:
        """The conditions that a POST policy must hold to be signed at `time`, as names and values. V1 demands
        none.
        """

    def sign_policy(self, policy_json: str, *, time: datetime | float | None = None) -> dict[str, str]:
        """The form fields that a POST form needs beside its own, in order. They must stand before the field
        `file`.

        Raises InvalidArgumentError for a policy that is not JSON, or lacks `expiration`, `conditions` or
        one of `policy_conditions`.
        """

@final
class PresignedRequest:
    """A signed URL, and the headers that must be sent with it."""

    def __new__(cls, method: str, url: str, headers: Mapping[str, str]) -> Self: ...
    @property
    def method(self) -> str:
        """Method that was signed."""

    @property
    def url(self) -> str:
        """The URL. Whoever holds it can make the request until it expires."""

    @property
    def headers(self) -> dict[str, str]:
        """Headers that must be sent unchanged: those of the request that the signature covers."""

    def __getnewargs__(self) -> tuple[Any, ...]: ...
