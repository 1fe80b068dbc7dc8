// A central system by ocpp-rpc in strict mode: whatever our simulated charging station says is checked against
// the published schemas, and so is what it answers. Prints one JSON object a line.
//
//     node centre.js ocpp1.6 | ocpp2.0.1
"use strict";
const { RPCServer } = require("ocpp-rpc");

const protocol = process.argv[2];
const say = (what) => process.stdout.write(JSON.stringify(what) + "\n");
const in201 = protocol === "ocpp2.0.1";
const soon = (s) => new Date(Date.now() + 1000 * s).toISOString();

const server = new RPCServer({ protocols: [protocol], strictMode: true, respondWithDetailedErrors: true });
server.auth((accept, reject, handshake) => {
  const password = handshake.password ? handshake.password.toString() : null;
  return password === "secret" ? accept({}) : reject(401, "who are you?");
});

const profile16 = (transactionId) => ({
  connectorId: 1,
  csChargingProfiles: {
    chargingProfileId: 7, stackLevel: 1, transactionId,
    chargingProfilePurpose: "TxProfile", chargingProfileKind: "Absolute", validTo: soon(600),
    chargingSchedule: {
      chargingRateUnit: "W", duration: 600, startSchedule: soon(-1),
      chargingSchedulePeriod: [{ startPeriod: 0, limit: 3000 }],
    },
  },
});
const profile201 = (transactionId) => ({
  evseId: 1,
  chargingProfile: {
    id: 7, stackLevel: 1, transactionId,
    chargingProfilePurpose: "TxProfile", chargingProfileKind: "Absolute", validTo: soon(600),
    chargingSchedule: [{
      id: 1, chargingRateUnit: "W", duration: 600, startSchedule: soon(-1),
      chargingSchedulePeriod: [{ startPeriod: 0, limit: 3000 }],
    }],
  },
});

async function ask(client, transactionId) {
  const call = async (action, payload) => {
    try {
      say({ asked: action, answer: await client.call(action, payload) });
    } catch (error) {
      say({ asked: action, error: error.message });
    }
  };
  await call("SetChargingProfile", in201 ? profile201(transactionId) : profile16(Number(transactionId)));
  await call("GetCompositeSchedule", in201
    ? { evseId: 1, duration: 900, chargingRateUnit: "W" }
    : { connectorId: 1, duration: 900, chargingRateUnit: "W" });
  await call(...(in201
    ? ["SetVariables", { setVariableData: [{ attributeValue: "5", component: { name: "SampledDataCtrlr" }, variable: { name: "TxUpdatedInterval" } }] }]
    : ["ChangeConfiguration", { key: "MeterValueSampleInterval", value: "5" }]));
  await call(...(in201
    ? ["GetVariables", { getVariableData: [{ component: { name: "Moon" }, variable: { name: "Phase" } }] }]
    : ["GetConfiguration", { key: ["MeterValueSampleInterval", "Moon"] }]));
  await call("TriggerMessage", { requestedMessage: "Heartbeat" });
  await call("ClearChargingProfile", in201 ? { chargingProfileId: 7 } : { id: 7 });
  await call("ClearChargingProfile", in201 ? { chargingProfileId: 7 } : { id: 7 });
  await call("UnlockConnector", in201 ? { evseId: 1, connectorId: 1 } : { connectorId: 1 });
}

server.on("client", (client) => {
  client.on("strictValidationFailure", (event) => say({ invalid: event.error.message, details: event.error.details }));
  client.on("badMessage", (event) => say({ bad: event.error.message }));
  const now = () => ({ currentTime: new Date().toISOString() });
  client.handle("BootNotification", ({ params }) => {
    say({ said: "BootNotification", params });
    return { status: "Accepted", interval: 300, ...now() };
  });
  client.handle("Heartbeat", ({ params }) => (say({ said: "Heartbeat", params }), now()));
  for (const action of ["StatusNotification", "MeterValues"]) {
    client.handle(action, ({ params }) => (say({ said: action, params }), {}));
  }
  client.handle("StartTransaction", ({ params }) => {
    say({ said: "StartTransaction", params });
    setTimeout(() => ask(client, "42"), 50);
    return { transactionId: 42, idTagInfo: { status: "Accepted" } };
  });
  client.handle("StopTransaction", ({ params }) => (say({ said: "StopTransaction", params }), {}));
  client.handle("TransactionEvent", ({ params }) => {
    say({ said: "TransactionEvent", params });
    if (params.eventType === "Started") setTimeout(() => ask(client, params.transactionInfo.transactionId), 50);
    return {};
  });
});

server.listen(0, "127.0.0.1").then((http) => say({ port: http.address().port }));
process.stdin.on("end", () => process.exit(0));
process.stdin.resume();
