// The operator's API: /v1/operator/… with a Bearer token that lives in this tab only.

const KEPT = "rowcall.operator";

export class ApiError extends Error {
  constructor(status, problem) {
    super(problem?.detail ?? "the gateway does not answer");
    this.status = status; // 0: no answer
    this.problem = problem ?? {};
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
    let response;
    try {
      response = await fetch(`/v1/operator/${path}`, {
        method,
        headers: { Authorization: `Bearer ${this.#token}`, ...(body ? { "Content-Type": "application/json" } : {}) },
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
    if (response.status === 401 || (response.status === 403 && answer?.type === "/problems/forbidden")) this.refused(error.message);
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
