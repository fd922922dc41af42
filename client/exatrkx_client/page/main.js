// The page: draws what the view says, and takes clicks, drags and wheels. Nothing is drawn while nothing changes. What is
// too much for a frame comes in several, a fair sample first, so that a large event turns on slow machines, too.

const NEAR_PX = 8;
const STILL_PX = 4;
const LARGE = 20000; // spacepoints, from where edges are not smoothed, for the sake of machines without a GPU
const FRAME_MS = 50; // that a frame may take, on which so much is drawn as fits

class EventDisplay {
  constructor(event) {
    this.canvas = at("canvas");
    this.view = new View(event);
    this.isLarge = this.view.spacepoints > LARGE;
    this.renderer = new Renderer(this.canvas, !this.isLarge);
    this.segments = segmentsOf(event.arrays);
    this.order = mixed(this.view.spacepoints);
    this.step = Math.min(LARGE / this.view.spacepoints, 1); // share of the event that a frame draws
    this.drawn = 0;
    const detector = detectorSegments(event.detector);
    this.camera = new Camera(boxAround(event.arrays.position, detector));
    this.layers = {
      detector: this.renderer.place(this.renderer.lineLayer(), detector),
      lines: this.renderer.place(this.renderer.lineLayer(), this.segments.ends),
      points: this.renderer.place(this.renderer.pointLayer(), gathered(event.arrays.position, this.order)),
      pickedLines: this.renderer.lineLayer(),
      pickedPoints: this.renderer.pointLayer(),
    };
    const grey = new Uint8Array(4 * this.layers.detector.count).map((_, i) => [120, 130, 145, 60][i % 4]);
    this.renderer.colour(this.layers.detector, grey);
    this.panel = new Panel(this.view, {
      changed: (change) => this.change(change),
      looked: (name) => this.look(VIEWS[name]),
      picked: (track) => this.pick(track, NONE),
    });
    this.listen();
    this.repaint();
    new ResizeObserver(() => this.resize()).observe(this.canvas);
  }

  change(change) {
    Object.assign(this.view, change);
    this.view.sift();
    if (this.view.picked !== NONE && !this.view.shown[this.view.picked]) this.view.picked = NONE;
    this.repaint();
  }

  look(view) {
    this.camera.look(view);
    this.redraw();
  }

  pick(track, point) {
    Object.assign(this.view, { picked: track, pickedPoint: point });
    this.repaint();
  }

  // The panel at once, the colours with the next frame: of several changes before it once.
  repaint() {
    this.stale = true;
    this.panel.update();
    this.redraw();
  }

  paint() {
    const { view, renderer, layers } = this;
    renderer.colour(layers.points, view.pointColours(this.order));
    renderer.colour(layers.lines, view.lineColours(this.segments.owners));
    this.paintPicked();
    this.stale = false;
  }

  paintPicked() {
    const { view, renderer, layers } = this;
    const track = view.picked;
    const way = track === NONE ? [] : [...wayOf(view.arrays, track)];
    const lacks = track === NONE ? [] : view.lacking(track);
    const alone = view.pickedPoint === NONE ? [] : [view.pickedPoint];
    const positionOf = (point) => [...view.arrays.position.subarray(3 * point, 3 * point + 3)];
    renderer.place(layers.pickedPoints, Float32Array.from([...way, ...lacks, ...alone].flatMap(positionOf)));
    const colour = track === NONE ? MISSED : view.trackColour(track);
    const colours = [...way.map(() => colour), ...lacks.map(() => LACKS), ...alone.map(() => MISSED)];
    renderer.colour(layers.pickedPoints, Uint8Array.from(colours.flatMap((one) => [...one, 255])));
    const pieces = way.slice(1).flatMap((point, i) => [...positionOf(way[i]), ...positionOf(point)]);
    renderer.place(layers.pickedLines, Float32Array.from(pieces));
    renderer.colour(layers.pickedLines, Uint8Array.from(way.slice(1).flatMap(() => [...colour, 255])));
  }

  resize() {
    this.ratio = window.devicePixelRatio || 1;
    const { clientWidth, clientHeight } = this.canvas;
    this.canvas.width = Math.round(clientWidth * this.ratio);
    this.canvas.height = Math.round(clientHeight * this.ratio);
    this.camera.resize(clientWidth, clientHeight);
    if (!this.touched) this.camera.fit();
    this.drawn = 0;
    this.draw(); // at once: an empty canvas would be seen
  }

  // From the beginning, with the next frame.
  redraw() {
    this.drawn = 0;
    this.go();
  }

  go() {
    delete document.body.dataset.drawn;
    this.waiting ??= requestAnimationFrame((now) => {
      this.waiting = undefined;
      this.pace(now);
      this.draw();
    });
  }

  // How much a frame draws, by what the last one took, unless nothing was drawn between or colours were made.
  pace(now) {
    if (this.before !== undefined && !this.stale) {
      this.step = Math.min(Math.max((this.step * FRAME_MS) / Math.max(now - this.before, 1), 1 / 256), 1);
    }
    this.before = now;
  }

  draw() {
    const { renderer, layers, view, ratio } = this;
    const size = (this.isLarge ? Math.max(3.5 * (LARGE / view.spacepoints) ** 0.25, 2.5) : 5.5) * ratio;
    if (this.stale) this.paint();
    const part = { from: this.drawn, to: Math.min(this.drawn + this.step, 1) };
    if (this.drawn === 0) {
      renderer.begin(this.camera.matrix());
      if (view.showDetector) renderer.draw(layers.detector, ratio, { isBackground: true });
      renderer.above(() => {
        renderer.draw(layers.pickedLines, 2.5 * ratio);
        renderer.draw(layers.pickedPoints, 1.5 * size);
      });
      this.drawAxes();
    }
    renderer.draw(layers.lines, 1.3 * ratio, part);
    renderer.draw(layers.points, size, part);
    this.drawn = part.to;
    if (this.drawn < 1) return this.go();
    this.before = undefined;
    document.body.dataset.drawn = "yes";
  }

  drawAxes() {
    const [right, up] = this.camera.rows();
    const parts = ["x", "y", "z"].flatMap((name, axis) => {
      const [x, y] = [32 * right[axis], -32 * up[axis]];
      const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
      const text = document.createElementNS("http://www.w3.org/2000/svg", "text");
      for (const [key, value] of Object.entries({ x1: 0, y1: 0, x2: x, y2: y })) line.setAttribute(key, value);
      for (const [key, value] of Object.entries({ x: 1.3 * x, y: 1.3 * y })) text.setAttribute(key, value);
      text.textContent = name;
      return Math.hypot(x, y) > 3 ? [line, text] : [];
    });
    at("axes").replaceChildren(...parts);
  }

  // Writes the [2] pixels of a place in mm; false of one behind the viewer.
  project(matrix, array, offset, pixels) {
    const [x, y, z] = [array[offset], array[offset + 1], array[offset + 2]];
    const w = matrix[3] * x + matrix[7] * y + matrix[11] * z + matrix[15];
    if (!(w > 0)) return false;
    const { size } = this.camera;
    pixels[0] = ((1 + (matrix[0] * x + matrix[4] * y + matrix[8] * z + matrix[12]) / w) * size[0]) / 2;
    pixels[1] = ((1 - (matrix[1] * x + matrix[5] * y + matrix[9] * z + matrix[13]) / w) * size[1]) / 2;
    return true;
  }

  // Picks what is nearest to a pixel: a spacepoint, else a line.
  pickAt(x, y) {
    const { view } = this;
    const matrix = this.camera.matrix();
    const pixels = [0, 0];
    let [point, least] = [NONE, NEAR_PX];
    for (let i = 0; i < view.spacepoints; i++) {
      if (!this.project(matrix, view.arrays.position, 3 * i, pixels)) continue;
      const distance = Math.hypot(pixels[0] - x, pixels[1] - y);
      if (distance < least && view.isPointShown(i)) [point, least] = [i, distance];
    }
    if (point !== NONE) {
      const track = view.ownerOf(point);
      return this.pick(track, track === NONE ? point : NONE);
    }
    return this.pick(this.lineAt(matrix, x, y), NONE);
  }

  lineAt(matrix, x, y) {
    const { ends, owners } = this.segments;
    const [a, b] = [[0, 0], [0, 0]];
    let [track, least] = [NONE, NEAR_PX];
    for (let i = 0; i < owners.length; i++) {
      if (!this.view.shown[owners[i]] || !this.project(matrix, ends, 6 * i, a)) continue;
      if (!this.project(matrix, ends, 6 * i + 3, b)) continue;
      const [dx, dy] = [b[0] - a[0], b[1] - a[1]];
      const along = ((x - a[0]) * dx + (y - a[1]) * dy) / (dx * dx + dy * dy || 1);
      const share = Math.min(Math.max(along, 0), 1);
      const distance = Math.hypot(a[0] + share * dx - x, a[1] + share * dy - y);
      if (distance < least) [track, least] = [owners[i], distance];
    }
    return track;
  }

  listen() {
    const { canvas, camera } = this;
    let pressed = null;
    canvas.onpointerdown = (down) => {
      canvas.setPointerCapture(down.pointerId);
      pressed = { x: down.clientX, y: down.clientY, moved: 0, pan: down.button === 2 || down.shiftKey };
    };
    canvas.onpointermove = (now) => {
      if (!pressed) return;
      const [dx, dy] = [now.clientX - pressed.x, now.clientY - pressed.y];
      pressed.moved += Math.abs(dx) + Math.abs(dy);
      if (pressed.moved < STILL_PX) return;
      Object.assign(pressed, { x: now.clientX, y: now.clientY });
      this.touched = true;
      if (pressed.pan) camera.move(dx, dy);
      else camera.turn(dx, dy);
      this.redraw();
    };
    canvas.onpointerup = (up) => {
      const still = pressed && pressed.moved < STILL_PX && up.button === 0;
      pressed = null;
      if (still) this.pickAt(up.offsetX, up.offsetY);
    };
    canvas.onpointercancel = () => { pressed = null; };
    canvas.oncontextmenu = (opened) => opened.preventDefault();
    canvas.addEventListener("wheel", (turned) => {
      turned.preventDefault();
      this.touched = true;
      const [width, height] = camera.size;
      camera.zoom(Math.exp(0.0015 * turned.deltaY), turned.offsetX - width / 2, turned.offsetY - height / 2);
      this.redraw();
    }, { passive: false });
    document.onkeydown = (key) => { if (key.key === "Escape") this.pick(NONE, NONE); };
  }
}

try {
  new EventDisplay(decodeEvent(at("event")));
  document.body.dataset.ready = "yes";
} catch (error) {
  at("notice").textContent = `The event cannot be drawn: ${error.message}.`;
  at("notice").hidden = false;
  throw error;
}
