// The frame around the views: which one is open, the strip that every view needs, and the stop button.

import { live, paced, read, send, watchLine } from "./client.js";
import { confirm, refusal } from "./dialog.js";
import { fill, h, say } from "./dom.js";
import { setPark, when } from "./format.js";
import { said } from "./said.js";
import { LANGUAGES, addWords, language, setLanguage, t, term } from "./words.js";
import shellWords from "./words/shell.js";

/**
 * In the order of the navigation. Each has `words/NAME.js`, and `views/NAME.js` with
 * `export default { title: "name.title", style: "name" (where it has css/NAME.css), mount(root, context) }`;
 * `mount` may give a function that is called when the view is left.
 */
const VIEWS = ["overview", "park", "plan", "market", "accounts", "strategies", "desk", "member"];
const LOOK = { normal: "good", no_new_bids: "warn", hold: "warn", release: "warn", killed: "bad" };

const at = (id) => document.getElementById(id);
const view = at("view");
let park = null;
let heard = null; // {at: the park's time as it was told last, ours: when that was, speed: of its clock by ours}
let anew = true; // the next telling is that of a service that may have another clock
let lines = 1; // each line that is begun after a broken one may be another service's
let leave = () => {};
let opening = 0;

/**
 * The park's own time in ms: what was told last, and what has gone by since at the speed of its clock (a
 * simulated day is faster than ours). It goes on where nothing is heard: what is shown must grow old then.
 */
const now = () => heard.at + (performance.now() - heard.ours) * heard.speed;

function hear(moment) {
  const at = Date.parse(moment);
  const ours = performance.now();
  const gone = heard ? ours - heard.ours : 0;
  // Two tellings in one breath say nothing of the speed.
  const speed = gone > 200 && at > heard.at ? (at - heard.at) / gone : (heard?.speed ?? 1);
  // What was asked for before may be told after: the clock does not go back, but for a service begun anew.
  heard = { at: anew ? at : Math.max(at, heard?.at ?? 0), ours, speed: anew ? 1 : speed };
  anew = false;
}

async function open() {
  const [name, ...params] = (location.hash.replace(/^#\/?/, "") || VIEWS[0]).split("/").map(decoded);
  const mine = (opening += 1);
  leave();
  leave = () => {};
  const known = VIEWS.includes(name) ? name : VIEWS[0];
  try {
    const [module, words] = await Promise.all([import(`./views/${known}.js`), import(`./words/${known}.js`)]);
    if (mine !== opening) return;
    addWords(words.default);
    if (module.default.style) await styled(module.default.style);
    if (mine !== opening) return;
    show(known, module.default, params);
  } catch (error) {
    console.error(error);
    if (mine === opening) fill(view, h("p", { class: "fault", role: "alert" }, t("shell.no_view", { name: known })));
  }
}

// What somebody typed into the address need not be a code.
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

// A view with looks of its own names `css/NAME.css`, which is fetched once.
function styled(name) {
  const href = `/static/css/${name}.css`;
  if (document.querySelector(`link[href="${href}"]`)) return null;
  return new Promise((resolve, reject) => {
    document.head.append(h("link", { rel: "stylesheet", href, on: { load: resolve, error: () => reject(new Error(`${href} cannot be read`)) } }));
  });
}

function show(name, module, params) {
  const title = t(module.title);
  document.title = `${title} · ${park.name}`;
  for (const link of at("nav").querySelectorAll("a")) {
    if (link.dataset.view === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  at("nav").querySelector("[aria-current]").scrollIntoView({ block: "nearest", inline: "nearest" }); // a phone has them in one row
  const fault = h("p", { class: "fault", role: "status", hidden: true });
  const root = h("div", { class: `view view-${name}` });
  fill(view, h("h2", { class: "title", tabindex: "-1" }, title), fault, root);
  const ended = [];
  const failed = (error) => {
    say(fault, refusal(error));
    fault.hidden = false;
  };
  const context = {
    park,
    params,
    now,
    failed,
    /** Run `work` now, and again after events of these kinds: at most once in `ms`, never twice at a time. */
    follow(kinds, ms, work) {
      let over = false;
      const again = paced(ms, async () => {
        if (over) return;
        await work();
        fault.hidden = true;
      }, (error) => over || failed(error));
      ended.push(live(kinds, again), watchLine((state) => state === "live" && again()), () => (over = true));
      again();
      return again;
    },
    /** Run `work` every `ms` while the view is open: for what grows old though nothing happens. */
    every(ms, work) {
      const timer = setInterval(work, ms);
      ended.push(() => clearInterval(timer));
    },
    /** Call `callback(event)` for each event of these kinds while the view is open. */
    live: (kinds, callback) => ended.push(live(kinds, callback)),
  };
  const unmount = module.mount(root, context);
  leave = () => {
    ended.forEach((end) => end());
    unmount?.();
  };
}

function frame() {
  document.documentElement.lang = language() === "zh" ? "zh-CN" : "en";
  setPark(park);
  at("park").textContent = park.name;
  fill(at("nav"), VIEWS.map((name) => h("a", { href: `#/${name}`, data: { view: name } }, t(`shell.nav_${name}`))));
  at("nav").setAttribute("aria-label", t("shell.nav"));
  fill(at("stop"), t("shell.stop"));
  at("skip").textContent = t("shell.skip");
  fill(at("language"), language() === "zh" ? LANGUAGES.en : LANGUAGES.zh);
  at("language").lang = language() === "zh" ? "en" : "zh-CN";
  at("api").textContent = t("shell.api");
  strip({ safe_state: park.safe_state, at: park.now });
}

/** The strip: time and rung of the ladder, as the newest tick told them. */
function strip({ safe_state: state, at: moment }) {
  hear(moment);
  at("clock").textContent = when(moment, "full");
  const badge = at("state");
  say(badge, term("shell.state", state));
  badge.className = `badge ${LOOK[state] ?? "warn"}`;
}

const reasons = paced(1000, async () => {
  const asked = lines;
  const found = await read("/v1/status");
  if (asked !== lines) return; // the service behind the line that broke said it, and a new one is asked
  park = found;
  strip({ safe_state: park.safe_state, at: park.now });
  const why = [];
  if (park.safe_state !== "normal") why.push(`${term("shell.state", park.safe_state)}: ${said(park.safe_state_reason)}`);
  if (!park.broker_connected) why.push(t("shell.broker_away", { since: when(park.broker_since) }));
  say(at("why"), why.join(" · "));
  at("why").hidden = why.length === 0;
}, (error) => console.warn(String(error)));

function stopAll() {
  return confirm({
    title: t("shell.stop_title"), text: t("shell.stop_text"), action: t("shell.stop"), danger: true,
    act: ({ by, reason }) => send("POST", "/v1/kill", { killed: true, by, reason }),
  }).then((done) => done && reasons());
}

async function start() {
  addWords(shellWords);
  try {
    park = await read("/v1/status");
  } catch (error) {
    fill(view, h("p", { class: "fault", role: "alert" }, refusal(error)));
    setTimeout(start, 3000);
    return;
  }
  frame();
  at("stop").addEventListener("click", stopAll);
  at("skip").addEventListener("click", (event) => {
    event.preventDefault(); // the address names the view that is open
    view.querySelector("h2")?.focus();
  });
  at("language").addEventListener("click", () => {
    setLanguage(language() === "zh" ? "en" : "zh");
    frame();
    open();
  });
  addEventListener("hashchange", () => open().then(() => view.querySelector("h2")?.focus()));
  await open();
  let rung = park.safe_state;
  live(["tick"], (event) => {
    strip({ safe_state: event.data.safe_state, at: event.at });
    if (event.data.safe_state !== rung) reasons();
    rung = event.data.safe_state;
  });
  live(["safe_state", "broker", "kill", "link"], reasons);
  let broken = false;
  watchLine((state) => {
    say(at("line"), t(`shell.line_${state}`));
    at("line").className = `badge ${{ live: "good", broken: "bad" }[state] ?? ""}`;
    document.body.classList.toggle("lost", state === "broken");
    say(at("lost"), state === "broken" ? t("shell.lost", { time: when(now(), "second") }) : "");
    at("lost").hidden = state !== "broken";
    broken ||= state === "broken";
    if (state !== "live") return;
    if (broken) {
      lines += 1;
      anew = true;
    }
    broken = false;
    reasons();
  });
}

start();
