// The upload page with a script: the whole card takes a drop, an upload shows how far it is and can
// be cancelled, and after a refusal the file is still chosen. The server does not know of it: it
// answers with the prediction's page, to go to, or with this page, whose #outcome is shown here.

const form = document.getElementById("upload");
const input = form.elements.file;
const card = form.closest(".card");
const maxBytes = Number(form.dataset.maxBytes);
const part = (name) => form.querySelector(`.${name}`);
const submitButton = form.querySelector("[type=submit]");
const pageTitle = document.title.split(" – ").at(-1); // without what was refused

const LARGE_BYTES = 1024 ** 2;

let transfer = null; // the request that is under way

// ---- words, as app/filters.py writes them ----

const NBSP = "\u00a0";

function size(bytes) {
  if (bytes < 1024) return `${bytes}${NBSP}bytes`;
  if (bytes < 1023.5 * 1024) return `${Math.round(bytes / 1024)}${NBSP}kB`;
  const options = { maximumFractionDigits: 1 };
  return `${(bytes / 1024 ** 2).toLocaleString("en-US", options)}${NBSP}MB`;
}

// Isolated: a name must not turn the words after it around.
const quoted = (file) => `“\u2068${file.name}\u2069”`;

function tooLarge(file) {
  return [
    "The file is too large",
    `${quoted(file)} has ${size(file.size)}; ${size(maxBytes)} is the most. Split it and send the parts.`,
  ];
}

function unreadable(file) {
  return [
    "The file has to be chosen again",
    `${quoted(file)} was changed or moved after it was chosen, or it is a folder. Browsers then do not send it.`,
  ];
}

function notTaken(request) {
  const wait = Number(request.getResponseHeader("Retry-After"));
  const when = `The file is still chosen: try again ${wait ? `in ${wait}${NBSP}s` : "in a moment"}.`;
  if (request.status === 413) return ["The file is too large", "Split it and send the parts."];
  if (request.status === 429) return ["There are too many uploads", when];
  if (request.status >= 500) return ["The service cannot take the file for the moment", when];
  return ["The file was not taken", `The service answered with status ${request.status}. ${when}`];
}

const CONNECTION_LOST = [
  "The connection was lost",
  "The service does not answer, or this machine is not online. The file is still chosen: try again when it is back.",
];

// ---- what the last try came to ----

function show(outcome, title = pageTitle) {
  outcome.querySelector("[autofocus]")?.removeAttribute("autofocus");
  document.getElementById("outcome").replaceWith(outcome);
  document.title = title;
  const save = document.querySelector("#matching [type=submit]");
  if (save && input.files.length) save.textContent = "Save and upload again";
  outcome.querySelector(".told")?.focus(); // browsers follow autofocus in a new page only
}

function tell([heading, text], { again = false } = {}) {
  const outcome = document.getElementById("told").content.cloneNode(true).firstElementChild;
  outcome.querySelector("strong").textContent = heading;
  outcome.querySelector("p").textContent = text;
  if (!again) outcome.querySelector(".again").remove();
  show(outcome, `${heading} – ${pageTitle}`);
}

function forget() {
  document.getElementById("outcome").replaceChildren();
  document.title = pageTitle;
}

// ---- choosing ----

function chosen() {
  const file = input.files[0];
  part("chosen").textContent = file ? size(file.size) : "or drop it here";
  if (file && file.size > maxBytes) tell(tooLarge(file));
}

input.addEventListener("change", () => {
  forget();
  chosen();
});

const bringsFiles = (event) => event.dataTransfer.types.includes("Files");

// A file that misses the card would replace the page.
for (const type of ["dragover", "drop"]) {
  window.addEventListener(type, (event) => bringsFiles(event) && event.preventDefault());
}
card.addEventListener("dragover", (event) => {
  if (bringsFiles(event)) card.classList.toggle("takes-drop", !transfer);
});
card.addEventListener("dragleave", (event) => {
  if (!card.contains(event.relatedTarget)) card.classList.remove("takes-drop");
});
card.addEventListener("drop", (event) => {
  card.classList.remove("takes-drop");
  if (transfer || !bringsFiles(event)) return;
  event.preventDefault();
  if (event.dataTransfer.files.length > 1) {
    tell(["There is more than one file", "Drop one file at a time."]);
    return;
  }
  input.files = event.dataTransfer.files;
  forget();
  chosen();
  submitButton.focus();
});

// ---- sending ----

/** Whether the browser would send it: one that has changed since it was chosen it does not. */
async function isReadable(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}

function chooseAgain(file) {
  input.value = "";
  chosen();
  tell(unreadable(file));
}

function showProgress(file, loaded, total) {
  const percent = Math.floor((100 * loaded) / total); // of the form, somewhat larger than the file
  const sent = size(Math.min(loaded, file.size));
  part("progress").value = loaded / total;
  part("sent").textContent = `${sent} of ${size(file.size)}, ${percent}${NBSP}%`;
  const step = `${percent - (percent % 10)}${NBSP}% sent`;
  if (part("sending-status").textContent !== step) part("sending-status").textContent = step;
  document.title = `${percent} % – ${pageTitle}`;
}

function showChecking() {
  part("progress").removeAttribute("value");
  part("cancel").hidden = true; // too late: the file is there
  for (const name of ["sent", "sending-status"]) part(name).textContent = "Checking and storing…";
  document.title = `Checking and storing… – ${pageTitle}`;
}

function begin(file) {
  forget();
  part("sending-name").textContent = file.name;
  part("cancel").hidden = false;
  showProgress(file, 0, 1);
  form.classList.add("is-sending");
  part("sending").focus();
}

function end() {
  transfer = null;
  form.classList.remove("is-sending");
  part("sending-status").textContent = "";
  document.title = pageTitle;
}

function send(file) {
  const request = new XMLHttpRequest(); // fetch() does not tell how much has been sent
  request.open("POST", form.action);
  request.responseType = "document";
  request.upload.onprogress = ({ loaded, total }) => showProgress(file, loaded, total);
  request.upload.onload = showChecking;
  request.onload = () => {
    if (request.responseURL !== form.action) {
      transfer = null; // leaving is what we want now
      location.assign(request.responseURL);
      return;
    }
    end();
    const outcome = request.responseXML?.getElementById("outcome");
    if (outcome) show(outcome, request.responseXML.title);
    else tell(notTaken(request), { again: request.status !== 413 });
  };
  request.onerror = async () => {
    end();
    if (await isReadable(file)) tell(CONNECTION_LOST, { again: true });
    else chooseAgain(file);
  };
  request.onabort = () => {
    end();
    part("sending-status").textContent = "Upload cancelled";
    submitButton.focus();
  };
  transfer = request;
  begin(file);
  request.send(new FormData(form));
}

/** Whether the file's head is good; what is wrong with it is shown. No answer is no reason. */
async function hasGoodHead(file) {
  const { check, headBytes } = form.dataset;
  const body = file.slice(0, headBytes, "text/csv");
  const answer = await fetch(check, { method: "POST", body }).catch(() => null);
  if (input.files[0] !== file) return false; // another was chosen meanwhile
  if (answer?.status !== 422) return true;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  show(page.getElementById("outcome"), page.title);
  return false;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const file = input.files[0];
  if (file.size > maxBytes) tell(tooLarge(file));
  else if (!(await isReadable(file))) chooseAgain(file);
  // Of a large file first the head: the answer to an upload is heard when all of it is sent.
  else if (file.size > LARGE_BYTES && !(await hasGoodHead(file))) return;
  else if (!transfer) send(file); // a second click comes here too
});

part("cancel").addEventListener("click", () => transfer?.abort());

window.addEventListener("beforeunload", (event) => {
  if (transfer) event.preventDefault();
});

window.addEventListener("pageshow", (event) => {
  if (event.persisted) end(); // back from the prediction
  chosen(); // browsers may keep the file over a reload
});

// ---- matching columns: the file that is still chosen goes up again by itself ----

document.addEventListener("submit", async (event) => {
  const matching = event.target;
  if (matching.id !== "matching" || !input.files.length) return;
  event.preventDefault();
  try {
    const body = new URLSearchParams(new FormData(matching));
    const answer = await fetch(matching.action, { method: "POST", body });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (answer.redirected) form.requestSubmit();
    else show(page.getElementById("outcome"), page.title);
  } catch {
    tell(CONNECTION_LOST);
  }
});
