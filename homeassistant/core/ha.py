"""ha.py: a mosquitto and a real Home Assistant (built by make) for tests; standard library only.

    with Ha("/path/of/make", broker_port) as ha:   # starts both, onboards, adds MQTT
        ha.wait("sensor.x_label", "zebra")
        ha.call("button", "press", entity_id="button.x")

The ports are fixed: a test runs in a network namespace of its own (loopback brings its interface up).
"""
import fcntl, json, os, shutil, socket, struct, subprocess, tempfile, time
import urllib.parse, urllib.request

from haapi import Api, until

DIE = ["setpriv", "--pdeathsig", "KILL"]         # what we start ends with us, however we end
CONFIG = """homeassistant: {name: test, unit_system: metric, time_zone: UTC, country: NL, currency: EUR, latitude: 52, longitude: 5, elevation: 0}
http: {server_host: 127.0.0.1, server_port: %d, ip_ban_enabled: false}
logger: {default: warning, logs: {homeassistant.components.mqtt: info}}
"""


def loopback():
    """Brings up the namespace's loopback interface (SIOCSIFFLAGS: IFF_UP, IFF_RUNNING)."""
    with socket.socket() as s:
        fcntl.ioctl(s, 0x8914, struct.pack("16sH14x", b"lo", 0x41))


class Ha(Api):
    """blueprint is a file for HA's blueprints/automation; extra is added to configuration.yaml."""

    def __init__(self, dir, blueprint, extra, timeout=240):
        self.root, self.timeout = os.path.join(os.path.abspath(dir), "root"), timeout
        self.mqtt_port, self.port, self.token, self.hass, self.broker, self.listener = 1883, 8123, None, None, None, None
        os.makedirs(os.path.join(self.root, "run-ha"), exist_ok=True)
        self.config = tempfile.mkdtemp(prefix="c", dir=os.path.join(self.root, "run-ha"))   # fresh every time
        self.log, self.heard_path = os.path.join(self.config, "home-assistant.log"), os.path.join(self.config, "heard.txt")
        folder = os.path.join(self.config, "blueprints", "automation", "dynvit")
        os.makedirs(folder)
        shutil.copy(blueprint, folder)
        with open(os.path.join(self.config, "configuration.yaml"), "w") as f:
            f.write(CONFIG % self.port + extra)

    def __enter__(self):
        try:
            self.start_broker()
            self.start()
            self._onboard()
            self.running()
            self.ask("http/config/promote")      # else HA restarts with other HTTP settings after 5 minutes
            self._add_mqtt()
            self.born(0)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.stop()
        self.stop_broker()
        if not os.environ.get("HA_KEEP"):
            shutil.rmtree(self.config, ignore_errors=True)

    def start_broker(self):
        """A mosquitto that forgets all when it ends, for all of the namespace, and what hears everything but snapshots."""
        conf = os.path.join(self.config, "mosquitto.conf")
        with open(conf, "w") as f:
            f.write(f"listener {self.mqtt_port}\nallow_anonymous true\nuser root\nlog_dest none\n")
        self.broker = subprocess.Popen([*DIE, shutil.which("mosquitto") or "/usr/sbin/mosquitto", "-c", conf], stderr=subprocess.DEVNULL)
        def answers():
            with socket.socket() as s:
                return s.connect_ex(("127.0.0.1", self.mqtt_port)) == 0
        until(answers, "mosquitto answers")
        self.listener = subprocess.Popen([*DIE, "mosquitto_sub", "-h", "127.0.0.1", "-p", str(self.mqtt_port), "-t", "#", "-T", "+/+/camera/+/snapshot",
                                          "-F", "%t\t%r\t%p"], stdout=open(self.heard_path, "a"), stderr=subprocess.DEVNULL)

    def stop_broker(self):
        for p in (self.listener, self.broker):
            if p:
                p.terminate()
                p.wait()

    def start(self):
        env = {"PATH": "/opt/ha/bin:/usr/bin:/bin", "HOME": "/root", "LANG": "C.UTF-8", "SSL_CERT_FILE": "/opt/ca.crt"}
        inner = "/" + os.path.relpath(self.config, self.root)
        self.hass = subprocess.Popen([*DIE, "unshare", "--mount", "--pid", "--fork", "--kill-child", "--root=" + self.root, "--mount-proc=/proc",
                                      "/opt/ha/bin/python", "-m", "homeassistant", "--config", inner, "--skip-pip", "--log-no-color",
                                      "--log-file", inner + "/home-assistant.log"],
                                     env=env, stdout=open(os.path.join(self.config, "stdout.txt"), "a"), stderr=subprocess.STDOUT, start_new_session=True)
        until(lambda: self._try("GET", "/manifest.json"), self.tail, self.timeout, 0.2)

    def running(self):
        until(lambda: (self._try("GET", "/api/config") or {}).get("state") == "RUNNING", self.tail, self.timeout, 0.2)

    def births(self):
        return sum(t == "homeassistant/status" and p == "online" for t, _, p in self.heard())

    def born(self, before):
        until(lambda: self.births() > before, "birth message", 90)

    def restart(self):
        """Ends HA and starts it again with the same configuration, up to its birth message."""
        before, rc = self.births(), self.stop()
        assert rc == 0, f"Home Assistant ended with status {rc}"
        self.start()
        self.running()
        self.born(before)

    def _onboard(self):
        me = f"http://127.0.0.1:{self.port}/"
        code = self.rest("POST", "/api/onboarding/users", {"client_id": me, "name": "t", "username": "t", "password": "test-only-pw", "language": "en"})["auth_code"]
        form = urllib.parse.urlencode({"grant_type": "authorization_code", "code": code, "client_id": me}).encode()
        self.token = json.load(urllib.request.urlopen(me + "auth/token", form))["access_token"]
        # The steps left out (core_config, analytics, integration) are not needed; core_config would add the
        # weather, radio and speech integrations, which want the Internet and packages that are not installed.

    def _add_mqtt(self):
        flow = self.rest("POST", "/api/config/config_entries/flow", {"handler": "mqtt"})
        data = {f["name"]: f["default"] for f in flow["data_schema"] if "default" in f}
        data.update(broker="127.0.0.1", port=self.mqtt_port, other_settings={"set_client_cert": False, "set_ca_cert": "off", "transport": "tcp"})
        got = self.rest("POST", "/api/config/config_entries/flow/" + flow["flow_id"], data)
        assert got["type"] == "create_entry", got

    def stop(self):
        """Ends HA by its own service. Returns its exit status."""
        if not self.hass:
            return None
        if self.hass.poll() is None:
            try:
                self.call("homeassistant", "stop")
            except Exception:
                pass
            try:
                self.hass.wait(60)
            except subprocess.TimeoutExpired:
                self.hass.kill()              # --kill-child ends what runs inside
        return self.hass.wait()
