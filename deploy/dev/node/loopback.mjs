// Preloaded (`node --import`) into a server that has no option for its address: every TCP listener it opens is on
// 127.0.0.1, and is announced.
import net from "node:net";
import { announce } from "./listen.mjs";

const listen = net.Server.prototype.listen;

net.Server.prototype.listen = function (port, ...rest) {
  if (typeof port !== "number" && typeof port !== "string") throw new Error("only listen(port, …) is known here");
  this.once("listening", () => announce(`http://127.0.0.1:${this.address().port}`));
  return listen.call(this, { port: Number(port), host: "127.0.0.1" }, ...rest);
};
