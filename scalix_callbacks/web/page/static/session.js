// Talking to the gateway: every answer is JSON, every error has a sentence.

let csrf = null;

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, { cache: 'no-store', credentials: 'same-origin', signal: AbortSignal.timeout(15000), ...options });
  } catch {
    throw new Refused(0, 'The gateway does not answer. It is tried again.');
  }
  let body = null;
  try {
    body = await answer.json();
  } catch {
    throw new Refused(answer.status, 'What came is no answer of the gateway. Is there something else at this address?');
  }
  if (!answer.ok) throw new Refused(answer.status, (body.error && body.error.message) || 'The gateway refused this.');
  return body;
}

export function read(name, id) {
  return ask(`/scalix/page/${name}${id === undefined ? '' : `?id=${encodeURIComponent(id)}`}`);
}

function post(path, body) {
  const headers = { 'content-type': 'application/json', 'x-scalix-page': '1' };
  if (csrf) headers['x-scalix-csrf'] = csrf;
  return ask(path, { method: 'POST', headers, body: JSON.stringify(body) });
}

// A visitor without a session is no error: the answer says there is none.
export async function resume() {
  const { session } = await ask('/scalix/page/session');
  csrf = session && session.csrf;
  return session !== null;
}

export async function login(key) {
  csrf = (await post('/scalix/login', { key })).session.csrf;
}

export async function logout() {
  await post('/scalix/logout', {});
  csrf = null;
}
