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

  const video = document.createElement("video");
  video.muted = true;
  video.loop = true;
  video.playsInline = true;

  const grab = document.createElement("canvas");
  const cloud = new scdepth.Cloud($("cloud"), Number($("lens").value));

  let worker = null;
  let network = null; // what the worker says of its model
  let source = null; // { kind: "picture" | "video" | "camera", ... }
  let range = null; // nearest and farthest depth with a colour of their own
  let frameTimes = [];

  // Horizontal fields of view in degrees: of KITTI's camera, which the sample
  // has, and about that of phones and laptops.
  const SAMPLE_LENS = 81;
  const USUAL_LENS = 66;

  start().catch((error) => fail(error.message));

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
    const { runtime, model } = scdepth.parts;
    const code = await scdepth.unpack(runtime.code);
    worker = new Worker(
      URL.createObjectURL(new Blob([code], { type: "text/javascript" })),
    );
    worker.onmessage = ({ data }) => answers[data.type](data);
    worker.onerror = (event) => fail(event.message || "The worker failed.");
    const wasm = await scdepth.unpack(runtime.wasm);
    await ask({ type: "start", wasm }, [wasm.buffer]);
    await useModel(await scdepth.unpack(model.bytes), model.name);
    scdepth.parts = { sample: scdepth.parts.sample };
    await showSample();
    $("progress").hidden = true;
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

  function load(name) {
    return new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = name;
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
      active.postMessage(files);
    } catch (error) {
      console.warn(`not kept for use without a connection: ${error.message}`);
    }
  }

  // === The worker ===

  let answered = null;

  const answers = {
    started: (data) => answered.resolve(data),
    model: (data) => answered.resolve(data),
    engine: (data) => answered.resolve(data),
    depth: (data) => answered.resolve(data),
    error: (data) => {
      if (answered) answered.reject(new Error(data.message));
      else fail(data.message);
    },
  };

  // One question at a time: others wait for their turn.
  let turn = Promise.resolve();

  function ask(message, transfer = []) {
    const mine = turn.then(
      () =>
        new Promise((resolve, reject) => {
          answered = { resolve, reject };
          worker.postMessage(message, transfer);
        }),
    );
    turn = mine.catch(() => {});
    return mine;
  }

  async function useModel(bytes, name) {
    const size = bytes.length;
    network = await ask({ type: "model", bytes }, [bytes.buffer]);
    range = null;
    frameTimes = [];
    $("engine").textContent = "WASM";
    showFacts(network.metadata, name, size);
  }

  async function accelerate() {
    if (!navigator.gpu) return;
    const { engine } = await ask({ type: "accelerate" });
    $("engine").textContent = engine === "webgpu" ? "WebGPU" : "WASM";
  }

  // === Sources ===

  async function showSample() {
    const image = new Image();
    // As a file, opened from a disk, its pixels could not be read.
    image.src = `data:image/jpeg;base64,${scdepth.parts.sample.bytes}`;
    await image.decode();
    await usePicture(image, "Sample street");
    setLens(SAMPLE_LENS);
  }

  async function usePicture(image, name) {
    stop();
    source = { kind: "picture", name, image };
    describeSource();
    await lookOnce();
  }

  async function useVideo(file) {
    stop();
    source = { kind: "video", name: file.name };
    video.srcObject = null;
    video.src = URL.createObjectURL(file);
    await play();
  }

  async function useCamera(facing = "environment") {
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new Error(
        "Browsers open the camera only for pages that come over https or " +
          "from this very machine (localhost). A picture or video works here.",
      );
    }
    say("Your browser asks for the camera. Its pictures stay on this device.");
    const stream = await navigator.mediaDevices
      .getUserMedia({
        video: { facingMode: facing, width: { ideal: 640 } },
      })
      .catch((error) => {
        throw new Error(whyNoCamera(error));
      });
    say("");
    stop();
    source = { kind: "camera", name: "Camera", stream, facing };
    video.removeAttribute("src");
    video.srcObject = stream;
    stream.getVideoTracks()[0].onended = () => {
      if (source?.stream === stream) fail("The camera was taken away.");
    };
    await play();
    const devices = await navigator.mediaDevices.enumerateDevices();
    const cameras = devices.filter(({ kind }) => kind === "videoinput");
    $("turn-camera").hidden = cameras.length < 2;
  }

  function whyNoCamera(error) {
    if (error.name === "NotAllowedError") {
      return (
        "The camera stays off, as you wish. To use it, allow it for this " +
        "page (beside the address) and press Camera again."
      );
    }
    if (["NotFoundError", "OverconstrainedError"].includes(error.name)) {
      return "No camera was found. A picture or a video works as well.";
    }
    return (
      `The camera cannot be used (${error.message}). ` +
      "Does another program use it?"
    );
  }

  async function play() {
    try {
      await video.play();
    } catch (error) {
      const name = source.name;
      source = null;
      throw new Error(
        `This browser cannot play ${name} (${error.message}). ` +
          "MP4 with H.264 and WebM play nearly everywhere.",
      );
    }
    range = null;
    describeSource();
    run(source);
  }

  function stop() {
    video.pause();
    source?.stream?.getTracks().forEach((track) => track.stop());
    if (video.src) URL.revokeObjectURL(video.src);
    source = null;
    range = null;
    frameTimes = [];
    $("turn-camera").hidden = true;
    setPaused(false);
    setLens(USUAL_LENS);
  }

  function describeSource() {
    $("source").textContent = source.name;
    $("speed").hidden = false;
    $("player").hidden = source.kind === "picture";
    $("seek-label").hidden = source.kind !== "video";
    $("camera").setAttribute("aria-pressed", source.kind === "camera");
  }

  async function open(file) {
    say("");
    if (file.name.endsWith(".tflite")) {
      const bytes = new Uint8Array(await file.arrayBuffer());
      await useModel(bytes, file.name);
      await lookOnce();
      await accelerate();
    } else if (file.type.startsWith("video/")) {
      await useVideo(file);
    } else {
      const url = URL.createObjectURL(file);
      const image = new Image();
      image.src = url;
      await image.decode().catch(() => {
        throw new Error(
          `${file.name} is no picture or video that this browser can show.`,
        );
      });
      await usePicture(image, file.name);
    }
  }

  // === Frames ===

  // Looks at a moving source as fast as the network can.
  async function run(mine) {
    try {
      while (source === mine) {
        await nextFrame();
        if (source !== mine) break;
        if (video.paused || document.hidden || video.readyState < 2) continue;
        await lookOnce();
        if (mine.kind === "video" && video.duration) {
          $("seek").value = (1000 * video.currentTime) / video.duration;
        }
      }
    } catch (error) {
      fail(error.message);
    }
  }

  async function lookOnce() {
    const mine = source;
    if (!mine || !network) return;
    const still = mine.kind === "picture";
    const [picture, width, height] = still
      ? [mine.image, mine.image.naturalWidth, mine.image.naturalHeight]
      : [video, video.videoWidth, video.videoHeight];
    const widest = still ? WIDEST_PICTURE : WIDEST_VIDEO;
    const shrink = Math.min(1, widest / Math.max(width, height));
    grab.width = Math.round(width * shrink);
    grab.height = Math.round(height * shrink);
    grab.getContext("2d").drawImage(picture, 0, 0, grab.width, grab.height);
    const bitmap = await createImageBitmap(grab);
    const result = await ask({ type: "frame", bitmap }, [bitmap]);
    if (source === mine) show(result);
  }

  // === Showing ===

  function show(result) {
    scdepth.last = { ...result, source: source.name };
    range ??= rangeOf(result.depth);
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
    if (!scdepth.last || !range) return;
    Object.assign(scdepth.last, range);
    const { depth, height, width } = scdepth.last;
    const canvas = $("depth");
    canvas.width = width;
    canvas.height = height;
    const pixels = scdepth.colors.paint(depth, range.nearest, range.farthest);
    canvas
      .getContext("2d")
      .putImageData(new ImageData(pixels, width, height), 0, 0);
    const { width: w, height: h } = $("frame");
    // Depth is shown in the picture's shape, whatever the network's.
    document.body.style.setProperty("--aspect", w / h);
    document.body.classList.toggle("wide", w / h > 1.9);
    const colors = document.querySelector("[name=points]:checked").value;
    const picture = colors === "depth" ? canvas : $("frame");
    cloud.show(depth, height, width, w / h, picture, range.farthest);
    showRange();
  }

  // A little beyond what most pixels of a picture span.
  function rangeOf(depth) {
    const sorted = Float32Array.from(depth).sort();
    const at = (share) => sorted[Math.floor(share * (sorted.length - 1))];
    return within({ nearest: 0.9 * at(0.01), farthest: 1.1 * at(0.98) });
  }

  function within({ nearest, farthest }) {
    const [low, high] = limits();
    const near = Math.min(Math.max(nearest, low), high / 1.1);
    return {
      nearest: near,
      farthest: Math.min(Math.max(farthest, 1.1 * near), high),
    };
  }

  // The smallest and the largest depth of the network.
  function limits() {
    const { alpha, beta } = network.metadata.output;
    return [1 / (alpha + beta), 1 / beta];
  }

  // Sliders are even in the logarithm of depth.
  function toSlider(depth) {
    const [low, high] = limits();
    return (1000 * Math.log(depth / low)) / Math.log(high / low);
  }

  function fromSlider(value) {
    const [low, high] = limits();
    return low * (high / low) ** (value / 1000);
  }

  function showRange() {
    for (const end of ["nearest", "farthest"]) {
      const slider = $(end);
      if (document.activeElement !== slider) {
        slider.value = toSlider(range[end]);
      }
      const text = number(range[end]);
      slider.setAttribute("aria-valuetext", `${text} scene units`);
      $(`${end}-value`).textContent =
        end === "nearest" ? `near ${text}` : `${text} far`;
    }
    const scale = $("scale");
    const depths = Float32Array.from({ length: scale.width }, (_, i) =>
      fromSlider((1000 * (i + 0.5)) / scale.width),
    );
    const colors = scdepth.colors.paint(
      depths,
      range.nearest,
      range.farthest,
    );
    scale
      .getContext("2d")
      .putImageData(new ImageData(colors, scale.width, 1), 0, 0);
  }

  function showSpeed(milliseconds) {
    const now = performance.now();
    frameTimes = frameTimes.filter((time) => now - time < 2000);
    const moving = source.kind !== "picture" && frameTimes.length > 1;
    const seconds = (frameTimes.at(-1) - frameTimes[0]) / 1000;
    $("fps").textContent = moving
      ? ((frameTimes.length - 1) / seconds).toFixed(1)
      : "–";
    $("milliseconds").textContent = milliseconds.toFixed(0);
  }

  function showFacts(metadata, name, size) {
    const { network: net, input, quantization } = metadata;
    const facts = {
      File: `${name}, ${(size / 1e6).toFixed(1)} MB`,
      Network: `${net.encoder} encoder, ${net.decoder} decoder`,
      Input: `${input.size[1]} × ${input.size[0]} pixels`,
      Numbers: quantization.scheme,
      "Trained on": metadata.training_data ?? "not said",
      "Written by": metadata.producer,
    };
    $("facts").replaceChildren(
      ...Object.entries(facts).map(([title, fact]) => {
        const row = document.createElement("tr");
        const head = document.createElement("th");
        head.scope = "row";
        head.textContent = title;
        const cell = document.createElement("td");
        cell.textContent = fact;
        row.append(head, cell);
        return row;
      }),
    );
  }

  function number(value) {
    return value.toFixed(value < 10 ? 2 : 1);
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

  function setPaused(paused) {
    const button = $("pause");
    button.setAttribute("aria-pressed", paused);
    button.querySelector("span").textContent = paused ? "Go on" : "Pause";
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
    click("camera", () => useCamera());
    click("turn-camera", () =>
      useCamera(source.facing === "user" ? "environment" : "user"),
    );
    click("sample", async () => {
      say("");
      await showSample();
    });
    click("reset", () => cloud.orbit.reset());
    click("fit", () => {
      range = scdepth.last && rangeOf(scdepth.last.depth);
      paint();
    });
    click("pause", async () => {
      if (video.paused) await video.play();
      else video.pause();
      setPaused(video.paused);
    });
    $("seek").addEventListener("input", (event) => {
      video.currentTime = (event.target.value / 1000) * video.duration;
    });
    video.addEventListener(
      "seeked",
      trying(() => (video.paused ? lookOnce() : undefined)),
    );
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
    for (const end of ["nearest", "farthest"]) {
      $(end).addEventListener("input", ({ target }) => moveEnd(end, target));
    }
    for (const choice of document.querySelectorAll("[name=points]")) {
      choice.addEventListener("change", paint);
    }
    $("lens").addEventListener("input", ({ target }) =>
      setLens(Number(target.value)),
    );
    listenForDrops(trying);
    listenForReading();
  }

  // The other end of the range gives way.
  function moveEnd(end, slider) {
    if (!range) return;
    const depth = fromSlider(slider.value);
    if (end === "nearest") {
      range = within({
        nearest: depth,
        farthest: Math.max(range.farthest, 1.1 * depth),
      });
    } else {
      range = within({
        nearest: Math.min(range.nearest, depth / 1.1),
        farthest: depth,
      });
    }
    paint();
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
      reading.textContent = number(depth[y * width + x]);
      reading.style.left = `${100 * across}%`;
      reading.style.top = `${100 * down}%`;
      reading.hidden = false;
    });
    canvas.addEventListener("pointerleave", () => {
      reading.hidden = true;
    });
  }

  function nextFrame() {
    return new Promise((resolve) => requestAnimationFrame(resolve));
  }
})();
