"""What the Python peers share: the emulator as users start it, an application server, and the scenarios.

Run by `cargo xtask test peers`. By hand, in an environment that holds the requirements, from this folder:
`OSS_CALLBACK_CLI=../../target/debug/oss-callback python -m unittest peer_oss2`.
"""

import base64
import hashlib
import json
import os
import signal
import subprocess
import tempfile
import threading
import urllib.parse
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

BUCKET = "examplebucket"
NAMES = ("OSS_ENDPOINT", "OSS_REGION", "OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET")
#: Longest time in which the emulator must say where it listens, and in which it must end.
PATIENCE = 30
#: OSS takes no smaller part, but for the last.
PART_SIZE = 100 * 1024
AWKWARD_KEYS = ("a b/ü/中文.txt", "plus+and%25percent", "q?x=1&y=2#z", "x//y", "quote'(*)!~\"")


class Emulator:
    """`oss-callback serve`, and the environment that it prints for its users."""

    def __init__(self):
        root = Path(__file__).resolve().parents[2]
        cli = os.environ.get("OSS_CALLBACK_CLI", str(root / "target/debug/oss-callback"))
        self._log = tempfile.TemporaryFile(mode="w+")
        # Our end of its standard input closes however we end, so that no emulator is left behind.
        self._process = subprocess.Popen(
            [cli, "serve", "--exit-when-stdin-closes"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self._watchdog = threading.Timer(PATIENCE, self._process.kill)
        self._watchdog.start()
        env = {}
        for line in self._process.stdout:
            name, _, value = line.strip().removeprefix("export ").partition("=")
            if name in NAMES:
                env[name] = value.strip("'\"")
            if len(env) == len(NAMES):
                break
        self._watchdog.cancel()
        if len(env) < len(NAMES):
            raise RuntimeError(f"{cli} serve printed {sorted(env)} only; it said:\n{self.log()}")
        # Read on, so that the emulator never waits on a full pipe.
        threading.Thread(target=self._process.stdout.read, daemon=True).start()
        self.endpoint, self.region, self.key_id, self.key_secret = (env[name] for name in NAMES)

    def log(self):
        self._log.seek(0)
        return self._log.read()

    def stop(self):
        """Ends it as a shell would, and gives its exit status."""
        if os.name == "nt":
            self._process.kill()
        else:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        finally:
            self._process.stdin.close()
            self._process.stdout.close()
            self._log.close()


class AppServer:
    """Answers callbacks with what it saw, and remembers them. `/fail` answers with status 500."""

    def __init__(self):
        self.requests = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.requests.append(Callback(self.path, self.headers, body.decode()))
                answer = outer.answer(body.decode())
                self.send_response(500 if self.path == "/fail" else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @staticmethod
    def answer(body):
        return json.dumps({"Status": "OK", "seen": body}).encode()

    def about(self, key):
        """The callbacks that name this key, which every test makes up anew."""
        return [request for request in self.requests if request.fields().get("object") == key]

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Callback:
    """A callback request as the application server got it."""

    def __init__(self, path, headers, body):
        self.path, self.headers, self.body = path, headers, body

    def fields(self):
        if self.headers["Content-Type"].startswith("application/json"):
            return json.loads(self.body)
        return dict(urllib.parse.parse_qsl(self.body, keep_blank_values=True))


FORM = "bucket=${bucket}&object=${object}&etag=${etag}&size=${size}&mime=${mimeType}&order=${x:order}"
JSON = '{"bucket":${bucket},"object":${object},"etag":${etag},"size":${size},"mime":${mimeType},"order":${x:order}}'


def encoded(value):
    return base64.b64encode(json.dumps(value).encode()).decode()


class Scenarios:
    """What every official client must be able to do. A peer says how, a subclass which signature version.

    A peer gives `make(emulator, secret)`, then `put`, `presigned_put`, `get` (None when there is no such
    object), `multipart`, `managed`, and `refusal`, which tells a raised error as (status, code, EC).
    """

    version = None
    #: How many callbacks the peer's managed upload fires when its parts are completed.
    managed_callbacks = 1
    #: Keys beyond the common ones that the peer sends as they are.
    more_awkward_keys = ()

    @classmethod
    def setUpClass(cls):
        cls.emulator = Emulator()
        cls.addClassCleanup(cls.stop_emulator)
        cls.app = AppServer()
        cls.addClassCleanup(cls.app.stop)

    @classmethod
    def stop_emulator(cls):
        status = cls.emulator.stop()
        if status != 0:
            raise AssertionError(f"the emulator ended with status {status}")

    def setUp(self):
        self.key = f"exampledir/{uuid.uuid4()}.txt"
        self.make(self.emulator, self.emulator.key_secret)

    def callback(self, path="/callback", body=FORM, body_type="application/x-www-form-urlencoded"):
        return encoded({"callbackUrl": self.app.url + path, "callbackBody": body, "callbackBodyType": body_type})

    def variables(self):
        return encoded({"x:order": "42 & 43"})

    def assert_called_once(self, key, data, answer):
        """The application server saw this object once, signed, and its answer is what the uploader got."""
        calls = self.app.about(key)
        self.assertEqual(len(calls), 1, "callbacks for this object")
        seen = calls[0]
        self.assertEqual(answer, AppServer.answer(seen.body))
        fields = seen.fields()
        self.assertEqual(fields["bucket"], BUCKET)
        self.assertEqual(str(fields["size"]), str(len(data)))
        self.assertEqual(fields["order"], "42 & 43")
        self.assertTrue(seen.headers["Authorization"])
        key_url = base64.b64decode(seen.headers["x-oss-pub-key-url"]).decode()
        self.assertTrue(key_url.startswith("http"), key_url)
        self.assertEqual(self.get(key), data)
        return fields

    def test_a_put_brings_the_application_servers_answer_back(self):
        data = b"Hello OSS"
        status, answer = self.put(self.key, data, self.callback(), self.variables())
        self.assertEqual(status, 200)
        fields = self.assert_called_once(self.key, data, answer)
        self.assertEqual(fields["etag"], hashlib.md5(data).hexdigest().upper())
        self.assertEqual(fields["mime"], "text/plain")

    def test_a_json_callback_body_arrives_as_json(self):
        callback = self.callback(body=JSON, body_type="application/json")
        _, answer = self.put(self.key, b"Hello OSS", callback, self.variables())
        fields = self.assert_called_once(self.key, b"Hello OSS", answer)
        self.assertEqual(fields["size"], 9)

    def test_awkward_keys_arrive_as_they_are(self):
        for awkward in AWKWARD_KEYS + self.more_awkward_keys:
            with self.subTest(key=awkward):
                key = f"{uuid.uuid4()}/{awkward}"
                _, answer = self.put(key, b"x", self.callback(), self.variables())
                self.assert_called_once(key, b"x", answer)

    def test_a_presigned_put_fires_the_callback_in_its_query(self):
        status, answer = self.presigned_put(self.key, b"Hello OSS", self.callback(), self.variables())
        self.assertEqual(status, 200, answer)
        self.assert_called_once(self.key, b"Hello OSS", answer)

    def test_a_wrong_secret_is_refused_before_anything_happens(self):
        self.make(self.emulator, self.emulator.key_secret + "x")
        with self.assertRaises(Exception) as raised:
            self.put(self.key, b"x", self.callback(), self.variables())
        status, code, _ = self.refusal(raised.exception)
        self.assertEqual((status, code), (403, "SignatureDoesNotMatch"))
        self.make(self.emulator, self.emulator.key_secret)
        self.assertIsNone(self.get(self.key))
        self.assertEqual(self.app.about(self.key), [])

    def test_a_presigned_put_with_a_wrong_secret_is_refused(self):
        self.make(self.emulator, self.emulator.key_secret + "x")
        status, _ = self.presigned_put(self.key, b"x", self.callback(), self.variables())
        self.assertEqual(status, 403)
        self.assertEqual(self.app.about(self.key), [])

    def test_a_malformed_callback_is_refused_and_nothing_is_stored(self):
        with self.assertRaises(Exception) as raised:
            self.put(self.key, b"x", "%not-base64%", self.variables())
        self.assertEqual(self.refusal(raised.exception), (400, "InvalidArgument", "0007-00000002"))
        self.assertIsNone(self.get(self.key))

    def test_a_failed_callback_is_a_203_and_the_object_is_stored(self):
        # These clients take 203 for success: the XML error is what they give as the answer.
        status, answer = self.put(self.key, b"x", self.callback("/fail"), self.variables())
        self.assertEqual(status, 203)
        self.assertIn(b"<Code>CallbackFailed</Code>", answer)
        self.assertIn(b"<EC>0007-00000203</EC>", answer)
        self.assertEqual(self.get(self.key), b"x")

    def test_a_multipart_upload_calls_back_on_complete(self):
        parts = [os.urandom(PART_SIZE), os.urandom(PART_SIZE), b"the end"]
        answer = self.multipart(self.key, parts, self.callback(), self.variables())
        self.assert_called_once(self.key, b"".join(parts), answer)

    def test_a_managed_upload_of_a_file_calls_back_as_often_as_its_client_asks(self):
        data = os.urandom(3 * PART_SIZE + 1)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "data.bin"
            file.write_bytes(data)
            self.managed(self.key, str(file), self.callback(), self.variables())
        self.assertEqual(self.get(self.key), data)
        self.assertEqual(len(self.app.about(self.key)), self.managed_callbacks)
