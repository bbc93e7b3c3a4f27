"""firststeps.py QEMU...: from apt install to an entity in Home Assistant, as the README says it. In a network namespace of
its own it is the machine homeassistant.local: a real Home Assistant, its broker, and mDNS by Avahi; the emulated
box is another one in the same network, in which newcomer types the README's commands. Python's standard library alone."""
import os, re, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
CORE = os.path.join(HERE, "../../homeassistant/core")
sys.dont_write_bytecode = True
sys.path.insert(0, CORE)
from ha import DIE, Ha, loopback
from haapi import until

COMMANDS, LINES = 5, 1  # at most so many commands, and lines of the configuration edited
PATIENCE = 900          # seconds for each part on a busy machine
LABEL = "sensor.edge_box_door_label"
AVAHI = """[server]
host-name=homeassistant
allow-interfaces=lan
use-ipv6=no
enable-dbus=no
"""


def lan(folder):
    """The network of box and Home Assistant, and who answers to homeassistant.local in it."""
    loopback()
    for command in ("tuntap add dev lan mode tap", "address add 10.0.2.2/24 dev lan", "link set lan up"):
        subprocess.run(["ip", *command.split()], check=True)
    conf = os.path.join(folder, "avahi.conf")
    with open(conf, "w") as f:
        f.write(AVAHI)
    return subprocess.Popen([*DIE, "unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs /run; exec avahi-daemon -f "$0" --no-drop-root --no-chroot --no-rlimits',
                             conf], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Box:
    def __init__(self, qemu, console):
        self.console = console
        open(console, "w").close()
        self.process = subprocess.Popen([*DIE, *qemu, "-nic", "tap,ifname=lan,script=no,downscript=no,model=virtio-net-pci", "-serial", "file:" + console],
                                        stdin=subprocess.DEVNULL)

    def said(self, pattern):
        """All that the console has of the pattern."""
        with open(self.console, errors="replace") as f:
            return re.findall(pattern, f.read().replace("\r", ""))

    def says(self, pattern, times=1):
        def heard():
            assert self.process.poll() is None, "the box ended"
            return len(self.said(pattern)) >= times
        until(heard, lambda: f"the box says {pattern}", PATIENCE, 0.2)
        return self.said(pattern)

    def stop(self):
        self.process.kill()
        self.process.wait()


def types(box, steps):
    """The README's commands succeed, and are few."""
    began = time.monotonic()
    box.says(r"newcomer: at the prompt")
    print(f"  at the prompt {time.monotonic() - began:.0f} s after the power came", flush=True)
    began = time.monotonic()
    for n, step in enumerate(steps, 1):
        status, took = box.says(r"newcomer: status (\d+), ([\d.]+) s", n)[n - 1]
        print(f"  {took:>5} s  $ {step}", flush=True)
        assert status == "0", f"{step}: status {status}"
    edited = int(box.says(r"newcomer: lines edited: (\d+)")[0])
    print(f"  {len(steps)} commands, {edited} line edited", flush=True)
    assert len(steps) <= COMMANDS and edited <= LINES
    return began


def shown(ha):
    """Home Assistant's entities of the box, once all are available and the label has a value."""
    got = [None]
    def there():
        ours = {e["entity_id"] for e in ha.entities() if e["platform"] == "mqtt"}
        got[0] = {k: v["state"] for k, v in ha.states().items() if k in ours}
        return got[0].get(LABEL, "unknown") not in ("unknown", "unavailable") and "unavailable" not in got[0].values() and got[0]
    return until(there, lambda: f"{LABEL} has a value: {got[0]}", PATIENCE, 0.2)


def main(out, qemu):
    with open(os.path.join(out, "box/opt/steps")) as f:
        steps = f.read().splitlines()
    with tempfile.TemporaryDirectory() as folder:
        avahi = lan(folder)
        with Ha(os.environ["HA_CORE"], os.path.join(CORE, "label.yaml"), "") as ha:
            box = Box(qemu, os.path.join(out, "console.log"))
            try:
                began = types(box, steps)
                states = shown(ha)
                assert avahi.poll() is None, "avahi-daemon ended"
            except BaseException:
                print("\n".join(box.said(r".+")[-60:]))
                raise
            finally:
                box.stop()
        print(f"test-first-steps: passed: {len(states)} entities, {LABEL} is {states[LABEL]!r}, {time.monotonic() - began:.0f} s after the first command")


main(sys.argv[1], sys.argv[2:])
