// What the network looks at: pictures, videos and the camera.
"use strict";

self.scdepth ??= {};

// Each source has a `kind`, a `name`, a `size` in pixels, what can be `drawn`
// on a canvas, a `video` where it moves, and is to be closed.
scdepth.sources = (() => {
  // A picture file, or the sample as a data: address. (As a file opened from
  // a disk, its pixels could not be read.)
  async function picture(address, name) {
    const image = new Image();
    image.src = address;
    await image.decode().catch(() => {
      throw new Error(
        `${name} is no picture or video that this browser can show.`,
      );
    });
    const size = [image.naturalWidth, image.naturalHeight];
    return { kind: "picture", name, size, drawn: image, close() {} };
  }

  async function openPicture(file) {
    const address = URL.createObjectURL(file);
    try {
      return await picture(address, file.name);
    } finally {
      URL.revokeObjectURL(address);
    }
  }

  async function openVideo(file) {
    const address = URL.createObjectURL(file);
    const source = moving("video", file.name, () => {
      source.video.removeAttribute("src");
      source.video.load();
      URL.revokeObjectURL(address);
    });
    source.video.src = address;
    return play(source);
  }

  // facing: "environment" or "user". Rejects with what the visitor can do.
  async function openCamera(facing) {
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new Error(
        "Browsers open the camera only for pages that come over https or " +
          "from this very machine (localhost). A picture or video works here.",
      );
    }
    const stream = await navigator.mediaDevices
      .getUserMedia({
        video: { facingMode: facing, width: { ideal: 640 } },
      })
      .catch((error) => {
        throw new Error(whyNoCamera(error));
      });
    const source = moving("camera", "Camera", () => {
      for (const track of stream.getTracks()) track.stop();
      source.video.srcObject = null;
    });
    source.facing = facing;
    stream.getVideoTracks()[0].onended = () => source.ended?.();
    source.video.srcObject = stream;
    return play(source);
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

  async function hasOtherCamera() {
    const devices = await navigator.mediaDevices.enumerateDevices();
    return devices.filter(({ kind }) => kind === "videoinput").length > 1;
  }

  function moving(kind, name, close) {
    const video = document.createElement("video");
    video.muted = true;
    video.loop = true;
    video.playsInline = true;
    return {
      kind,
      name,
      video,
      drawn: video,
      // A telephone that is turned changes it.
      get size() {
        return [video.videoWidth, video.videoHeight];
      },
      close() {
        video.pause();
        close();
      },
    };
  }

  async function play(source) {
    try {
      await source.video.play();
      if (!source.video.videoWidth) throw new Error("it has no pictures");
    } catch (error) {
      source.close();
      throw new Error(
        `This browser cannot play ${source.name} (${error.message}). ` +
          "MP4 with H.264 and WebM play nearly everywhere.",
      );
    }
    return source;
  }

  return { picture, openPicture, openVideo, openCamera, hasOtherCamera };
})();
