// Depth as points in space, to be turned by hand.
"use strict";

self.scdepth ??= {};

scdepth.Cloud = (() => {
  const POINT = {
    vertex: `
      attribute vec2 place;     // column and row, in pixels of the depth
      attribute float depth;    // 0: no point here
      uniform vec2 size;        // width and height of the depth
      uniform vec2 focal;       // of the camera, in these pixels
      uniform mat4 view;
      uniform vec2 scale;       // of the projection
      uniform float near;       // nothing is drawn nearer
      uniform float pixels;     // width of a depth pixel on the screen, at 1
      varying vec2 at;
      void main() {
        vec2 ray = (place - 0.5 * (size - 1.0)) / focal;
        vec4 point = view * vec4(depth * ray.x, depth * ray.y, depth, 1.0);
        float z = point.z;
        gl_Position = depth > 0.0 && z > near
          ? vec4(point.x * scale.x, -point.y * scale.y, z - 2.0 * near, z)
          : vec4(2.0, 2.0, 2.0, 1.0);
        gl_PointSize = clamp(pixels * depth / z * 1.6, 1.0, 32.0);
        at = (place + 0.5) / size;
      }`,
    fragment: `
      precision mediump float;
      uniform sampler2D picture;
      varying vec2 at;
      void main() { gl_FragColor = texture2D(picture, at); }`,
  };

  // Ratio of depths two pixels apart above which there is an edge between.
  const EDGE = 1.2;
  const START = { yaw: 0.2, pitch: 0.13, distance: 1.05 };
  const LIMITS = { yaw: 1.5, pitch: 1.2, nearest: 0.15, farthest: 5 };
  // Depth is interpolated until there are about so many points.
  const POINTS = 120000;

  class Cloud {
    // Draws into `canvas`; `degrees` is the camera's horizontal view.
    constructor(canvas, degrees) {
      this.canvas = canvas;
      this.degrees = degrees;
      this.orbit = new scdepth.Orbit(canvas, START, LIMITS, () => this.draw());
      this.pivot = 1;
      this.count = 0;
      this.pending = false;
      this.gl = canvas.getContext("webgl", { antialias: false });
      if (!this.gl) return;
      this.prepare();
      new ResizeObserver(() => this.draw()).observe(canvas);
      canvas.addEventListener("webglcontextlost", (event) => {
        event.preventDefault();
      });
      canvas.addEventListener("webglcontextrestored", () => {
        this.prepare();
        this.size = null;
        if (this.shown) this.show(...this.shown);
      });
    }

    get works() {
      return this.gl !== null;
    }

    prepare() {
      const { gl } = this;
      const program = scdepth.gl.program(gl, POINT, ["place", "depth"]);
      gl.useProgram(program);
      this.uniform = (name) => gl.getUniformLocation(program, name);
      this.places = gl.createBuffer();
      this.depths = gl.createBuffer();
      gl.enableVertexAttribArray(0);
      gl.enableVertexAttribArray(1);
      gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
      for (const side of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) {
        gl.texParameteri(gl.TEXTURE_2D, side, gl.CLAMP_TO_EDGE);
      }
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
      gl.enable(gl.DEPTH_TEST);
    }

    // Takes a new scene.
    //
    // depth: Float32Array [height * width]; aspect: of the picture.
    // picture: canvas with the colours; farthest: where points end.
    show(depth, height, width, aspect, picture, farthest) {
      if (!this.works) return;
      this.shown = [depth, height, width, aspect, picture, farthest];
      const { gl } = this;
      const finer = Math.max(1, Math.round(Math.sqrt(POINTS / depth.length)));
      const dense = interpolate(depth, height, width, finer);
      const [rows, columns] = [finer * height, finer * width];
      if (this.size?.[0] !== columns || this.size[1] !== rows) {
        this.size = [columns, rows];
        gl.bindBuffer(gl.ARRAY_BUFFER, this.places);
        gl.bufferData(gl.ARRAY_BUFFER, grid(rows, columns), gl.STATIC_DRAW);
        gl.vertexAttribPointer(0, 2, gl.FLOAT, false, 0, 0);
      }
      this.aspect = aspect;
      const edge = 1 + (EDGE - 1) / finer;
      const kept = withoutEdges(dense, rows, columns, edge, farthest);
      gl.bindBuffer(gl.ARRAY_BUFFER, this.depths);
      gl.bufferData(gl.ARRAY_BUFFER, kept, gl.DYNAMIC_DRAW);
      gl.vertexAttribPointer(1, 1, gl.FLOAT, false, 0, 0);
      this.count = kept.length;
      gl.texImage2D(
        gl.TEXTURE_2D,
        0,
        gl.RGB,
        gl.RGB,
        gl.UNSIGNED_BYTE,
        picture,
      );
      this.pivot = median(depth.filter((value) => value <= farthest)) || 1;
      this.draw();
    }

    // Draws with the next frame of the screen.
    draw() {
      if (this.pending || !this.count) return;
      this.pending = true;
      requestAnimationFrame((time) => {
        this.pending = false;
        this.paint(time);
        if (this.orbit.goesOn(time)) this.draw();
      });
    }

    paint(time) {
      const { gl, canvas } = this;
      scdepth.gl.clear(gl);
      const [width, height] = this.size;
      // A picture's pixel need not be square at the network's size.
      const focalX = width / 2 / Math.tan((this.degrees * Math.PI) / 360);
      const focalY = focalX * (this.aspect * height) / width;
      // Between all of the picture and all of the canvas.
      const across = canvas.width / width;
      const down = canvas.height / ((height * focalX) / focalY);
      const fit =
        Math.min(across, down) ** 0.75 * Math.max(across, down) ** 0.25;
      const scale = [
        (2 * focalX * fit) / canvas.width,
        (2 * focalX * fit) / canvas.height,
      ];
      gl.uniform2f(this.uniform("size"), width, height);
      gl.uniform2f(this.uniform("focal"), focalX, focalY);
      gl.uniform2f(this.uniform("scale"), ...scale);
      gl.uniform1f(this.uniform("near"), 0.01 * this.pivot);
      gl.uniform1f(
        this.uniform("pixels"),
        fit * Math.max(1, focalX / focalY),
      );
      gl.uniformMatrix4fv(
        this.uniform("view"),
        false,
        // Turns around a point at the middle depth.
        this.orbit.view([0, 0, this.pivot], this.pivot, time),
      );
      gl.drawArrays(gl.POINTS, 0, this.count);
    }
  }

  // Columns and rows of all pixels, [height * width * 2].
  function grid(height, width) {
    const places = new Float32Array(2 * height * width);
    for (let y = 0, i = 0; y < height; y++) {
      for (let x = 0; x < width; x++, i += 2) {
        places[i] = x;
        places[i + 1] = y;
      }
    }
    return places;
  }

  // `finer` times as many rows and columns, bilinear in disparity.
  function interpolate(depth, height, width, finer) {
    if (finer === 1) return depth;
    const columns = finer * width;
    const dense = new Float32Array(finer * height * columns);
    for (let y = 0, i = 0; y < finer * height; y++) {
      const [top, down] = between(y, finer, height);
      for (let x = 0; x < columns; x++, i++) {
        const [left, right] = between(x, finer, width);
        const at = top * width + left;
        const across = left < width - 1 ? 1 : 0;
        const below = top < height - 1 ? width : 0;
        const upper = mix(1 / depth[at], 1 / depth[at + across], right);
        const lower = mix(
          1 / depth[at + below],
          1 / depth[at + below + across],
          right,
        );
        dense[i] = 1 / mix(upper, lower, down);
      }
    }
    return dense;
  }

  // The old sample before a new one, and how far it is to the next.
  function between(place, finer, size) {
    const old = (place + 0.5) / finer - 0.5;
    const before = clamp(Math.floor(old), 0, size - 1);
    return [before, clamp(old - before, 0, 1)];
  }

  function mix(a, b, share) {
    return a + (b - a) * share;
  }

  // Depth with 0 beyond `farthest` and where neighbours differ by a factor
  // above `edge`: blurred edges are veils between near and far.
  function withoutEdges(depth, height, width, edge, farthest) {
    const kept = new Float32Array(depth.length);
    for (let y = 0, i = 0; y < height; y++) {
      for (let x = 0; x < width; x++, i++) {
        const left = depth[x > 0 ? i - 1 : i];
        const right = depth[x < width - 1 ? i + 1 : i];
        const smooth = left < edge * right && right < edge * left;
        kept[i] = smooth && depth[i] <= farthest ? depth[i] : 0;
      }
    }
    return kept;
  }

  function median(values) {
    return values.sort()[values.length >> 1];
  }

  function clamp(value, low, high) {
    return Math.min(Math.max(value, low), high);
  }

  return Cloud;
})();
