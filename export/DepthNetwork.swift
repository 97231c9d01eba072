// Depth on iOS: pod 'TensorFlowLiteSwift'
//
//     let network = try DepthNetwork(path: Bundle.main.path(
//         forResource: "depth_int8", ofType: "tflite")!)
//     let depth = try network.depth(of: rgb)  // network.height × network.width

import Foundation
import TensorFlowLite

/// A file of `scdepth export --quantize int8` (bytes in, bytes out).
final class DepthNetwork {
    let height: Int
    let width: Int
    private let interpreter: Interpreter
    private let depthOfCode: [Float]

    /// - Parameters:
    ///   - alpha, beta, metresPerUnit: what the file says of itself
    ///     (`unzip -p depth_int8.tflite scdepth.json`); depth is in scene
    ///     units where it knows no metres.
    init(
        path: String,
        alpha: Float = 10,
        beta: Float = 0.01,
        metresPerUnit: Float = 1,
        threads: Int = 2
    ) throws {
        var options = Interpreter.Options()
        options.threadCount = threads
        interpreter = try Interpreter(modelPath: path, options: options)
        try interpreter.allocateTensors()
        let shape = try interpreter.input(at: 0).shape.dimensions
        height = shape[1]
        width = shape[2]
        guard let steps = try interpreter.output(at: 0).quantizationParameters
        else {
            throw CocoaError(.fileReadUnsupportedScheme)  // a float file
        }
        depthOfCode = (0..<256).map { code in
            let logit = Float(code - steps.zeroPoint) * steps.scale
            return metresPerUnit / (alpha / (1 + exp(-logit)) + beta)
        }
    }

    /// - Parameter rgb: bytes of an image of height × width, row by row.
    /// - Returns: depth, row by row.
    func depth(of rgb: Data) throws -> [Float] {
        try interpreter.copy(rgb, toInputAt: 0)
        try interpreter.invoke()
        return try interpreter.output(at: 0).data.map { depthOfCode[Int($0)] }
    }
}
