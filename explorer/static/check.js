// The page that checks a proof in the browser: verify.js does it, nothing is sent anywhere. Text becomes text, never markup.

// The version in this file's own address makes a browser load the verifier of the same release.
const { replay, verify } = await import(`./verify.js${new URL(import.meta.url).search}`);

const form = document.querySelector("[data-check]");
const verdict = document.getElementById("verdict");
const fields = form.elements;

const words = (text) => text.trim().split(/[\s,]+/).filter(Boolean);

function show(kind, claim, facts = "") {
  verdict.hidden = false;
  verdict.className = kind;
  verdict.querySelector(".claim").textContent = claim;
  verdict.querySelector("pre").textContent = facts;
}

async function* chunksOf(file) {
  const reader = file.stream().getReader();
  for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
}

async function check(data) {
  const trusted = words(fields.hash.value);
  const ledger = words(fields.ledger.value)[0] ?? null;
  try {
    const { anchors, facts } = verify(data, { trusted, ledger });
    const claim = trusted.length
      ? `Proved: a proof of kind “${facts.kind}”, checked in this browser`
      : `Consistent. It proves this if the chain has ${anchors.map(({ number, hash }) => `block ${number} = ${hash}`).join(", ")}`;
    const [list] = fields.events.files;
    const listed = list ? `; the ${await replay(facts, chunksOf(list))} events of the list are all of it, in order` : "";
    show(trusted.length ? "good" : "wait", claim + listed, JSON.stringify(facts, null, 2));
  } catch (error) {
    show("bad", error.step ? error.message : `not checked: ${error.message}`);
  }
}

async function load() {
  const [file] = fields.file.files;
  if (file) return new Uint8Array(await file.arrayBuffer());
  if (!form.dataset.check) return null;
  const response = await fetch(form.dataset.check);
  if (!response.ok) throw new Error(`the site answered ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

async function run() {
  try {
    const data = await load();
    if (data) await check(data);
    else show("wait", "Choose a proof file");
  } catch (error) {
    show("bad", `not checked: ${error.message}`);
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  run();
});
form.hidden = false;
if (form.dataset.check) run();
