// A charging station by ocpp-rpc in strict mode: whatever our central system says and answers is checked against
// the published schemas. Prints one JSON object a line.
//
//     node station.js ENDPOINT IDENTITY PASSWORD ocpp1.6 | ocpp2.0.1
//
// It boots and begins a transaction; then it does what its input says, a line each:
//
//     meter W | keep W       tells that so much is drawn, now or when the line is back
//     pass MS                puts its clock forward
//     drop | back            ends the line; connects again and tells what it kept
//     nonsense | end         broken frames; the car leaves
"use strict";
const { RPCClient, createRPCError } = require("ocpp-rpc");

const [endpoint, identity, password, protocol] = process.argv.slice(2);
const in201 = protocol === "ocpp2.0.1";
const say = (what) => process.stdout.write(JSON.stringify(what) + "\n");
let shift = 0;
const now = () => Date.now() + shift;
const iso = (at) => new Date(at).toISOString();
let limitW = null;
let registerWh = 1000;
let transaction = in201 ? "tx-1" : null;
let seqNo = 0;

const client = new RPCClient({
  endpoint, identity, password, protocols: [protocol], strictMode: true, reconnect: true,
  backoff: { initialDelay: 20, maxDelay: 100 },
});
client.on("strictValidationFailure", (event) => say({ invalid: event.error.message, details: event.error.details }));
client.on("badMessage", (event) => say({ bad: event.error.message }));

client.handle("SetChargingProfile", ({ params }) => {
  const profile = in201 ? params.chargingProfile : params.csChargingProfiles;
  const schedule = in201 ? profile.chargingSchedule[0] : profile.chargingSchedule;
  if (profile.chargingProfilePurpose === "TxProfile") limitW = schedule.chargingSchedulePeriod[0].limit;
  say({ asked: "SetChargingProfile", purpose: profile.chargingProfilePurpose, unit: schedule.chargingRateUnit,
        limit: schedule.chargingSchedulePeriod[0].limit, until: profile.validTo, transaction: profile.transactionId });
  return { status: "Accepted" };
});
client.handle("ClearChargingProfile", () => {
  const had = limitW !== null;
  limitW = null;
  say({ asked: "ClearChargingProfile" });
  return { status: had ? "Accepted" : "Unknown" };
});
client.handle("GetCompositeSchedule", ({ params }) => {
  const [start, periods] = [iso(now()), [{ startPeriod: 0, limit: limitW ?? 7000 }]];
  return in201
    ? { status: "Accepted", schedule: { evseId: params.evseId, duration: params.duration, scheduleStart: start,
        chargingRateUnit: "W", chargingSchedulePeriod: periods } }
    : { status: "Accepted", connectorId: params.connectorId, scheduleStart: start,
        chargingSchedule: { duration: params.duration, chargingRateUnit: "W", chargingSchedulePeriod: periods } };
});
client.handle("ChangeConfiguration", ({ params }) => (say({ asked: "ChangeConfiguration", params }), { status: "Accepted" }));
client.handle("SetVariables", ({ params }) => (say({ asked: "SetVariables", params }), {
  setVariableResult: params.setVariableData.map(({ component, variable }) => ({ attributeStatus: "Accepted", component, variable })),
}));
client.handle("TriggerMessage", ({ params }) => (say({ asked: "TriggerMessage", params }), { status: "NotImplemented" }));
client.handle(({ method }) => { say({ asked: method }); throw createRPCError("NotImplemented"); });

const meter16 = (at, powerW) => ({ timestamp: iso(at), sampledValue: [
  { value: String(registerWh), measurand: "Energy.Active.Import.Register", unit: "Wh" },
  { value: powerW.toFixed(1), measurand: "Power.Active.Import", unit: "W" },
] });
const meter201 = (at, powerW) => ({ timestamp: iso(at), sampledValue: [
  { value: registerWh, measurand: "Energy.Active.Import.Register", unitOfMeasure: { unit: "Wh" } },
  { value: powerW, measurand: "Power.Active.Import", unitOfMeasure: { unit: "W" } },
] });
const event = (eventType, triggerReason, at, powerW, offline) => ({
  eventType, triggerReason, timestamp: iso(at), seqNo: seqNo++, offline,
  transactionInfo: { transactionId: transaction, chargingState: powerW > 0 ? "Charging" : "SuspendedEVSE" },
  evse: { id: 1, connectorId: 1 }, meterValue: [meter201(at, powerW)],
  ...(eventType === "Started" ? { idToken: { idToken: "card-1", type: "ISO14443" } } : {}),
});
const metered = (at, powerW, offline = false) => in201
  ? ["TransactionEvent", event("Updated", "MeterValuePeriodic", at, powerW, offline)]
  : ["MeterValues", { connectorId: 1, transactionId: transaction, meterValue: [meter16(at, powerW)] }];

async function main() {
  const kept = [];
  await client.connect();
  const boot = await client.call("BootNotification", in201
    ? { reason: "PowerUp", chargingStation: { vendorName: "stranger", model: "rpc" } }
    : { chargePointVendor: "stranger", chargePointModel: "rpc" });
  say({ booted: boot.status, interval: boot.interval });
  await client.call("Heartbeat", {});
  await client.call("StatusNotification", in201
    ? { timestamp: iso(now()), connectorStatus: "Occupied", evseId: 1, connectorId: 1 }
    : { connectorId: 1, errorCode: "NoError", status: "Charging", timestamp: iso(now()) });
  if (in201) {
    await client.call("TransactionEvent", event("Started", "CablePluggedIn", now(), 7000, false));
  } else {
    const begun = await client.call("StartTransaction", { connectorId: 1, idTag: "card-1", meterStart: registerWh, timestamp: iso(now()) });
    transaction = begun.transactionId;
  }
  say({ began: transaction });
  const lines = require("readline").createInterface({ input: process.stdin });
  for await (const line of lines) {
    const [verb, ...rest] = line.split(" ");
    if (verb === "meter") {
      await client.call(...metered(now(), Number(rest[0])));
    } else if (verb === "keep") {
      kept.push(metered(now(), Number(rest[0]), true));
    } else if (verb === "pass") {
      shift += Number(rest[0]);
    } else if (verb === "drop") {
      await client.close({ code: 1001, reason: "line lost", awaitPending: false });
      say({ dropped: true });
    } else if (verb === "back") {
      await client.connect();
      while (kept.length) await client.call(...kept.shift());
      say({ back: true });
    } else if (verb === "nonsense") { // strict mode would not let it out: it goes as it stands
      client.sendRaw("[2, \"x\"");
      client.sendRaw("[2, \"x\", \"Heartbeat\", []]");
      await client.call("Heartbeat", {});
      say({ heard: true });
    } else if (verb === "end") {
      if (in201) await client.call("TransactionEvent", event("Ended", "EVDeparted", now(), 0, false));
      else await client.call("StopTransaction", { transactionId: transaction, meterStop: registerWh, timestamp: iso(now()) });
      say({ ended: true });
    }
  }
  await client.close();
}

main().catch((error) => { say({ error: error.message, code: error.code ?? null }); process.exit(1); });
