"""power.py: takes the power from the emulated box at random moments while its outbox
fills, and holds that every event that was said to be on disk reaches the broker, and that none
is missing between two that do. Then copies of the disk, made while the daemon writes, are
repaired as a start would and their outboxes delivered by the daemon outside.

It runs in a network namespace of its own, so the broker has MQTT's usual port; the box sees it
as 10.0.2.2. Python's standard library alone."""
import argparse, collections, json, os, random, re, shutil, signal, socket, subprocess, sys, time

BOOTS, COPIES = 10, 50
STATE_MIB = 64
PATIENCE = 1200  # seconds for a start of the box on a busy machine
WAITING = re.compile(rb'power: "outbox":(\{[^}]*\})')


def until(what, condition, patience=PATIENCE):
    end = time.monotonic() + patience
    while not (got := condition()):
        if time.monotonic() > end:
            sys.exit(f"test-power: FAILED: {what}: not within {patience} s")
        time.sleep(0.1)
    return got


class Broker:
    """mosquitto that remembers nothing; each start has its own file of what was heard."""

    def __init__(self, out):
        self.out, self.starts, self.processes = out, 0, []

    def start(self):
        self.starts += 1
        self.heard = f"{self.out}/heard-{self.starts}.txt"
        conf = f"{self.out}/mosquitto.conf"
        with open(conf, "w") as f:
            f.write("listener 1883 127.0.0.1\nallow_anonymous true\n")
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.processes = [subprocess.Popen(["mosquitto", "-c", conf], **quiet)]
        until("the broker listens", lambda: socket.socket().connect_ex(("127.0.0.1", 1883)) == 0)
        with open(self.heard, "w") as f:
            self.processes.append(subprocess.Popen(
                ["mosquitto_sub", "-q", "1", "-t", "dynvit/+/camera/+/event", "-t", "dynvit/+/camera/+/state", "-t", "$SYS/broker/version", "-v"],
                stdout=f, stderr=subprocess.DEVNULL))
        until("the subscriber hears", lambda: os.path.getsize(self.heard) > 0)

    def stop(self):
        for p in self.processes:
            p.kill()
            p.wait()
        self.processes = []

    def states(self):
        """Has a state been heard since the broker's start?"""
        with open(self.heard) as f:
            return "/state {" in f.read()

    def ids(self):
        """The ids of events that were heard since the broker's start, in order, repeats too."""
        with open(self.heard) as f:
            return re.findall(r'"id":"([^"]+)-(\d+)"', f.read())


class Box:
    def __init__(self, args):
        self.args, self.disk, self.state = args, f"{args.out}/disk.img", f"{args.out}/state.img"
        self.console, self.starts = None, 0
        subprocess.run(["cp", "--sparse=always", args.image, self.disk], check=True)
        with open(self.state, "wb") as f:
            f.truncate(STATE_MIB << 20)
        subprocess.run(["mke2fs", "-q", "-t", "ext4", self.state], check=True)

    def start(self):
        a, drive = self.args, "file={},format=raw,if=virtio"
        self.starts += 1
        self.console = f"{a.out}/console-{self.starts}.log"
        control = f"{a.out}/control.sock"
        self.process = subprocess.Popen(
            [*a.qemu, "-serial", f"file:{self.console}", "-nic", "user,model=virtio-net-pci", "-qmp", f"unix:{control},server=on,wait=off",
             *(x for d in (self.disk, f"{a.out}/box.tar", self.state) for x in ("-drive", drive.format(d)))],
            stdin=subprocess.DEVNULL)
        until("the daemon of the box serves", lambda: self.waiting() or self.process.poll() is not None)
        self.control = socket.socket(socket.AF_UNIX)
        self.control.connect(control)
        self.control = self.control.makefile("rw")
        self.control.readline()
        self.command("qmp_capabilities")

    def command(self, name):
        self.control.write(json.dumps({"execute": name}) + "\n")
        self.control.flush()
        while "return" not in json.loads(self.control.readline()):
            pass  # events

    def cut(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def waiting(self):
        """What the outbox said last, or None."""
        if not os.path.exists(self.console):
            return None
        with open(self.console, "rb") as f:
            said = WAITING.findall(f.read())
        return json.loads(said[-1]) if said else None

    def on_disk(self):
        w = self.waiting()
        return w["events"] - w["unsynced"]

    def copy(self, to):
        """A copy of the disk as it is at one moment, and how many events were on it for certain."""
        self.command("stop")
        safe = self.on_disk()
        shutil.copyfile(self.state, to)
        self.command("cont")
        return safe


def gaps(ids):
    """What is missing of each start of the daemon between the first and the last that were heard."""
    of = collections.defaultdict(set)
    for start, n in ids:
        of[start].add(int(n))
    return [f"{start}-{n}" for start, heard in of.items() for n in range(min(heard), max(heard)) if n not in heard]


def lose_power(box, broker, dice):
    """Ten starts, each cut off; every third with the broker there. What waited on disk at a cut
    without a broker must be heard after it."""
    cuts, heard, began = [], [], time.monotonic()
    for boot in range(BOOTS):
        there = boot % 3 == 2
        if there:
            broker.start()
        box.start()
        ready = time.monotonic()
        time.sleep(dice.uniform(1, 25))
        safe = 0 if there else box.on_disk()
        box.cut()
        if there:
            heard.append(broker.ids())
            broker.stop()
        cuts.append((safe, len(heard)))
        print(f"  cut {boot + 1}: {time.monotonic() - ready:.1f} s after the daemon served, broker {'there' if there else 'away'}, "
              f"{'heard %d' % len(heard[-1]) if there else '%d on disk' % safe}", flush=True)
    broker.start()
    powered = time.monotonic()
    passed = lambda: f"{time.monotonic() - powered:.0f} s"
    box.start()
    served = passed()
    until("a state is heard", broker.states)
    stated = passed()
    until("all waiting events are heard", lambda: set(broker.ids()) and box.waiting()["events"] == 0)
    print(f"  after the power came back: served {served}, a state published {stated}, all that waited replayed {passed()}")
    heard.append(broker.ids())
    failed = []
    for at, (safe, since) in enumerate(cuts):
        after = len({i for ids in heard[since:] for i in ids})
        if after < safe:
            failed.append(f"cut {at + 1}: {safe} events were on disk, {after} were heard after it")
    every = [i for ids in heard for i in ids]
    if first := [s for s in {s for s, _ in every} if (s, "1") not in every]:
        failed.append(f"without their first event: {first}")
    if missing := gaps(every):
        failed.append(f"missing between others: {missing[:10]}")
    print(f"test-power: {BOOTS} cuts, {len(set(every))} events of {len({s for s, _ in every})} starts, {len(every) - len(set(every))} heard twice, "
          f"{len(failed)} failures ({time.monotonic() - began:.0f} s)", flush=True)
    return failed


def copy_disks(box, broker, dice):
    """Fifty copies of the disk while the daemon writes. Each is repaired as the kernel would, and
    its outbox delivered."""
    broker.stop()
    before = box.waiting()["events"]
    until("events wait", lambda: box.waiting()["events"] > before + 5)
    copies, failed, began = [], [], time.monotonic()
    for n in range(COPIES):
        time.sleep(dice.uniform(0, 1))
        image = f"{box.args.out}/copy-{n}.img"
        copies.append((image, box.copy(image)))
    box.cut()
    total = 0
    for image, safe in copies:
        ids = deliver(box.args, broker, image)
        total += len(set(ids))
        if len(set(ids)) < safe:
            failed.append(f"{image}: {safe} events were on disk, {len(set(ids))} were delivered")
        elif missing := gaps(ids):
            failed.append(f"{image}: missing between others: {missing[:10]}")
        else:
            os.remove(image)
    print(f"test-power: {COPIES} copies of the disk, {total} events delivered of {sum(s for _, s in copies)} known to be on disk, "
          f"{len(failed)} failures ({time.monotonic() - began:.0f} s)", flush=True)
    return failed


def deliver(args, broker, image):
    """The ids that the daemon delivers from a copy of the disk."""
    folder = f"{args.out}/restored"
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    repaired = subprocess.run(["e2fsck", "-f", "-y", image], capture_output=True)
    assert repaired.returncode in (0, 1), repaired.stdout
    subprocess.run(["debugfs", "-R", f"rdump / {folder}", image], check=True, capture_output=True)
    with open(f"{folder}/dynvit.yaml", "w") as f:
        f.write('node: edge-box\nmqtt: {broker: "mqtt://127.0.0.1"}\nlatency: {keep: 0.3}\nhttp: {listen: 8485}\n'
                'homeassistant: {enabled: false}\ncameras: {none: {source: "file:/nothing"}}\n')
    broker.start()
    with open(f"{folder}/log.txt", "w") as log:
        daemon = subprocess.Popen([args.program, "run", "--config", f"{folder}/dynvit.yaml"], stdout=subprocess.DEVNULL, stderr=log,
                                  env={"PATH": os.environ["PATH"], "HOME": folder, "STATE_DIRECTORY": folder})
    until("the outbox is delivered", lambda: outbox() == {"events": 0, "unsynced": 0} or daemon.poll() is not None, 120)
    daemon.terminate()
    if daemon.wait(60) != 0:
        sys.exit(f"test-power: FAILED: the daemon ended by itself: {open(log.name).read()[-2000:]}")
    ids = broker.ids()
    broker.stop()
    return ids


def outbox():
    """What of the daemon outside waits, once it is connected."""
    try:
        with socket.create_connection(("127.0.0.1", 8485), 5) as c:
            c.sendall(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")
            health = json.loads(c.makefile().read().split("\n\n", 1)[1])
    except (OSError, ValueError, IndexError):
        return None
    return {k: health["outbox"][k] for k in ("events", "unsynced")} if health["broker"]["connected"] else None


def main():
    p = argparse.ArgumentParser()
    for name in ("out", "image", "program"):
        p.add_argument("--" + name, required=True)
    p.add_argument("qemu", nargs=argparse.REMAINDER, help="the box without its disks")
    args = p.parse_args()
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    seed = int(os.environ.get("SEED", time.time()))
    print(f"test-power: SEED={seed}", flush=True)
    dice, box, broker = random.Random(seed), Box(args), Broker(args.out)
    try:
        failed = lose_power(box, broker, dice) + copy_disks(box, broker, dice)
    finally:
        broker.stop()
        box.cut()
    for line in failed:
        print("test-power: FAILED:", line)
    sys.exit(bool(failed))


main()
