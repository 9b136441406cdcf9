// Keys made for the occasion.
import { createPrivateKey, generateKeyPairSync } from "node:crypto";

const pem = { privateKeyEncoding: { type: "pkcs8", format: "pem" }, publicKeyEncoding: { type: "spki", format: "pem" } };

/**
 * A new private key for `alg`: P-256 where that begins with `ES`, RSA of 2048 bits elsewhere.
 *
 * By way of PEM, since a key object straight from the generator can hang the process: exporting it to a JWK holds its
 * lock while it allocates, and a garbage collection at that moment ends the generator, which waits for the same lock
 * (seen in Node 20.20, some thousands of keys in).
 * @param {string} alg
 * @returns {import("node:crypto").KeyObject}
 */
export function freshKey(alg) {
  const { privateKey } = alg.startsWith("ES")
    ? generateKeyPairSync("ec", { namedCurve: "P-256", ...pem })
    : generateKeyPairSync("rsa", { modulusLength: 2048, ...pem });
  return createPrivateKey(privateKey);
}
