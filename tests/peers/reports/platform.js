// A platform in another language: takes reports, holds each against our published schema with Ajv, and says what it saw.
// node platform.js SCHEMA.json    stdout: one JSON object a line, the first {port}
"use strict";
const { createServer } = require("node:http");
const { readFileSync } = require("node:fs");
const Ajv = require("ajv/dist/2020").default;
const addFormats = require("ajv-formats").default;

// `discriminator` is OpenAPI's word beside `oneOf`: it adds nothing that Ajv would have to know.
const ajv = new Ajv({ allErrors: true, strict: true });
addFormats(ajv);
ajv.addVocabulary(["discriminator"]);
const validate = ajv.compile(JSON.parse(readFileSync(process.argv[2], "utf8")));
const kept = new Map();
let asked = 0;

function answer(request, text) {
  const report = JSON.parse(text);
  const key = request.headers["idempotency-key"];
  const faults = validate(report) ? [] : validate.errors.map((one) => `${one.instancePath} ${one.message}`);
  if (request.url !== `/vpp/${report.kind}`) faults.push(`came to ${request.url}`);
  if (key !== report.report_id) faults.push(`has the key ${key}`);
  if (faults.length) return [422, report, faults];
  if (!kept.has(key)) {
    kept.set(key, text);
    return [202, report, faults];
  }
  return kept.get(key) === text ? [409, report, faults] : [422, report, ["is not what came first"]];
}

const server = createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    asked += 1;
    const text = Buffer.concat(parts).toString("utf8");
    // The first one finds us busy: it must come again.
    const [status, report, faults] = asked === 1 ? [503, { kind: "point" }, []] : answer(request, text);
    const sum = (report.members || []).reduce((all, one) => all + Math.round(1000 * (one.power_kw.value ?? 0)), 0);
    const watts = report.power_kw ? Math.round(1000 * report.power_kw.value) : null;
    console.log(JSON.stringify({ status, kind: report.kind, id: report.report_id ?? null, faults, watts, sum }));
    response.writeHead(status).end();
  });
});
server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ port: server.address().port })));
process.stdin.on("end", () => process.exit(0)).resume();
