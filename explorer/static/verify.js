// Checks a Gridlease proof bundle (SPEC "Proofs") in a browser or in Node 20, without any dependency and without asking
// anybody. The same golden vectors hold it to protocol/bundle in Python: same facts, same failing steps.
//
//   import { verify } from "./verify.js";
//   const { facts } = verify(bytes, { trusted: ["0x… block hash"], ledger: "0x…" });    // throws BadProof with .step
//   await replay(facts, chunks);    // a history's facts, and the exported events as an (async) iterable of bytes
//
// What a bundle says is either bound by its path to the block hash or refused, so a file with any other byte fails.

const VERSION = 1;
const LARGEST_BYTES = 32 * 1024 * 1024;
const DEEPEST_JSON = 16;
const DEEPEST_RLP = 16;

/** A bundle fails at a named step. */
export class BadProof extends Error {
  constructor(step, fact) {
    super(`proof fails at ${step}: ${fact}`);
    this.step = step;
  }
}

/**
 * What a bundle proves, given the hashes of blocks that are known to be of the chain.
 *
 * @param {Uint8Array} data the file
 * @param {{trusted?: string[], ledger?: string}} reader 0x hex; without `trusted` it proves only "if these blocks are of
 * the chain"; an absence needs `ledger`, the contract that the reader means
 * @returns {{trusted: boolean, anchors: {number: number, hash: string}[], facts: object}}
 */
export function verify(data, { trusted = [], ledger = null } = {}) {
  const known = trusted.map((hash) => hash.toLowerCase());
  const content = load(data);
  const check = typeof content.kind === "string" ? CHECKS.get(content.kind) : undefined;
  if (!check) throw new BadProof("file", `kind must be one of ${[...CHECKS.keys()].join(", ")}`);
  const { anchors, facts } = check(content, known);
  if (ledger === null && content.kind === "absence") {
    throw new BadProof("ledger", `say which ledger you mean: the file is about ${facts.ledger}`);
  }
  if (ledger !== null && ledger.toLowerCase() !== facts.ledger) {
    throw new BadProof("ledger", `expected ${ledger}, found ${facts.ledger}`);
  }
  return { trusted: known.length > 0, anchors, facts };
}

const CHECKS = new Map([
  ["event", checkEvent],
  ["lease", checkLease],
  ["absence", checkAbsence],
  ["history", checkHistory],
]);

// The file: JSON with one spelling (RFC 8785, printable ASCII, lower-case hex)

function load(data) {
  if (data.length > LARGEST_BYTES) throw new BadProof("file", `more than ${LARGEST_BYTES} bytes`);
  const content = parseJson(data, "file");
  if (!isObject(content) || content.v !== VERSION) throw new BadProof("file", `not a bundle of version ${VERSION}`);
  return content;
}

function parseJson(data, step) {
  if (data.some((byte) => byte < 0x20 || byte > 0x7e || byte === 0x5c)) {
    throw new BadProof(step, "a byte that is not printable ASCII, or an escape");
  }
  const text = new TextDecoder().decode(data);
  let content;
  try {
    content = JSON.parse(text);
  } catch (error) {
    throw new BadProof(step, `not JSON: ${error.message.slice(0, 80)}`);
  }
  if (canonical(content, step) !== text) {
    throw new BadProof(step, "not in canonical form (RFC 8785): the same content has one spelling only");
  }
  return content;
}

function canonical(value, step, depth = 0) {
  if (depth > DEEPEST_JSON) throw new BadProof(step, `nested deeper than ${DEEPEST_JSON}`);
  if (typeof value === "number" && !Number.isSafeInteger(value)) throw new BadProof(step, `the number ${value}`);
  if (Array.isArray(value)) return `[${value.map((item) => canonical(item, step, depth + 1)).join(",")}]`;
  if (!isObject(value)) return JSON.stringify(value);
  const names = Object.keys(value).sort();
  return `{${names.map((name) => `${JSON.stringify(name)}:${canonical(value[name], step, depth + 1)}`).join(",")}}`;
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function has(value, names) {
  return isObject(value) && Object.keys(value).sort().join() === [...names].sort().join();
}

function members(value, names, what) {
  if (!has(value, names)) {
    throw new BadProof("file", `${what} must have exactly the members ${[...names].sort().join(", ")}`);
  }
  return value;
}

function wholeNumber(value, what) {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new BadProof("file", `${what} must be an integer from 0 to 2^53 - 1`);
  }
  return value;
}

function list(value, what) {
  if (!Array.isArray(value)) throw new BadProof("file", `${what} must be a list`);
  return value;
}

function hex(value, size, what, step = "file") {
  const fits = typeof value === "string" && /^0x([0-9a-f]{2})*$/.test(value);
  if (!fits || (size !== null && value.length !== 2 + 2 * size)) {
    throw new BadProof(step, `${what}: expected lower-case 0x hex${size === null ? "" : ` of ${size} bytes`}`);
  }
  const data = new Uint8Array((value.length - 2) / 2);
  for (let index = 0; index < data.length; index++) data[index] = parseInt(value.slice(2 + 2 * index, 4 + 2 * index), 16);
  return data;
}

function hexList(value, what) {
  return list(value, what).map((item) => hex(item, null, what));
}

function same(proved, stated, step) {
  if (canonical(proved, step) !== canonical(stated, step)) throw new BadProof(step, `proved is ${canonical(proved, step)}`);
}

// Blocks

function readBlock(value) {
  const block = members(value, ["number", "hash", "header"], "block");
  wholeNumber(block.number, "block number");
  hex(block.hash, 32, "block hash");
  return { stated: block.hash, number: block.number, encoded: hex(block.header, null, "header") };
}

function checkAnchor(stated, trusted) {
  if (trusted.length && !trusted.includes(stated)) {
    throw new BadProof("anchor", `it is about block ${stated}, trusted is ${trusted.join(", ")}`);
  }
}

function checkHeader({ stated, number, encoded }) {
  const found = toHex(keccak256(encoded));
  if (found !== stated) throw new BadProof("header", `it hashes to ${found}, not to ${stated}`);
  const fields = decodeList(encoded);
  if (fields.length < 15 || fields.length > 21) throw new BadProof("header", `${fields.length} fields`);
  const header = {
    hash: found,
    parent: toHex(bytesOf(fields[0], 32)),
    stateRoot: toHex(bytesOf(fields[3], 32)),
    receiptsRoot: toHex(bytesOf(fields[5], 32)),
    bloom: bytesOf(fields[6], 256),
    number: integerOf(fields[8]),
    time: integerOf(fields[11]),
  };
  if (header.number !== number) throw new BadProof("header", `it is of block ${header.number}, not ${number}`);
  return header;
}

function blockFacts(header) {
  return { number: header.number, hash: header.hash, time: header.time };
}

function anchorOf(header) {
  return { number: header.number, hash: header.hash };
}

function bloomMayHold(bloom, value) {
  const digest = keccak256(value);
  return [0, 2, 4].every((start) => {
    const bit = ((digest[start] << 8) | digest[start + 1]) & 2047;
    return (bloom[255 - (bit >> 3)] >> (bit & 7)) & 1;
  });
}

// Kind event: one ledger event is in a block

function checkEvent(content, trusted) {
  members(content, ["v", "kind", "block", "receipt", "log", "ledger", "event"], "file");
  const block = readBlock(content.block);
  const receipt = members(content.receipt, ["index", "nodes"], "receipt");
  const { position } = members(content.log, ["position"], "log");
  wholeNumber(receipt.index, "receipt index");
  wholeNumber(position, "log position");
  const nodes = hexList(receipt.nodes, "node");
  hex(content.ledger, 20, "ledger");
  checkAnchor(block.stated, trusted);
  const header = checkHeader(block);
  const encoded = walkOne(header.receiptsRoot, encodeString(minimal(receipt.index)), nodes);
  if (encoded === null) throw new BadProof("path", `block ${header.number} has no transaction ${receipt.index}`);
  const logs = logsOf(encoded);
  if (position >= logs.length) throw new BadProof("log", `the transaction receipt has ${logs.length} logs`);
  const log = logs[position];
  if (toHex(log.address) !== content.ledger) throw new BadProof("log", `it is of contract ${toHex(log.address)}`);
  const event = decodeEvent(log.topics, log.data);
  same(event, content.event, "event");
  return {
    anchors: [anchorOf(header)],
    facts: {
      kind: "event",
      ledger: content.ledger,
      block_hash: header.hash,
      block_number: header.number,
      block_time: header.time,
      tx_index: receipt.index,
      event,
    },
  };
}

// A deposit on an OP stack chain, whose receipt has two numbers more since Canyon: its nonce and a version.
const DEPOSIT_TYPE = 0x7e;

function logsOf(encoded) {
  const typed = encoded.length && encoded[0] && encoded[0] < 0x80;
  const fields = decodeList(typed ? encoded.subarray(1) : encoded);
  const known = fields.length === 4 || (fields.length === 6 && encoded[0] === DEPOSIT_TYPE);
  if (!known) throw new BadProof("receipt", "not [status, gas, bloom, logs]");
  if (!Array.isArray(fields[3])) throw new BadProof("receipt", "its logs are no list");
  for (const number of fields.slice(4)) canonicalInteger(number);
  const status = bytesOf(fields[0]);
  if (status.length > 1 || (status.length === 1 && status[0] !== 1)) {
    throw new BadProof("receipt", "the status is neither 0 nor 1");
  }
  bytesOf(fields[2], 256);
  canonicalInteger(fields[1]);
  return fields[3].map((item) => {
    const isLog = Array.isArray(item) && item.length === 3 && Array.isArray(item[1]) && item[1].length <= 4;
    if (!isLog) throw new BadProof("receipt", "a log is not [address, topics, data]");
    const topics = item[1].map((topic) => bytesOf(topic, 32));
    return { address: bytesOf(item[0], 20), topics, data: bytesOf(item[2]) };
  });
}

const LEASE_STATES = ["none", "open", "closing", "claimed", "disputed", "closed"];
const END_REASONS = ["none", "completed", "cancelled", "unresponsive", "faulty", "resigned", "expired", "claimed"];
const SKIPS = [
  "none unknown_offer offer_signature offer_expired offer_cancelled offer_epoch order_signature order_expired",
  "order_cancelled order_epoch limits meter arbiter rate duration bond notice min_charge quantities traits zone",
  "zone_taken attestation matcher capacity fill_out_of_range already_open no_predecessor predecessor_open lane_done",
  "delegate_cap nothing_to_lock buyer_funds buyer_guarded provider_funds unknown_lease lease_closed voucher_signature",
  "voucher_stale not_last wrong_order",
].join(" ").split(" ");
/** Names of enum values, in order. */
export const ENUMS = { EndReason: END_REASONS, Skip: SKIPS, LeaseState: LEASE_STATES };

/** The ledger's events: name, how many fields are topics, fields in order. */
export const EVENTS = [
  ["Deposited", 2, "address account, address sender, uint256 amount"],
  ["Withdrawn", 2, "address account, address to, uint256 amount"],
  ["BeneficiarySet", 2, "address account, address beneficiary"],
  ["DelegateApproved", 2, "address buyer, address key, uint64 cap, uint40 until"],
  ["DelegateCharged", 3, "address buyer, address key, bytes32 order, uint64 amount, uint64 remaining"],
  ["MessageCancelled", 2, "address account, bytes32 digest"],
  ["EpochBumped", 1, "address account, uint64 epoch"],
  ["Auction", 1, "address matcher, bytes32 bookRoot"],
  ["LeaseOpened", 3, "bytes32 lease, address buyer, address provider, bytes32 order, bytes32 offer, bytes32 job, "
    + "address voucherSigner, address opener, uint8 fill, uint8 meter, uint8 zone, uint32 rate, uint48 locked, "
    + "uint48 bond, uint48 fee, uint40 deadline, uint32 notice"],
  ["VoucherRedeemed", 2, "bytes32 lease, address provider, uint48 amount, uint48 paid, bytes32 result, bool last"],
  ["LeaseClosing", 2, "bytes32 lease, address by, EndReason reason, uint40 deadline, bool done"],
  ["LeaseAcknowledged", 2, "bytes32 lease, address provider"],
  ["ClaimCommitted", 2, "bytes32 lease, address provider, bytes32 commitment, uint40 revealFrom, uint40 deadline"],
  ["LeaseClaimed", 2, "bytes32 lease, address provider, bytes32 result, bytes32 start, uint64 work, uint48 target, "
    + "bool last, uint40 deadline"],
  ["LeaseDisputed", 2, "bytes32 lease, address challenger, bytes32 receipt, uint48 bond, uint40 deadline"],
  ["LeaseRuled", 3, "bytes32 lease, address arbiter, address challenger, bool providerWins, uint48 award, "
    + "uint48 toWinner, uint48 toJurors, uint48 returned"],
  ["DisputeLapsed", 2, "bytes32 lease, address challenger, uint48 bond"],
  ["LeaseClosed", 3, "bytes32 lease, address buyer, address provider, EndReason reason, uint48 paid, uint48 refunded, "
    + "uint48 penalty, uint48 returned, bool done"],
  ["Skipped", 1, "bytes32 id, Skip reason"],
].map(([name, indexed, fields]) => ({ name, indexed, fields: fields.split(", ").map((field) => field.split(" ")) }));

let kindsByTopic = null;

function kindOf(topic) {
  kindsByTopic ??= new Map(EVENTS.map((kind) => [toHex(keccak256(new TextEncoder().encode(signature(kind)))), kind]));
  return kindsByTopic.get(topic);
}

/** The canonical signature, enums as uint8. */
export function signature({ name, fields }) {
  return `${name}(${fields.map(([type]) => (type in ENUMS ? "uint8" : type)).join(",")})`;
}

/** The event in a log of the ledger, spelt as a bundle spells it; throws BadProof at `event`. */
export function decodeEvent(topics, data) {
  const kind = kindOfLog(topics, data, "event");
  const cells = topics.slice(1);
  for (let start = 0; start < data.length; start += 32) cells.push(data.subarray(start, start + 32));
  return { kind: kind.name, fields: Object.fromEntries(kind.fields.map(([type, name], i) => [name, cell(type, cells[i])])) };
}

/** By selector and shape: the event hash joins topics and data, so only the shape says where the one ends. */
function kindOfLog(topics, data, step) {
  const kind = topics.length ? kindOf(toHex(topics[0])) : undefined;
  if (!kind) throw new BadProof(step, "unknown topic; is this log of another contract?");
  if (topics.length !== 1 + kind.indexed || data.length !== 32 * (kind.fields.length - kind.indexed)) {
    throw new BadProof(step, `${kind.name}: ${topics.length} topics and ${data.length} bytes of data do not fit`);
  }
  return kind;
}

function cell(type, word) {
  const value = BigInt(toHex(word));
  if (type === "bytes32") return toHex(word);
  if (type in ENUMS) {
    if (value >= ENUMS[type].length) throw new BadProof("event", `${value} is no ${type}`);
    return ENUMS[type][Number(value)];
  }
  const bits = type === "address" ? 160 : type === "bool" ? 1 : Number(type.slice(4));
  if (value >> BigInt(bits)) throw new BadProof("event", `${value} does not fit ${type}`);
  if (type === "address") return toHex(word.subarray(12));
  return type === "bool" ? value === 1n : String(value);
}

// Storage words of the ledger

class StateWalk {
  constructor(header, ledger, nodes) {
    this.witness = new Witness(nodes);
    const account = this.witness.value(header.stateRoot, keccak256(ledger));
    if (account === null) throw new BadProof("account", "there is no contract at this address");
    const fields = decodeList(account);
    if (fields.length !== 4) throw new BadProof("account", `${fields.length} fields`);
    this.root = toHex(bytesOf(fields[2], 32));
  }

  /** The word in a slot, a BigInt; 0 if the trie provably has none. */
  word(slot) {
    const leaf = this.witness.value(this.root, keccak256(wordBytes(slot)));
    if (leaf === null) return 0n;
    const value = canonicalInteger(decode(leaf));
    if (value.length > 32) throw new BadProof("storage", "a value of more than 32 bytes");
    return value.length ? BigInt(toHex(value)) : 0n;
  }
}

function wordBytes(value) {
  return hex(`0x${value.toString(16).padStart(64, "0")}`, 32, "slot");
}

// Kind lease: the ledger's storage of one lease

// name, word, first bit, bits, how it is spelt
const LEASE_LAYOUT = [
  ["provider", 0, 0, 160, "address"],
  ["locked", 0, 160, 48],
  ["paid", 0, 208, 48],
  ["voucherSigner", 1, 0, 160, "address"],
  ["deadline", 1, 160, 40],
  ["rate", 1, 200, 32],
  ["zone", 1, 232, 8],
  ["state", 1, 240, 3, LEASE_STATES],
  ["reason", 1, 243, 3, END_REASONS],
  ["done", 1, 246, 1, "flag"],
  ["early", 1, 247, 1, "flag"],
  ["responded", 1, 248, 1, "flag"],
];
const CLAIM_LAYOUT = [
  ["result", 0, 0, 256, "hash"],
  ["start", 1, 0, 256, "hash"],
  ["work", 2, 0, 64],
  ["target", 2, 64, 48],
  ["revealFrom", 2, 112, 40],
  ["last", 2, 152, 1, "flag"],
];
const DISPUTE_LAYOUT = [
  ["challenger", 0, 0, 160, "address"],
  ["bond", 0, 160, 48],
  ["receipt", 1, 0, 256, "hash"],
];
/** Mapping slots from lease id, and words of each value. */
const PLACES = [[5n, 2], [6n, 3], [7n, 2]];

function checkLease(content, trusted) {
  members(content, ["v", "kind", "block", "ledger", "lease", "nodes"], "file");
  const block = readBlock(content.block);
  const stated = members(content.lease, ["id", "fields", "claim", "dispute"], "lease");
  const id = hex(stated.id, 32, "lease id");
  const ledger = hex(content.ledger, 20, "ledger");
  const nodes = hexList(content.nodes, "node");
  checkAnchor(block.stated, trusted);
  const header = checkHeader(block);
  const walk = new StateWalk(header, ledger, nodes);
  const slots = PLACES.flatMap(([mapping, count]) => {
    const first = BigInt(toHex(keccak256(join([id, wordBytes(mapping)]))));
    return Array.from({ length: count }, (_, word) => first + BigInt(word));
  });
  const words = [walk.word(slots[0]), walk.word(slots[1])];
  // A claim decides only while the lease is Claimed or Disputed, a dispute only while it is Disputed.
  const needed = { claimed: 5, disputed: 7 }[LEASE_STATES[Number((words[1] >> 240n) & 7n)]] ?? 2;
  for (const slot of slots.slice(2, needed)) words.push(walk.word(slot));
  walk.witness.finish();
  const fields = fieldsOf(words.slice(0, 2), LEASE_LAYOUT);
  const claim = fieldsOf(words.slice(2, 5), CLAIM_LAYOUT);
  const dispute = fieldsOf(words.slice(5, 7), DISPUTE_LAYOUT);
  same({ id: stated.id, fields, claim, dispute }, stated, "lease");
  return {
    anchors: [anchorOf(header)],
    facts: {
      kind: "lease",
      ledger: content.ledger,
      block: blockFacts(header),
      lease: stated.id,
      state_then: stateThen(fields, header.time),
      fields,
      claim,
      dispute,
    },
  };
}

function stateThen(fields, time) {
  if (fields === null) return "none";
  return fields.state === "open" && time >= Number(fields.deadline) ? "closing" : fields.state;
}

function fieldsOf(words, layout) {
  if (words.every((word) => word === 0n)) return null;
  const spare = [...words];
  const fields = {};
  for (const [name, word, first, bits, spelling] of layout) {
    const value = (words[word] >> BigInt(first)) & ((1n << BigInt(bits)) - 1n);
    spare[word] ^= value << BigInt(first);
    fields[name] = spelt(value, spelling, name);
  }
  if (spare.some((word) => word !== 0n)) throw new BadProof("lease", "bits are set that no field of the ledger has");
  return fields;
}

function spelt(value, spelling, name) {
  if (spelling === "address") return `0x${value.toString(16).padStart(40, "0")}`;
  if (spelling === "hash") return `0x${value.toString(16).padStart(64, "0")}`;
  if (spelling === "flag") return value === 1n;
  if (!spelling) return String(value);
  if (value >= spelling.length) throw new BadProof("lease", `${value} is no ${name}`);
  return spelling[Number(value)];
}

// Kind absence: blocks that hold no log of the ledger

function checkAbsence(content, trusted) {
  members(content, ["v", "kind", "ledger", "blocks"], "file");
  const ledger = hex(content.ledger, 20, "ledger");
  const blocks = list(content.blocks, "blocks").map((value) => {
    members(value, ["block", "receipts"], "a block");
    return { block: readBlock(value.block), receipts: hexList(value.receipts, "receipt") };
  });
  if (!blocks.length) throw new BadProof("file", "no block");
  checkAnchor(blocks[blocks.length - 1].block.stated, trusted);
  const headers = [];
  for (const { block, receipts } of blocks) {
    const header = checkHeader(block);
    checkSilent(header, ledger, receipts, headers[headers.length - 1]);
    headers.push(header);
  }
  const last = headers[headers.length - 1];
  return {
    anchors: [anchorOf(last)],
    facts: { kind: "absence", ledger: content.ledger, first: blockFacts(headers[0]), last: blockFacts(last) },
  };
}

function checkSilent(header, ledger, receipts, parent) {
  if (parent && (header.parent !== parent.hash || header.number !== parent.number + 1)) {
    throw new BadProof("link", `block ${header.number} does not follow block ${parent.number}`);
  }
  if (!bloomMayHold(header.bloom, ledger)) {
    if (receipts.length) throw new BadProof("receipts", `the bloom of block ${header.number} is enough`);
    return;
  }
  if (toHex(orderedRoot(receipts)) !== header.receiptsRoot) {
    throw new BadProof("receipts", `they are not all receipts of block ${header.number}`);
  }
  const ours = toHex(ledger);
  if (receipts.some((encoded) => logsOf(encoded).some((log) => toHex(log.address) === ours))) {
    throw new BadProof("log", `block ${header.number} holds a log of the ledger`);
  }
}

// Kind history: the ledger's head at a block, or at both ends of a range

function checkHistory(content, trusted) {
  members(content, ["v", "kind", "ledger", "after", "until"], "file");
  const ledger = hex(content.ledger, 20, "ledger");
  const untilEnd = readEnd(content.until);
  const afterEnd = content.after === null ? null : readEnd(content.after);
  checkAnchor(untilEnd.block.stated, trusted);
  const until = checkEnd(untilEnd, ledger);
  const anchors = [anchorOf(until.header)];
  let after = null;
  if (afterEnd !== null) {
    // A parent is known by its child.
    const linked = until.header.parent === afterEnd.block.stated;
    if (!linked) checkAnchor(afterEnd.block.stated, trusted);
    after = checkEnd(afterEnd, ledger);
    checkRange(after, until);
    if (!linked) anchors.unshift(anchorOf(after.header));
  }
  return {
    anchors,
    facts: {
      kind: "history",
      ledger: content.ledger,
      after: after && endFacts(after),
      until: endFacts(until),
      count: until.head.count - (after ? after.head.count : 0),
    },
  };
}

function readEnd(value) {
  const end = members(value, ["block", "head", "nodes"], "an end of the range");
  return { block: readBlock(end.block), head: end.head, nodes: hexList(end.nodes, "node") };
}

function checkEnd({ block, head, nodes }, ledger) {
  const header = checkHeader(block);
  const walk = new StateWalk(header, ledger, nodes);
  const word = walk.word(0n);
  walk.witness.finish();
  const hash = word & ((1n << 208n) - 1n);
  const proved = { hash: `0x${hash.toString(16).padStart(52, "0")}`, count: Number(word >> 208n) };
  same(proved, head, "head");
  return { header, head: proved };
}

function checkRange(after, until) {
  if (after.header.number >= until.header.number) {
    throw new BadProof("range", `it begins after block ${after.header.number} and ends with ${until.header.number}`);
  }
  const grown = until.head.count - after.head.count;
  if (grown < 0 || (grown === 0 && until.head.hash !== after.head.hash)) {
    throw new BadProof("range", "the two heads are not of one history");
  }
}

function endFacts({ header, head }) {
  return { block: blockFacts(header), head };
}

// The list of a history

const LONGEST_LINE = 4096;

/**
 * Reads exported events and says how many they are, if they are exactly those of a history; throws BadProof at `events`.
 * One line is held at a time, so memory does not grow with the list.
 *
 * @param {object} facts of a verified bundle of kind history
 * @param {AsyncIterable<Uint8Array> | Iterable<Uint8Array>} chunks the file's bytes, cut anywhere
 */
export async function replay(facts, chunks) {
  if (facts.kind !== "history") throw new BadProof("events", `they go with a history, this is of kind ${facts.kind}`);
  const list = new Replay(facts);
  let rest = NOTHING;
  for await (const chunk of chunks) {
    let data = join([rest, chunk]);
    for (let end = data.indexOf(10); end >= 0; end = data.indexOf(10)) {
      list.take(data.subarray(0, end));
      data = data.subarray(end + 1);
    }
    if (data.length > LONGEST_LINE) throw new BadProof("events", `a line is longer than ${LONGEST_LINE} bytes`);
    rest = data.slice();
  }
  if (rest.length || !list.ended) throw new BadProof("events", "the last line, with the count, is missing: the file was cut");
  return facts.count;
}

class Replay {
  constructor(facts) {
    this.facts = facts;
    this.head = facts.after ? { ...facts.after.head } : { hash: `0x${"00".repeat(26)}`, count: 0 };
    this.digest = new Sha256();
    this.lines = 0;
    this.ended = false;
  }

  take(line) {
    this.lines += 1;
    if (this.ended) throw new BadProof("events", "lines after the last line");
    if (line.length >= LONGEST_LINE) throw new BadProof("events", `a line is longer than ${LONGEST_LINE} bytes`);
    const content = parseJson(line, "events");
    if (isObject(content) && "count" in content) {
      this.end(content);
      return;
    }
    this.advance(content);
    this.digest.update(join([line, Uint8Array.of(10)]));
    if (this.head.count > this.facts.until.head.count) {
      throw new BadProof("events", `line ${this.lines} is more than the ${this.facts.count} events that are proved`);
    }
  }

  advance(content) {
    const where = `line ${this.lines}`;
    const isEvent = has(content, ["block", "data", "seq", "time", "topics"]) && Array.isArray(content.topics);
    if (!isEvent) throw new BadProof("events", `${where} is no event`);
    const { block, seq, time } = content;
    if (![block, seq, time].every((number) => Number.isSafeInteger(number) && number >= 0)) {
      throw new BadProof("events", `${where}: block, seq and time must be whole numbers`);
    }
    if (seq !== this.head.count + 1) {
      throw new BadProof("events", `${where} is event ${seq}, expected is ${this.head.count + 1}`);
    }
    const topics = content.topics.map((topic) => hex(topic, 32, where, "events"));
    const data = hex(content.data, null, where, "events");
    if (kindOfLog(topics, data, "events").name === "Skipped") {
      throw new BadProof("events", `${where} is a Skipped, which no head holds`);
    }
    const words = [BigInt(this.head.hash), BigInt(this.head.count), BigInt(block), BigInt(time)].map(wordBytes);
    const next = keccak256(join([...words, keccak256(join([...topics, data]))]));
    this.head = { hash: toHex(next.subarray(6)), count: this.head.count + 1 };
  }

  end(content) {
    const { facts } = this;
    this.ended = true;
    const last = facts.until.block;
    const first = facts.after ? facts.after.block.number + 1 : 0;
    const expected = {
      count: facts.count,
      first_block: first,
      last_block: last.number,
      last_hash: last.hash,
      sha256: toHex(this.digest.finish()),
    };
    for (const name of Object.keys({ ...expected, ...content })) {
      if (content[name] !== expected[name]) {
        throw new BadProof("events", `the last line says ${name} ${content[name]}, expected is ${expected[name]}`);
      }
    }
    if (this.head.hash !== facts.until.head.hash || this.head.count !== facts.until.head.count) {
      const found = `${this.head.hash} after ${this.head.count} events`;
      throw new BadProof("events", `they come to head ${found}: one is missing, invented, altered, or out of order`);
    }
  }
}

/** FIPS 180-4, fed piece by piece; browsers hash only what is in memory at once. */
class Sha256 {
  constructor() {
    this.state = Int32Array.from(fractions(8, Math.sqrt));
    this.rest = NOTHING;
    this.size = 0;
  }

  update(data) {
    this.size += data.length;
    let bytes = join([this.rest, data]);
    for (; bytes.length >= 64; bytes = bytes.subarray(64)) this.mix(bytes);
    this.rest = bytes.slice();
  }

  finish() {
    const bits = this.size * 8;
    const padding = new Uint8Array((this.rest.length < 56 ? 64 : 128) - this.rest.length);
    padding[0] = 0x80;
    const view = new DataView(padding.buffer);
    view.setUint32(padding.length - 8, Math.floor(bits / 2 ** 32));
    view.setUint32(padding.length - 4, bits >>> 0);
    this.update(padding);
    const out = new DataView(new ArrayBuffer(32));
    this.state.forEach((word, index) => out.setInt32(4 * index, word));
    return new Uint8Array(out.buffer);
  }

  mix(bytes) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, 64);
    const words = new Int32Array(64);
    const turn = (word, by) => (word >>> by) | (word << (32 - by));
    for (let index = 0; index < 16; index++) words[index] = view.getInt32(4 * index);
    for (let index = 16; index < 64; index++) {
      const [early, late] = [words[index - 15], words[index - 2]];
      const low = turn(early, 7) ^ turn(early, 18) ^ (early >>> 3);
      const high = turn(late, 17) ^ turn(late, 19) ^ (late >>> 10);
      words[index] = words[index - 16] + low + words[index - 7] + high;
    }
    let [a, b, c, d, e, f, g, h] = this.state;
    for (let index = 0; index < 64; index++) {
      const one = h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + SHA256_ROUNDS[index] + words[index];
      const two = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
      [a, b, c, d, e, f, g, h] = [(one + two) | 0, a, b, c, (d + one) | 0, e, f, g];
    }
    [a, b, c, d, e, f, g, h].forEach((word, index) => {
      this.state[index] += word;
    });
  }
}

/** The first 32 bits of the fractions of roots of the first primes. */
function fractions(count, root) {
  const primes = [];
  for (let number = 2; primes.length < count; number++) if (primes.every((prime) => number % prime)) primes.push(number);
  return primes.map((prime) => Math.floor((root(prime) % 1) * 2 ** 32) | 0);
}

const SHA256_ROUNDS = fractions(64, Math.cbrt);

// Merkle-Patricia tries

/** The nodes of one or several paths in the order of first need: none missing, none spare. */
class Witness {
  constructor(nodes) {
    this.nodes = nodes;
    this.used = 0;
    this.seen = new Map();
  }

  value(root, key) {
    if (root === EMPTY_ROOT) return null;
    let node = this.follow(root);
    let path = nibbles(key);
    for (;;) {
      const [child, rest, ended] = step(node, path);
      if (ended || (!Array.isArray(child) && child.length === 0)) {
        const found = bytesOf(child);
        return found.length ? found : null;
      }
      path = rest;
      node = Array.isArray(child) ? child : this.follow(toHex(bytesOf(child, 32)));
    }
  }

  finish() {
    if (this.used !== this.nodes.length) throw new BadProof("path", `${this.nodes.length - this.used} nodes too many`);
  }

  follow(expected) {
    if (this.seen.has(expected)) return this.seen.get(expected);
    if (this.used === this.nodes.length) throw new BadProof("path", "a node is missing");
    const encoded = this.nodes[this.used];
    if (toHex(keccak256(encoded)) !== expected) {
      throw new BadProof("path", `node ${this.used} is not the one that its parent names`);
    }
    this.used += 1;
    const node = decodeList(encoded);
    this.seen.set(expected, node);
    return node;
  }
}

function walkOne(root, key, nodes) {
  // Nodes spell the empty trie as no node, or as the one empty string that its root is the hash of.
  if (root === EMPTY_ROOT && nodes.length === 1 && toHex(nodes[0]) === "0x80") return null;
  const witness = new Witness(nodes);
  const value = witness.value(root, key);
  witness.finish();
  return value;
}

function step(node, path) {
  if (node.length === 17) return path.length ? [node[path[0]], path.subarray(1), false] : [node[16], path, true];
  if (node.length !== 2) throw new BadProof("path", `a node of ${node.length} items`);
  const prefix = nibbles(bytesOf(node[0]));
  if (!prefix.length || prefix[0] > 3 || ((prefix[0] === 0 || prefix[0] === 2) && prefix[1] !== 0)) {
    throw new BadProof("path", "a node with a malformed prefix");
  }
  const segment = prefix.subarray(prefix[0] & 1 ? 1 : 2);
  const begins = segment.length <= path.length && segment.every((nibble, index) => nibble === path[index]);
  if (prefix[0] >= 2) return [begins && segment.length === path.length ? node[1] : NOTHING, NOTHING, true];
  return begins ? [node[1], path.subarray(segment.length), false] : [NOTHING, NOTHING, true];
}

function nibbles(data) {
  const out = new Uint8Array(2 * data.length);
  data.forEach((byte, index) => {
    out[2 * index] = byte >> 4;
    out[2 * index + 1] = byte & 15;
  });
  return out;
}

/** The root over values under the keys RLP(0), RLP(1), …; no key begins another, so no branch holds a value. */
function orderedRoot(values) {
  if (!values.length) return hex(EMPTY_ROOT, 32, "root");
  const leaves = values.map((value, index) => [nibbles(encodeString(minimal(index))), value]);
  leaves.sort(([a], [b]) => compare(a, b));
  return keccak256(encode(buildNode(leaves, 0)));
}

function compare(a, b) {
  for (let index = 0; index < Math.min(a.length, b.length); index++) {
    if (a[index] !== b[index]) return a[index] - b[index];
  }
  return a.length - b.length;
}

function buildNode(leaves, depth) {
  const [first, value] = leaves[0];
  if (leaves.length === 1) return [hexPrefix(first.subarray(depth), 2), value];
  const last = leaves[leaves.length - 1][0];
  let shared = depth;
  while (first[shared] === last[shared]) shared += 1;
  if (shared > depth) return [hexPrefix(first.subarray(depth, shared), 0), reference(buildNode(leaves, shared))];
  const branch = new Array(17).fill(NOTHING);
  for (let nibble = 0; nibble < 16; nibble++) {
    const below = leaves.filter(([key]) => key[depth] === nibble);
    if (below.length) branch[nibble] = reference(buildNode(below, depth + 1));
  }
  return branch;
}

function reference(node) {
  const encoded = encode(node);
  return encoded.length < 32 ? node : keccak256(encoded);
}

function hexPrefix(path, flag) {
  const padded = path.length % 2 ? [flag + 1, ...path] : [flag, 0, ...path];
  return Uint8Array.from({ length: padded.length / 2 }, (_, index) => (padded[2 * index] << 4) | padded[2 * index + 1]);
}

// Recursive length prefix, in its one canonical spelling

const NOTHING = new Uint8Array(0);
const EMPTY_ROOT = "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421";

function decode(data) {
  const [item, end] = decodeAt(data, 0, data.length, 0);
  if (end !== data.length) throw new BadProof("rlp", `${data.length - end} bytes left over`);
  return item;
}

function decodeList(data) {
  const item = decode(data);
  if (!Array.isArray(item)) throw new BadProof("rlp", "expected a list, found a string");
  return item;
}

function decodeAt(data, start, end, depth) {
  if (start >= end) throw new BadProof("rlp", "ends too early");
  const first = data[start];
  if (first < 0x80) return [data.subarray(start, start + 1), start + 1];
  const isList = first >= 0xc0;
  let [begin, stop] = extent(data, start, end, first - (isList ? 0xc0 : 0x80));
  if (!isList) {
    if (stop - begin === 1 && data[begin] < 0x80) throw new BadProof("rlp", "a single byte with a needless prefix");
    return [data.subarray(begin, stop), stop];
  }
  if (depth === DEEPEST_RLP) throw new BadProof("rlp", `nested deeper than ${DEEPEST_RLP}`);
  const items = [];
  while (begin < stop) {
    const [item, next] = decodeAt(data, begin, stop, depth + 1);
    items.push(item);
    begin = next;
  }
  return [items, stop];
}

function extent(data, start, end, code) {
  let begin = start + 1;
  let size = code;
  if (code > 55) {
    begin = start + 1 + code - 55;
    size = data.subarray(start + 1, Math.min(begin, end)).reduce((sum, byte) => sum * 256 + byte, 0);
    if (size < 56 || data[start + 1] === 0) throw new BadProof("rlp", "a length with a needless prefix");
  }
  if (begin + size > end) throw new BadProof("rlp", "ends too early");
  return [begin, begin + size];
}

function bytesOf(item, size = null) {
  if (Array.isArray(item) || (size !== null && item.length !== size)) throw new BadProof("rlp", "expected a string");
  return item;
}

function canonicalInteger(item) {
  if (Array.isArray(item) || item[0] === 0) throw new BadProof("rlp", "not a canonical integer");
  return item;
}

function integerOf(item) {
  const value = canonicalInteger(item).reduce((sum, byte) => sum * 256 + byte, 0);
  if (!Number.isSafeInteger(value)) throw new BadProof("header", "a number of more than 53 bits");
  return value;
}

function minimal(value) {
  const out = [];
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) out.unshift(rest % 256);
  return Uint8Array.from(out);
}

function encode(item) {
  if (!Array.isArray(item)) return encodeString(item);
  const payload = join(item.map(encode));
  return join([prefix(0xc0, payload.length), payload]);
}

function encodeString(data) {
  return data.length === 1 && data[0] < 0x80 ? data : join([prefix(0x80, data.length), data]);
}

function prefix(offset, size) {
  if (size < 56) return Uint8Array.of(offset + size);
  const length = minimal(size);
  return Uint8Array.of(offset + 55 + length.length, ...length);
}

function join(parts) {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function toHex(data) {
  let out = "0x";
  for (const byte of data) out += byte.toString(16).padStart(2, "0");
  return out;
}

// keccak256 on 25 lanes of 64 bits, each as two halves of 32: low at 2i, high at 2i + 1

const RATE = 136;
const ROTATIONS = [1, 3, 6, 10, 15, 21, 28, 36, 45, 55, 2, 14, 27, 41, 56, 8, 25, 43, 62, 18, 39, 61, 20, 44];
const WALK = [10, 7, 11, 17, 18, 3, 5, 16, 8, 21, 24, 4, 15, 23, 19, 13, 12, 2, 20, 14, 22, 9, 6, 1];
const ROUNDS = roundConstants();

/** The EVM's hash: 32 bytes of any bytes. */
export function keccak256(data) {
  const padded = new Uint8Array(Math.floor(data.length / RATE + 1) * RATE);
  padded.set(data);
  padded[data.length] = 0x01;
  padded[padded.length - 1] |= 0x80;
  const view = new DataView(padded.buffer);
  const lanes = new Int32Array(50);
  for (let start = 0; start < padded.length; start += RATE) {
    for (let half = 0; half < RATE / 4; half++) lanes[half] ^= view.getInt32(start + 4 * half, true);
    permute(lanes);
  }
  const out = new DataView(new ArrayBuffer(32));
  for (let half = 0; half < 8; half++) out.setInt32(4 * half, lanes[half], true);
  return new Uint8Array(out.buffer);
}

function permute(lanes) {
  const columns = new Int32Array(10);
  const row = new Int32Array(10);
  for (let round = 0; round < 24; round++) {
    for (let half = 0; half < 10; half++) {
      columns[half] = lanes[half] ^ lanes[half + 10] ^ lanes[half + 20] ^ lanes[half + 30] ^ lanes[half + 40];
    }
    for (let x = 0; x < 5; x++) {
      const left = 2 * ((x + 4) % 5);
      const right = 2 * ((x + 1) % 5);
      const low = columns[left] ^ ((columns[right] << 1) | (columns[right + 1] >>> 31));
      const high = columns[left + 1] ^ ((columns[right + 1] << 1) | (columns[right] >>> 31));
      for (let y = 0; y < 50; y += 10) {
        lanes[2 * x + y] ^= low;
        lanes[2 * x + y + 1] ^= high;
      }
    }
    let low = lanes[2];
    let high = lanes[3];
    for (let index = 0; index < 24; index++) {
      const place = 2 * WALK[index];
      const bits = ROTATIONS[index];
      const [a, b] = bits < 32 ? [low, high] : [high, low];
      const by = bits % 32;
      low = lanes[place];
      high = lanes[place + 1];
      lanes[place] = (a << by) | (b >>> (32 - by));
      lanes[place + 1] = (b << by) | (a >>> (32 - by));
    }
    for (let y = 0; y < 50; y += 10) {
      for (let half = 0; half < 10; half++) row[half] = lanes[y + half];
      for (let half = 0; half < 10; half++) lanes[y + half] = row[half] ^ (~row[(half + 2) % 10] & row[(half + 4) % 10]);
    }
    lanes[0] ^= ROUNDS[2 * round];
    lanes[1] ^= ROUNDS[2 * round + 1];
  }
}

/** One bit of each constant comes from a shift register of 8 bits (FIPS 202, algorithm 5). */
function roundConstants() {
  const constants = new Int32Array(48);
  let register = 1;
  for (let round = 0; round < 24; round++) {
    for (let power = 0; power < 7; power++) {
      const bit = 2 ** power - 1;
      if (register & 1) constants[2 * round + (bit >> 5)] |= 1 << (bit & 31);
      register = (register << 1) ^ (register & 0x80 ? 0x171 : 0);
    }
  }
  return constants;
}
