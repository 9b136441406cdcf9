// Preloaded into the conformance suite, which has no option for headers: adds a bearer token to whatever it sends to the
// server under test, by any of the ways in which it sends, and to nothing else.
//
//   CONFORMANCE_ORIGIN   scheme, host and port of that server
//   CONFORMANCE_TOKEN    the token
import http from "node:http";
import { syncBuiltinESMExports } from "node:module";
import { getGlobalDispatcher, setGlobalDispatcher } from "undici";

const { CONFORMANCE_ORIGIN: origin, CONFORMANCE_TOKEN: token } = process.env;
const authorization = `Bearer ${token}`;
const { hostname, port } = new URL(origin);

const { fetch } = globalThis;
globalThis.fetch = (resource, options) => {
  const request = new Request(resource, options);
  if (new URL(request.url).origin === origin) request.headers.set("authorization", authorization);
  return fetch(request);
};

// undici's own functions. Its dispatcher is the global fetch's, too: there the header stands already.
function withToken(headers) {
  if (headers === undefined || headers === null) return { authorization };
  if (!Array.isArray(headers)) return { ...(headers[Symbol.iterator] ? Object.fromEntries(headers) : headers), authorization };
  const named = headers.some((name, at) => at % 2 === 0 && String(name).toLowerCase() === "authorization");
  return named ? headers : [...headers, "authorization", authorization];
}
setGlobalDispatcher(
  getGlobalDispatcher().compose(
    (dispatch) => (options, handler) =>
      dispatch(
        String(options.origin) === origin ? { ...options, headers: withToken(options.headers) } : options,
        handler,
      ),
  ),
);

const { request } = http;
http.request = (...given) => {
  const sent = request(...given);
  // The host that is connected to: the header may say another one on purpose.
  const options = given.find((one) => typeof one === "object" && one !== null && !(one instanceof URL)) ?? {};
  const url = given.find((one) => typeof one === "string" || one instanceof URL);
  const to = url ? new URL(url) : { hostname: options.hostname ?? options.host, port: String(options.port) };
  if (to.hostname === hostname && to.port === port) sent.setHeader("authorization", authorization);
  return sent;
};
http.get = (...given) => http.request(...given).end();
syncBuiltinESMExports();
