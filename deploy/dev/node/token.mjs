// An access token, got by a real flow. Reads one line of JSON from standard input, prints the token endpoint's answer.
//
//   {"issuer", "audience", "user"}               authorization code with PKCE by a freshly registered client, signed in
//     as that user
//   {"issuer", "audience", "client", "secret"}   client credentials
import {
  discoverAuthorizationServerMetadata,
  exchangeAuthorization,
  registerClient,
  startAuthorization,
} from "@modelcontextprotocol/sdk/client/auth.js";
import { request } from "./request.mjs";
import { User } from "./user.mjs";

const asked = await request();
const metadata = await discoverAuthorizationServerMetadata(asked.issuer);
if (!metadata) throw new Error(`${asked.issuer} has no authorization server metadata`);

async function asUser() {
  const user = new User(asked.user);
  const { redirectUrl, clientMetadata } = user;
  const resource = new URL(asked.audience);
  const clientInformation = await registerClient(asked.issuer, { metadata, clientMetadata });
  const { authorizationUrl, codeVerifier } = await startAuthorization(asked.issuer, {
    metadata,
    clientInformation,
    redirectUrl,
    scope: "mcp",
    resource,
  });
  user.redirectToAuthorization(authorizationUrl);
  const authorizationCode = await user.code();
  return exchangeAuthorization(asked.issuer, {
    metadata,
    clientInformation,
    authorizationCode,
    codeVerifier,
    redirectUri: redirectUrl,
    resource,
  });
}

async function asMachine() {
  const response = await fetch(metadata.token_endpoint, {
    method: "POST",
    // RFC 6749 §2.3.1: both are encoded before they are joined.
    headers: { authorization: `Basic ${btoa([asked.client, asked.secret].map(encodeURIComponent).join(":"))}` },
    body: new URLSearchParams({ grant_type: "client_credentials", resource: asked.audience, scope: "mcp" }),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(`${answer.error}: ${answer.error_description}`);
  return answer;
}

console.log(JSON.stringify(await (asked.user === undefined ? asMachine() : asUser())));
