// Where a server of the stack listens, and how it says so.
//
// A server is on 127.0.0.1 only. It prints one JSON line on standard output once it accepts connections, {"listening":
// URL}, so that whoever started it knows the port (0 asks for any free one) and that it is ready, without guessing
// either.

/**
 * Listens on 127.0.0.1 and resolves to the server's base URL.
 * @param {import("node:http").Server} server
 * @param {number} port 0 takes a free one
 * @returns {Promise<string>}
 */
export function listen(server, port) {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => resolve(`http://127.0.0.1:${server.address().port}`));
  });
}

/** Says that the server at `url` is ready. */
export function announce(url) {
  process.stdout.write(`${JSON.stringify({ listening: url })}\n`);
}
