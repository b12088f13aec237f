// The live page: shows what the program sends (src/device/page/board.h says in which form), and says which button was clicked.
/* global uPlot */

const kShown = 600; // results across a curve
const kDecisions = 100; // lines of the list

const element = (id) => document.getElementById(id);
const put = (where, text) => {
  if (where.textContent !== text) where.textContent = text;
};
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// ---- curves

// Columns as uPlot wants them: number, per second, CPU, Celsius, megabytes; and where each was computed.
const columns = [[], [], [], [], []];
const places = [];

// Shades the results that came from the edge.
function shade(plot) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.fillStyle = 'rgba(76, 155, 232, 0.2)';
  const x = columns[0];
  for (let first = 0; first < places.length; ++first) {
    if (places[first] !== 1) continue;
    let last = first;
    while (last + 1 < places.length && places[last + 1] === 1) ++last;
    const left = Math.max(plot.valToPos(x[first], 'x', true), bbox.left);
    const right = Math.min(plot.valToPos(x[Math.min(last + 1, x.length - 1)], 'x', true), bbox.left + bbox.width);
    if (right > left) ctx.fillRect(left, bbox.top, right - left, bbox.height);
    first = last;
  }
  ctx.restore();
}

// A line of `light-dark()` colours is what a style sheet understands and a canvas does not.
const dark = matchMedia('(prefers-color-scheme: dark)').matches;
const axis = { stroke: dark ? '#9198a1' : '#59636e', grid: { stroke: dark ? '#252b33' : '#e6e9ed', width: 1 }, ticks: { show: false } };

function curve(id, column, stroke, floor) {
  const figure = element(id);
  const plot = new uPlot({
    width: figure.clientWidth || 400,
    height: 120,
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { time: false }, y: { range: (_, low, high) => (floor === null ? uPlot.rangeNum(low ?? 0, high ?? 1, 0.1, true) : [floor, Math.max(high ?? 0, floor + 0.1) * 1.08]) } },
    axes: [{ ...axis, size: 26 }, { ...axis, size: 46 }],
    series: [{}, { stroke, width: 1.5, points: { show: false } }],
    hooks: { drawClear: [shade] },
  }, [[], []], figure);
  const output = figure.querySelector('output');
  return {
    plot,
    draw() {
      plot.setData([columns[0], columns[column]]);
      const last = columns[column].at(-1);
      if (last === undefined) return;
      put(output, last === null ? 'no sensor' : last.toFixed(column === 4 ? 3 : 1));
      output.dataset.number = columns[0].at(-1);
    },
    fit() {
      plot.setSize({ width: figure.clientWidth, height: 120 });
    },
  };
}

const curves = [
  curve('rate', 1, '#2e9e4f', 0),
  curve('cpu', 2, '#d1493f', 0),
  curve('celsius', 3, '#e08214', null),
  curve('network', 4, '#8a63d2', 0),
];
new ResizeObserver(() => curves.forEach((each) => each.fit())).observe(element('curves'));

function addPoints(points) {
  for (const [number, place, rate, cpu, celsius, bytes] of points) {
    // A number that is not above the last is of a program that counts anew.
    if (number <= (columns[0].at(-1) ?? -1)) continue;
    [number, rate, cpu, celsius, bytes / 1e6].forEach((value, index) => columns[index].push(value));
    places.push(place);
  }
  const over = places.length - kShown;
  if (over > 0) [...columns, places].forEach((each) => each.splice(0, over));
  const [number, place, , , , , age] = points.at(-1);
  const where = element('place');
  where.dataset.place = place === 1 ? 'edge' : 'here';
  put(where, place === 1 ? 'at the edge' : 'on the device');
  put(element('number'), String(number));
  put(element('age'), age === null ? '–' : `${age.toFixed(0)} ms`);
}

// ---- decisions: those that follow one another to one place for one reason are one line

const newest = new Map(); // function -> its newest line
let lastDecision = -1;
const shape = (reason) => reason.replace(/\d+([.,]\d+)*/g, '#');

function addDecision({ number, function: name, place, reason }) {
  if (number <= lastDecision) return; // said again after a connection was lost
  lastDecision = number;
  const line = newest.get(name);
  if (line && line.place === place && line.shape === shape(reason)) {
    line.last = number;
    ++line.count;
    put(line.calls, `${line.first} – ${number}`);
    put(line.reason, reason);
    return;
  }
  const item = document.createElement('li');
  const part = (kind, text) => {
    const span = document.createElement('span');
    span.className = kind;
    span.textContent = text;
    item.append(span);
    return span;
  };
  const made = { place, shape: shape(reason), first: number, last: number, count: 1 };
  made.calls = part('calls', String(number));
  part('function', name);
  part(place, place === 'edge' ? 'at the edge' : 'on the device');
  made.reason = part('reason', reason);
  item.dataset.place = place;
  item.dataset.function = name;
  newest.set(name, made);
  const list = element('decisions');
  list.prepend(item);
  while (list.children.length > kDecisions) list.lastElementChild.remove();
}

// ---- state and buttons

let socket = null;
const buttons = [...document.querySelectorAll('#hand button')];
for (const button of buttons) {
  button.addEventListener('click', () => {
    if (socket?.readyState === WebSocket.OPEN) socket.send(button.value);
  });
}

function setState({ hand, policy, edges }) {
  for (const button of buttons) button.setAttribute('aria-pressed', String(button.value === hand));
  put(element('policy'), policy);
  const ready = edges.filter((edge) => edge.ready).length;
  put(element('edges'), edges.length === 0 ? 'none' : ready > 0 ? 'ready' : 'not there');
  element('edges').dataset.ready = String(ready);
}

function greet({ title, unit }) {
  document.title = `${title} – aloft`;
  put(element('title'), title);
  for (const each of document.querySelectorAll('.unit')) {
    const upper = each.closest('#rate') !== null;
    put(each, upper ? unit[0].toUpperCase() + unit.slice(1) : unit);
  }
}

// ---- the picture: the newest wins where decoding is slower than what comes

let decoding = false;
let waiting = null;

async function showPicture(message) {
  waiting = message;
  if (decoding) return;
  decoding = true;
  while (waiting !== null) {
    const data = waiting;
    waiting = null;
    const number = new DataView(data).getBigUint64(0, true);
    try {
      const bitmap = await createImageBitmap(new Blob([data.slice(8)], { type: 'image/jpeg' }));
      const canvas = element('picture');
      if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
        canvas.width = bitmap.width;
        canvas.height = bitmap.height;
      }
      canvas.hidden = false;
      canvas.getContext('2d').drawImage(bitmap, 0, 0);
      canvas.dataset.number = String(number);
      bitmap.close();
    } catch (problem) {
      console.warn(`picture ${number}: ${problem}`);
    }
  }
  decoding = false;
}

// ---- the socket

let drawing = false;
function draw() {
  drawing = false;
  for (const each of curves) each.draw();
}

function connected(is) {
  const link = element('link');
  link.dataset.state = is ? 'open' : 'lost';
  put(link, is ? 'live' : 'the program has ended, or cannot be reached');
  for (const button of buttons) button.disabled = !is;
}

function connect() {
  let opened = false;
  socket = new WebSocket(new URL('live', location.href.replace(/^http/, 'ws')));
  socket.binaryType = 'arraybuffer';
  socket.addEventListener('open', () => {
    opened = true;
    connected(true);
  });
  socket.addEventListener('message', ({ data }) => {
    if (data instanceof ArrayBuffer) return void showPicture(data);
    const news = JSON.parse(data);
    if (news.hello) greet(news.hello);
    if (news.state) setState(news.state);
    for (const decision of news.decisions ?? []) addDecision(decision);
    if (!news.points) return;
    addPoints(news.points);
    if (!drawing) requestAnimationFrame(draw);
    drawing = true;
  });
  socket.addEventListener('close', () => {
    connected(false);
    // A page whose program has ended asks no more: another run has another address.
    if (opened) setTimeout(connect, 2000);
  });
}

connect();
