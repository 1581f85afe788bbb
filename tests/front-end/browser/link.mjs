// The network between a page and the API, which a test can break.
import { connect, createServer } from "node:net";

export class Link {
  #sockets = new Set();
  #up = true;

  static async to(url) {
    const { hostname, port } = new URL(url);
    const link = new Link();
    link.server = createServer((page) => {
      if (!link.#up) return page.destroy();
      const api = connect(Number(port), hostname);
      for (const [socket, other] of [[page, api], [api, page]]) {
        link.#sockets.add(socket);
        socket.setNoDelay().on("error", () => other.destroy()).on("close", () => {
          other.destroy();
          link.#sockets.delete(socket);
        });
        socket.pipe(other);
      }
    });
    await new Promise((resolve) => link.server.listen(0, "127.0.0.1", resolve));
    link.url = `http://127.0.0.1:${link.server.address().port}`;
    return link;
  }

  /** Breaks what is open, and refuses what is new. */
  down() {
    this.#up = false;
    for (const socket of this.#sockets) socket.destroy();
  }
  up() {
    this.#up = true;
  }
}
