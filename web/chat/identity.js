// Who uses this page. With a development gateway a name is enough; its token is kept for this tab, so that two tabs can be
// two people. Otherwise somebody gives a token, which becomes a cookie that scripts can not read.

const TAB = "rowcall.identity";
const DEVICE = "rowcall.last";

const parse = (text) => {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
};

export class Identity {
  #client;
  user = null;
  #token = null;
  #isDevelopment = false;
  #signIns = 0; // that somebody asked for

  constructor(client) {
    this.#client = client;
    // After a 401: a development gateway gives a new token for the asking.
    client.token = async ({ renew } = {}) => {
      if (renew && this.#isDevelopment) await this.#enter(this.user).catch(() => {});
      return this.#token;
    };
    const kept = parse(sessionStorage.getItem(TAB)) ?? parse(localStorage.getItem(DEVICE));
    if (kept) this.#take(kept);
  }

  #take({ user, token = null, isDevelopment = false }) {
    Object.assign(this, { user });
    this.#token = token;
    this.#isDevelopment = isDevelopment;
  }
  #keep() {
    const kept = JSON.stringify({ user: this.user, token: this.#token, isDevelopment: this.#isDevelopment });
    sessionStorage.setItem(TAB, kept);
    localStorage.setItem(DEVICE, kept);
  }

  /** "yes" (said by the gateway), "no", or "unknown": the gateway does not answer, or somebody signs in meanwhile. */
  async check() {
    const signIns = this.#signIns;
    try {
      const me = await this.#client.me();
      if (signIns !== this.#signIns) return "unknown";
      this.#take({ user: me.user, token: this.#token, isDevelopment: me.development });
      this.#keep();
      return "yes";
    } catch (error) {
      return error.isRetryable || signIns !== this.#signIns ? "unknown" : "no";
    }
  }

  /** Throws a RowcallError. */
  signIn(nameOrToken) {
    ++this.#signIns;
    return this.#enter(nameOrToken);
  }
  async #enter(nameOrToken) {
    if (nameOrToken.split(".").length === 3) {
      const me = await this.#client.request("POST", "/v1/session", { headers: { Authorization: `Bearer ${nameOrToken}` }, anonymous: true });
      this.#take({ user: me.user });
    } else {
      const { user, token } = await this.#client.request("POST", "/v1/dev/login", { body: { name: nameOrToken }, anonymous: true });
      this.#take({ user, token, isDevelopment: true });
    }
    this.#keep();
  }

  async signOut() {
    sessionStorage.removeItem(TAB);
    localStorage.removeItem(DEVICE);
    await this.#client.request("DELETE", "/v1/session", { anonymous: true }).catch(() => {});
  }
}
