// Draws the points of `map` (p: x, y, z of each; c: the number of its colour; k: the colours) and turns them as one drags.
const canvas = document.getElementById("turning"), ink = canvas.getContext("2d");
let turn = -1, tilt = 0.4, held = null;

function draw() {
  const side = Math.min(canvas.clientWidth, 640), dots = window.devicePixelRatio || 1;
  canvas.width = canvas.clientWidth * dots;
  canvas.height = side * dots;
  canvas.style.height = side + "px";
  const [st, ct, sv, cv] = [Math.sin(turn), Math.cos(turn), Math.sin(tilt), Math.cos(tilt)];
  const points = map.c.map((colour, i) => {
    const [x, y, z] = map.p.slice(3 * i, 3 * i + 3), u = x * ct - y * st, v = x * st + y * ct;
    return [u, z * cv - v * sv, v * cv + z * sv, colour];
  }).sort((a, b) => b[2] - a[2]); // the farthest first
  for (const [u, v, far, colour] of points) {
    const near = 2600 / (2600 + far), r = 2.4 * near * dots;
    ink.globalAlpha = 0.35 + 0.5 * (1000 - far) / 2800;
    ink.fillStyle = map.k[colour];
    ink.beginPath();
    ink.arc(canvas.width / 2 + u * near * side * dots / 2100, canvas.height / 2 - v * near * side * dots / 2100, r, 0, 7);
    ink.fill();
  }
}

canvas.onpointerdown = (event) => { held = event; canvas.setPointerCapture(event.pointerId); };
canvas.onpointerup = () => { held = null; };
canvas.onpointermove = (event) => {
  if (!held) return;
  turn += (event.clientX - held.clientX) / 150;
  tilt += (event.clientY - held.clientY) / 150;
  held = event;
  requestAnimationFrame(draw);
};
addEventListener("resize", draw);
draw();
