"""The page's style sheet and script, in the manner of `corpus.html`; nothing from outside."""

# Of curves, told apart in both schemes.
COLORS = 8

_LIGHT = ("#3b7dd8", "#d9660b", "#25915a", "#8b55cf", "#c9302c", "#0f8fa3", "#b8860b", "#c2408f")
_DARK = ("#5c9bf0", "#f5934a", "#4cc38a", "#b58af0", "#ff7b72", "#3dc1d3", "#dcb13c", "#f07fc2")


def _palette(colors: tuple[str, ...]) -> str:
    return " ".join(f"--c{index}: {color};" for index, color in enumerate(colors))


CSS = f"""
:root {{ --mark: #fdf3d0; {_palette(_LIGHT)} }}
main {{ padding-bottom: 2.5rem; }}
.note {{ margin: 0 0 .9rem; font-size: .8125rem; color: var(--muted); }}
.none {{ margin: 0; padding: 1rem 1.1rem .3rem; color: var(--muted); font-size: .875rem; }}
.tiles {{ display: grid; grid-template-columns: repeat(2, 1fr); gap: .8rem;
  margin: 1.25rem 0 0; padding: 0; }}
@media (min-width: 40rem) {{ .tiles {{ grid-template-columns: repeat(4, 1fr); }} }}
.tiles div {{ padding: .6rem .9rem; background: var(--card); border: 1px solid var(--line);
  border-radius: .6rem; }}
.tiles dt {{ font-size: .75rem; font-weight: 600; color: var(--muted); }}
.tiles dd {{ margin: 0; font-size: 1.3rem; font-variant-numeric: tabular-nums; }}
.columns {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 24rem), 1fr));
  gap: 1.1rem; align-items: start; }}
.card {{ position: relative; margin: 0; background: var(--card); border: 1px solid var(--line);
  border-radius: .6rem; }}
.card h3 {{ display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 1rem; margin: 0;
  padding: .5rem 1.1rem; border-bottom: 1px solid var(--line); font-size: .875rem;
  overflow-wrap: anywhere; }}
.card h3 span {{ font-weight: 400; color: var(--muted); }}
.keys {{ display: flex; flex-wrap: wrap; gap: 0 .75rem; }}
.key {{ display: inline-flex; align-items: center; gap: .35rem; }}
.key svg {{ flex: none; width: 1.4rem; height: .6rem; }}
figure {{ padding-bottom: .7rem; }}
figure > svg {{ display: block; width: 100%; max-width: 36rem; height: auto;
  padding: .4rem .5rem 0; touch-action: pan-y; }}
figcaption {{ padding: .3rem 1.1rem 0; font-size: .8125rem; color: var(--muted);
  font-variant-numeric: tabular-nums; }}
svg text {{ font-size: 11px; fill: var(--muted); font-variant-numeric: tabular-nums; }}
svg .grid {{ stroke: var(--line); fill: none; }}
svg .axis {{ stroke: var(--muted); fill: none; }}
svg .line {{ fill: none; stroke-width: 1.6; stroke-linejoin: round; stroke-linecap: round; }}
svg .faint {{ stroke-width: 1; opacity: .3; }}
svg .d1 {{ stroke-dasharray: 6 3.5; }} svg .d2 {{ stroke-dasharray: 1.5 3.5; }}
svg .d3 {{ stroke-dasharray: 8 3 1.5 3; }}
{"".join(f"svg .c{i} {{ stroke: var(--c{i}); }} " for i in range(COLORS))}
svg .cursor path {{ stroke: var(--muted); }}
svg .cursor circle {{ fill: var(--card); stroke-width: 1.6; }}
.tip {{ position: absolute; z-index: 3; width: max-content; max-width: 22rem;
  padding: .35rem .6rem; border: 1px solid var(--line); border-radius: .4rem;
  background: var(--card); box-shadow: 0 2px 8px #0003; font-size: .75rem; pointer-events: none;
  font-variant-numeric: tabular-nums; }}
.tip div {{ display: flex; align-items: center; gap: .4rem; }}
.tip span {{ overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }}
.tip b {{ margin-left: auto; padding-left: .6rem; font-weight: 600; white-space: nowrap; }}
.tip svg {{ flex: none; width: .9rem; height: .6rem; }}
.scroll {{ overflow-x: auto; }}
table {{ width: 100%; border-collapse: collapse; background: var(--card); font-size: .875rem;
  border: 1px solid var(--line); }}
th, td {{ padding: .3rem .6rem; border-top: 1px solid var(--line); text-align: left;
  vertical-align: top; overflow-wrap: anywhere; }}
th {{ width: 1%; font-weight: 600; white-space: nowrap; }}
thead th {{ color: var(--muted); font-size: .75rem; width: auto; white-space: normal;
  vertical-align: bottom; overflow-wrap: break-word; }}
td small {{ color: var(--muted); }}
.count {{ text-align: right; font-variant-numeric: tabular-nums; }}
td.count {{ white-space: nowrap; }}
td.run {{ min-width: 11rem; overflow-wrap: break-word; }}
tr.differs td {{ background: var(--mark); }}
.bar {{ width: 30%; vertical-align: middle; }}
.bar i {{ display: block; min-width: 2px; height: .7rem; border-radius: .15rem;
  background: var(--c0); }}
details summary {{ padding: .5rem 0; cursor: pointer; font-size: .875rem; }}
.legend {{ position: sticky; top: 0; z-index: 2; padding: .5rem 0; background: var(--page);
  font-size: .875rem; }}
.legend .key {{ margin-right: 1.2rem; overflow-wrap: anywhere; }}
@media screen and (prefers-color-scheme: dark) {{
  :root {{ --mark: #3a321a; {_palette(_DARK)} }}
}}
@media print {{
  .card, tr {{ break-inside: avoid; }}
  .legend {{ position: static; }}
  .bar i {{ -webkit-print-color-adjust: exact; print-color-adjust: exact; }}
}}
"""

# Without scripts the curves are there, only the read-out is not. FRAME stands for the plot's
# [left, right, top, bottom] in the drawing's units.
SCRIPT = """
const [left, right, top_, bottom] = FRAME;
const element = (name, attributes) => {
  const made = document.createElementNS(document.querySelector("svg").namespaceURI, name);
  for (const key in attributes) made.setAttribute(key, attributes[key]);
  return made;
};
const readable = (value, scale) => value === null ? "none"
  : scale === "share" ? (100 * value).toFixed(2) + "%"
  : Math.abs(value) >= 1e4 ? Math.round(value).toLocaleString("en")
  : value && Math.abs(value) < 1e-3 ? Number(value.toPrecision(4)).toExponential()
  : Number(value.toPrecision(4)).toString();
const nearest = (steps, step) => {
  let low = 0, high = steps.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (steps[middle] < step) low = middle + 1; else high = middle;
  }
  return low && step - steps[low - 1] < steps[low] - step ? low - 1 : low;
};
for (const figure of document.querySelectorAll("figure")) {
  const svg = figure.querySelector("svg[role=img]"), data = figure.querySelector("script");
  if (!svg || !data) continue;
  const {x, y, scale, lines} = JSON.parse(data.textContent);
  const cursor = svg.querySelector(".cursor"), tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  figure.append(tip);
  const clear = () => { tip.hidden = true; cursor.replaceChildren(); };
  svg.addEventListener("pointerleave", clear);
  svg.addEventListener("pointermove", event => {
    const point = new DOMPoint(event.clientX, event.clientY)
      .matrixTransform(svg.getScreenCTM().inverse());
    const wanted = x[0] + (point.x - left) / (right - left) * (x[1] - x[0]);
    // A curve that ends before the pointer, or starts after it, has nothing to say.
    const near = (x[1] - x[0]) / 50, shown = [];
    for (const line of lines) {
      const index = nearest(line.steps, wanted), step = line.steps[index];
      const end = line.steps[line.steps.length - 1];
      if (wanted > line.steps[0] - near && wanted < end + near)
        shown.push({line, step, value: line.values[index]});
    }
    if (!shown.length) return clear();
    const step = shown.map(point => point.step)
      .reduce((a, b) => Math.abs(b - wanted) < Math.abs(a - wanted) ? b : a);
    const px = s => left + (s - x[0]) / (x[1] - x[0]) * (right - left);
    cursor.replaceChildren(element("path", {d: `M${px(step)} ${top_}V${bottom}`}));
    tip.replaceChildren(`step ${step.toLocaleString("en")}`);
    for (const {line, step: own, value} of shown) {
      const row = document.createElement("div"), name = document.createElement("span");
      const swatch = element("svg", {viewBox: "0 0 14 10"}), text = document.createElement("b");
      swatch.append(element("path", {class: `line c${line.color}`, d: "M0 5H14"}));
      const far = Math.abs(own - step) > near / 2;
      name.textContent = line.label + (far ? `, step ${own.toLocaleString("en")}` : "");
      text.textContent = readable(value, scale);
      row.append(swatch, name, text);
      tip.append(row);
      if (value === null) continue;
      const height = scale === "log" ? Math.log10(value) : value;
      const py = bottom - (height - y[0]) / (y[1] - y[0]) * (bottom - top_);
      cursor.append(element("circle", {class: `c${line.color}`, cx: px(own), cy: py, r: 3}));
    }
    tip.hidden = false;
    // Beside the pointer, on the side that has room, and never beyond the window.
    const box = figure.getBoundingClientRect(), at = event.clientX - box.left;
    const room = document.documentElement.clientWidth - box.left - tip.offsetWidth - 8;
    const place = at > box.width / 2 ? at - tip.offsetWidth - 14 : at + 14;
    tip.style.left = Math.max(8 - box.left, Math.min(place, room)) + "px";
    tip.style.top = event.clientY - box.top - tip.offsetHeight - 12 + "px";
  });
}
"""
