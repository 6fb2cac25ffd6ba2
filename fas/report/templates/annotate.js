// One utterance after the other. An answer lies in this browser's storage until the server has it on disk, so that neither a
// closed laptop nor a lost network loses one; its key makes an answer that is sent twice count once.
const $ = id => document.getElementById(id), say = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
const PRELOAD = 3;
let listener = "", task = "", queue = [], current = null, chosen = null, last = null, done = 0, plays = 0, began = 0, number = 0, known = "";
const here = new Set(); // utterances that this page has answered
const sound = new Audio();

const box = { // answers that the server hasn't acknowledged, in their order
  all: () => Object.keys(localStorage).filter(k => k.startsWith(STORE)).map(k => JSON.parse(localStorage.getItem(k))).sort((a, b) => a.at - b.at || a.number - b.number),
  put: entry => localStorage.setItem(STORE + entry.answer.key, JSON.stringify(entry)),
  drop: key => localStorage.removeItem(STORE + key),
};
let sending = false, pause = 500, wanted = null;

async function flush() {
  if (sending) return;
  sending = true;
  try {
    for (let waiting = box.all(); waiting.length; waiting = box.all()) {
      const { listener, task } = waiting[0], mine = waiting.filter(e => e.listener === listener && e.task === task);
      const response = await post("answers", { listener, task, answers: mine.map(e => e.answer) });
      if (response.status === 422) throw new Error(await response.text());
      if (!response.ok) throw new Error();
      (await response.json()).saved.forEach(box.drop);
    }
    pause = 500;
    state(TEXTS.saved);
  } catch (error) {
    state(error.message && !(error instanceof TypeError) ? error.message : say(TEXTS.waiting, { count: box.all().length }), true);
    clearTimeout(wanted);
    wanted = setTimeout(flush, pause);
    pause = Math.min(2 * pause, 10000);
  } finally { sending = false; }
}
const post = (url, body) => fetch(url, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
function state(text, error) { for (const id of ["state", "end-state"]) { $(id).textContent = text; $(id).classList.toggle("error", !!error); } }

async function more() { // ask for what comes after the queue
  const response = await fetch("items?" + new URLSearchParams({ listener, task }));
  if (!response.ok) throw new Error(await response.text());
  const given = await response.json(), there = new Set([...here, ...queue.map(i => i.id), current?.id]);
  queue.push(...given.items.filter(i => !there.has(i.id)));
  return given;
}

function preload(items) {
  for (const item of items.slice(0, PRELOAD)) if (item.sound && !item.file) {
    item.file = fetch(item.sound).then(r => r.ok ? r.blob() : r.text().then(t => { throw new Error(t); })).then(URL.createObjectURL);
    item.file.catch(() => { item.file = null; });
  }
}

async function next() {
  if (current?.file) current.file.then(URL.revokeObjectURL, () => {});
  current = null;
  if (!queue.length) await flush();
  while (!queue.length && done < TOTAL) {
    try {
      if (!(await more()).items.length) break;
      if (queue.length) continue;
      await flush(); // all that was given has been answered here: the server is to know it first
      await new Promise(go => setTimeout(go, 200));
    } catch (error) { state(TEXTS.lost, true); await new Promise(go => setTimeout(go, 2000)); }
  }
  if (!queue.length) return finish();
  show(queue.shift());
  if (queue.length < PRELOAD + 1) more().then(() => preload(queue), () => {});
}

async function show(item) {
  current = item; plays = 0; choose(item.label === undefined ? null : item.label);
  preload([item, ...queue]);
  page("judge");
  progress();
  $("text").hidden = !item.text; $("text").textContent = item.text || "";
  $("play").hidden = !item.sound;
  if ($("filtered")) $("filtered").hidden = task !== "voice";
  $("undo").disabled = !last;
  for (const button of $("clarities").children) button.classList.toggle("given", Number(button.dataset.clarity) === item.clarity);
  $("question").focus({ preventScroll: true });
  $("spoken").textContent = say(TEXTS.utterance, { number: done + 1, total: TOTAL });
  began = performance.now();
  ready(!item.sound);
  if (!item.sound) return;
  sound.pause(); ring(0);
  try { sound.src = await item.file; }
  catch (error) { if (item === current) { state(error.message || TEXTS.unplayable, true); ready(true); } return; }
  if (item === current) play();
}

function play() {
  if (!current?.sound) return;
  sound.currentTime = 0;
  sound.play().catch(() => { $("playing").textContent = TEXTS.play; }); // a browser that wants a press first
}
sound.onplaying = () => { if (!plays++) began = performance.now(); ready(true); $("playing").textContent = TEXTS.playing; ring(); };
sound.onended = () => { $("playing").textContent = TEXTS.again; ring(1); };
sound.onerror = () => { if (sound.src) { state(TEXTS.unplayable, true); ready(true); } };
function ring(share) {
  const part = share ?? sound.currentTime / (sound.duration || 1);
  $("ring").style.strokeDasharray = `${part} 1`;
  if (share === undefined && !sound.paused) requestAnimationFrame(() => ring());
}
function ready(yes) { for (const button of $("labels").children) button.disabled = !yes; } // nothing is judged unheard

function choose(label) {
  chosen = label;
  for (const button of $("labels").children) if (button.dataset.label) button.setAttribute("aria-pressed", button.dataset.label === label);
  for (const button of $("clarities").children) button.disabled = !label;
}
function press(button) {
  if (button.disabled || !current) return;
  if (button.dataset.clarity) answer(chosen, Number(button.dataset.clarity));
  else if (button.dataset.label) choose(button.dataset.label);
  else answer(null, null);
}

function answer(label, clarity) {
  const item = { ...current, label, clarity };
  send({ id: item.id, label, clarity, seconds: (performance.now() - began) / 1000, plays });
  here.add(item.id); done++; last = item;
  $("spoken").textContent = label ? `${TEXTS.emotions[label].name}, ${clarity}` : TEXTS.cant_tell.name;
  next();
}
function undo() {
  if (!last) return;
  send({ id: last.id, undo: true });
  here.delete(last.id); done--;
  const item = { ...last, file: null };
  last = null;
  if (current) queue.unshift(current);
  show(item);
}
function send(answer) {
  answer.key = [...crypto.getRandomValues(new Uint8Array(12))].map(b => b.toString(16).padStart(2, "0")).join("");
  box.put({ at: Date.now(), number: number++, listener, task, answer });
  flush();
}

function page(name) { for (const id of ["start", "judge", "end"]) $(id).hidden = id !== name; }
function progress() {
  $("progress").firstElementChild.style.width = `${100 * done / TOTAL}%`;
  $("progress").setAttribute("aria-valuemax", TOTAL); $("progress").setAttribute("aria-valuenow", done);
  $("count").textContent = say(TEXTS.utterance, { number: Math.min(done + 1, TOTAL), total: TOTAL });
  $("progress").setAttribute("aria-label", $("count").textContent);
}
function finish() {
  sound.pause(); page("end"); progress();
  $("all-done").textContent = say(TEXTS.all_done, { total: TOTAL });
  $("end-undo").hidden = !last;
  $("thanks").focus();
}

$("start").onsubmit = async event => {
  event.preventDefault();
  const fields = new FormData($("start"));
  const fail = text => { $("known").hidden = false; $("known").textContent = text; };
  try {
    await flush();
    const response = await post("begin", { name: fields.get("name") });
    if (!response.ok) return fail(await response.text());
    const told = await response.json(), mine = told.done[fields.get("task")], any = Object.values(told.done).some(n => n);
    if (any && known !== told.listener && listener !== told.listener) {
      known = told.listener; $("begin").textContent = TEXTS.go_on;
      return fail(say(TEXTS.known, { name: told.listener, done: mine, total: told.total }));
    }
    [listener, task, done, queue, last, current] = [told.listener, fields.get("task"), mine, [], null, null];
    here.clear();
    last = (await more()).last;
    $("question").textContent = TEXTS.tasks[task].question;
    if ($("keys-play")) $("keys-play").hidden = task === "words";
    state(TEXTS.saved);
    next();
  } catch (error) { fail(TEXTS.lost); }
};
$("name").oninput = () => { known = ""; $("known").hidden = true; $("begin").textContent = TEXTS.begin; };
for (const group of ["labels", "clarities"]) $(group).onclick = event => {
  const button = event.target.closest("button");
  if (button) { if (event.detail) button.blur(); press(button); }
};
$("play").onclick = event => { if (event.detail) $("play").blur(); play(); };
$("undo").onclick = event => { if (event.detail) $("undo").blur(); undo(); };
$("end-undo").onclick = undo;
if ($("another")) $("another").onclick = () => { page("start"); $("known").hidden = true; $("name").focus(); };
document.addEventListener("keydown", event => {
  if ($("judge").hidden || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const key = event.key.toLowerCase();
  if (key === " " && document.activeElement.tagName !== "BUTTON") { event.preventDefault(); return play(); }
  if (key === "backspace") { event.preventDefault(); return undo(); }
  const button = [...$("labels").children, ...$("clarities").children].find(b => (b.dataset.key || b.dataset.clarity) === key);
  if (button) { event.preventDefault(); press(button); }
});
window.addEventListener("online", flush);
flush();
