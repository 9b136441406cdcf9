// The official SDK's client, told what to call. All that it sends and sees is printed, one JSON object a line, so that
// two runs can be compared.
//
//   node client.mjs < a line of JSON: {"url", "token" | "user" | neither, "calls": [CALL…] | absent for the everything
//     server's scenario, "bodies": bool}
//
// A CALL is one of {"tool", "arguments", "progress"}, {"resource"}, {"prompt", "arguments"}, {"list": "tools" |
// "resources" | "prompts"}, {"ping": true}. With "user" the SDK signs in as MCP has it (401, RFC 9728, RFC 8414, RFC
// 7591, code with PKCE); this script plays the browser.
//
// Lines:
//   {"sent": MESSAGE}, {"received": MESSAGE}           JSON-RPC messages in the order in which the transport had them
//   {"http": METHOD, "status", "type", "session"}      each HTTP answer to the MCP endpoint; session: whether it has a
//     session id
//   {"body": METHOD, "bytes", "sha256"}                with "bodies": each answer's body, as it came off the wire, when
//     it ended
//   {"error": {"name", "code", "message"}}             what the SDK threw at the application
//   {"signed_in": USER}, {"session": ID}               not the same in any two runs
//   {"done": true}                                     the last line of a run that came to its end, whatever the calls
//     answered
import { createHash } from "node:crypto";
import { UnauthorizedError } from "@modelcontextprotocol/sdk/client/auth.js";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { request } from "./request.mjs";
import { User } from "./user.mjs";

const asked = await request();
const url = new URL(asked.url);
const print = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

/**
 * Against `server-everything`: a listing, an echo, progress, a failing tool, one that is not there, an image, a
 * resource, a prompt.
 */
const EVERYTHING = [
  { list: "tools" },
  { tool: "echo", arguments: { message: "hello, tape" } },
  { tool: "trigger-long-running-operation", arguments: { duration: 1, steps: 4 }, progress: true },
  { tool: "get-sum", arguments: { a: "not a number", b: 2 } },
  { tool: "no-such-tool", arguments: {} },
  { tool: "get-tiny-image", arguments: {} },
  { resource: "demo://resource/static/document/features.md" },
  { prompt: "args-prompt", arguments: { city: "Lisbon" } },
];

async function observed(input, init) {
  const response = await fetch(input, init);
  if (new URL(input).href !== url.href) return response;
  const method = init?.method ?? "GET";
  const type = response.headers.get("content-type");
  print({ http: method, status: response.status, type, session: response.headers.has("mcp-session-id") });
  if (!asked.bodies || !response.body) return response;
  const hash = createHash("sha256");
  let bytes = 0;
  const counted = new TransformStream({
    transform(chunk, controller) {
      hash.update(chunk);
      bytes += chunk.length;
      controller.enqueue(chunk);
    },
    flush: () => print({ body: method, bytes, sha256: hash.digest("hex") }),
  });
  return new Response(response.body.pipeThrough(counted), response);
}

function transport(authProvider) {
  const made = new StreamableHTTPClientTransport(url, {
    authProvider,
    fetch: observed,
    requestInit: asked.token ? { headers: { authorization: `Bearer ${asked.token}` } } : undefined,
  });
  made.onmessage = (message) => print({ received: message });
  const send = made.send.bind(made);
  made.send = (message, options) => {
    print({ sent: message });
    return send(message, options);
  };
  return made;
}

const client = () => new Client({ name: "tapedeck-dev-client", version: "1.0.0" }, { capabilities: {} });

async function connect() {
  const user = asked.user === undefined ? undefined : new User(asked.user);
  const first = { client: client(), transport: transport(user) };
  try {
    await first.client.connect(first.transport);
    return first;
  } catch (error) {
    if (!user || !(error instanceof UnauthorizedError)) throw error;
    await first.transport.finishAuth(await user.code());
    print({ signed_in: asked.user });
    const second = { client: client(), transport: transport(user) };
    await second.client.connect(second.transport);
    return second;
  }
}

function make(call, client) {
  // Without a listener the SDK asks for no progress.
  const options = call.progress ? { onprogress: () => {} } : undefined;
  if (call.tool) return client.callTool({ name: call.tool, arguments: call.arguments }, undefined, options);
  if (call.resource) return client.readResource({ uri: call.resource });
  if (call.prompt) return client.getPrompt({ name: call.prompt, arguments: call.arguments });
  if (call.list === "tools") return client.listTools();
  if (call.list === "resources") return client.listResources();
  if (call.list === "prompts") return client.listPrompts();
  if (call.ping) return client.ping();
  throw new Error(`not a call: ${JSON.stringify(call)}`);
}

const told = ({ name, code, message }) => print({ error: { name, code, message } });

try {
  const { client, transport } = await connect();
  print({ session: transport.sessionId ?? null });
  for (const call of asked.calls ?? EVERYTHING) await make(call, client).catch(told);
  await transport.terminateSession().catch(told);
  await client.close();
} catch (error) {
  told(error);
}
print({ done: true });
