// The timeline of a recording: one canvas as wide as the window, drawn anew for what is scrolled into it.
const data = JSON.parse(document.getElementById("data").textContent);
const $ = id => document.getElementById(id);
const audio = $("sound"), canvas = $("canvas"), scroll = $("scroll"), draw = canvas.getContext("2d");
const bytes = atob(data.wave), wave = Uint8Array.from(bytes, c => c.charCodeAt(0));
const items = [...document.querySelectorAll("#pieces li")];
const dark = matchMedia("(prefers-color-scheme: dark)"), still = matchMedia("(prefers-reduced-motion: reduce)");
const AXIS = 22, WAVE = 62, TOP = AXIS + WAVE + 4, LANE = 26, MIDDLE = 34, DEEPEST = 120; // pixels; pixels a second
const HEIGHT = data.sides ? TOP + 2 * LANE + MIDDLE + 6 : TOP + LANE + 6;
let scale = 1, current = -1, touched = 0;

const clock = s => {
  s = Math.floor(s);
  const minutes = Math.floor(s / 60), two = n => String(n).padStart(2, "0");
  return data.seconds >= 3600 ? `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(s % 60)}` : `${minutes}:${two(s % 60)}`;
};
const fitting = () => scroll.clientWidth / data.seconds;
const pieceAt = t => { // the last that has begun, if it still goes on
  let low = 0, high = data.pieces.length;
  while (low < high) { const middle = (low + high) >> 1; if (data.pieces[middle][0] <= t) low = middle + 1; else high = middle; }
  return low && t < data.pieces[low - 1][1] ? low - 1 : -1;
};

const told = ([, , label, voice, words]) => voice && words ? `voice ${voice}, words ${words}` : label;

function resize() {
  const ratio = devicePixelRatio || 1, width = scroll.clientWidth;
  canvas.width = width * ratio; canvas.height = HEIGHT * ratio;
  canvas.style.width = width + "px"; canvas.style.height = HEIGHT + "px";
  draw.setTransform(ratio, 0, 0, ratio, 0, 0);
  zoom(scale, width / 2, true);
}
function zoom(to, x = scroll.clientWidth / 2, keep = false) {
  const t = (scroll.scrollLeft + x) / scale;
  scale = Math.min(DEEPEST, Math.max(fitting(), to));
  $("width").style.width = Math.max(scroll.clientWidth, Math.round(data.seconds * scale)) + "px";
  if (!keep || scale > fitting()) scroll.scrollLeft = t * scale - x;
  paint();
}

function paint() {
  const style = getComputedStyle(document.body), ink = name => style.getPropertyValue(name).trim();
  const colour = dark.matches ? data.dark : data.light, width = scroll.clientWidth;
  const from = scroll.scrollLeft / scale, to = Math.min(data.seconds, from + width / scale), x = t => (t - from) * scale;
  draw.clearRect(0, 0, width, HEIGHT);
  draw.font = "11px system-ui, sans-serif"; draw.textBaseline = "middle";
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600], step = steps.find(s => s * scale > 64) || 3600;
  draw.fillStyle = ink("--soft");
  for (let t = Math.ceil(from / step) * step; t <= to; t += step) {
    draw.globalAlpha = .25; draw.fillRect(x(t), AXIS - 6, 1, HEIGHT); draw.globalAlpha = 1;
    if (x(t) < width - 36) draw.fillText(clock(t), x(t) + 4, AXIS / 2 + 1);
  }
  const middle = AXIS + WAVE / 2;
  draw.globalAlpha = .75;
  for (let p = 0; p < width; p++) {
    const first = Math.floor((from + p / scale) / data.step), last = Math.max(first + 1, Math.floor((from + (p + 1) / scale) / data.step));
    let most = 0;
    for (let i = first; i < last && i < wave.length; i++) most = Math.max(most, wave[i]);
    const half = Math.max(.5, most / 255 * (WAVE / 2 - 2));
    if (first < wave.length) draw.fillRect(p, middle - half, 1, 2 * half);
  }
  draw.globalAlpha = 1;
  const lower = TOP + LANE + MIDDLE;
  data.pieces.forEach(([start, end, label, voice, words, heard, conflict], n) => {
    if (end < from || start > to) return;
    const left = x(start), wide = Math.max(1.5, (end - start) * scale - (scale > 8 ? 1.5 : 0));
    block(left, TOP, wide, colour[voice || label], voice || label, n);
    if (!data.sides) return;
    if (words) block(left, lower, wide, colour[words], heard, n);
    if (!conflict) return;
    draw.fillStyle = ink("--bad"); draw.globalAlpha = .18;
    draw.fillRect(left, TOP + LANE, wide, MIDDLE); draw.globalAlpha = 1;
    const centre = left + wide / 2, size = Math.min(5, Math.max(2, wide / 2)), y = TOP + LANE + MIDDLE / 2;
    draw.beginPath(); draw.moveTo(centre, y - size * 1.6); draw.lineTo(centre + size, y); draw.lineTo(centre, y + size * 1.6); draw.lineTo(centre - size, y); draw.fill();
  });
  for (const [start, end] of data.broken) {
    draw.fillStyle = ink("--bad"); draw.globalAlpha = .3;
    draw.fillRect(x(start), AXIS, Math.max(2, (end - start) * scale), WAVE); draw.globalAlpha = 1;
  }
  draw.fillStyle = ink("--ink");
  draw.fillRect(x(audio.currentTime) - 1, AXIS - 4, 2, HEIGHT);
}
function block(left, top, wide, colour, text, n) {
  draw.fillStyle = colour; draw.globalAlpha = n === current || current < 0 ? 1 : .8;
  draw.beginPath(); draw.roundRect(left, top, wide, LANE, wide > 8 ? 4 : 1); draw.fill(); draw.globalAlpha = 1;
  const begin = Math.max(left, 0), room = left + wide - begin - 10;
  if (room < 26 || !text) return;
  draw.save(); draw.beginPath(); draw.rect(begin, top, room + 6, LANE); draw.clip();
  draw.fillStyle = light(colour) ? "#14171c" : "#ffffff"; draw.font = "600 11px system-ui, sans-serif";
  draw.fillText(text, begin + 5, top + LANE / 2 + .5); draw.restore();
}

// Whether dark letters are read more easily on a colour, by its luminance.
function light(colour) {
  const [r, g, b] = [1, 3, 5].map(i => (parseInt(colour.slice(i, i + 2), 16) / 255) ** 2.2);
  return .2126 * r + .7152 * g + .0722 * b > .2;
}

function show(n) {
  if (n === current) return;
  items[current]?.classList.remove("on"); items[current]?.firstElementChild.removeAttribute("aria-current");
  current = n;
  const item = items[n];
  if (!item) return;
  item.classList.add("on"); item.firstElementChild.setAttribute("aria-current", "true");
  if (!audio.paused && Date.now() - touched > 4000) item.scrollIntoView({ block: "nearest", behavior: still.matches ? "auto" : "smooth" });
}
function follow() {
  const t = audio.currentTime, at = t * scale - scroll.scrollLeft;
  show(pieceAt(t));
  canvas.setAttribute("aria-valuenow", Math.floor(t));
  const piece = data.pieces[current];
  canvas.setAttribute("aria-valuetext", clock(t) + (piece ? `, ${told(piece)}` : ""));
  if (!audio.paused && (at < 0 || at > scroll.clientWidth * .92)) scroll.scrollLeft = t * scale - scroll.clientWidth * .1;
  paint();
  if (!audio.paused) requestAnimationFrame(follow);
}
function go(t, play = true) {
  audio.currentTime = Math.min(data.seconds, Math.max(0, t));
  const at = t * scale - scroll.scrollLeft;
  if (at < 0 || at > scroll.clientWidth) scroll.scrollLeft = t * scale - scroll.clientWidth * .3;
  if (play) audio.play().catch(() => {});
}
const next = (by, wanted = () => true) => {
  const t = audio.currentTime, order = data.pieces.map((p, n) => n).filter(n => wanted(data.pieces[n]));
  const found = by > 0 ? order.find(n => data.pieces[n][0] > t + .05) : order.findLast(n => data.pieces[n][0] < t - .5);
  if (found !== undefined) { touched = 0; go(data.pieces[found][0]); }
};

audio.addEventListener("play", follow);
for (const event of ["seeked", "timeupdate", "pause"]) audio.addEventListener(event, () => audio.paused && follow());
scroll.addEventListener("scroll", paint, { passive: true });
addEventListener("resize", resize);
dark.addEventListener("change", paint);
for (const event of ["wheel", "touchmove"]) addEventListener(event, () => touched = Date.now(), { passive: true });
scroll.addEventListener("wheel", event => {
  if (!event.ctrlKey) return;
  event.preventDefault();
  zoom(scale * Math.exp(-event.deltaY / 200), event.clientX - scroll.getBoundingClientRect().left);
}, { passive: false });
canvas.addEventListener("click", event => go((scroll.scrollLeft + event.offsetX) / scale));
canvas.addEventListener("mousemove", event => {
  const t = (scroll.scrollLeft + event.offsetX) / scale, piece = data.pieces[pieceAt(t)];
  canvas.title = piece ? `${clock(piece[0])} ${told(piece)}: ${piece[5]}` : clock(t);
});
document.addEventListener("click", event => {
  const button = event.target.closest("button[data-n]");
  if (button) { touched = 0; go(data.pieces[button.dataset.n][0]); }
});
$("in").onclick = () => zoom(scale * 1.8, Math.min(scroll.clientWidth, Math.max(0, audio.currentTime * scale - scroll.scrollLeft)));
$("out").onclick = () => zoom(scale / 1.8);
$("fit").onclick = () => zoom(0);
addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target === audio) return;
  const onButton = event.target.tagName === "BUTTON";
  const keys = {
    " ": () => audio.paused ? audio.play() : audio.pause(), ArrowLeft: () => go(audio.currentTime - 5, false), ArrowRight: () => go(audio.currentTime + 5, false),
    j: () => next(1), k: () => next(-1), c: () => next(1, p => p[6]), "+": () => $("in").click(), "-": () => $("out").click(), 0: () => zoom(0),
    Home: () => go(0, false), End: () => go(data.seconds, false),
  };
  if (!keys[event.key] || (onButton && event.key === " ") || (["Home", "End"].includes(event.key) && event.target !== canvas)) return;
  event.preventDefault();
  keys[event.key]();
});
scale = fitting();
resize();
