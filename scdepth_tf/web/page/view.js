// A finished prediction: its video, its path and its point cloud.
"use strict";

(() => {
  const $ = (id) => document.getElementById(id);
  const about = JSON.parse($("about").textContent);

  const POINTS = {
    vertex: `
      attribute vec3 place;   // within the box, in [0, 1]
      attribute vec3 color;
      uniform vec3 low, high;
      uniform mat4 view;
      uniform vec2 scale;
      uniform float near, size;
      varying vec3 tint;
      void main() {
        vec4 point = view * vec4(mix(low, high, place), 1.0);
        float z = point.z;
        gl_Position = z > near
          ? vec4(point.x * scale.x, -point.y * scale.y, z - 2.0 * near, z)
          : vec4(2.0, 2.0, 2.0, 1.0);
        gl_PointSize = clamp(size / z, 1.0, 12.0);
        tint = color;
      }`,
    fragment: `
      precision mediump float;
      varying vec3 tint;
      void main() { gl_FragColor = vec4(tint, 1.0); }`,
  };
  const LINES = {
    vertex: `
      attribute vec3 place;
      uniform mat4 view;
      uniform vec2 scale;
      uniform float near;
      void main() {
        vec4 point = view * vec4(place, 1.0);
        gl_Position = vec4(
          point.x * scale.x, -point.y * scale.y, point.z - 2.0 * near, point.z);
      }`,
    fragment: `
      precision mediump float;
      uniform vec3 tint;
      void main() { gl_FragColor = vec4(tint, 1.0); }`,
  };
  const LENS = 55; // degrees, the shorter side of the canvas
  const START = { yaw: 0.12, pitch: 0.2, distance: 1.3 };
  const LIMITS = { yaw: Infinity, pitch: 1.57, nearest: 0.05, farthest: 400 };
  const PATH = [0.99, 0.54, 0.38];
  const CAMERA = [1, 1, 1];

  // The length of a distance of 1: that of a usual depth.
  const unit = about.median_depth;
  const video = $("video");
  let frame = 0;
  let gl = null;
  let draws = null;
  let pending = false;

  const orbit = new scdepth.Orbit($("scene"), START, LIMITS, draw);

  start().catch((error) => fail(error.message));

  async function start() {
    describe();
    listen();
    await Promise.all([startFilm(), startScene()]);
    document.body.dataset.shown = about.points;
  }

  async function startFilm() {
    if (!about.video) return;
    const response = Uint8Array.from(atob($("film").textContent), (c) =>
      c.charCodeAt(0),
    );
    $("film").remove();
    document.querySelector(".film").hidden = false;
    const blob = new Blob([response], { type: "video/mp4" });
    video.onerror = () => {
      document.querySelector(".film").hidden = true;
      about.video = false;
      fail("This browser cannot play the video; the rest is here.");
    };
    video.src = URL.createObjectURL(blob);
    follow();
  }

  function fail(text) {
    $("message").textContent = text;
    $("message").classList.add("error");
    $("message").hidden = false;
  }

  // The frame that the video shows is the one that is drawn.
  function follow() {
    requestAnimationFrame(() => {
      if (!video.paused) setFrame(frameAt(video.currentTime));
      follow();
    });
  }

  function frameAt(seconds) {
    const times = about.times;
    let low = 0;
    let high = times.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (times[middle] - times[0] <= seconds + 1e-3) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  function setFrame(index) {
    if (index === frame && $("frame-value").textContent !== "0") return;
    frame = index;
    $("time").value = index;
    $("frame-value").textContent = `${index + 1} of ${about.frames}`;
    draw();
  }

  // === The scene ===

  async function startScene() {
    const canvas = $("scene");
    gl = canvas.getContext("webgl", { antialias: true });
    if (!gl) {
      $("hint").textContent = "This browser does not offer WebGL for 3-D.";
      return;
    }
    gl.enable(gl.DEPTH_TEST);
    draws = [];
    if (about.points) {
      const bytes = await scdepth.unpack($("points").textContent);
      $("points").remove();
      const places = bytes.subarray(0, 6 * about.points);
      const colors = bytes.subarray(6 * about.points);
      draws.push(points(places, colors));
    }
    const path = about.poses.flatMap((pose) => [pose[3], pose[7], pose[11]]);
    draws.push(lines(gl.LINE_STRIP, () => path, PATH));
    draws.push(lines(gl.LINES, frustum, CAMERA));
    new ResizeObserver(draw).observe(canvas);
    setFrame(0);
  }

  // Places are uint16 in the box, colours bytes.
  function points(places, colors) {
    const made = scdepth.gl.program(gl, POINTS, ["place", "color"]);
    const at = (name) => gl.getUniformLocation(made, name);
    const buffers = [places, colors].map((bytes) => {
      const buffer = gl.createBuffer();
      gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
      gl.bufferData(gl.ARRAY_BUFFER, bytes, gl.STATIC_DRAW);
      return buffer;
    });
    return (camera) => {
      gl.useProgram(made);
      gl.bindBuffer(gl.ARRAY_BUFFER, buffers[0]);
      gl.enableVertexAttribArray(0);
      gl.vertexAttribPointer(0, 3, gl.UNSIGNED_SHORT, true, 0, 0);
      gl.bindBuffer(gl.ARRAY_BUFFER, buffers[1]);
      gl.enableVertexAttribArray(1);
      gl.vertexAttribPointer(1, 3, gl.UNSIGNED_BYTE, true, 0, 0);
      gl.uniform3fv(at("low"), about.low);
      gl.uniform3fv(at("high"), about.high);
      gl.uniform1f(
        at("size"),
        (camera.focal * about.voxel * $("size").value) / 10,
      );
      setCamera(at, camera);
      gl.drawArrays(gl.POINTS, 0, about.points);
      gl.disableVertexAttribArray(1);
    };
  }

  function lines(kind, places, tint) {
    const made = scdepth.gl.program(gl, LINES, ["place"]);
    const at = (name) => gl.getUniformLocation(made, name);
    const buffer = gl.createBuffer();
    return (camera) => {
      const corners = new Float32Array(places());
      gl.useProgram(made);
      gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
      gl.bufferData(gl.ARRAY_BUFFER, corners, gl.DYNAMIC_DRAW);
      gl.enableVertexAttribArray(0);
      gl.vertexAttribPointer(0, 3, gl.FLOAT, false, 0, 0);
      gl.uniform3fv(at("tint"), tint);
      setCamera(at, camera);
      gl.drawArrays(kind, 0, corners.length / 3);
    };
  }

  function setCamera(at, { view, scale, near }) {
    gl.uniformMatrix4fv(at("view"), false, view);
    gl.uniform2fv(at("scale"), scale);
    gl.uniform1f(at("near"), near);
  }

  // Edges of the pyramid that the camera of this frame looks through.
  function frustum() {
    const pose = about.poses[frame];
    const z = 0.3 * unit;
    const [x, y] = [z * about.across, z * about.down];
    const world = ([a, b, c]) =>
      [0, 4, 8].map(
        (row) =>
          pose[row] * a + pose[row + 1] * b + pose[row + 2] * c + pose[row + 3],
      );
    const eye = world([0, 0, 0]);
    const corners = [
      [-x, -y, z],
      [x, -y, z],
      [x, y, z],
      [-x, y, z],
    ].map(world);
    return corners.flatMap((corner, i) => [
      ...eye,
      ...corner,
      ...corner,
      ...corners[(i + 1) % 4],
    ]);
  }

  function draw() {
    if (pending || !draws) return;
    pending = true;
    requestAnimationFrame((time) => {
      pending = false;
      paint(time);
      if (orbit.goesOn(time)) draw();
    });
  }

  function paint(time) {
    const { canvas } = gl;
    scdepth.gl.clear(gl);
    const shorter = Math.min(canvas.width, canvas.height);
    const focal = shorter / 2 / Math.tan((LENS * Math.PI) / 360);
    const { pivot, length } = looked();
    const camera = {
      view: orbit.view(pivot, length, time),
      scale: [(2 * focal) / canvas.width, (2 * focal) / canvas.height],
      near: 0.01 * unit,
      focal,
    };
    for (const one of draws) one(camera);
  }

  // The point to turn around and the length of a distance of 1.
  function looked() {
    if (choice() === "follow") {
      const pose = about.poses[frame];
      // Somewhat before the camera, along its axis.
      const pivot = [0, 4, 8].map(
        (row) => pose[row + 3] + 0.8 * unit * pose[row + 2],
      );
      return { pivot, length: unit };
    }
    const places = [3, 7, 11].map((i) => about.poses.map((pose) => pose[i]));
    // Of a long drive they are too many for Math.min(...values).
    const most = (choose) =>
      places.map((values) => values.reduce((a, b) => choose(a, b)));
    const [low, high] = [most(Math.min), most(Math.max)];
    const extent = Math.hypot(...high.map((value, i) => value - low[i]));
    return {
      pivot: low.map((value, i) => (value + high[i]) / 2),
      length: Math.max(extent, 2 * unit) / 2.5,
    };
  }

  function choice() {
    return document.querySelector("[name=look]:checked").value;
  }

  // === Around it ===

  function describe() {
    const seconds = about.times.at(-1) - about.times[0];
    $("summary").textContent =
      `${about.frames} frames, ${seconds.toFixed(1)} s, ` +
      `path ${about.path.toPrecision(3)} ${about.unit}`;
    const shape = ([height, width]) => `${width} × ${height}`;
    scdepth.showFacts($("facts"), {
      Frames: `${about.frames}, ${shape(about.image_size)}`,
      "Depth maps": shape(about.depth_size),
      "Middle depth": `${about.median_depth.toPrecision(3)} ${about.unit}`,
      "Path of the camera": `${about.path.toPrecision(3)} ${about.unit}`,
      Points: about.points
        ? `${about.points.toLocaleString("en")} of ` +
          `${about.points_in_file.toLocaleString("en")}`
        : "none: scdepth predict … --write cloud makes them",
      Video: about.video ? "yes" : "none: scdepth predict … --write video",
      "Written by": about.producer,
    });
  }

  function listen() {
    $("time").max = about.frames - 1;
    $("time").addEventListener("input", ({ target }) => {
      video.pause();
      const index = Number(target.value);
      if (about.video) {
        video.currentTime = about.times[index] - about.times[0] + 1e-3;
      }
      setFrame(index);
    });
    video.addEventListener("seeked", () => {
      setFrame(frameAt(video.currentTime));
    });
    $("size").addEventListener("input", draw);
    $("reset").addEventListener("click", () => orbit.reset());
    for (const one of document.querySelectorAll("[name=look]")) {
      one.addEventListener("change", () => {
        orbit.sways = false;
        orbit.pose = {
          ...START,
          ...(choice() === "above" && { yaw: 0, pitch: 1.57 }),
        };
        draw();
      });
    }
  }
})();
