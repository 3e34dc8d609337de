"""A pass-through in front of the provider that remembers what went by, so that its ways are seen and not believed."""

import contextlib
import http.client
import http.server
import json
import threading
import time
import urllib.parse

HOP_BY_HOP = {'connection', 'keep-alive', 'transfer-encoding', 'content-length', 'server', 'date'}


class Exchange:
    """A request to the provider, and its answer."""

    def __init__(self, method, target, headers, body):
        self.method, self.headers = method, headers
        parts = urllib.parse.urlsplit(target)
        self.path = parts.path
        self.query = dict(urllib.parse.parse_qsl(parts.query))
        form = 'x-www-form-urlencoded' in (headers.get('Content-Type') or '')
        self.form = dict(urllib.parse.parse_qsl(body.decode())) if form else {}
        self.status, self.answer_headers, self.answer = None, None, b''
        self.at = time.monotonic()

    def json(self):
        try:
            return json.loads(self.answer)
        except ValueError:
            return None


class Tap:
    """Listens on `port` and hands everything on to `target`, the provider's own port, with the `Host` it was asked for."""

    def __init__(self, port, target):
        self.exchanges = []
        tap = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def answer(self):
                body = self.rfile.read(int(self.headers.get('Content-Length') or 0))
                exchange = Exchange(self.command, self.path, self.headers, body)
                connection = http.client.HTTPConnection('127.0.0.1', target, timeout=30)
                try:
                    headers = {name: value for name, value in self.headers.items() if name.lower() != 'connection'}
                    connection.request(self.command, self.path, body or None, headers)
                    answer = connection.getresponse()
                    exchange.answer = answer.read()
                    exchange.answer_headers, exchange.status = answer.headers, answer.status
                    tap.exchanges.append(exchange)
                except OSError:
                    self.send_error(502)
                    return
                finally:
                    connection.close()
                self.send_response(exchange.status)
                for name, value in exchange.answer_headers.items():
                    if name.lower() not in HOP_BY_HOP:
                        self.send_header(name, value)
                if exchange.status not in (204, 304):
                    self.send_header('Content-Length', str(len(exchange.answer)))
                self.end_headers()
                if self.command != 'HEAD':
                    self.wfile.write(exchange.answer)

            do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_OPTIONS = answer

            def handle(self):
                # Who asked may be gone before the answer is there.
                with contextlib.suppress(ConnectionError):
                    super().handle()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', port), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def of(self, url, **form):
        """The exchanges at the endpoint `url`, those with these form fields."""
        path = urllib.parse.urlsplit(url).path if url else None
        fits = lambda one: one.path == path and all(one.form.get(name) == value for name, value in form.items())
        return [one for one in self.exchanges if fits(one)]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
