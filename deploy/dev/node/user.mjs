// A user at an MCP client, for the SDK's own sign-in: what the SDK asks an application to keep, kept in memory, and the
// browser that it opens.
import { signIn } from "./browser.mjs";

/** @implements {import("@modelcontextprotocol/sdk/client/auth.js").OAuthClientProvider} */
export class User {
  #login;
  #client;
  #tokens;
  #verifier;
  #code;

  /** @param {string} login */
  constructor(login) {
    this.#login = login;
  }

  get redirectUrl() {
    return "http://127.0.0.1:3334/oauth/callback";
  }

  get clientMetadata() {
    return {
      client_name: "tapedeck-dev-client",
      redirect_uris: [this.redirectUrl],
      grant_types: ["authorization_code"],
      response_types: ["code"],
      token_endpoint_auth_method: "none",
    };
  }

  clientInformation() {
    return this.#client;
  }

  saveClientInformation(client) {
    this.#client = client;
  }

  tokens() {
    return this.#tokens;
  }

  saveTokens(tokens) {
    this.#tokens = tokens;
  }

  codeVerifier() {
    return this.#verifier;
  }

  saveCodeVerifier(verifier) {
    this.#verifier = verifier;
  }

  redirectToAuthorization(url) {
    this.#code = signIn(url, this.redirectUrl, this.#login);
    // Awaited by whoever asks for the code; a failure before that is not unhandled.
    this.#code.catch(() => {});
  }

  /** The code that the browser brought back. */
  async code() {
    if (!this.#code) throw new Error("no sign-in was asked for");
    return this.#code;
  }
}
