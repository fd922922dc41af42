// WebGL 2: all spacepoints in one call, and all lines in another, as rectangles of a width in pixels.
// Rectangles have vertices of their own: instances of one are drawn some ten times slower where there is no GPU.

const NEAREST = 0.1; // share of the depth that is kept for what lies before everything

const HIDE = "gl_Position = vec4(2.0, 2.0, 2.0, 1.0);";

const POINT_SHADER = `#version 300 es
in vec3 position; in vec4 colour; uniform mat4 matrix; uniform float size; out vec4 tint;
void main() {
  tint = colour; gl_PointSize = size; gl_Position = matrix * vec4(position, 1.0);
  if (colour.a == 0.0 || !(dot(position, position) < 1e30)) ${HIDE}
}`;

const DISC_SHADER = `#version 300 es
precision mediump float; in vec4 tint; out vec4 pixel;
void main() {
  vec2 from = 2.0 * gl_PointCoord - 1.0;
  float edge = 1.0 - smoothstep(0.6, 1.0, dot(from, from));
  if (edge == 0.0) discard;
  pixel = vec4(tint.rgb, edge * tint.a);
}`;

// A piece that comes from behind the viewer is cut where it would be divided by nothing.
const LINE_SHADER = `#version 300 es
in vec3 first; in vec3 second; in vec4 colour; uniform mat4 matrix; uniform vec2 viewport; uniform float size;
out vec4 tint;
void main() {
  tint = colour;
  vec4 a = matrix * vec4(first, 1.0), b = matrix * vec4(second, 1.0);
  const float least = 0.5;
  bool behind = a.w < least && b.w < least;
  if (a.w < least) a = mix(a, b, (least - a.w) / (b.w - a.w));
  if (b.w < least) b = mix(b, a, (least - b.w) / (a.w - b.w));
  vec2 along = (b.xy / b.w - a.xy / a.w) * viewport;
  along = length(along) > 0.0 ? normalize(along) : vec2(1.0, 0.0);
  vec4 end = gl_VertexID % 4 < 2 ? a : b;
  float side = gl_VertexID % 2 == 0 ? -1.0 : 1.0;
  end.xy += side * size * end.w * vec2(-along.y, along.x) / viewport;
  gl_Position = end;
  if (colour.a == 0.0 || behind || !(dot(first, first) + dot(second, second) < 1e30)) ${HIDE}
}`;

const FLAT_SHADER = `#version 300 es
precision mediump float; in vec4 tint; out vec4 pixel;
void main() { pixel = tint; }`;

// Each group of so many values as often as that.
function repeated(values, group, times) {
  if (times === 1) return values;
  const all = new values.constructor(values.length * times);
  let to = 0;
  for (let at = 0; at < values.length; at += group) {
    for (let time = 0; time < times; time++) {
      for (let i = 0; i < group; i++) all[to++] = values[at + i];
    }
  }
  return all;
}

class Renderer {
  constructor(canvas, antialias) {
    this.canvas = canvas;
    this.gl = canvas.getContext("webgl2", { alpha: false, antialias, preserveDrawingBuffer: true });
    if (!this.gl) throw new Error("this browser has no WebGL 2, or it is switched off");
    const gl = this.gl;
    gl.clearColor(1, 1, 1, 1);
    gl.enable(gl.DEPTH_TEST);
    gl.depthFunc(gl.LEQUAL);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA);
    this.points = this.program(POINT_SHADER, DISC_SHADER);
    this.lines = this.program(LINE_SHADER, FLAT_SHADER);
  }

  program(...sources) {
    const gl = this.gl;
    const program = gl.createProgram();
    [gl.VERTEX_SHADER, gl.FRAGMENT_SHADER].forEach((kind, at) => {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, sources[at]);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    });
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
    return program;
  }

  // Points of [3 N] positions, or with two names lines of [6 N]; they are set with `place`, colours with `colour`.
  layer(program, ...names) {
    const gl = this.gl;
    const layer = { program, array: gl.createVertexArray(), values: gl.createBuffer(), colours: gl.createBuffer(), count: 0 };
    layer.corners = names.length > 1 ? 4 : 1;
    layer.stride = 3 * names.length;
    const attribute = (name, size, kind, normalised, stride, offset) => {
      const place = gl.getAttribLocation(program, name);
      gl.enableVertexAttribArray(place);
      gl.vertexAttribPointer(place, size, kind, normalised, stride, offset);
    };
    gl.bindVertexArray(layer.array);
    gl.bindBuffer(gl.ARRAY_BUFFER, layer.values);
    names.forEach((name, at) => attribute(name, 3, gl.FLOAT, false, 4 * layer.stride, 12 * at));
    gl.bindBuffer(gl.ARRAY_BUFFER, layer.colours);
    attribute("colour", 4, gl.UNSIGNED_BYTE, true, 0, 0);
    if (layer.corners > 1) {
      layer.triangles = gl.createBuffer();
      gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, layer.triangles);
    }
    gl.bindVertexArray(null);
    return layer;
  }

  pointLayer() {
    return this.layer(this.points, "position");
  }

  lineLayer() {
    return this.layer(this.lines, "first", "second");
  }

  place(layer, values) {
    const gl = this.gl;
    layer.count = values.length / layer.stride;
    this.fill(layer.values, repeated(values, layer.stride, layer.corners));
    if (layer.corners > 1) {
      const corner = [0, 1, 2, 2, 1, 3];
      const triangles = new Uint32Array(6 * layer.count);
      for (let i = 0; i < triangles.length; i++) triangles[i] = 4 * Math.floor(i / 6) + corner[i % 6];
      gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, layer.triangles);
      gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, triangles, gl.DYNAMIC_DRAW);
    }
    return layer;
  }

  // [4 N] red, green, blue and opacity from 0 to 255; what has no opacity is not drawn.
  colour(layer, colours) {
    this.fill(layer.colours, repeated(colours, 4, layer.corners));
  }

  fill(buffer, values) {
    this.gl.bindBuffer(this.gl.ARRAY_BUFFER, buffer);
    this.gl.bufferData(this.gl.ARRAY_BUFFER, values, this.gl.DYNAMIC_DRAW);
  }

  begin(matrix) {
    const gl = this.gl;
    gl.depthRange(NEAREST, 1);
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    for (const program of [this.points, this.lines]) {
      gl.useProgram(program);
      gl.uniformMatrix4fv(gl.getUniformLocation(program, "matrix"), false, matrix);
    }
    gl.uniform2f(gl.getUniformLocation(this.lines, "viewport"), this.canvas.width, this.canvas.height);
  }

  // Lines of the background hide nothing. Of a layer the part between two shares of it may be drawn.
  draw(layer, size, { isBackground = false, from = 0, to = 1 } = {}) {
    const [first, last] = [Math.floor(from * layer.count), Math.floor(to * layer.count)];
    if (first >= last) return;
    const gl = this.gl;
    gl.depthMask(!isBackground);
    gl.useProgram(layer.program);
    gl.uniform1f(gl.getUniformLocation(layer.program, "size"), size);
    gl.bindVertexArray(layer.array);
    if (layer.program === this.points) gl.drawArrays(gl.POINTS, first, last - first);
    else gl.drawElements(gl.TRIANGLES, 6 * (last - first), gl.UNSIGNED_INT, 24 * first);
    gl.bindVertexArray(null);
    gl.depthMask(true);
  }

  // What `draws` lies before everything, also before what is drawn later.
  above(draws) {
    this.gl.depthRange(0, NEAREST);
    draws();
    this.gl.depthRange(NEAREST, 1);
  }
}
