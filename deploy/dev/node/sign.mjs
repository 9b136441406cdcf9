// Signs JWTs for tests, exactly as given. Reads {"keys": JWKS, "tokens": [{"header", "claims", "kid"}]} from standard
// input, prints a JSON array of compact JWSs.
//
// `kid` chooses the signing key out of JWKS; the header says whatever the test wants it to say, also if that is a lie.
// A token without `kid` is signed by a key made for the occasion, of the kind that `header.alg` names.
import { createPrivateKey, sign } from "node:crypto";
import { freshKey } from "./keys.mjs";
import { request } from "./request.mjs";

const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

const { keys, tokens } = await request();

function keyFor({ kid, header }) {
  if (kid === undefined) return freshKey(header.alg);
  const jwk = keys.keys.find((key) => key.kid === kid);
  if (!jwk) throw new Error(`no key ${kid}`);
  return createPrivateKey({ key: jwk, format: "jwk" });
}

function compact(token) {
  const signed = `${encode(token.header)}.${encode(token.claims)}`;
  const key = keyFor(token);
  // ieee-p1363 is r‖s, as RFC 7518 §3.4 has it for ES256; RSA ignores it.
  const signature = sign("sha256", Buffer.from(signed), { key, dsaEncoding: "ieee-p1363" });
  return `${signed}.${signature.toString("base64url")}`;
}

console.log(JSON.stringify(tokens.map(compact)));
