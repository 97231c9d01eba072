// Depth on Android: implementation("com.google.ai.edge.litert:litert:1.4.0")
//
//     val network = DepthNetwork(File(filesDir, "depth_int8.tflite"))
//     val small = Bitmap.createScaledBitmap(photo, network.width, network.height, true)
//     small.getPixels(pixels, 0, network.width, 0, 0, network.width, network.height)
//     val depth = network.depth(pixels)

import java.io.File
import java.nio.ByteBuffer
import java.util.zip.ZipFile
import kotlin.math.exp
import org.json.JSONObject
import org.tensorflow.lite.Interpreter

/** A file of `scdepth export --quantize int8` (bytes in, bytes out). */
class DepthNetwork(file: File, threads: Int = 4) {
    private val interpreter =
        Interpreter(file, Interpreter.Options().setNumThreads(threads))
    private val steps = interpreter.getOutputTensor(0).quantizationParams()
    private val head: JSONObject
    private val unit: Float // metres, where the file knows them

    val height = interpreter.getInputTensor(0).shape()[1]
    val width = interpreter.getInputTensor(0).shape()[2]

    private val image = ByteBuffer.allocateDirect(3 * height * width)
    private val codes = ByteBuffer.allocateDirect(height * width)

    init {
        val description = ZipFile(file).use { zip ->
            val entry = zip.getInputStream(zip.getEntry("scdepth.json"))
            JSONObject(entry.bufferedReader().readText())
        }
        head = description.getJSONObject("output")
        unit = description.optJSONObject("scale")
            ?.getDouble("metres_per_unit")?.toFloat() ?: 1f
    }

    /** One of 256 depths for each code, so that a frame needs no exp(). */
    private val depthOfCode = FloatArray(256) { code ->
        val logit = (code - steps.zeroPoint) * steps.scale
        val disparity = head.getDouble("alpha") / (1 + exp(-logit)) +
            head.getDouble("beta")
        (unit / disparity).toFloat()
    }

    /** @param pixels ARGB of an image of [height] × [width], row by row. */
    fun depth(pixels: IntArray): FloatArray {
        image.rewind()
        for (pixel in pixels) {
            image.put((pixel shr 16).toByte())
            image.put((pixel shr 8).toByte())
            image.put(pixel.toByte())
        }
        image.rewind()
        codes.rewind()
        interpreter.run(image, codes)
        return FloatArray(height * width) { index ->
            depthOfCode[codes.get(index).toInt() and 0xff]
        }
    }
}
