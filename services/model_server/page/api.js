// The server's API by fetch. The key lives in this module's memory, and nowhere else.

let key = null;
let asking = null;
let askForKey = async () => null;

const GONE = "The server does not answer. Is it still running?";
const BROKEN = "The connection broke before the answer was complete.";

/** What went wrong, in words for whoever reads the page. */
export class Failure extends Error {
  constructor(message, { status = 0, code = null, retryAfter = null } = {}) {
    super(retryAfter === null ? message : `${message} Try again in ${retryAfter} s.`);
    this.status = status;
    this.code = code;
  }
}

/** Told why, the function gives a key, or null where there is none to be had. */
export function onKeyNeeded(ask) {
  askForKey = ask;
}

/** The JSON that a path answers. */
export async function getJson(path, options = {}) {
  const answer = await call(path, options);
  try {
    return await answer.json();
  } catch (error) {
    throw wasStopped(error) ? error : new Failure(BROKEN);
  }
}

export const postJson = (path, body, options = {}) => getJson(path, { ...options, body });

/** The events of a stream, parsed, until `[DONE]`. */
export async function* events(path, options = {}) {
  const answer = await call(path, options);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      rest += await read(reader);
      for (let end = rest.indexOf("\n\n"); end >= 0; end = rest.indexOf("\n\n")) {
        const data = dataOf(rest.slice(0, end));
        rest = rest.slice(end + 2);
        if (data === "") continue;
        if (data === "[DONE]") return;
        const found = JSON.parse(data);
        if (found.error) throw new Failure(found.error.message, { code: found.error.code });
        yield found;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** Whether this is the end that the reader of the page asked for. */
export const wasStopped = (error) => error.name === "AbortError";

async function call(path, { body = null, headers = {}, signal = null, method = null } = {}) {
  for (;;) {
    const sent = key;
    const answer = await send(path, { body, headers, signal, method }, sent);
    if (answer.ok) return answer;
    const failure = await failureOf(answer);
    if (answer.status !== 401) throw failure;
    // Another request may have asked for a key meanwhile.
    if (sent !== key) continue;
    asking ??= askForKey(sent === null ? "This server answers to those who have a key." : failure.message);
    const given = await asking;
    asking = null;
    if (given === null) throw new Failure("Without a key the server does not answer.", { status: 401 });
    key = given;
  }
}

async function send(path, { body, headers, signal, method }, sent) {
  const told = { ...headers };
  if (body !== null) told["content-type"] = "application/json";
  if (sent !== null) told.authorization = `Bearer ${sent}`;
  try {
    return await fetch(path, {
      method: method ?? (body === null ? "GET" : "POST"),
      headers: told,
      body: body === null ? null : JSON.stringify(body),
      signal,
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
    });
  } catch (error) {
    throw wasStopped(error) ? error : new Failure(GONE);
  }
}

async function failureOf(answer) {
  const said = await answer.json().catch(() => ({}));
  const message = said.error?.message ?? `The server answered ${answer.status}.`;
  const seconds = answer.headers.get("retry-after");
  return new Failure(message, { status: answer.status, code: said.error?.code, retryAfter: seconds });
}

async function read(reader) {
  let found;
  try {
    found = await reader.read();
  } catch (error) {
    throw wasStopped(error) ? error : new Failure(BROKEN);
  }
  if (found.done) throw new Failure(BROKEN);
  return found.value;
}

function dataOf(block) {
  const lines = block.split("\n").filter((line) => line.startsWith("data: "));
  return lines.map((line) => line.slice(6)).join("\n");
}
