// One line after the other: recorded as samples, without the browser's echo, noise and level processing, kept when the speaker says so.
const $ = id => document.getElementById(id), BEFORE = 0.3, AFTER = 200; // s kept from before the press, ms recorded behind it
const WORKLET = `registerProcessor("tap", class extends AudioWorkletProcessor {
  process(inputs) { if (inputs[0][0]) this.port.postMessage(inputs[0][0].slice()); return true; } });`;
let context, lines = [], at = 0, chunks = [], recording = false, sound = null, sending = false;

function say(text, error) { $("state").textContent = text; $("state").classList.toggle("error", !!error); }
function page(name) { for (const id of ["start", "read", "end"]) $(id).hidden = id !== name; }

async function listen() { // the microphone, from now on
  if (context) return;
  const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  const stream = await navigator.mediaDevices.getUserMedia({ audio: plain });
  context = new AudioContext();
  const address = URL.createObjectURL(new Blob([WORKLET], { type: "text/javascript" }));
  await context.audioWorklet.addModule(address);
  URL.revokeObjectURL(address);
  const tap = new AudioWorkletNode(context, "tap", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
  tap.port.onmessage = event => {
    chunks.push(event.data);
    if (!recording) while (chunks.length > BEFORE * context.sampleRate / event.data.length) chunks.shift();
    const peak = event.data.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    $("level").firstElementChild.style.width = `${Math.max(0, 100 + 100 * Math.log10(peak + 1e-6) / 3)}%`; // 60 dB
    $("level").classList.toggle("loud", peak > 0.98);
  };
  context.createMediaStreamSource(stream).connect(tap);
}

async function toggle() {
  if (sending) return;
  if (!recording) {
    $("heard").pause(); sound = null; recording = true;
    $("keep").disabled = true; $("heard").hidden = true;
    $("record").textContent = "Stop"; $("record").classList.add("on");
    return say("Recording");
  }
  await new Promise(go => setTimeout(go, AFTER));
  if (!recording) return;
  recording = false;
  const samples = new Float32Array(chunks.reduce((n, c) => n + c.length, 0));
  chunks.reduce((n, c) => (samples.set(c, n), n + c.length), 0);
  chunks = [];
  sound = wavOf(samples, context.sampleRate);
  $("record").textContent = "Again"; $("record").classList.remove("on");
  $("keep").disabled = false; $("heard").hidden = false;
  URL.revokeObjectURL($("heard").src);
  $("heard").src = URL.createObjectURL(sound);
  $("heard").play().catch(() => {});
  say("Keep it, or say it again.");
}

async function keep() {
  if (!sound || sending) return;
  sending = true;
  try {
    const response = await fetch("recording/" + encodeURIComponent(lines[at].utt), { method: "POST", headers: { "Content-Type": "audio/wav" }, body: sound });
    if (!response.ok) return say(await response.text(), true);
    lines[at].done = true;
    say("Kept.");
    next();
  } catch (error) { say("The page can't reach its server; press Keep again when it is back.", true); }
  finally { sending = false; }
}
function next() {
  const open = lines.findIndex((line, i) => i > at && !line.done), any = lines.findIndex(line => !line.done);
  if (any < 0) { page("end"); return $("thanks").focus(); }
  show(open < 0 ? any : open);
}
function show(number) {
  at = number; sound = null; recording = false;
  const line = lines[at], done = lines.filter(l => l.done).length;
  page("read");
  $("emotion").textContent = line.emotion; $("text").textContent = line.text;
  $("scenario").textContent = line.scenario; $("scenario").hidden = !line.scenario;
  $("record").textContent = line.done ? "Record anew" : "Record"; $("record").classList.remove("on");
  $("keep").disabled = true; $("heard").hidden = true; $("back").disabled = at === 0;
  $("progress").firstElementChild.style.width = `${100 * done / lines.length}%`;
  $("progress").setAttribute("aria-valuemax", lines.length); $("progress").setAttribute("aria-valuenow", done);
  $("count").textContent = `${at + 1} of ${lines.length}${line.done ? ", recorded" : ""}`;
  $("progress").setAttribute("aria-label", $("count").textContent);
  $("emotion").focus({ preventScroll: true });
}

$("start").onsubmit = async event => {
  event.preventDefault();
  try {
    await listen();
    const response = await fetch("lines?" + new URLSearchParams({ speaker: $("speaker").value }));
    if (!response.ok) throw new Error(await response.text());
    lines = await response.json();
    at = -1;
    next();
  } catch (error) {
    const why = navigator.mediaDevices ? error.message : "browsers give it to pages of this machine and of https alone";
    $("failed").hidden = false; $("failed").textContent = `No microphone: ${why}.`;
  }
};
$("record").onclick = event => { if (event.detail) $("record").blur(); toggle(); };
$("keep").onclick = keep;
$("back").onclick = () => { if (at > 0) show(at - 1); };
$("review").onclick = () => show(0);
document.addEventListener("keydown", event => {
  if ($("read").hidden || event.ctrlKey || event.metaKey || event.altKey || event.repeat || document.activeElement.tagName === "BUTTON") return;
  const does = { " ": toggle, Enter: keep, Backspace: () => $("back").onclick() }[event.key];
  if (does) { event.preventDefault(); does(); }
});
