// explorer/static/verify.js against the golden vectors that the Python verifiers read too. `node --test` runs it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { BadProof, ENUMS, EVENTS, keccak256, signature, verify } from "../../../explorer/static/verify.js";

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

test("the events are the protocol's", () => {
  const events = EVENTS.map((kind) => ({ signature: signature(kind), indexed: kind.indexed, fields: kind.fields }));
  assert.deepEqual({ events, enums: ENUMS }, json("proofs.events.json"));
});
