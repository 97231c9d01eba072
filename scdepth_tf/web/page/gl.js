// What the pages share of WebGL.
"use strict";

self.scdepth ??= {};

scdepth.gl = (() => {
  // A program of two shaders; the attributes get the places 0, 1, ...
  function program(gl, { vertex, fragment }, attributes) {
    const made = gl.createProgram();
    for (const [kind, source] of [
      [gl.VERTEX_SHADER, vertex],
      [gl.FRAGMENT_SHADER, fragment],
    ]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(made, shader);
    }
    attributes.forEach((name, place) => {
      gl.bindAttribLocation(made, place, name);
    });
    gl.linkProgram(made);
    return made;
  }

  // An empty picture, as fine as the screen.
  function clear(gl) {
    const { canvas } = gl;
    const density = Math.min(devicePixelRatio, 2);
    canvas.width = Math.round(canvas.clientWidth * density);
    canvas.height = Math.round(canvas.clientHeight * density);
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
  }

  return { program, clear };
})();
