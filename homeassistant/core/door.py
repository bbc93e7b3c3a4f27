"""door.py: a camera that a test holds in its hand: a picture over HTTP, polled by the daemon."""
import http.server, threading


class Door:
    """Serves picture; while mode is "hang" it answers nothing, while it is "broken" 503."""

    def __init__(self, picture):
        self.picture, self.mode = picture, "ok"
        door = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                while door.mode == "hang":
                    door.turned.wait(0.1)
                self.send_response(200 if door.mode == "ok" else 503)
                body = door.picture if door.mode == "ok" else b""
                self.send_header("Content-Type", "image/png")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

            def handle(self):
                try:
                    super().handle()
                except OSError:
                    pass      # the daemon has given up waiting

        self.turned = threading.Event()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/door.png#fps=4"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
