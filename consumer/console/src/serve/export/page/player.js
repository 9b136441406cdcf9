"use strict";
(() => {
  const id = (name) => document.getElementById(name);
  const session = JSON.parse(id("session").textContent);
  const frames = JSON.parse(id("frames").textContent);
  const LINE = 1.6 * 13;
  const IDLE = 2e6;
  const first = frames.length ? frames[0].t : 0;
  const times = [];
  for (const frame of frames) times.push(Math.max(times.length ? times[times.length - 1] : 0, frame.t - first));
  const end = times.length ? times[times.length - 1] : 0;
  const list = id("list");
  const state = { at: 0, here: 0, playing: false, last: 0 };
  const seconds = (micro) => (micro / 1e6).toFixed(3) + " s";

  id("title").textContent = (session.email || session.name || session.subject || "nobody") + " \u2192 " + session.target;
  id("about").textContent = session.started + ", " + session.client_name + ", " + frames.length + " frames, session " + session.session_id;

  const upper = document.createElement("li");
  const lower = document.createElement("li");
  upper.setAttribute("aria-hidden", "true");
  lower.setAttribute("aria-hidden", "true");

  function draw() {
    const from = Math.max(0, Math.floor(list.scrollTop / LINE) - 20);
    const to = Math.min(frames.length, from + Math.ceil(list.clientHeight / LINE) + 40);
    const rows = [upper];
    upper.style.height = from * LINE + "px";
    lower.style.height = (frames.length - to) * LINE + "px";
    for (let index = from; index < to; index += 1) {
      const frame = frames[index];
      const row = document.createElement("li");
      row.textContent = String(frame.n).padStart(5) + " " + ("+" + seconds(times[index])).padStart(12) + " " + frame.arrow + " " + frame.line;
      row.className = (index > state.here ? "later " : "") + (frame.error ? "bad " : "") + (index === state.here ? "here" : "");
      row.addEventListener("click", () => step(index));
      rows.push(row);
    }
    rows.push(lower);
    list.replaceChildren(...rows);
  }

  function pretty(text) {
    try {
      return JSON.stringify(JSON.parse(text), null, 2);
    } catch {
      return text;
    }
  }

  function show() {
    const frame = frames[state.here];
    id("what").textContent = frame ? frame.n + " " + frame.arrow + " " + frame.line : "No frames";
    id("masked").textContent = frame && frame.masked.length ? "Masked by " + frame.masked.join(", ") : "";
    id("payload").textContent = frame ? pretty(frame.payload) : "";
    id("seek").value = end ? state.at / end : 0;
    id("clock").textContent = seconds(state.at) + " of " + seconds(end);
    const top = state.here * LINE;
    if (top < list.scrollTop || top > list.scrollTop + list.clientHeight - LINE) list.scrollTop = top - list.clientHeight / 2;
    draw();
  }

  function indexAt(time) {
    let low = 0;
    let high = times.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (times[middle] <= time) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }

  function seek(time) {
    state.at = Math.min(end, Math.max(0, time));
    state.here = indexAt(state.at);
    show();
  }

  function step(index) {
    state.here = Math.min(frames.length - 1, Math.max(0, index));
    state.at = times[state.here] || 0;
    show();
  }

  function tick(now) {
    if (!state.playing) return;
    const passed = (now - state.last) * 1000 * Number(id("speed").value);
    state.last = now;
    let time = state.at + passed;
    const next = times[indexAt(state.at) + 1];
    if (id("idle").checked && next !== undefined && next - state.at > IDLE) time = Math.max(time, next - IDLE / 4);
    const before = state.here;
    state.at = Math.min(end, time);
    state.here = indexAt(state.at);
    if (state.here !== before) show();
    else {
      id("seek").value = end ? state.at / end : 0;
      id("clock").textContent = seconds(state.at) + " of " + seconds(end);
    }
    if (state.at >= end) play(false);
    else requestAnimationFrame(tick);
  }

  function play(on) {
    state.playing = on && frames.length > 0;
    if (state.playing && state.at >= end) seek(0);
    id("play").textContent = state.playing ? "Pause" : "Play";
    state.last = performance.now();
    if (state.playing) requestAnimationFrame(tick);
  }

  function find(text) {
    const wanted = text.toLowerCase();
    for (let count = 1; wanted && count <= frames.length; count += 1) {
      const index = (state.here + count) % frames.length;
      if ((frames[index].line + frames[index].payload).toLowerCase().includes(wanted)) {
        step(index);
        return;
      }
    }
  }

  id("play").addEventListener("click", () => play(!state.playing));
  id("back").addEventListener("click", () => step(state.here - 1));
  id("next").addEventListener("click", () => step(state.here + 1));
  id("seek").addEventListener("input", (event) => seek(Number(event.target.value) * end));
  id("find").addEventListener("keydown", (event) => event.key === "Enter" && find(event.target.value));
  list.addEventListener("scroll", draw);
  window.addEventListener("resize", draw);
  document.addEventListener("keydown", (event) => {
    if (event.target.matches("input,select,button")) return;
    const keys = { " ": () => play(!state.playing), ArrowDown: () => step(state.here + 1), ArrowUp: () => step(state.here - 1), ArrowRight: () => seek(state.at + 5e6), ArrowLeft: () => seek(state.at - 5e6), Home: () => step(0), End: () => step(frames.length - 1) };
    if (keys[event.key]) {
      event.preventDefault();
      keys[event.key]();
    }
  });
  show();
})();
