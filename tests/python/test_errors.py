"""Exceptions: their classes, what they carry, and how they travel."""

from __future__ import annotations

import builtins
import copy
import inspect
import pickle
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
