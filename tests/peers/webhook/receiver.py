"""A receiver that checks requests with the reference library of Standard Webhooks, and answers by the link inside.

Argument: its secret. Prints its port, then each request as JSON. One whose signature holds is answered 204, then the
link that it carries with `{"answer": "accept"}`; any other 401.
"""

import json
import sys
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

from standardwebhooks import Webhook, WebhookVerificationError


def say(what: object) -> None:
    """One line on standard output, at once."""
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            told = Webhook(sys.argv[1]).verify(body, dict(self.headers))
        except WebhookVerificationError as error:
            self._end(401, {"refused": str(error)})
            return
        self._end(204, {"told": told})
        self._answer(told["data"]["answer_url"])

    def _end(self, status: int, said: dict[str, object]) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.wfile.flush()
        say(json.dumps(said))

    def _answer(self, link: str) -> None:
        request = urllib.request.Request(
            link,
            data=json.dumps({"answer": "accept"}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            say(json.dumps({"answered": answer.status, **json.load(answer)}))

    def log_message(self, *_: object) -> None:
        """Says nothing: what is printed is read."""


server = HTTPServer(("127.0.0.1", 0), Receiver)
say(server.server_port)
server.serve_forever()
