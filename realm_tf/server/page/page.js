'use strict';
// Asks /answer and shows what it says. Whatever comes from documents is text, never markup:
// it is only ever given to textContent.

const ANSWERS = 5;
const PASSAGES = 5;
const at = (id) => document.getElementById(id);
let asking = null;

function element(name, className, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children.filter((child) => child !== null));
  return made;
}

function percent(share) {
  const value = 100 * share;
  if (value > 0 && value < 1) return 'under 1 %';
  return `${value > 99 && value < 100 ? 99 : Math.round(value)} %`;
}

function bar(share) {
  // A width by attribute: the policy forbids styles in elements.
  const space = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(space, 'svg');
  svg.setAttribute('aria-hidden', 'true');
  const filled = document.createElementNS(space, 'rect');
  filled.setAttribute('width', `${100 * share}%`);
  filled.setAttribute('height', '100%');
  svg.append(filled);
  return element('span', 'bar', svg);
}

// Offsets count characters; a string of JavaScript counts UTF-16 units.
function marked(passage, start, end) {
  const characters = Array.from(passage);
  const part = (from, to) => characters.slice(from, to).join('');
  return element('p', 'passage', part(0, start),
    end > start ? element('mark', '', part(start, end)) : null,
    part(Math.max(start, end), characters.length));
}

// What a document is called besides its title: its id, or path.
function place(one) {
  return one.passage_id && one.passage_id !== one.title ? ` · ${one.passage_id}` : '';
}

function source(one) {
  return element('p', 'from', element('b', '', one.title || 'Untitled'), place(one));
}

function sure(one, found) {
  // A number that nothing was fitted to is no percentage of anything.
  return found.calibrated === false
    ? `score ${one.probability.toFixed(2)}, not calibrated` : `${percent(one.probability)} sure`;
}

function best(found) {
  if (!found.answers) {
    return element('section', 'card none', element('h2', '', 'Answer'),
      element('p', 'answer', 'No reader'),
      element('p', '', 'This model has not been trained to read answers out of passages: '
        + 'it only finds passages.'));
  }
  if (found.answerable) {
    return element('section', 'card', element('h2', '', 'Answer'),
      element('p', 'answer', found.answer),
      element('p', 'sure', bar(found.probability), sure(found, found)),
      source(found), marked(found.passage, found.start, found.end));
  }
  const candidate = found.answers[0];
  return element('section', 'card none', element('h2', '', 'Answer'),
    element('p', 'answer', 'No answer'),
    element('p', '', candidate
      ? `The best candidate is “${candidate.answer}”, ${sure(candidate, found)}, `
        + 'which is not enough.'
      : 'Nothing in the documents answers this.'));
}

function others(found) {
  const rest = (found.answers || []).slice(found.answerable ? 1 : 0);
  if (!rest.length) return null;
  const items = rest.map((one) => element('li', '',
    element('span', 'percent', found.calibrated === false
      ? one.probability.toFixed(2) : percent(one.probability)),
    element('div', '', element('b', '', one.answer),
      element('p', 'from', `from ${one.title || 'an untitled document'}${place(one)}`))));
  return element('section', 'card', element('h2', '', found.answerable
    ? 'Other answers' : 'Candidates'), element('ul', 'others', ...items));
}

function passages(found) {
  const rest = found.passages.filter(
    (one) => !(found.answerable && one.row === found.row));
  if (!rest.length) return null;
  const items = rest.map((one) => {
    const name = element('p', 'from', element('b', '', one.title || 'Untitled'),
      `${place(one)} · p(z|x) ${percent(one.probability)}`);
    return element('li', '', name, element('p', 'passage', one.passage));
  });
  return element('section', 'card', element('h2', '', found.answerable
    ? 'Other passages that were found' : 'Passages that were found'),
  element('p', 'from', 'p(z|x) is how relevant a passage z is to the question x, among those '
    + 'that were found.'),
  element('ol', '', ...items));
}

function show(found) {
  at('result').replaceChildren(
    ...[best(found), others(found), passages(found)].filter(Boolean));
  at('result').hidden = false;
  at('status').className = 'heard';  // what it says is to be seen below
  at('status').textContent = found.answerable
    ? `Answer: ${found.answer}, ${sure(found, found)}.`
    : found.answers ? 'No answer.' : 'No reader; these passages were found.';
}

function fail(message) {
  at('status').textContent = '';
  at('result').hidden = true;
  at('error').textContent = message;
  at('error').hidden = false;
}

async function request(question, threshold, signal) {
  const headers = {'Content-Type': 'application/json'};
  const key = at('key').value || sessionStorage.getItem('key');
  if (key) headers['X-API-Key'] = key;
  const post = (path, body) => fetch(path, {
    method: 'POST', headers, body: JSON.stringify(body), signal});
  const wanted = {question, top_n: ANSWERS, passages: PASSAGES};
  if (threshold) wanted.threshold = Number(threshold);
  let response = await post('/answer', wanted);
  if (response.status === 409) response = await post('/search', {question, k: PASSAGES});
  const found = await response.json();
  if (response.status === 401) {
    at('locked').hidden = false;
    at('key').focus();
    throw new Error('This server asks for an API key.');
  }
  if (!response.ok) throw new Error(found.error || `Error ${response.status}`);
  if (at('key').value) sessionStorage.setItem('key', at('key').value);
  return found;
}

async function ask(question, threshold) {
  if (asking) asking.abort();
  const mine = asking = new AbortController();
  document.title = `${question} · Ask`;
  at('error').hidden = true;
  at('status').className = '';
  at('status').textContent = 'Looking …';
  at('result').setAttribute('aria-busy', 'true');
  try {
    const found = await request(question, threshold, mine.signal);
    if (asking === mine) show(found);
  } catch (error) {
    if (asking === mine && error.name !== 'AbortError') {
      fail(error instanceof TypeError ? 'The server cannot be reached.' : error.message);
    }
  } finally {
    if (asking === mine) at('result').removeAttribute('aria-busy');
  }
}

function fromAddress() {
  const wanted = new URLSearchParams(location.search);
  const question = (wanted.get('q') || '').trim();
  at('question').value = question;
  at('threshold').value = wanted.get('t') || '';
  if (at('threshold').selectedIndex < 0) at('threshold').value = '';
  at('options').open = Boolean(at('threshold').value);
  if (question) {
    ask(question, at('threshold').value);
    return;
  }
  if (asking) asking.abort();
  document.title = 'Ask';
  at('status').textContent = '';
  at('error').hidden = at('result').hidden = true;
}

at('form').addEventListener('submit', (event) => {
  event.preventDefault();
  const question = at('question').value.trim();
  if (!question) return;
  const wanted = new URLSearchParams({q: question});
  if (at('threshold').value) wanted.set('t', at('threshold').value);
  const address = `/?${wanted}`;
  if (address !== location.pathname + location.search) history.pushState(null, '', address);
  ask(question, at('threshold').value);
});
at('threshold').addEventListener('change', () => at('form').requestSubmit());
window.addEventListener('popstate', fromAddress);
fromAddress();
