// The operator's API: /v1/operator/… with a Bearer token that lives in this tab only.

const KEPT = "rowcall.operator";

export class ApiError extends Error {
  constructor(status, problem) {
    super(problem?.detail ?? "the gateway does not answer");
    this.status = status; // 0: no answer
    this.problem = problem ?? {};
  }
}

/** Of several questions the one asked last counts: answers to those before it come too late, whenever they come. */
export class Latest {
  #asked = 0;

  /** {answer} or {error}; null when something else was asked, or nothing is wanted any more. */
  async ask(answer) {
    const asked = ++this.#asked;
    let seen;
    try {
      seen = { answer: await answer };
    } catch (error) {
      seen = { error };
    }
    return asked === this.#asked ? seen : null;
  }
  drop() {
    ++this.#asked;
  }
}

export class Api {
  #token = sessionStorage.getItem(KEPT);
  /** Called when the token is refused, with the reason. */
  refused = () => {};

  constructor() {
    // A link may bring the token along; it must not stay in the address bar or the history.
    const brought = /^#token=([\w.-]+)$/.exec(location.hash);
    if (!brought) return;
    history.replaceState(null, "", location.pathname);
    this.use(brought[1]);
  }

  get hasToken() {
    return this.#token !== null;
  }
  use(token) {
    this.#token = token;
    sessionStorage.setItem(KEPT, token);
  }
  forget() {
    this.#token = null;
    sessionStorage.removeItem(KEPT);
  }

  async #request(method, path, body) {
    const token = this.#token;
    let response;
    try {
      response = await fetch(`/v1/operator/${path}`, {
        method,
        headers: { Authorization: `Bearer ${token}`, ...(body ? { "Content-Type": "application/json" } : {}) },
        body: body && JSON.stringify(body),
        credentials: "omit",
        signal: AbortSignal.timeout(60_000),
      });
    } catch {
      throw new ApiError(0);
    }
    const answer = await response.json().catch(() => null);
    if (response.ok) return answer;
    const error = new ApiError(response.status, answer);
    const isRefused = response.status === 401 || (response.status === 403 && answer?.type === "/problems/forbidden");
    if (isRefused && token === this.#token) this.refused(error.message);
    throw error;
  }
  get(path, query = {}) {
    const text = new URLSearchParams(Object.entries(query).filter(([, v]) => v !== undefined && v !== null && v !== "")).toString();
    return this.#request("GET", text ? `${path}?${text}` : path);
  }
  post(path, body) {
    return this.#request("POST", path, body);
  }
}
