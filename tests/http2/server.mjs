// An API on Node's own HTTP/2 server, which falls back to HTTP/1.1 where HTTP/2 is not offered.
// Usage: node server.mjs '{"cert": "…", "key": "…", "port": 0, "streams": 100}'. It says its port, and what happens, as lines.
import { once } from "node:events";
import { readFileSync } from "node:fs";
import http2 from "node:http2";

const { cert, key, ca, port = 0, streams = 100 } = JSON.parse(process.argv[2]);
const server = http2.createSecureServer({
  cert: readFileSync(cert),
  key: readFileSync(key),
  ca: ca && readFileSync(ca),
  requestCert: Boolean(ca),
  rejectUnauthorized: Boolean(ca),
  allowHTTP1: true,
  settings: { maxConcurrentStreams: streams },
});
const say = (what) => console.log(JSON.stringify(what));
const seen = { sessions: 0, open: 0, most: 0, tls: 0 };
server.on("secureConnection", () => seen.tls++);
server.on("session", (session) => {
  seen.sessions++;
  session.on("close", () => say({ session: "closed" }));
});
server.on("stream", (stream) => {
  seen.open++;
  seen.most = Math.max(seen.most, seen.open);
  stream.on("close", () => {
    seen.open--;
    say({ path: stream.sentPath, closed: stream.rstCode });
  });
});

const bytes = async (request) => {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  return Buffer.concat(pieces);
};

const json = (response, value) => {
  const text = JSON.stringify(value);
  response.setHeader("content-length", Buffer.byteLength(text));
  response.end(text);
};

const answers = {
  async echo(request, response) {
    const body = (await bytes(request)).toString("latin1");
    const { method, url: path, httpVersion: version, rawHeaders: headers } = request;
    json(response, { method, path, version, headers, body });
  },
  stats(request, response) {
    json(response, seen);
  },
  headers(request, response) {
    response.setHeader("set-cookie", ["a=1", "b=2"]);
    response.setHeader("x-twice", ["one", "two"]);
    response.setHeader("x-bytes", "caf\u00e9");
    response.end("ok");
  },
  async down(request, response, size) {
    response.setHeader("content-length", size);
    const piece = Buffer.alloc(64 << 10, "x");
    for (let left = Number(size); left > 0 && !response.destroyed; left -= piece.length) {
      const taken = response.write(left < piece.length ? piece.subarray(0, left) : piece);
      if (!taken) await Promise.race([once(response, "drain"), once(response, "close")]);
    }
    response.end();
  },
  async up(request, response) {
    let taken = 0;
    for await (const piece of request) taken += piece.length;
    response.setHeader("content-length", 5);
    response.end(taken ? "taken" : "empty");
  },
  duplex(request, response) {
    request.pipe(response);
  },
  early(request, response) {
    response.statusCode = 413;
    response.setHeader("content-length", 3);
    response.end("big");
  },
  events(request, response) {
    response.setHeader("content-type", "text/event-stream");
    response.write("data: first\n\n");
    say({ sent: request.url });
  },
  async endless(request, response) {
    response.setHeader("content-type", "text/event-stream");
    response.write("data: first\n\n");
    const piece = "data: x\n".repeat(512);
    while (!response.destroyed) {
      if (!response.write(piece)) await Promise.race([once(response, "drain"), once(response, "close")]);
    }
  },
  hang(request) {
    say({ hangs: request.url });
  },
  status(request, response, code, length) {
    response.statusCode = Number(code);
    if (length) response.setHeader("content-length", length);
    response.end();
  },
  hints(request, response) {
    response.writeEarlyHints({ link: "</a.css>; rel=preload" });
    response.end("ok");
  },
  trailers(request, response) {
    response.setHeader("trailer", "x-sum");
    response.write("ok");
    response.addTrailers({ "x-sum": "1" });
    response.end();
  },
  goaway(request, response) {
    response.end("ok");
    request.stream.session.close();
  },
};

server.on("request", (request, response) => {
  const [, , name, ...rest] = request.url.split(/[/?]/);
  if (request.stream) request.stream.sentPath = request.url;
  request.on("error", () => {});
  response.on("error", () => {});
  Promise.resolve((answers[name] ?? answers.echo)(request, response, ...rest)).catch(() => {});
});
server.on("upgrade", (request, socket) => {
  say({ upgrade: request.url, version: request.httpVersion });
  const lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade", "", ""];
  socket.write(lines.join("\r\n"));
  // One message, which says "hi".
  socket.write(Buffer.from([0x81, 2, 0x68, 0x69]));
  socket.on("error", () => {});
});
server.on("sessionError", () => {});
server.listen(port, "127.0.0.1", () => say({ port: server.address().port }));
// It ends with whoever has started it.
process.stdin.resume().on("end", () => process.exit());
