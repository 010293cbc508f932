// Three conveniences on top of pages that are complete without them: copy buttons, `/` for the search box,
// and sections that follow the chain. Nothing here turns text into markup or code.

const REFRESH_MILLISECONDS = 2000;
const STEPS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

function showCopyButtons(root) {
  for (const button of root.querySelectorAll("[data-copy]")) button.hidden = !navigator.clipboard;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(button.dataset.copy);
  button.classList.add("done");
  setTimeout(() => button.classList.remove("done"), 1200);
});

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const box = document.querySelector("[data-search]");
  if (!box) return;
  event.preventDefault();
  box.focus();
  box.select();
});

function relative(time, now) {
  const distance = Math.abs(now - time);
  if (distance === 0) return "now";
  const [size, unit] = STEPS.find(([seconds]) => distance >= seconds);
  const amount = `${Math.floor(distance / size)} ${unit}`;
  return time < now ? `${amount} ago` : `in ${amount}`;
}

function tick() {
  const now = Math.floor(Date.now() / 1000);
  for (const element of document.querySelectorAll("time[data-time]")) {
    const words = relative(Number(element.dataset.time), now);
    if (element.textContent !== words) element.textContent = words;
  }
}

// A section that the reader is using stays as it is.
function inUse(section) {
  const selection = document.getSelection();
  const selecting = selection && !selection.isCollapsed && section.contains(selection.anchorNode);
  return selecting || section.contains(document.activeElement) || section.querySelector("details[open]");
}

let seen = null;

async function refresh() {
  if (document.hidden) return;
  const response = await fetch(location.href, { headers: { accept: "text/html" } });
  const hash = response.headers.get("x-indexed-hash");
  if (!response.ok || hash === seen) return;
  seen = hash;
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  showCopyButtons(fresh);
  for (const section of document.querySelectorAll("[data-live][id]")) {
    const next = fresh.getElementById(section.id);
    if (!next || inUse(section) || next.isEqualNode(section)) continue;
    section.replaceWith(document.adoptNode(next));
  }
}

async function follow() {
  try {
    await refresh();
  } catch {
    // The server is restarting; the page stays readable and the next turn tries again.
  }
  setTimeout(follow, REFRESH_MILLISECONDS);
}

showCopyButtons(document);
setInterval(tick, 1000);
if (document.querySelector("main [data-live]")) setTimeout(follow, REFRESH_MILLISECONDS);
