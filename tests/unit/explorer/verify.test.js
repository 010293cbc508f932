// explorer/static/verify.js against the golden vectors that the Python verifiers read too. `node --test` runs it.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import test from "node:test";

import { BadProof, ENUMS, EVENTS, keccak256, replay, signature, verify } from "../../../explorer/static/verify.js";

const folder = new URL("../../vectors/", import.meta.url);
const read = (name) => new Uint8Array(readFileSync(new URL(name, folder)));
const json = (name) => JSON.parse(readFileSync(new URL(name, folder), "utf8"));
const expected = json("proofs.expected.json");
const refused = json("proofs.refused.json");
const readerOf = (name) => ({ trusted: expected[name].anchors, ledger: expected[name].ledger });
const hex = (data) => Buffer.from(data).toString("hex");

function stepOf(data, name) {
  try {
    verify(data, readerOf(name));
  } catch (error) {
    assert.ok(error instanceof BadProof, `${error.stack}`);
    return error.step;
  }
  assert.fail("it passes");
}

function flipped(data, index, mask) {
  const altered = Uint8Array.from(data);
  altered[index] ^= mask;
  return altered;
}

test("keccak256 is the EVM's", () => {
  assert.equal(hex(keccak256(new Uint8Array(0))), "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");
  for (const { digest, size } of json("keccak.json")) {
    assert.equal(hex(keccak256(Uint8Array.from({ length: size }, (_, index) => (index * 7) % 256))), digest);
  }
});

for (const name of Object.keys(expected)) {
  test(`${name} proves what the vectors say`, () => {
    const { trusted, anchors, facts } = verify(read(name), readerOf(name));
    assert.equal(trusted, true);
    assert.deepEqual(facts, expected[name].facts);
    assert.deepEqual(anchors.map(({ hash }) => hash), expected[name].anchors);
    assert.equal(verify(read(name), { ledger: expected[name].ledger }).trusted, false);
  });

  test(`${name} fails with any flipped byte`, () => {
    const data = read(name);
    for (let index = 0; index < data.length; index++) assert.ok(stepOf(flipped(data, index, [1, 32, 128][index % 3]), name));
  });

  test(`${name} fails at the steps that the vectors say`, () => {
    for (const [index, mask, step] of refused.flips[name]) {
      assert.equal(stepOf(flipped(read(name), index, mask), name), step, `byte ${index} with ${mask}`);
    }
  });
}

test("edited files fail at the steps that the vectors say", () => {
  for (const { of, find, put, step } of refused.edits) {
    const text = Buffer.from(read(of)).toString().replace(find, () => put);
    assert.equal(stepOf(new TextEncoder().encode(text), of), step, `${find} → ${put.slice(0, 40)}`);
  }
});

test("what is no bundle is refused as a file", () => {
  for (const text of refused.files) assert.equal(stepOf(new TextEncoder().encode(text), "proof.json"), "file");
  assert.equal(stepOf(new Uint8Array(33 * 1024 * 1024).fill(0x39), "proof.json"), "file");
});

test("an absence needs a reader who says of what", () => {
  const { anchors } = expected["proof-absence.json"];
  assert.throws(() => verify(read("proof-absence.json"), { trusted: anchors }), { step: "ledger" });
});

const factsOf = (name) => verify(read(name), readerOf(name)).facts;

for (const [name, count] of [["proof-history", 11], ["proof-range", 8]]) {
  test(`${name}: the exported events are exactly those of the head, however the bytes come`, async () => {
    const data = read(`${name}.ndjson`);
    for (const size of [1, 100, data.length]) {
      const chunks = Array.from({ length: Math.ceil(data.length / size) }, (_, at) => data.subarray(at * size, (at + 1) * size));
      assert.equal(await replay(factsOf(`${name}.json`), chunks), count);
    }
  });

  test(`${name}: every flipped byte of the exported events fails`, async () => {
    const data = read(`${name}.ndjson`);
    const facts = factsOf(`${name}.json`);
    for (let index = 0; index < data.length; index++) {
      await assert.rejects(replay(facts, [flipped(data, index, 1)]), { step: "events" });
    }
  });
}

// The list with numbers and last line made to fit, as a liar would.
function retold(events, trailer) {
  const lines = events.map((event, index) => `${JSON.stringify({ ...event, seq: index + 1 })}\n`).join("");
  const sha256 = `0x${createHash("sha256").update(lines).digest("hex")}`;
  return [new TextEncoder().encode(`${lines}${JSON.stringify({ ...trailer, count: events.length, sha256 })}\n`)];
}

test("a consistent list that is not the history fails", async () => {
  const lines = Buffer.from(read("proof-history.ndjson")).toString().trim().split("\n").map((line) => JSON.parse(line));
  const [events, trailer] = [lines.slice(0, -1), lines.at(-1)];
  const facts = factsOf("proof-history.json");
  assert.equal(await replay(facts, retold(events, trailer)), 11);
  const moved = { ...events[0], topics: events[0].topics.slice(0, -1), data: events[0].topics.at(-1) + events[0].data.slice(2) };
  const lies = {
    "an event is missing": [...events.slice(0, 4), ...events.slice(5)],
    "an event is told twice": [...events.slice(0, 4), ...events.slice(3)],
    "two events change places": [events[1], events[0], ...events.slice(2)],
    "another time": [{ ...events[0], time: events[0].time + 1 }, ...events.slice(1)],
    "a topic moved into the data": [moved, ...events.slice(1)],
    "no event": [],
  };
  for (const [lie, told] of Object.entries(lies)) {
    await assert.rejects(replay(facts, retold(told, trailer)), { step: "events" }, lie);
  }
  const whole = read("proof-history.ndjson");
  for (const cut of [[whole.subarray(0, -1)], [], [new Uint8Array(9000).fill(120)], [whole, whole]]) {
    await assert.rejects(replay(facts, cut), { step: "events" });
  }
  await assert.rejects(replay(factsOf("proof-lease.json"), [whole]), { step: "events" });
});

test("the events are the protocol's", () => {
  const events = EVENTS.map((kind) => ({ signature: signature(kind), indexed: kind.indexed, fields: kind.fields }));
  assert.deepEqual({ events, enums: ENUMS }, json("proofs.events.json"));
});
