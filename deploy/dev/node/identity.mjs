// The identity provider of the stack: the certified `oidc-provider`, with the users, clients and keys that the stack
// gives it.
//
//   node identity.mjs CONFIG.json
//
// CONFIG: {"port": 0, "keys": FILE, "users": {LOGIN: {"name", "email", "groups"}}, "clients": [{"id", "secret",
// "groups"}], "lifetime_seconds"}
//
// Users sign in by their login and any password. A login that the config does not name may sign in too and is in no
// group. `clients` are machines, which get tokens by client credentials; MCP clients register themselves. FILE is a
// private JWK set, made here if it is missing, so that tests can sign with the provider's own keys and so that tokens
// outlive a restart.
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { Provider } from "oidc-provider";
import { freshKey } from "./keys.mjs";
import { announce, listen } from "./listen.mjs";

// oidc-provider is written for Node 22, and this is all that an early Node 20 lacks.
URL.parse ??= (url, base) => (URL.canParse(url, base) ? new URL(url, base) : null);

const config = JSON.parse(readFileSync(process.argv[2], "utf8"));
const users = new Map(Object.entries(config.users ?? {}));
const machines = new Map((config.clients ?? []).map((client) => [client.id, client]));

function keys() {
  if (!existsSync(config.keys)) {
    const jwk = (alg, kid) => {
      const name = `${kid}-${randomBytes(4).toString("hex")}`;
      return { ...freshKey(alg).export({ format: "jwk" }), kid: name, alg, use: "sig" };
    };
    const made = { keys: [jwk("RS256", "rsa"), jwk("ES256", "ec")] };
    writeFileSync(config.keys, JSON.stringify(made), { mode: 0o600 });
  }
  return JSON.parse(readFileSync(config.keys, "utf8"));
}

/** What a token says about its subject, beyond the registered claims. */
function claimsOf(token) {
  if (token.kind === "ClientCredentials") return { groups: machines.get(token.clientId)?.groups ?? [] };
  const { name = token.accountId, email, groups = [] } = users.get(token.accountId) ?? {};
  return { name, email, groups };
}

const server = createServer();
const issuer = await listen(server, config.port ?? 0);
const lifetime = config.lifetime_seconds ?? 3600;

const provider = new Provider(issuer, {
  jwks: keys(),
  cookies: { keys: [randomBytes(32).toString("hex")] },
  scopes: ["openid", "offline_access", "mcp"],
  claims: { openid: ["sub"], email: ["email"], profile: ["name"], groups: ["groups"] },
  clients: [...machines.values()].map((client) => ({
    client_id: client.id,
    client_secret: client.secret,
    grant_types: ["client_credentials"],
    response_types: [],
    redirect_uris: [],
  })),
  clientBasedCORS: () => true,
  extraTokenClaims: (_ctx, token) => claimsOf(token),
  async findAccount(_ctx, id) {
    const { name = id, email, groups = [] } = users.get(id) ?? {};
    return { accountId: id, claims: () => ({ sub: id, name, email, groups }) };
  },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: true },
    // Programs on machines without a browser (RFC 8628).
    deviceFlow: { enabled: true },
    revocation: { enabled: true },
    registration: { enabled: true },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: () => true,
      getResourceServerInfo: (_ctx, resource) => ({
        scope: "mcp",
        audience: resource,
        accessTokenFormat: "jwt",
        accessTokenTTL: lifetime,
        jwt: { sign: { alg: "RS256" } },
      }),
    },
  },
  pkce: { required: () => true },
  ttl: {
    AccessToken: () => lifetime,
    ClientCredentials: () => lifetime,
    DeviceCode: () => 600,
    RefreshToken: () => 86400,
    IdToken: () => lifetime,
    Interaction: () => 600,
    Session: () => 86400,
    Grant: () => 86400,
  },
});

// RFC 6749 §3.3: a request without a scope gets the server's default. MCP clients send none where the resource's
// metadata names none.
provider.use((ctx, next) => {
  if (ctx.path === "/auth" && ctx.method === "GET" && !ctx.query.scope) ctx.query = { ...ctx.query, scope: "mcp" };
  return next();
});
provider.on("server_error", (_ctx, error) => console.error(error));
server.on("request", provider.callback());
announce(issuer);
