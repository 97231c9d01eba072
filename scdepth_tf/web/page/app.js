// The page: pictures in, depth out.
"use strict";

self.scdepth ??= {};
scdepth.parts = {};

// For scripts that look at the page from outside: the last result, its depth
// [height * width] and the range of its colours.
scdepth.last = null;

(() => {
  const $ = (id) => document.getElementById(id);

  // Wider videos are shrunk by the browser before the network's own resize.
  const WIDEST_VIDEO = 1280;
  const WIDEST_PICTURE = 4096;

  // The smallest WebAssembly module with a vector instruction.
  const SIMD = [
    0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1,
    8, 0, 65, 0, 253, 15, 253, 98, 11,
  ];
  const RELAXED_SIMD = [
    0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 15, 1,
    13, 0, 65, 1, 253, 15, 65, 2, 253, 15, 253, 128, 2, 11,
  ];

  // Horizontal fields of view in degrees: of KITTI's camera, which the sample
  // has, and about that of phones and laptops.
  const SAMPLE_LENS = 81;
  const USUAL_LENS = 66;

  const grab = document.createElement("canvas");
  const cloud = new scdepth.Cloud($("cloud"), Number($("lens").value));
  const range = new scdepth.Range(paint);

  let network = null;
  let source = null; // one of scdepth.sources
  let frameTimes = [];

  start().catch((error) => {
    fail(error.message);
    document.body.classList.toggle("broken", !scdepth.last);
  });

  // === Start ===

  async function start() {
    listen();
    if (!cloud.works) {
      $("hint").textContent = "This browser does not offer WebGL for 3-D.";
      $("reset").hidden = true;
    }
    const missing = whatIsMissing();
    if (missing) throw new Error(missing);
    const sizes = JSON.parse(document.body.dataset.parts);
    const variant = WebAssembly.validate(Uint8Array.from(RELAXED_SIMD))
      ? "relaxed"
      : "compatible";
    await progress("Loading the runtime", sizes[`runtime-${variant}.js`]);
    await load(`runtime-${variant}.js`);
    await progress("Loading the model", sizes["model-data.js"]);
    await load("model-data.js");
    await load("sample-data.js");
    await progress("Starting");
    const { runtime, model, sample } = scdepth.parts;
    const code = await scdepth.unpack(runtime.code);
    const started = new scdepth.Network(code, fail);
    await started.start(await scdepth.unpack(runtime.wasm));
    await useModel(await scdepth.unpack(model.bytes), model.name, started);
    scdepth.parts = { sample };
    // A file may have been dropped already.
    await (source ? lookOnce() : useSample());
    $("progress").hidden = true;
    document.querySelector("nav").inert = false;
    await accelerate();
    keepForLater([`runtime-${variant}.js`, "model-data.js", "sample-data.js"]);
  }

  function whatIsMissing() {
    if (
      typeof WebAssembly !== "object" ||
      !WebAssembly.validate(Uint8Array.from(SIMD))
    ) {
      return (
        "This browser lacks WebAssembly SIMD, which computing depth needs. " +
        "Chrome and Edge have it since 2021, Firefox since 2021, Safari " +
        "since 16.4 (2023): please update, or open this page in another one."
      );
    }
    if (!self.OffscreenCanvas || !self.DecompressionStream) {
      return (
        "This browser is too old for this page: please update it, or open " +
        "the page in a current Chrome, Edge, Firefox or Safari."
      );
    }
    return null;
  }

  async function progress(what, size) {
    const megabytes = size ? ` (${(size / 1e6).toFixed(1)} MB)` : "";
    $("progress").querySelector("p").textContent = `${what}${megabytes} …`;
    await new Promise((resolve) => setTimeout(resolve));
  }

  // The file of this page's version.
  function address(name) {
    return `${name}?v=${document.body.dataset.version}`;
  }

  function load(name) {
    return new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = address(name);
      script.onload = resolve;
      script.onerror = () =>
        reject(
          new Error(`${name} could not be loaded. Is the connection gone?`),
        );
      document.head.append(script);
    });
  }

  // The page's large files stay for use without a connection.
  async function keepForLater(files) {
    if (!navigator.serviceWorker || !location.protocol.startsWith("http")) {
      return;
    }
    navigator.serviceWorker.onmessage = () => {
      document.body.dataset.offline = "ready";
    };
    try {
      await navigator.serviceWorker.register("sw.js");
      const { active } = await navigator.serviceWorker.ready;
      active.postMessage(files.map(address));
    } catch (error) {
      console.warn(`not kept for use without a connection: ${error.message}`);
    }
  }

  // === Models and sources ===

  async function useModel(bytes, name, runner = network) {
    if (!runner) throw new Error("The page is still loading.");
    const size = bytes.length;
    await runner.open(bytes);
    network = runner;
    range.take(network);
    frameTimes = [];
    showModel(name, size);
  }

  async function accelerate() {
    await network.accelerate();
    $("engine").textContent = network.engine;
  }

  async function useSample() {
    const { bytes } = scdepth.parts.sample;
    const address = `data:image/jpeg;base64,${bytes}`;
    await use(await scdepth.sources.picture(address, "Sample street"));
    setLens(SAMPLE_LENS);
  }

  async function useCamera(facing = "environment") {
    say("Your browser asks for the camera. Its pictures stay on this device.");
    const camera = await scdepth.sources.openCamera(facing);
    say("");
    camera.ended = () => {
      if (source !== camera) return;
      leave();
      fail("The camera was taken away.");
    };
    await use(camera);
    const hasOther = await scdepth.sources.hasOtherCamera();
    if (source === camera) $("turn-camera").hidden = !hasOther;
  }

  async function open(file) {
    say("");
    if (file.name.toLowerCase().endsWith(".tflite")) {
      const bytes = new Uint8Array(await file.arrayBuffer());
      await useModel(bytes, file.name);
      await lookOnce();
      await accelerate();
    } else if (file.type.startsWith("video/")) {
      await use(await scdepth.sources.openVideo(file));
    } else {
      await use(await scdepth.sources.openPicture(file));
    }
  }

  async function use(next) {
    leave();
    source = next;
    range.ends = null;
    $("source").textContent = next.name;
    describeSource();
    setLens(USUAL_LENS);
    cloud.orbit.reset();
    if (!next.video) {
      await lookOnce();
      return;
    }
    next.video.onseeked = () => {
      if (next.video.paused) lookOnce().catch((error) => fail(error.message));
    };
    run(next);
  }

  // What it last showed stays to be looked at.
  function leave() {
    source?.close();
    source = null;
    frameTimes = [];
    $("turn-camera").hidden = true;
    describeSource();
  }

  function describeSource() {
    $("speed").hidden = !source;
    $("fps").parentElement.hidden = !source?.video;
    $("player").hidden = !source?.video;
    // The camera's has no end, nor has that of a recording cut short.
    $("seek-label").hidden = !Number.isFinite(source?.video?.duration);
    const isCamera = source?.kind === "camera";
    $("camera").querySelector("span").textContent = isCamera
      ? "Stop camera"
      : "Camera";
    showPaused();
  }

  // === Frames ===

  // Looks at a moving source as fast as the network can.
  async function run(mine) {
    const { video } = mine;
    try {
      while (source === mine) {
        await nextFrame();
        if (source !== mine) break;
        if (video.paused || document.hidden || video.readyState < 2) continue;
        await lookOnce();
        $("seek").value = (1000 * video.currentTime) / video.duration;
      }
    } catch (error) {
      fail(error.message);
    }
  }

  async function lookOnce() {
    const mine = source;
    if (!mine || !network) return;
    const [width, height] = mine.size;
    const widest = mine.video ? WIDEST_VIDEO : WIDEST_PICTURE;
    const shrink = Math.min(1, widest / Math.max(width, height));
    grab.width = Math.max(1, Math.round(width * shrink));
    grab.height = Math.max(1, Math.round(height * shrink));
    grab
      .getContext("2d")
      .drawImage(mine.drawn, 0, 0, grab.width, grab.height);
    const bitmap = await createImageBitmap(grab);
    const result = await network.look(bitmap);
    if (source === mine) show(result);
  }

  function nextFrame() {
    return new Promise((resolve) => requestAnimationFrame(resolve));
  }

  // === Showing ===

  function show(result) {
    scdepth.last = { ...result, source: source.name };
    if (!range.ends) range.fit(result.depth);
    const frame = $("frame");
    frame.width = grab.width;
    frame.height = grab.height;
    frame.getContext("2d").drawImage(grab, 0, 0);
    paint();
    frameTimes.push(performance.now());
    showSpeed(result.milliseconds);
  }

  // Depth and cloud in the present colour range.
  function paint() {
    if (!scdepth.last || !range.ends) return;
    const { nearest, farthest } = range.ends;
    Object.assign(scdepth.last, { nearest, farthest });
    const { depth, height, width } = scdepth.last;
    const canvas = $("depth");
    canvas.width = width;
    canvas.height = height;
    const pixels = scdepth.colors.paint(depth, nearest, farthest);
    canvas
      .getContext("2d")
      .putImageData(new ImageData(pixels, width, height), 0, 0);
    // Depth is shown in the picture's shape, whatever the network's.
    const aspect = $("frame").width / $("frame").height;
    document.body.style.setProperty("--aspect", aspect);
    document.body.classList.toggle("wide", aspect > 1.9);
    document.body.classList.toggle("tall", aspect < 0.9);
    const colors = document.querySelector("[name=points]:checked").value;
    const picture = colors === "depth" ? canvas : $("frame");
    cloud.show(depth, height, width, aspect, picture, farthest);
    range.show();
  }

  function showSpeed(milliseconds) {
    const now = performance.now();
    frameTimes = frameTimes.filter((time) => now - time < 2000);
    const seconds = (frameTimes.at(-1) - frameTimes[0]) / 1000;
    $("fps").textContent =
      frameTimes.length > 1
        ? ((frameTimes.length - 1) / seconds).toFixed(1)
        : "–";
    $("milliseconds").textContent = milliseconds.toFixed(0);
  }

  function showModel(name, size) {
    const { metadata } = network;
    const { network: net, input, quantization, scale } = metadata;
    $("engine").textContent = network.engine;
    scdepth.showFacts($("facts"), {
      File: `${name}, ${(size / 1e6).toFixed(1)} MB`,
      Network: `${net.encoder} encoder, ${net.decoder} decoder`,
      Input: `${input.size[1]} × ${input.size[0]} pixels`,
      Numbers: quantization.scheme,
      Depth: network.isMetric
        ? `metres: a scene unit is ${scale.metres_per_unit.toPrecision(3)} m`
        : "scene units: one unknown length, the same in all pictures",
      "Trained on": metadata.training_data ?? "not said",
      "Written by": metadata.producer,
    });
  }

  function showPaused() {
    const isPaused = Boolean(source?.video?.paused);
    $("pause").querySelector("span").textContent = isPaused ? "Play" : "Pause";
    $("pause").classList.toggle("paused", isPaused);
    $("fps").textContent = "–";
    frameTimes = [];
  }

  function say(text) {
    $("message").textContent = text;
    $("message").hidden = !text;
    $("message").classList.remove("error");
  }

  function fail(text) {
    say(text);
    $("message").classList.add("error");
    $("progress").hidden = true;
  }

  function setLens(degrees) {
    $("lens").value = degrees;
    $("lens-value").textContent = `${degrees}°`;
    cloud.degrees = degrees;
    cloud.draw();
  }

  // === Controls ===

  function listen() {
    const trying = (action) => async (event) => {
      try {
        await action(event);
      } catch (error) {
        fail(error.message);
      }
    };
    const click = (id, action) =>
      $(id).addEventListener("click", trying(action));
    click("camera", async () => {
      if (source?.kind === "camera") leave();
      else await useCamera();
    });
    click("turn-camera", async () => {
      const other = source.facing === "user" ? "environment" : "user";
      leave(); // telephones open one camera at a time
      await useCamera(other);
    });
    click("sample", async () => {
      say("");
      await useSample();
    });
    click("reset", () => cloud.orbit.reset());
    click("fit", () => {
      if (scdepth.last) range.fit(scdepth.last.depth);
      paint();
    });
    click("pause", async () => {
      const { video } = source;
      if (video.paused) await video.play();
      else video.pause();
      showPaused();
    });
    $("seek").addEventListener("input", ({ target }) => {
      const { video } = source;
      video.currentTime = (target.value / 1000) * video.duration;
    });
    $("open").addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      $("file").click();
    });
    $("file").addEventListener(
      "change",
      trying(async ({ target }) => {
        const [file] = target.files;
        target.value = "";
        if (file) await open(file);
      }),
    );
    for (const choice of document.querySelectorAll("[name=points]")) {
      choice.addEventListener("change", paint);
    }
    $("lens").addEventListener("input", ({ target }) =>
      setLens(Number(target.value)),
    );
    listenForDrops(trying);
    listenForReading();
  }

  function listenForDrops(trying) {
    let depth = 0;
    const shade = (change) => {
      depth += change;
      $("drop").hidden = depth <= 0;
    };
    document.addEventListener("dragenter", () => shade(1));
    document.addEventListener("dragleave", () => shade(-1));
    document.addEventListener("dragover", (event) => event.preventDefault());
    document.addEventListener(
      "drop",
      trying(async (event) => {
        event.preventDefault();
        shade(-depth);
        const [file] = event.dataTransfer.files;
        if (file) await open(file);
      }),
    );
  }

  // Depth under the pointer.
  function listenForReading() {
    const canvas = $("depth");
    const reading = $("reading");
    canvas.addEventListener("pointermove", (event) => {
      if (!scdepth.last) return;
      const { depth, height, width } = scdepth.last;
      const box = canvas.getBoundingClientRect();
      const across = (event.clientX - box.left) / box.width;
      const down = (event.clientY - box.top) / box.height;
      const x = Math.min(Math.max(Math.floor(across * width), 0), width - 1);
      const y = Math.min(Math.max(Math.floor(down * height), 0), height - 1);
      reading.textContent = range.text(depth[y * width + x]);
      reading.style.left = `${100 * across}%`;
      reading.style.top = `${100 * down}%`;
      reading.hidden = false;
    });
    canvas.addEventListener("pointerleave", () => {
      reading.hidden = true;
    });
  }
})();
