// The one module that speaks with the service: reads, writes, and the stream of what happens.

/** The service said no, or could not be reached (`code` "no_connection", `status` 0). */
export class Refused extends Error {
  constructor({ code, detail, fix, status, errors }) {
    super(detail);
    Object.assign(this, { code, detail, fix: fix ?? "", status, errors: errors ?? [] });
  }
}

/** JSON of a GET. An answer that is up to a second old will do: pages that ask at once share one. */
export function read(path) {
  return ask(path, { headers: { Accept: "application/json", "Cache-Control": "max-stale=1" } });
}

/** JSON of a POST, PUT or DELETE. Throws `Refused`. */
export function send(method, path, body) {
  const request = { method, headers: { Accept: "application/json" } };
  if (body !== undefined) {
    request.headers["Content-Type"] = "application/json";
    request.body = JSON.stringify(body);
  }
  return ask(path, request);
}

async function ask(path, request) {
  let response;
  try {
    response = await fetch(path, request);
  } catch (error) {
    throw new Refused({ code: "no_connection", detail: String(error), status: 0 });
  }
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  throw new Refused({ detail: `${path}: ${response.status}`, code: "internal", ...answer, status: response.status });
}

const listeners = new Set();
const watchers = new Set();
let stream = null;
let line = "connecting";

/**
 * Call `callback(event)` for each event of these kinds (a list, or "all") from now on; gives the function
 * that ends it. All views share one stream. After a broken line the browser asks for what was missed.
 */
export function live(kinds, callback) {
  const one = { wants: kinds === "all" ? () => true : (kind) => kinds.includes(kind), callback };
  listeners.add(one);
  if (!stream) listen();
  return () => listeners.delete(one);
}

/** Call `callback("connecting" | "live" | "broken")` now and at each change; gives the function that ends it. */
export function watchLine(callback) {
  watchers.add(callback);
  callback(line);
  return () => watchers.delete(callback);
}

function listen() {
  stream?.close();
  stream = new EventSource("/v1/events");
  stream.onopen = () => setLine("live");
  stream.onerror = () => {
    setLine("broken");
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 3000);
  };
  stream.onmessage = (message) => {
    const event = JSON.parse(message.data);
    for (const one of [...listeners]) if (one.wants(event.kind)) one.callback(event);
  };
}

// A tab that nobody looks at gives its line back: a browser has six for one host, all its tabs together.
const HIDDEN_MS = 10000;
let hiding = null;
document.addEventListener("visibilitychange", () => {
  clearTimeout(hiding);
  if (!stream) return;
  if (document.hidden) {
    hiding = setTimeout(() => {
      stream.close();
      setLine("connecting");
    }, HIDDEN_MS);
  } else if (stream.readyState === EventSource.CLOSED) listen();
});

function setLine(state) {
  if (state === line) return;
  line = state;
  for (const callback of [...watchers]) callback(line);
}

/**
 * A function that runs `work` at most once in `ms` and never twice at a time, and once more where it was
 * asked meanwhile. `failed(error)` gets what it throws.
 */
export function paced(ms, work, failed) {
  let asked = false;
  let busy = false;
  async function turn() {
    busy = true;
    asked = false;
    try {
      await work();
    } catch (error) {
      failed(error);
    }
    setTimeout(() => {
      busy = false;
      if (asked) turn();
    }, ms);
  }
  return () => {
    asked = true;
    if (!busy) turn();
  };
}
