// A figure's numbers as a chart: values under the pointer, axes that are logarithmic or not. The picture stays in print.
const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT] = [420, 300, 62, 40, 24, 12];
const short = (x) => (x !== 0 && (Math.abs(x) >= 1e5 || Math.abs(x) < 1e-3) ? x.toExponential(2) : String(Number(x.toPrecision(4))));
const escaped = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

// Where a value stands between two ends: on a logarithmic axis what is not above 0 stands on its lower edge.
function scale(values, log, from, to) {
  const shown = values.filter((x) => !log || x > 0);
  const of = log ? Math.log10 : (x) => x;
  let [low, high] = [of(Math.min(...shown)), of(Math.max(...shown))];
  if (high - low < 1e-9) [low, high] = [low - 0.5, high + 0.5];
  const place = (x) => (log && x <= 0 ? from : from + ((to - from) * (of(x) - low + 0.04 * (high - low))) / (1.08 * (high - low)));
  return { place, ticks: ticks(low, high, log) };
}

function ticks(low, high, log) {
  if (log && high - low >= 1) {
    const step = Math.ceil((high - low) / 6);
    const powers = Array.from({ length: Math.floor(high) - Math.ceil(low) + 1 }, (_, i) => Math.ceil(low) + i);
    return powers.filter((power) => power % step === 0).map((power) => 10 ** power);
  }
  return [0, 1, 2, 3].map((i) => low + ((high - low) * i) / 3).map((x) => (log ? 10 ** x : x));
}

function drawing(panel, xLog, yLog) {
  const points = panel.lines.flatMap((line) => line.points);
  const x = scale(points.map((p) => p[0]), xLog, LEFT, WIDTH - RIGHT);
  const y = scale(points.map((p) => p[1]), yLog, HEIGHT - BOTTOM, TOP);
  const inner = [`<text x="${WIDTH / 2}" y="14" text-anchor="middle">${escaped(panel.title)}</text>`];
  for (const tick of x.ticks) inner.push(`<line class="grid" x1="${x.place(tick)}" x2="${x.place(tick)}" y1="${TOP}" y2="${HEIGHT - BOTTOM}"/><text x="${x.place(tick)}" y="${HEIGHT - BOTTOM + 15}" text-anchor="middle">${short(tick)}</text>`);
  for (const tick of y.ticks) inner.push(`<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y.place(tick)}" y2="${y.place(tick)}"/><text x="${LEFT - 5}" y="${y.place(tick) + 4}" text-anchor="end">${short(tick)}</text>`);
  inner.push(`<text x="${WIDTH / 2}" y="${HEIGHT - 5}" text-anchor="middle">${escaped(panel.x)}</text>`);
  for (const [at, low, high, colour] of panel.bars) inner.push(`<line stroke="${colour}" x1="${x.place(at)}" x2="${x.place(at)}" y1="${Math.min(y.place(low), HEIGHT - BOTTOM)}" y2="${Math.max(y.place(high), TOP)}"/>`);
  for (const line of panel.lines) {
    const path = line.points.map((p) => `${x.place(p[0])},${y.place(p[1])}`).join(" ");
    if (line.joined) inner.push(`<polyline fill="none" stroke="${escaped(line.colour)}" stroke-width="1.5"${line.dashed ? ' stroke-dasharray="4 3"' : ""} points="${path}"/>`);
    for (const p of line.points) {
      const words = `${line.name ? line.name + ": " : ""}${short(p[1])} at ${panel.x} ${short(p[0])}`;
      inner.push(`<circle tabindex="0" r="${line.marks ? 4 : 3}" cx="${x.place(p[0])}" cy="${y.place(p[1])}" fill="${escaped(line.colour)}"${line.marks ? "" : ' fill-opacity="0.25"'} data-words="${escaped(words)}"><title>${escaped(words)}</title></circle>`);
    }
  }
  return `<svg role="img" aria-label="${escaped(panel.title)}" viewBox="0 0 ${WIDTH} ${HEIGHT}">${inner.join("")}</svg>`;
}

function live(figure, panels) {
  const [tools, chart, told] = ["p", "div", "output"].map((name) => document.createElement(name));
  const logs = { x: panels.map((panel) => panel.x_log), y: panels.map((panel) => panel.y_log) };
  const button = (words, act) => {
    const made = Object.assign(document.createElement("button"), { type: "button", textContent: words });
    made.addEventListener("click", act);
    tools.append(made, " ");
  };
  const show = () => {
    chart.innerHTML = panels.map((panel, i) => drawing(panel, logs.x[i], logs.y[i])).join("");
  };
  // An axis with a value that is not above 0 stays as it is, where it is not logarithmic on the picture.
  const positive = { x: panels.map((p) => p.x_log || p.lines.every((l) => l.points.every((q) => q[0] > 0))), y: panels.map((p) => p.y_log || p.lines.every((l) => l.points.every((q) => q[1] > 0))) };
  const turn = (axis) => () => {
    logs[axis] = logs[axis].map((log, i) => !log && positive[axis][i]);
    show();
  };
  const say = (event) => (told.textContent = event.target.dataset.words ?? told.textContent);
  tools.className = "tools";
  chart.className = "live";
  button("values", () => {
    chart.hidden = !chart.hidden;
    if (!chart.hidden && !chart.innerHTML) show();
    tools.querySelectorAll("button:not(:first-child)").forEach((each) => (each.hidden = chart.hidden));
  });
  button("log or linear y", turn("y"));
  button("log or linear x", turn("x"));
  tools.querySelectorAll("button:not(:first-child)").forEach((each) => (each.hidden = true));
  chart.hidden = true;
  chart.addEventListener("pointerover", say);
  chart.addEventListener("focusin", say);
  figure.append(tools, chart, told);
}

for (const data of document.querySelectorAll('figure script[type="application/json"]')) live(data.parentNode, JSON.parse(data.textContent));
