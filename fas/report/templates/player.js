// The playhead over the tracks of an utterance moves with its player; a click on a track plays from there.
document.addEventListener("play", event => {
  const audio = event.target, article = audio.closest(".utterance");
  if (!article) return;
  document.querySelectorAll(".utterance audio").forEach(other => other !== audio && other.pause());
  const head = article.querySelector(".playhead"), track = article.querySelector(".seek");
  const move = () => {
    const field = track.getBoundingClientRect(), frame = track.parentElement.getBoundingClientRect();
    head.style.display = "block";
    head.style.left = field.left - frame.left + field.width * audio.currentTime / article.dataset.seconds + "px";
    if (!audio.paused) requestAnimationFrame(move);
  };
  move();
}, true);
document.addEventListener("click", event => {
  const track = event.target.closest(".seek");
  if (!track) return;
  const article = track.closest(".utterance"), audio = article.querySelector("audio"), field = track.getBoundingClientRect();
  audio.currentTime = (event.clientX - field.left) / field.width * article.dataset.seconds;
  audio.play();
});
