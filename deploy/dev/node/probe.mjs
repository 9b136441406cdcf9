// An MCP server for tests, on the official SDK: tools whose answers a test can foretell, and an account of what reached
// it.
//
//   node probe.mjs [--port N] [--stateless] [--json]
//
// --stateless issues no Mcp-Session-Id; --json answers application/json instead of an event stream (progress is then
// dropped by the SDK).
//
// MCP at /mcp. The account beside it, never through the proxy:
//   GET    /probe/calls    {"total", "messages", "calls": [{"http", "headers", "rpc": {"method", "id", "name"}}]}, the
//     latest 10,000 calls; a header is [name, value]
//   GET    /probe/echoes   the texts of all `echo` calls up to 128 characters, in order of arrival, repeated if
//     repeated
//   POST   /probe/release  lets every call of `hold` go on, those that wait and those to come
//   DELETE /probe/calls    forgets all of the above
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import { parseArgs } from "node:util";
import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import {
  CallToolRequestSchema,
  GetPromptRequestSchema,
  ListPromptsRequestSchema,
  ListResourcesRequestSchema,
  ListToolsRequestSchema,
  McpError,
  ReadResourceRequestSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { announce, listen } from "./listen.mjs";

const KEPT_CALLS = 10_000;
const KEPT_ECHO = 128;
// The smallest PNG. Viewers ignore what follows its end, so it can be made as large as a test likes.
const PNG = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=",
  "base64",
);

const { values: options } = parseArgs({
  options: { port: { type: "string", default: "0" }, stateless: { type: "boolean" }, json: { type: "boolean" } },
});

const account = { total: 0, messages: 0, calls: [], echoes: [], held: [], released: false };

const answer = (text) => ({ content: [{ type: "text", text }] });
const number = (description) => ({ type: "number", description });
const string = (description) => ({ type: "string", description });

/**
 * Text of exactly `size` bytes that holds nothing a redactor could mistake for a secret and that compresses like
 * prose.
 */
function filler(size) {
  const words = "the quick brown fox jumps over the lazy dog and then it does so again ";
  return words.repeat(Math.ceil(size / words.length)).slice(0, size);
}

const tools = {
  echo: {
    description: "Answers with the text, exactly",
    properties: { text: string("what to answer") },
    call: ({ text }) => {
      if (text.length <= KEPT_ECHO) account.echoes.push(text);
      return answer(text);
    },
  },
  progress: {
    description: "Sends one progress notification per step, then answers",
    properties: { steps: number("how many"), every_ms: number("milliseconds between them; 0 if absent") },
    async call({ steps, every_ms = 0 }, extra) {
      const progressToken = extra._meta?.progressToken;
      for (let step = 1; step <= steps; step += 1) {
        if (every_ms > 0) await new Promise((resolve) => setTimeout(resolve, every_ms));
        if (progressToken === undefined) continue;
        const params = { progressToken, progress: step, total: steps, message: `step ${step} of ${steps}` };
        await extra.sendNotification({ method: "notifications/progress", params });
      }
      return answer(`${steps} steps done`);
    },
  },
  fail: {
    description: "Answers that it failed (isError)",
    properties: { text: string("what went wrong") },
    call: ({ text = "it failed, as asked" }) => ({ ...answer(text), isError: true }),
  },
  refuse: {
    description: "Answers with a JSON-RPC error",
    properties: { code: number("its code"), message: string("its message"), data: {} },
    call({ code = -32050, message = "refused, as asked", data }) {
      throw new McpError(code, message, data);
    },
  },
  big: {
    description: "Answers with a text of the given size",
    properties: { bytes: number("its size"), megabytes: number("or its size in MiB") },
    call: ({ bytes, megabytes = 1 }) => answer(filler(bytes ?? megabytes * 1024 * 1024)),
  },
  image: {
    description: "Answers with a PNG in base64",
    properties: { bytes: number("its size before base64, at least the smallest PNG's") },
    call({ bytes = PNG.length }) {
      const padding = Buffer.alloc(Math.max(0, bytes - PNG.length), filler(997));
      const data = Buffer.concat([PNG, padding]).toString("base64");
      return { content: [{ type: "image", mimeType: "image/png", data }] };
    },
  },
  hold: {
    description: "Answers only once POST /probe/release has been called",
    properties: { text: string("what to answer then") },
    async call({ text = "released" }) {
      if (!account.released) await new Promise((resolve) => account.held.push(resolve));
      return answer(text);
    },
  },
};

function mcpServer() {
  const capabilities = { tools: {}, resources: {}, prompts: {} };
  const server = new Server({ name: "tapedeck-probe", version: "1.0.0" }, { capabilities });
  server.setRequestHandler(ListToolsRequestSchema, () => ({
    tools: Object.entries(tools).map(([name, { description, properties }]) => {
      return { name, description, inputSchema: { type: "object", properties } };
    }),
  }));
  server.setRequestHandler(CallToolRequestSchema, ({ params }, extra) => {
    const tool = tools[params.name];
    if (!tool) throw new McpError(-32602, `no tool ${params.name}`);
    return tool.call(params.arguments ?? {}, extra);
  });
  server.setRequestHandler(ListResourcesRequestSchema, () => ({
    resources: [{ uri: "probe://text", name: "text", mimeType: "text/plain" }],
  }));
  server.setRequestHandler(ReadResourceRequestSchema, ({ params }) => ({
    contents: [{ uri: params.uri, mimeType: "text/plain", text: `the content of ${params.uri}` }],
  }));
  server.setRequestHandler(ListPromptsRequestSchema, () => ({
    prompts: [{ name: "greeting", description: "Greets" }],
  }));
  server.setRequestHandler(GetPromptRequestSchema, ({ params }) => ({
    messages: [{ role: "user", content: { type: "text", text: `a prompt called ${params.name}` } }],
  }));
  return server;
}

const sessions = new Map();

async function transportFor(request) {
  const known = sessions.get(request.headers["mcp-session-id"]);
  if (known) return known;
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: options.stateless ? undefined : randomUUID,
    enableJsonResponse: options.json,
    onsessioninitialized: (id) => sessions.set(id, transport),
    onsessionclosed: (id) => sessions.delete(id),
  });
  await mcpServer().connect(transport);
  return transport;
}

function record(request, message) {
  const { rawHeaders } = request;
  const headers = rawHeaders.flatMap((name, at) => (at % 2 === 0 ? [[name, rawHeaders[at + 1]]] : []));
  const messages = message === undefined ? [] : [message].flat();
  account.total += 1;
  account.messages += messages.length;
  const [first] = messages;
  const rpc = first && { method: first.method, id: first.id, name: first.params?.name ?? first.params?.uri };
  account.calls.push({ http: request.method, headers, rpc });
  if (account.calls.length > KEPT_CALLS) account.calls.shift();
}

async function mcp(request, response) {
  const body = await text(request);
  const message = body === "" ? undefined : JSON.parse(body);
  record(request, message);
  const known = request.headers["mcp-session-id"];
  // The protocol's answer to a session that is over: the client then starts another.
  if (known !== undefined && !sessions.has(known)) {
    response.writeHead(404, { "content-type": "application/json" });
    response.end(JSON.stringify({ jsonrpc: "2.0", id: null, error: { code: -32001, message: "Session not found" } }));
    return;
  }
  // Without sessions there is nothing that a stream of the server's own could belong to, nor anything to end.
  if (options.stateless && request.method !== "POST") {
    response.writeHead(405, { allow: "POST" }).end();
    return;
  }
  await (await transportFor(request)).handleRequest(request, response, message);
}

function forget() {
  Object.assign(account, { total: 0, messages: 0, calls: [], echoes: [], released: false });
}

function release() {
  account.released = true;
  for (const go of account.held.splice(0)) go();
}

const side = {
  "GET /probe/calls": ({ total, messages, calls }) => ({ total, messages, calls }),
  "GET /probe/echoes": ({ echoes }) => echoes,
  "POST /probe/release": release,
  "DELETE /probe/calls": forget,
};

const server = createServer(async (request, response) => {
  try {
    const { pathname } = new URL(request.url, "http://probe");
    if (pathname === "/mcp") return await mcp(request, response);
    const told = side[`${request.method} ${pathname}`];
    response.writeHead(told ? 200 : 404, { "content-type": "application/json" });
    response.end(JSON.stringify(told?.(account) ?? null));
  } catch (error) {
    console.error(error);
    if (response.headersSent) response.destroy();
    else response.writeHead(500).end();
  }
});
announce(await listen(server, Number(options.port)));
