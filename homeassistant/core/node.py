"""node.py: the daemon under test."""
import os, signal, subprocess

from haapi import until


class Node:
    def __init__(self, program, folder):
        self.program, self.folder, self.process = program, folder, None
        self.file, self.log = os.path.join(folder, "dynvit.yaml"), os.path.join(folder, "log.txt")

    def configure(self, text):
        with open(self.file, "w") as f:
            f.write(text)

    def start(self):
        env = {"PATH": os.environ["PATH"], "HOME": self.folder, "STATE_DIRECTORY": os.path.join(self.folder, "state")}
        at = os.path.getsize(self.log) if os.path.exists(self.log) else 0
        self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", self.program, "run", "--config", self.file], env=env,
                                        stdout=subprocess.DEVNULL, stderr=open(self.log, "a"))
        def ready():
            assert self.process.poll() is None, "the daemon ended: " + self.tail()
            with open(self.log) as f:
                f.seek(at)
                return "msg=ready" in f.read()
        until(ready, self.tail, 60)

    def tail(self):
        return open(self.log).read()[-2000:]

    def stop(self):
        self.process.terminate()
        rc = self.process.wait(30)
        assert rc == 0, f"the daemon ended with status {rc}: {self.tail()}"

    def kill(self):
        self.process.kill()
        self.process.wait()

    def freeze(self, on):
        self.process.send_signal(signal.SIGSTOP if on else signal.SIGCONT)
