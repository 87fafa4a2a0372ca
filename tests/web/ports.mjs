import { createServer } from "node:net";

/** A port that nobody listens on, below the range that outgoing connections take theirs from: it stays free over a restart. */
export async function freePort() {
  for (let attempt = 0; attempt < 1000; ++attempt) {
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    const isFree = await new Promise((resolve) => {
      const server = createServer().on("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
    });
    if (isFree) return port;
  }
  throw new Error("no free TCP port between 10000 and 29999");
}
