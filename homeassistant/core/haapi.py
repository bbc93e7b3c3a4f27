"""haapi.py: Home Assistant's REST and WebSocket API as far as a test needs it; standard library only."""
import base64, json, os, socket, struct, subprocess, time
import urllib.error, urllib.request


def until(f, what, timeout=60.0, every=0.05):
    """f's first true value; AssertionError after timeout."""
    end = time.monotonic() + timeout
    while True:
        v = f()
        if v:
            return v
        assert time.monotonic() < end, f"not within {timeout:g} s: {what() if callable(what) else what}"
        time.sleep(every)


class WebSocket:
    """As much of RFC 6455 as HA's API needs: text frames out, whole or fragmented text frames in."""

    def __init__(self, port, token):
        self.sock, self.buf, self.id = socket.create_connection(("127.0.0.1", port), 10), b"", 0
        key = base64.b64encode(os.urandom(16)).decode()
        self.sock.sendall(f"GET /api/websocket HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        while b"\r\n\r\n" not in self.buf:
            self._more()
        head, self.buf = self.buf.split(b"\r\n\r\n", 1)
        assert head.startswith(b"HTTP/1.1 101"), head
        assert self._recv()["type"] == "auth_required"
        self._send({"type": "auth", "access_token": token})
        got = self._recv()
        assert got["type"] == "auth_ok", got

    def _more(self):
        d = self.sock.recv(65536)
        assert d, "websocket closed"
        self.buf += d

    def _take(self, n):
        while len(self.buf) < n:
            self._more()
        d, self.buf = self.buf[:n], self.buf[n:]
        return d

    def _send(self, obj, op=1):
        data = obj if isinstance(obj, bytes) else json.dumps(obj).encode()
        size = struct.pack(">B", 128 | len(data)) if len(data) < 126 else struct.pack(">BH", 254, len(data))
        mask = os.urandom(4)
        self.sock.sendall(bytes([128 | op]) + size + mask + bytes(b ^ mask[i & 3] for i, b in enumerate(data)))

    def _recv(self):
        text = b""
        while True:
            b0, b1 = self._take(2)
            n = b1 & 127
            if n > 125:
                n = struct.unpack(">H" if n == 126 else ">Q", self._take(2 if n == 126 else 8))[0]
            data = self._take(n)
            if b0 & 15 == 9:
                self._send(data, 10)
            elif b0 & 15 in (0, 1):
                text += data
                if b0 & 128:
                    return json.loads(text)

    def ask(self, type, **kw):
        self.id += 1
        self._send({"id": self.id, "type": type, **kw})
        while True:
            got = self._recv()
            if got.get("id") == self.id and got["type"] == "result":
                assert got["success"], (type, got["error"])
                return got["result"]


class Api:
    """Base of ha.Ha, which sets port, mqtt_port, token, log, heard_path and hass."""

    def rest(self, method, path, body=None, raw=False):
        req = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method, data=None if body is None else json.dumps(body).encode())
        req.add_header("Content-Type", "application/json")
        if self.token:
            req.add_header("Authorization", "Bearer " + self.token)
        try:
            with urllib.request.urlopen(req, timeout=30) as r:
                data = r.read()
        except urllib.error.HTTPError as e:
            raise OSError(f"{method} {path}: {e.code} {e.read()[:300]!r}") from None
        return data if raw else json.loads(data or b"null")

    def _try(self, *a):
        assert self.hass.poll() is None, "Home Assistant ended: " + self.tail()
        try:
            return self.rest(*a)
        except (OSError, ValueError):
            return None

    def tail(self):
        return "".join(open(f, errors="replace").read()[-2000:] for f in (self.log, self.log[:-len("home-assistant.log")] + "stdout.txt") if os.path.exists(f))

    def heard(self):
        """[(topic, retained, payload)] of everything published so far but snapshots."""
        lines = open(self.heard_path, errors="replace").read().split("\n")
        return [(t, r == "1", p) for t, r, p in (line.split("\t", 2) for line in lines[:-1] if line.count("\t") >= 2)]

    def retained(self, filter):
        """[(topic, retained, payload)] that the broker keeps."""
        got = subprocess.run(["mosquitto_sub", "-h", "127.0.0.1", "-p", str(self.mqtt_port), "-t", filter, "-W", "1", "-F", "%t\t%r\t%p"],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=20).stdout
        return [tuple(line.split("\t", 2)) for line in got.splitlines()]

    def states(self):
        return {s["entity_id"]: s for s in self.rest("GET", "/api/states")}

    def wait(self, entity_id, state, timeout=60):
        last = [None]
        def same():
            last[0] = self.states().get(entity_id, {}).get("state")
            return last[0] == state
        until(same, lambda: f"{entity_id} is {last[0]!r}, not {state!r}", timeout)

    def ask(self, type, **kw):
        """The answer to one WebSocket command. A connection left open delays HA's end by 10 s."""
        ws = WebSocket(self.port, self.token)
        try:
            return ws.ask(type, **kw)
        finally:
            ws.sock.close()

    def devices(self):
        return self.ask("config/device_registry/list")

    def entities(self):
        return self.ask("config/entity_registry/list")

    def call(self, domain, service, **data):
        return self.rest("POST", f"/api/services/{domain}/{service}", data)

    def warnings(self, *words):
        """Lines of HA's log at WARNING or above with one of the words (all, without words)."""
        lines = [x for x in open(self.log, errors="replace") if " WARNING " in x or " ERROR " in x or " CRITICAL " in x]
        return [x.rstrip() for x in lines if not words or any(w in x.lower() for w in words)]
