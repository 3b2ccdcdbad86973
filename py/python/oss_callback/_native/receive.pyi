# Types of the native module's receiving side, documented as those beside.

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal, final

from typing_extensions import Buffer, Self

from .._verifier import _Headers
from . import CallbackBase

__all__ = [
    "CallbackEvent",
    "Confirmation",
    "Field",
    "ImageInfo",
    "Reply",
    "Seal",
    "Verifier",
    "failure",
    "refusal",
    "reply",
]

@final
class Verifier:
    """What a CallbackVerifier is made of."""

    def __new__(
        cls,
        options: dict[str, Any],
        callback: CallbackBase | None,
        fetch_key: Callable[[str], Buffer | str] | None,
        first_use: Callable[[str, datetime], bool] | None,
    ) -> Self: ...
    def verify(
        self,
        method: str,
        target: str | bytes,
        headers: _Headers,
        body: Buffer,
        now: datetime | float | None,
    ) -> CallbackEvent:
        """Verifies a callback request and tells what it says."""

    def verify_signature(self, method: str, target: str | bytes, headers: _Headers, body: Buffer) -> None:
        """Only the signature, not the body or the seal."""

    @property
    def max_body(self) -> int:
        """Largest body in bytes."""

    @property
    def body_timeout(self) -> float:
        """Longest time for a body to arrive, in seconds."""

@final
class CallbackEvent:
    """What a verified callback says of the upload.

    A property is None if the body does not name it at all, and an empty text if OSS had no value for it,
    such as `vpc_id` outside of a VPC. Numbers are None, too, where the body has something else:
    `field("size")` tells what.

    How far each of these can be believed depends on the checks that were made: docs/verifying.md.
    """

    @staticmethod
    def parse(body: Buffer, body_type: Literal["form", "json"], template: str | None = None) -> CallbackEvent:
        """Understands a body, without verifying anything: for a body that was verified elsewhere, and for
        tests.

        `template` is the callback body as it was given to OSS, with its `${…}`. Without it, fields go by
        OSS's own names (`bucket`, `object`, …), and all others are custom variables, as in this library's
        default callback body.

        Raises VerificationError with reason `malformed_body` for a body that is not of that type, does not
        fit the template or contradicts itself, and InvalidArgumentError for a template that cannot be read
        backwards.
        """

    @property
    def bucket(self) -> str | None:
        """Name of the bucket."""

    @property
    def key(self) -> str | None:
        """The object's key, decoded."""

    @property
    def etag(self) -> str | None:
        """The object's ETag, without quotes."""

    @property
    def size(self) -> int | None:
        """The object's size in bytes; of a multipart upload the whole."""

    @property
    def mime_type(self) -> str | None:
        """The object's Content-Type."""

    @property
    def crc64(self) -> int | None:
        """The object's CRC-64."""

    @property
    def content_md5(self) -> str | None:
        """Base64 of the object's MD5. OSS fills it in for PutObject and PostObject only."""

    @property
    def image(self) -> ImageInfo:
        """Size and format of an image."""

    @property
    def client_ip(self) -> str | None:
        """Address that the upload came from."""

    @property
    def vpc_id(self) -> str | None:
        """VPC that the upload came from; empty if it came from none."""

    @property
    def request_id(self) -> str | None:
        """OSS's id of the upload request."""

    @property
    def operation(self) -> str | None:
        """Name of the upload's API, such as `PutObject`."""

    @property
    def variables(self) -> dict[str, str]:
        """All custom variables by their name without `x:`, sorted. The seal is not among them."""

    def variable(self, name: str) -> str | None:
        """A custom variable, by its name with or without `x:`; None if the body does not name it."""

    @property
    def fields(self) -> tuple[Field, ...]:
        """All fields, as they stood in the body and in its order."""

    def field(self, name: str) -> Field | None:
        """The first field of that name, as it stood in the body; None if there is none."""

    @property
    def seal(self) -> Seal | None:
        """The seal, if the verifier was given secrets and so has checked it."""

@final
class Field:
    """One value of a callback body, as it stood there."""

    def __new__(cls, name: str, text: str, kind: Literal["text", "number", "bool", "null"]) -> Self: ...
    @property
    def name(self) -> str:
        """Name, decoded. Within JSON objects and arrays a path: `file.name`, `tags.0`."""

    @property
    def text(self) -> str:
        """Value, decoded, with U+FFFD for what is not UTF-8."""

    @property
    def kind(self) -> Literal["text", "number", "bool", "null"]:
        """What it was in the body: `text` (every value of a form, and JSON strings), `number`, `bool`, or
        `null` (the text is empty).
        """

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __getnewargs__(self) -> tuple[Any, ...]: ...

@final
class ImageInfo:
    """What a callback says of an image; for what is not an image, the numbers are None."""

    def __new__(
        cls, width: int | None = None, height: int | None = None, format: str | None = None
    ) -> Self: ...
    @property
    def width(self) -> int | None:
        """Width in pixels."""

    @property
    def height(self) -> int | None:
        """Height in pixels."""

    @property
    def format(self) -> str | None:
        """Format, such as `jpg`; empty for what is not an image."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __getnewargs__(self) -> tuple[Any, ...]: ...

@final
class Seal:
    """What a seal that was checked says."""

    def __new__(cls, nonce: str, expires_at: datetime | float) -> Self: ...
    @property
    def nonce(self) -> str:
        """Made for one upload; a second callback with it is a replay."""

    @property
    def expires_at(self) -> datetime:
        """From then on the seal is refused."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __getnewargs__(self) -> tuple[Any, ...]: ...

@final
class Confirmation:
    """What OSS says of an object whose callback it has confirmed.

    It can also be made by hand, to test code that takes one.
    """

    def __new__(
        cls,
        *,
        etag: str | None = None,
        size: int | None = None,
        crc64: int | None = None,
        content_type: str | None = None,
        last_modified: datetime | float | None = None,
        version_id: str | None = None,
        request_id: str | None = None,
    ) -> Self: ...
    @property
    def etag(self) -> str | None:
        """ETag, without quotes."""

    @property
    def size(self) -> int | None:
        """Size in bytes."""

    @property
    def crc64(self) -> int | None:
        """CRC-64."""

    @property
    def content_type(self) -> str | None:
        """Content-Type."""

    @property
    def last_modified(self) -> datetime | None:
        """When it was stored, to the second."""

    @property
    def version_id(self) -> str | None:
        """Version, in a versioned bucket."""

    @property
    def request_id(self) -> str | None:
        """OSS's id of the question."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __getnewargs_ex__(self) -> tuple[tuple[Any, ...], dict[str, Any]]: ...

@final
class Reply:
    """An HTTP answer to a callback request, for any framework: `status`, `headers`, `body`."""

    def __new__(cls, status: int, headers: Mapping[str, str], body: Buffer) -> Self: ...
    @property
    def status(self) -> int:
        """HTTP status."""

    @property
    def headers(self) -> dict[str, str]:
        """`Content-Type` and `Content-Length`."""

    @property
    def body(self) -> bytes:
        """The body, which OSS passes on to the uploader unchanged."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __getnewargs__(self) -> tuple[Any, ...]: ...

def reply(answer: Any) -> Reply:
    """The answer that makes the upload succeed. The uploader gets it as it is.

    `answer` is what `json.dumps` takes, such as a dict; str and bytes are taken as JSON text already.

    Raises InvalidArgumentError for what OSS refuses: nothing at all, a byte order mark, invalid JSON, or
    more than 1 MB.
    """

def refusal() -> Reply:
    """The answer to a request that did not verify: status 403, the same for every reason, so that a forger
    learns nothing from it.
    """

def failure() -> Reply:
    """The answer to a request that did verify, but could not be acted on: status 500."""
