/* What the pages do beyond HTML: times in the reader's zone, and following what is unfinished.

A page that can change has #follow: `data-asks` is the address that says what changed, and while
something is unfinished a <template> holds the listener to the stream that says it at once. A hidden
tab holds no stream: it asks now and then. So does a page whose stream fails, more often. */
"use strict";
(() => {
  const FAILED_MS = 3000;
  const QUIET_MS = 15000;
  const AGES_MS = 20000;
  const WEEK_S = 7 * 24 * 3600;
  const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60]];

  const root = document.documentElement;
  const skewMs = Date.parse(root.dataset.now) - Date.now(); // the reader's clock may be wrong
  const agoS = (iso) => Math.max(0, (Date.now() + skewMs - Date.parse(iso)) / 1000);

  // ---- times ----

  const exact = new Intl.DateTimeFormat("en-GB", {
    day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit",
  });
  const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

  function age(iso) {
    const seconds = agoS(iso);
    if (seconds >= WEEK_S) return exact.format(new Date(iso));
    const [unit, length] = UNITS.find(([, length]) => seconds >= length) || [];
    return unit ? relative.format(-Math.floor(seconds / length), unit) : "just now";
  }

  function duration(seconds) { // as the filter of this name writes it
    const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
    if (hours) return `${hours}\u00a0h ${minutes}\u00a0min`;
    const rest = `${Math.floor(seconds) % 60}\u00a0s`;
    return minutes ? `${minutes}\u00a0min ${rest}` : rest;
  }

  const show = (selector, write) => {
    for (const time of document.querySelectorAll(selector)) {
      const text = write(time);
      if (time.textContent !== text) time.textContent = text;
    }
  };
  const showAges = () => show("time.ago", (time) => age(time.dateTime));
  const showElapsed = () => show("time[data-since]", (time) => duration(agoS(time.dataset.since)));
  function showTimes() {
    show("time[datetime]:not(.ago)", (time) => exact.format(new Date(time.dateTime)));
    showAges();
    showElapsed();
  }

  // ---- what is said to those who cannot see it ----

  const stepNow = () => document.getElementById("step")?.textContent;
  let step = stepNow();

  function say() {
    if (stepNow() === step) return;
    step = stepNow();
    document.getElementById("said").textContent = step ?? "";
  }

  // ---- following ----

  let isStreaming = false;
  let asking;
  let pace = 0;

  function follow() {
    const here = document.getElementById("follow");
    const listener = here?.querySelector("template");
    const stream = document.getElementById("stream");
    if (stream && document.hidden) {
      htmx.swap(stream, "", { swapStyle: "delete" }); // closes it
    } else if (listener && !stream && !document.hidden) {
      here.append(listener.content.cloneNode(true));
      htmx.process(here);
    }
    if (!here || isStreaming || (document.hidden && !listener)) askEvery(0);
    else askEvery(listener && !document.hidden ? FAILED_MS : QUIET_MS);
  }

  function askEvery(ms) {
    if (ms === pace) return; // an interval that began anew at each event would never end
    clearInterval(asking);
    pace = ms;
    if (ms) asking = setInterval(ask, ms);
  }

  function ask() {
    const here = document.getElementById("follow");
    if (here) htmx.ajax("GET", here.dataset.asks, { source: here, target: here, swap: "none" });
  }

  const streaming = (is) => () => {
    isStreaming = is;
    follow();
  };

  function start() {
    showTimes();
    setInterval(showElapsed, 1000);
    setInterval(showAges, AGES_MS);
    if (!window.htmx) return;
    document.body.addEventListener("htmx:sseOpen", streaming(true));
    document.body.addEventListener("htmx:sseError", streaming(false));
    document.body.addEventListener("htmx:sseClose", (event) => {
      isStreaming = false;
      if (event.detail.type === "message") follow(); // else a new page is about to take its place
    });
    document.addEventListener("visibilitychange", () => {
      follow();
      if (!document.hidden && !document.getElementById("stream")) ask();
    });
    htmx.onLoad(() => {
      showTimes();
      say();
      follow();
    });
  }

  start();
})();
