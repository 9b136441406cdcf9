// A server for tests that is spoken to by lines: it does what a tool's name says.
import { createInterface } from "node:readline";
import { readFileSync } from "node:fs";

console.error(`started as ${process.pid}`);
const send = (message) => process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
const text = (id, text) => send({ id, result: { content: [{ type: "text", text: String(text) }] } });
const asked = new Map();
const held = [];

const tools = {
  pid: (id) => text(id, process.pid),
  echo: (id, { arguments: given }) => text(id, JSON.stringify(given)),
  environment: (id) => text(id, Object.keys(process.env).sort().join(" ")),
  limits: (id) => text(id, readFileSync("/proc/self/limits", "utf8")),
  ask(id) {
    asked.set("from-the-server", (answer) => text(id, JSON.stringify(answer.result ?? answer.error)));
    send({ id: "from-the-server", method: "sampling/createMessage", params: {} });
  },
  progress(id, { _meta }) {
    send({ method: "notifications/progress", params: { progressToken: _meta.progressToken, progress: 1 } });
    text(id, "done");
  },
  // Both wait for each other, so two calls are open at once.
  together(id, { arguments: given }) {
    held.push(() => text(id, given.text));
    if (held.length === 2) for (const go of held.splice(0)) go();
  },
  // Its word comes when nothing is asked of it any more.
  afterthought(id) {
    text(id, "done");
    send({ method: "notifications/message", params: {} });
  },
  hold: (id) => console.error(`holding ${id}`),
  die: () => process.exit(3),
};

createInterface({ input: process.stdin }).on("line", (line) => {
  const message = JSON.parse(line);
  if (message.method === "initialize") {
    send({ id: message.id, result: { protocolVersion: "2025-06-18", capabilities: {}, serverInfo: { name: "lines" } } });
  } else if (message.method === "tools/call") tools[message.params.name](message.id, message.params);
  else if (message.method === "notifications/roots/list_changed") send({ method: "notifications/message", params: {} });
  else if (message.method === "notifications/cancelled") console.error(`cancelled ${JSON.stringify(message.params.requestId)}`);
  else if (message.id !== undefined) asked.get(message.id)?.(message);
});
