"""Exceptions: their classes, what they carry, and how they travel."""

from __future__ import annotations

import builtins
import copy
import inspect
import pathlib
import pickle
import re
import traceback

import oss_callback
import pytest
from conftest import BUCKET, Bed
from oss_callback import CallbackFailedError, OssCallbackError, _errors


def test_each_class_is_also_the_builtin_that_readers_would_catch() -> None:
    assert issubclass(oss_callback.InvalidArgumentError, ValueError)
    assert issubclass(oss_callback.ArgumentTypeError, TypeError)
    assert issubclass(oss_callback.ArgumentTypeError, oss_callback.InvalidArgumentError)
    assert issubclass(oss_callback.NetworkError, ConnectionError)
    assert issubclass(oss_callback.TimeoutError, builtins.TimeoutError)
    assert issubclass(CallbackFailedError, oss_callback.ServiceError)
    for name in _errors.__all__:
        assert issubclass(getattr(oss_callback, name), OssCallbackError)
        assert getattr(oss_callback, name).__module__ == "oss_callback"


def test_errors_pickle_and_copy_with_all_that_they_carry(bed: Bed) -> None:
    with pytest.raises(CallbackFailedError) as failure:
        bed.put("pickle", "/status/500")
    error = failure.value
    error.__cause__ = KeyError("why")
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        twin = pickle.loads(pickle.dumps(error, protocol))
        assert type(twin) is CallbackFailedError
        assert str(twin) == str(error)
        assert vars(twin) == vars(error)
        assert repr(twin.__cause__) == "KeyError('why')"
    assert vars(copy.copy(error)) == vars(error)


@pytest.mark.parametrize("name", _errors.__all__)
def test_every_class_pickles_and_prints_its_message(name: str) -> None:
    error = getattr(oss_callback, name)("what went wrong")
    assert str(error) == error.message == "what went wrong"
    twin = pickle.loads(pickle.dumps(error))
    assert (type(twin), str(twin), twin.kind) == (type(error), str(error), error.kind)
    assert twin.__cause__ is None
    shown = "".join(traceback.format_exception_only(type(error), error))
    assert shown == f"oss_callback.{name}: what went wrong\n"


def test_a_cause_is_kept() -> None:
    reply = oss_callback.CallbackReply(b"not json")
    with pytest.raises(oss_callback.InvalidArgumentError) as failure:
        reply.json()
    assert isinstance(failure.value.__cause__, ValueError)
    twin = pickle.loads(pickle.dumps(failure.value))
    assert isinstance(twin.__cause__, ValueError)


def test_a_body_that_is_not_json_says_that_the_upload_succeeded() -> None:
    for body in [
        b"not json",
        b"",
        b"\xfe\x00\xff",
        # What `json.loads` takes, and JSON has not.
        b"\xef\xbb\xbf{}",
        b"[NaN]",
        b"-Infinity",
        '{"a": 1}'.encode("utf-16"),
        b"[" * 100_000,
    ]:
        with pytest.raises(oss_callback.InvalidArgumentError) as failure:
            oss_callback.CallbackReply(body, etag="E").json()
        error = failure.value
        assert re.fullmatch(
            r"the callback body is not JSON: .+ \(the upload itself succeeded\)", str(error), re.DOTALL
        )
        assert (error.stored, error.etag, error.field, error.message) == (True, "E", None, str(error))
        assert isinstance(error.__cause__, Exception)
    assert oss_callback.CallbackReply('{"猫": [1.5, null]}'.encode()).json() == {"猫": [1.5, None]}


def test_a_cause_is_of_its_own_class(bed: Bed, tmp_path: pathlib.Path) -> None:
    with bed.client() as client, pytest.raises(oss_callback.SourceError) as missing:
        client.put_object_with_callback(BUCKET, "k", tmp_path / "nothing", bed.callback())
    assert isinstance(missing.value.__cause__, FileNotFoundError)
    with bed.faulty() as client, pytest.raises(oss_callback.OutcomeUnknownError) as lost:
        client.put_object_with_callback(BUCKET, "lost/cause", b"data", bed.callback())
    cause = lost.value.__cause__
    assert isinstance(cause, oss_callback.NetworkError)
    assert cause.message in str(lost.value)


def test_what_does_not_apply_is_none(bed: Bed) -> None:
    with bed.client() as client, pytest.raises(OssCallbackError) as failure:
        client.put_object_with_callback("", "k", b"", bed.callback())
    error = failure.value
    assert (error.kind, error.field, error.retryable) == ("invalid_argument", "bucket", False)
    assert (error.status, error.code, error.etag, error.cause, error.stored) == (
        None,
        None,
        None,
        None,
        False,
    )
    assert error.message
    assert error.message in str(error)


def test_the_list_of_errors_is_complete() -> None:
    tomllib = pytest.importorskip("tomllib")
    from conftest import ROOT

    listed = tomllib.loads((ROOT / "api/errors.toml").read_text("utf-8"))
    classes = {
        cls.kind: cls for cls in vars(_errors).values() if inspect.isclass(cls) and "kind" in vars(cls)
    }
    assert set(classes) == {kind["name"] for kind in listed["kind"]}
    for kind in listed["kind"]:
        cls = _errors._CLASSES[kind["name"]]
        assert " ".join((cls.__doc__ or "").split()) == kind["doc"]
        assert cls.retryable is kind["retryable"]
    for fact in listed["fact"]:
        assert hasattr(OssCallbackError, fact["name"])


def test_a_network_error_is_caught_as_the_builtin(bed: Bed) -> None:
    with bed.client(endpoint=bed.addresses["DEAD_ENDPOINT"]) as client, pytest.raises(ConnectionError):
        client.put_object_with_callback(BUCKET, "k", b"", bed.callback())
